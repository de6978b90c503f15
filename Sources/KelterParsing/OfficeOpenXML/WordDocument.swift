import KelterModel

/// Parses a word-processing document (DOCX); ECMA-376 part 1, section 17.
///
/// Styles give headings, lists and quotes. Footnotes, endnotes and charts follow the paragraph that refers to them. Deleted
/// text, field codes, headers, footers and comments are left out.
///
/// - Throws: ``KelterError`` of the package, with `parserLimit` or `parserFailed`.
func parseWordDocument(_ bytes: [UInt8], limits: ParsingLimits) throws(KelterError) -> ParsedDocument {
    let package = try Package(bytes, limits: limits)
    let roots = try Relationships(of: "", in: package)
    let main = try mainPart(roots)
    let relationships = try Relationships(of: main, in: package)
    let styles = WordStyles()
    for part in relationships.parts("styles") { try package.parse(ifPresent: part, styles) }
    let (footnotes, endnotes) = (WordNotes(), WordNotes())
    for part in relationships.parts("footnotes") { try package.parse(ifPresent: part, footnotes) }
    for part in relationships.parts("endnotes") { try package.parse(ifPresent: part, endnotes) }
    var charts: [String: Chart] = [:]
    for (id, target) in relationships.targets where target.type == "chart" {
        let chart = Chart()
        try package.parse(ifPresent: target.part, chart)
        charts[id] = chart
    }
    let properties = try coreProperties(of: package, roots)
    let builder = DocumentBuilder(limits: limits, capacity: bytes.count)
    try package.parse(main, WordReader(builder, styles, footnotes: footnotes, endnotes: endnotes, charts: charts))
    return try builder.finish(title: properties.title, language: properties.language ?? styles.language)
}

/// Makes blocks of the main part.
private final class WordReader: XMLHandler {
    private let blocks: DocumentBuilder
    private let styles: WordStyles
    private let footnotes: WordNotes
    private let endnotes: WordNotes
    private let charts: [String: Chart]
    private var inText = false
    private var inProperties = false
    private var tableDepth = 0
    /// The styles of the open paragraphs; those in a text box stand inside another one.
    private var paragraphs: [BlockStyle] = []
    /// Paragraphs of notes that the open block refers to.
    private var notes: [[UInt8]] = []
    /// Charts that stand in the open block.
    private var pendingCharts: [Chart] = []

    init(
        _ blocks: DocumentBuilder,
        _ styles: WordStyles,
        footnotes: WordNotes,
        endnotes: WordNotes,
        charts: [String: Chart]
    ) {
        self.blocks = blocks
        self.styles = styles
        self.footnotes = footnotes
        self.endnotes = endnotes
        self.charts = charts
    }

    private var style: BlockStyle {
        get { tableDepth > 0 ? .table : paragraphs.last ?? .paragraph }
        set { if !paragraphs.isEmpty { paragraphs[paragraphs.count - 1] = newValue } }
    }

    override func start(_ name: XMLName, _ attributes: XMLAttributes) {
        if let failure = blocks.failure { fail(failure) }
        switch name {
        case "t": inText = true
        case "p":
            endBlock()
            paragraphs.append(.paragraph)
        case "pPr": inProperties = true
        case "pStyle" where inProperties: style = styles.style(of: attributes["val"])
        case "outlineLvl" where inProperties:
            if let level = attributes.number("val"), (0..<9).contains(level) {
                style = BlockStyle(kind: .heading, level: min(level + 1, 6))
            }
        case "ilvl" where inProperties:
            if style.kind != .heading { style = BlockStyle(kind: .listItem, level: listLevel(attributes)) }
        case "numId" where inProperties: readNumbering(attributes["val"])
        case "tab" where !inProperties: blocks.pendingSpace = true
        case "br", "cr": if attributes["type"] == nil { blocks.breakLine() } else { blocks.pendingSpace = true }
        case "noBreakHyphen": append("-")
        case "tbl":
            if tableDepth == 0 { endBlock() }
            tableDepth += 1
        case "tblLook" where tableDepth == 1:
            let bits = attributes["val"].flatMap { Int($0, radix: 16) } ?? 0
            let hasHeader = attributes["firstRow"].map { $0 == "1" || $0 == "true" } ?? (bits & 0x20 != 0)
            blocks.headerLines = hasHeader ? 1 : 0
        case "tblHeader" where tableDepth == 1: if blocks.open == nil { blocks.headerLines = 1 }
        case "tr" where tableDepth == 1: blocks.beginRow()
        case "tc" where tableDepth == 1: blocks.beginCell()
        case "footnoteReference": notes += footnotes.paragraphs(attributes["id"])
        case "endnoteReference": notes += endnotes.paragraphs(attributes["id"])
        case "chart":
            if let chart = attributes.value("id", namespaceSuffix: "/relationships").flatMap({ charts[$0] }) {
                pendingCharts.append(chart)
            }
        // Alternatives to what was read already, former properties, text that was moved away, pronunciation.
        case "Fallback", "pPrChange", "rPrChange", "tblPrChange", "moveFrom", "del", "rt": skip()
        default: break
        }
    }

    override func end(_ name: XMLName) {
        switch name {
        case "t": inText = false
        case "pPr": inProperties = false
        case "p":
            endBlock()
            paragraphs.removeLast()
        case "tc": blocks.pendingSpace = true
        case "tbl":
            tableDepth -= 1
            endBlock()
        default: break
        }
    }

    override func characters(_ text: UnsafeBufferPointer<UInt8>) {
        if inText { blocks.append(text, style) }
    }

    private func append(_ text: StaticString) {
        blocks.append(UnsafeBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount), style)
    }

    private func listLevel(_ attributes: XMLAttributes) -> Int {
        max(0, min(attributes.number("val") ?? 0, 8)) + 1
    }

    /// A paragraph's own numbering: 0 takes the one of its style away.
    private func readNumbering(_ number: String?) {
        if number == "0" {
            if style.kind == .listItem { style = .paragraph }
        } else if style.kind == .paragraph {
            style = BlockStyle(kind: .listItem, level: 1)
        }
    }

    /// Ends the block, and after it puts the notes and charts it refers to; in a table only a space.
    private func endBlock() {
        if tableDepth > 0 {
            blocks.pendingSpace = true
            return
        }
        blocks.endBlock()
        for note in notes {
            note.withUnsafeBufferPointer { blocks.append($0, .paragraph) }
            blocks.endBlock()
        }
        notes.removeAll()
        for chart in pendingCharts { chart.write(to: blocks) }
        pendingCharts.removeAll()
    }
}

/// What the styles of a document make of a paragraph.
private final class WordStyles: XMLHandler {
    private struct Style {
        var name = ""
        var parent: String?
        var outlineLevel: Int?
        var listLevel: Int?
        var isList = false
    }

    /// The language of the text where nothing else is said.
    private(set) var language: String?
    private var styles: [String: Style] = [:]
    private var id = ""
    private var style: Style?
    private var inDefaults = false
    private var known: [String: BlockStyle] = [:]

    override func start(_ name: XMLName, _ attributes: XMLAttributes) {
        switch name {
        case "docDefaults": inDefaults = true
        case "lang" where inDefaults: language = attributes["val"]
        case "style":
            id = attributes["styleId"] ?? ""
            style = Style()
        case "name": style?.name = lowercasedASCII(attributes["val"] ?? "")
        case "basedOn": style?.parent = attributes["val"]
        case "outlineLvl": style?.outlineLevel = attributes.number("val")
        case "ilvl": style?.listLevel = attributes.number("val")
        case "numId": style?.isList = attributes["val"] != "0"
        default: break
        }
    }

    override func end(_ name: XMLName) {
        switch name {
        case "docDefaults": inDefaults = false
        case "style":
            styles[id] = style
            style = nil
        default: break
        }
    }

    /// The block style of a paragraph with this style.
    func style(of id: String?) -> BlockStyle {
        guard let id else { return .paragraph }
        if let style = known[id] { return style }
        let style = resolved(id)
        known[id] = style
        return style
    }

    /// Follows a style to what it is based on, at most 16 steps: a circle has no end.
    private func resolved(_ id: String) -> BlockStyle {
        var next: String? = id
        for _ in 0..<16 {
            guard let id = next, let style = styles[id] else { break }
            // Built-in styles keep their English names in every language.
            if style.name == "title" { return BlockStyle(kind: .heading, level: 1) }
            if style.name.hasPrefix("heading "), let level = Int(style.name.dropFirst(8)), (1...9).contains(level) {
                return BlockStyle(kind: .heading, level: min(level, 6))
            }
            if let level = style.outlineLevel, (0..<9).contains(level) {
                return BlockStyle(kind: .heading, level: min(level + 1, 6))
            }
            if style.isList { return BlockStyle(kind: .listItem, level: max(0, min(style.listLevel ?? 0, 8)) + 1) }
            if style.name == "quote" || style.name == "intense quote" { return BlockStyle(kind: .quote) }
            next = style.parent
        }
        return .paragraph
    }
}

/// The footnotes or the endnotes of a document.
private final class WordNotes: XMLHandler {
    private var notes: [String: [[UInt8]]] = [:]
    private var id: String?
    private var inText = false

    override func start(_ name: XMLName, _ attributes: XMLAttributes) {
        switch name {
        case "footnote", "endnote":
            // Notes with a type are the lines between text and notes.
            id = attributes["type"] == nil ? attributes["id"] : nil
        case "p": if let id { notes[id, default: []].append([]) }
        case "t": inText = true
        case "tab", "br": append(" ")
        default: break
        }
    }

    override func end(_ name: XMLName) {
        switch name {
        case "footnote", "endnote": id = nil
        case "t": inText = false
        default: break
        }
    }

    override func characters(_ text: UnsafeBufferPointer<UInt8>) {
        guard inText, let id, let last = notes[id]?.indices.last else { return }
        notes[id]?[last].append(contentsOf: text)
    }

    private func append(_ text: StaticString) {
        guard let id, let last = notes[id]?.indices.last else { return }
        notes[id]?[last].append(text)
    }

    func paragraphs(_ id: String?) -> [[UInt8]] {
        id.flatMap { notes[$0] } ?? []
    }
}
