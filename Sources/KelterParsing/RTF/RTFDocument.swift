import KelterModel

/// Reads RTF: headings by outline level or the name of their style, lists, tables, footnotes behind their paragraph.
///
/// Headers, footers, comments, hidden and deleted text, and pictures are left out. A file that breaks off keeps what came
/// before. Source: Rich Text Format Specification 1.9.1.
///
/// - Throws: ``KelterError`` with `parserLimit`.
func parseRTF(_ bytes: [UInt8], limits: ParsingLimits) throws(KelterError) -> ParsedDocument {
    try bytes.withUnsafeBufferPointer { bytes throws(KelterError) in
        var reader = RTFReader(limits: limits)
        try reader.read(bytes)
        return try reader.finish()
    }
}

private struct RTFReader {
    /// Where text goes.
    enum Destination {
        case body, note, title, fonts, styles, information, nowhere
    }

    /// What a group changes until it ends.
    struct Group {
        var destination = Destination.body
        var font: Int?
        /// How many characters stand behind `\u` for readers that do not know it.
        var fallbackLength = 1
        var isHidden = false
        var isInTable = false
        var style: Int?
        var outlineLevel: Int?
        var listLevel = 0
    }

    private let limits: ParsingLimits
    private let blocks: DocumentBuilder
    private var cleaner = TextCleaner()
    private var charsets = RTFCharsets()
    private var invalid = 0

    private var group = Group()
    private var outer: [Group] = []
    /// Bytes that have not been decoded.
    private var bytes: [UInt8] = []
    /// The first half of a character above U+FFFF.
    private var highSurrogate: UInt16?
    /// Characters that are still to be passed over.
    private var fallback = 0
    /// Whether the next word is one that may be unknown: behind `\*`.
    private var isOptional = false

    private var title: [UInt8] = []
    private var notes: [[UInt8]] = []
    private var isItem = false
    /// Outline levels of the styles, from 0.
    private var styles: [Int: Int] = [:]
    private var style: (number: Int?, level: Int?, name: [UInt8]) = (nil, nil, [])
    private var font = 0
    /// The row that is being written: whether it has begun, and whether its last cell has ended.
    private var row = (isOpen: false, isCellEnded: false, isHeader: false)

    init(limits: ParsingLimits) {
        self.limits = limits
        blocks = DocumentBuilder(limits: limits, capacity: 1 << 16)
    }

    mutating func read(_ file: UnsafeBufferPointer<UInt8>) throws(KelterError) {
        var tokens = RTFTokens(file)
        while let token = tokens.next(), !blocks.hasFailed {
            switch token {
            case .groupStart:
                flush()
                guard outer.count < limits.maximumDepth else {
                    throw KelterError(
                        .parserLimit,
                        "Its groups are nested more than \(limits.maximumDepth) deep.",
                        fix: "Save it anew from a word processor."
                    )
                }
                outer.append(group)
                fallback = 0
                if group.destination == .styles { style = (nil, nil, []) }
            case .groupEnd:
                flush()
                endGroup()
                fallback = 0
            case .text(let text): append(text)
            case .byte(let byte):
                if fallback > 0 { fallback -= 1 } else { append(byte) }
            case .symbol(let symbol): read(symbol)
            case .word(let name, let number):
                // A word counts as one character of a fallback.
                if fallback > 0 { fallback -= 1 } else { read(String(decoding: name, as: UTF8.self), number) }
            }
        }
        flush()
    }

    mutating func finish() throws(KelterError) -> ParsedDocument {
        endParagraph()
        let title = collapsedText(title)
        var document = try blocks.finish(title: title.isEmpty ? nil : title, language: nil)
        document.repairs = cleaner.repairs
        if invalid > 0 { document.repairs[.invalidReplaced] = invalid }
        return document
    }

    private mutating func endGroup() {
        if group.destination == .styles, outer.last?.destination == .styles, let number = style.number {
            styles[number] = style.level ?? Self.outlineLevel(named: style.name)
        }
        if let last = outer.popLast() { group = last }
    }

    /// The level of a heading by the name of its style; word processors write the names in their user's language.
    private static func outlineLevel(named name: [UInt8]) -> Int? {
        let words = String(decoding: name, as: UTF8.self).lowercased().split { !$0.isLetter && !$0.isNumber }
        guard words.count == 2, ["heading", "überschrift"].contains(words[0]), let level = Int(words[1]),
            1...9 ~= level
        else { return nil }
        return level - 1
    }

    // MARK: - Text

    private mutating func append(_ text: UnsafeBufferPointer<UInt8>) {
        let passed = min(fallback, text.count)
        fallback -= passed
        guard group.destination != .nowhere, group.destination != .information, !group.isHidden else { return }
        bytes.append(contentsOf: text[passed...])
    }

    private mutating func append(_ byte: UInt8) {
        withUnsafePointer(to: byte) { append(UnsafeBufferPointer(start: $0, count: 1)) }
    }

    private mutating func append(_ scalar: Unicode.Scalar) {
        guard !group.isHidden, let text = UTF8.encode(scalar) else { return }
        flush()
        write(Array(text))
    }

    /// Decodes what has come, in the charset of its font.
    private mutating func flush() {
        guard !bytes.isEmpty else { return }
        let decoded = charsets.text(bytes, font: group.font)
        bytes.removeAll(keepingCapacity: true)
        invalid += decoded.invalid
        write(decoded.text)
    }

    private mutating func write(_ text: [UInt8]) {
        var text = text
        cleaner.clean(&text)
        switch group.destination {
        case .nowhere, .fonts, .information: break
        case .title: title += text
        case .styles: style.name += text
        case .note: notes.isEmpty ? notes.append(text) : (notes[notes.count - 1] += text)
        case .body:
            text.withUnsafeBufferPointer { text in
                // A paragraph or a table begins only with something that is seen.
                let isBegun = blocks.open.map { group.isInTable == ($0.kind == .table) } ?? false
                guard isBegun || DocumentBuilder.shows(text) else { return }
                if group.isInTable { beginCell() } else if !isBegun { blocks.endBlock() }
                blocks.append(text, paragraphStyle)
            }
        }
    }

    private var paragraphStyle: BlockStyle {
        if group.isInTable { return .table }
        if let level = group.outlineLevel ?? group.style.flatMap({ styles[$0] }), 0..<9 ~= level {
            return BlockStyle(kind: .heading, level: min(level + 1, 6))
        }
        return isItem ? BlockStyle(kind: .listItem, level: group.listLevel + 1) : .paragraph
    }

    private mutating func endParagraph() {
        flush()
        if group.destination == .note {
            notes.append([])
        } else if group.destination == .body {
            isItem = false
            if group.isInTable {
                blocks.pendingSpace = true
            } else {
                blocks.endBlock()
                endNotes()
            }
        }
    }

    /// Puts the notes of a paragraph behind it.
    private mutating func endNotes() {
        for note in notes {
            note.withUnsafeBufferPointer { blocks.append($0, .paragraph) }
            blocks.endBlock()
        }
        notes.removeAll()
    }

    // MARK: - Tables

    private mutating func beginCell() {
        if !row.isOpen {
            if blocks.open?.kind != .table { blocks.endBlock() }
            blocks.beginRow()
            blocks.beginCell()
            row.isOpen = true
        } else if row.isCellEnded {
            blocks.beginCell()
            blocks.pendingSpace = false
        }
        row.isCellEnded = false
    }

    private mutating func endCell() {
        flush()
        guard group.destination == .body else { return }
        beginCell()
        row.isCellEnded = true
        isItem = false
    }

    private mutating func endRow() {
        guard group.destination == .body else { return }
        if row.isHeader, blocks.open?.kind == .table { blocks.headerLines += 1 }
        row = (false, false, false)
        // Notes in a table wait for its end.
    }

    // MARK: - Control words

    private mutating func read(_ symbol: UInt8) {
        if fallback > 0 {
            fallback -= 1
            return
        }
        switch symbol {
        case UInt8(ascii: "*"): isOptional = true
        case UInt8(ascii: "~"): append("\u{A0}" as Unicode.Scalar)
        case UInt8(ascii: "_"): append("\u{2011}" as Unicode.Scalar)
        case UInt8(ascii: "\\"), UInt8(ascii: "{"), UInt8(ascii: "}"): append(symbol)
        case 0x0A, 0x0D: endParagraph()
        default: break
        }
    }

    private mutating func read(_ word: String, _ number: Int?) {
        let wasOptional = isOptional
        isOptional = false
        if let destination = Self.destinations[word] {
            begin(destination, word)
        } else if wasOptional, word != "shpinst" {
            group.destination = .nowhere
        }
        guard group.destination != .nowhere else { return }
        if let scalar = Self.characters[word] { return append(scalar) }
        switch word {
        case "u": readUnicode(number ?? 0)
        case "uc": group.fallbackLength = max(0, min(number ?? 1, 100))
        case "ansicpg": charsets.standard = number.flatMap { RTFCharsets.name(codePage: $0) } ?? charsets.standard
        case "mac": charsets.standard = "macintosh"
        case "pc": charsets.standard = "cp437"
        case "pca": charsets.standard = "cp850"
        case "f":
            flush()
            if group.destination == .fonts { font = number ?? 0 } else { group.font = number }
        case "fcharset" where group.destination == .fonts: charsets.define(font: font, charset: number ?? 0)
        case "cpg" where group.destination == .fonts: charsets.define(font: font, codePage: number ?? 0)
        case "plain":
            flush()
            group.isHidden = false
            group.font = nil
        case "v", "deleted":
            flush()
            group.isHidden = number != 0
        default: readParagraph(word, number)
        }
    }

    private mutating func readParagraph(_ word: String, _ number: Int?) {
        switch word {
        case "par", "sect": endParagraph()
        case "pard":
            flush()
            (group.style, group.outlineLevel, group.listLevel, group.isInTable) = (nil, nil, 0, false)
        case "s": if group.destination == .styles { style.number = number } else { group.style = number }
        case "outlinelevel":
            if group.destination == .styles { style.level = number } else { group.outlineLevel = number }
        case "ilvl": group.listLevel = max(0, min(number ?? 0, 254))
        case "line", "page", "column":
            flush()
            if group.destination == .body { blocks.breakLine() }
        case "tab", "nestcell":
            flush()
            if group.destination == .body { blocks.pendingSpace = true } else { write([0x20]) }
        case "intbl":
            flush()
            group.isInTable = true
        case "trhdr": row.isHeader = true
        case "cell": endCell()
        case "row": endRow()
        default: break
        }
    }

    private mutating func begin(_ destination: Destination, _ word: String) {
        // The number or bullet in front of an item, as readers see it that know no lists.
        if word == "listtext" || word == "pntext" { isItem = true }
        // A title stands in the information about the document; a word of that name elsewhere is none.
        if destination == .title, group.destination != .information { return }
        if destination == .note, group.destination == .body { notes.append([]) }
        group.destination = group.destination == .nowhere ? .nowhere : destination
    }

    /// A UTF-16 code unit, written as a signed number.
    private mutating func readUnicode(_ number: Int) {
        fallback = group.fallbackLength
        let unit = UInt16(truncatingIfNeeded: number)
        defer { highSurrogate = UTF16.isLeadSurrogate(unit) ? unit : nil }
        if UTF16.isTrailSurrogate(unit), let highSurrogate {
            append(UTF16.decode(UTF16.EncodedScalar([highSurrogate, unit])))
        } else if let scalar = Unicode.Scalar(unit) {
            append(scalar)
        } else if !UTF16.isLeadSurrogate(unit) {
            invalid += 1
            append("\u{FFFD}" as Unicode.Scalar)
        }
    }

    private static let characters: [String: Unicode.Scalar] = [
        "emdash": "—", "endash": "–", "bullet": "•", "lquote": "‘", "rquote": "’", "ldblquote": "“",
        "rdblquote": "”", "emspace": " ", "enspace": " ", "qmspace": " ",
    ]

    private static let destinations: [String: Destination] = {
        var destinations: [String: Destination] = [
            "fonttbl": .fonts, "stylesheet": .styles, "info": .information, "title": .title, "footnote": .note,
        ]
        let skipped = """
            colortbl filetbl listtable listoverridetable revtbl rsidtbl generator themedata xmlnstbl fldinst listtext \
            pntext annotation atnid atnauthor bkmkstart bkmkend tc xe rxe txe ftnsep ftnsepc ftncn aftnsep aftnsepc \
            aftncn header headerl headerr headerf footer footerl footerr footerf pict nonshppict shprslt sp objdata \
            objclass datafield
            """
        for word in skipped.split(separator: " ") { destinations[String(word)] = .nowhere }
        return destinations
    }()
}
