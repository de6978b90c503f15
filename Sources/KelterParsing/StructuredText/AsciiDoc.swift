import KelterModel

/// Reads AsciiDoc: sections, lists, tables, code, quotations; comments, includes and conditions are left out.
///
/// Source: AsciiDoc Language Documentation, https://docs.asciidoctor.org/asciidoc/latest/.
///
/// - Throws: ``KelterError`` with `parserLimit`.
func parseAsciiDoc(_ text: [UInt8], limits: ParsingLimits) throws(KelterError) -> ParsedDocument {
    let blocks = DocumentBuilder(limits: limits, capacity: text.count)
    var reader = AsciiDoc(blocks: blocks, lines: MarkupLine.lines(of: text))
    reader.read()
    return try blocks.finish(title: nil, language: reader.language)
}

private struct AsciiDoc {
    private let blocks: DocumentBuilder
    private let lines: [MarkupLine]
    private var position = 0
    private var attributes: [String: [UInt8]] = [:]
    /// What the line in brackets above says of the next block.
    private var blockAttributes = ""
    private var isQuote = false

    init(blocks: DocumentBuilder, lines: [MarkupLine]) {
        self.blocks = blocks
        self.lines = lines
    }

    var language: String? { attributes["lang"].flatMap { validLanguageTag(String(decoding: $0, as: UTF8.self)) } }

    private var style: BlockStyle { isQuote ? BlockStyle(kind: .quote) : .paragraph }

    mutating func read() {
        while position < lines.count, !blocks.hasFailed {
            let line = lines[position]
            if line.isBlank || line.content.elementsEqual("+".utf8) {
                blocks.endBlock()
                position += 1
            } else if line.indent == 0, readDelimited(line) || readDirective(line) || readTitle(line) {
                blockAttributes = line.starts(with: "[") ? blockAttributes : ""
            } else {
                readText(line)
                blockAttributes = ""
            }
        }
        blocks.endBlock()
    }

    private func plain(_ text: ArraySlice<UInt8>) -> [UInt8] { plainAsciiDoc(text, attributes: attributes) }

    // MARK: - Blocks between two lines

    private mutating func readDelimited(_ line: MarkupLine) -> Bool {
        if line.starts(with: "```") || [0x2D, 0x2E, 0x2B].contains(line.repeated(4)) {
            readVerbatim(line)
            return true
        }
        if line.repeated(4) == UInt8(ascii: "/") {
            position = (position + 1..<lines.count).first { lines[$0].content == line.content } ?? lines.count
            position = min(position + 1, lines.count)
            return true
        }
        if line.starts(with: "|==="), line.content.dropFirst().allSatisfy({ $0 == UInt8(ascii: "=") }) {
            readTable()
            return true
        }
        if line.repeated(4) == UInt8(ascii: "_") {
            blocks.endBlock()
            isQuote.toggle()
            position += 1
            return true
        }
        // Examples, sidebars and open blocks are what stands in them.
        guard
            line.repeated(4) == UInt8(ascii: "=") || line.repeated(4) == UInt8(ascii: "*")
                || line.content.elementsEqual("--".utf8)
        else { return false }
        blocks.endBlock()
        position += 1
        return true
    }

    private mutating func readVerbatim(_ line: MarkupLine) {
        let isFence = line.starts(with: "```")
        let end =
            (position + 1..<lines.count).first {
                isFence ? lines[$0].content.elementsEqual("```".utf8) : lines[$0].content == line.content
            } ?? lines.count
        let isText = line.starts(with: "++++") || blockAttributes.hasPrefix("verse")
        if isText {
            for line in lines[position + 1..<end] {
                blocks.append(Array(line.content), style)
                blocks.breakLine()
            }
            blocks.endBlock()
        } else {
            blocks.appendCode(lines[position + 1..<end])
        }
        position = min(end + 1, lines.count)
    }

    // MARK: - Lines

    private mutating func readDirective(_ line: MarkupLine) -> Bool {
        if line.starts(with: "//") {
            position += 1
            return true
        }
        if line.starts(with: ":"), let end = line.content.dropFirst().firstIndex(of: UInt8(ascii: ":")) {
            let name = line.content[(line.content.startIndex + 1)..<end]
            let isName = name.allSatisfy {
                ($0 | 0x20) &- 0x61 < 26 || $0 &- 0x30 < 10 || [0x2D, 0x5F, 0x21].contains($0)
            }
            if isName, !name.isEmpty, end + 1 == line.content.endIndex || line.content[end + 1] == 0x20 {
                attributes[String(decoding: name, as: UTF8.self)] = plain(
                    line.content[(end + 1)...].drop { $0 == 0x20 }
                )
                position += 1
                return true
            }
        }
        if line.starts(with: "["), line.content.last == UInt8(ascii: "]") {
            blocks.endBlock()
            blockAttributes = String(decoding: line.content.dropFirst().dropLast(), as: UTF8.self)
            position += 1
            return true
        }
        let macros: [StaticString] = ["include::", "ifdef::", "ifndef::", "ifeval::", "endif::", "toc::"]
        if macros.contains(where: { line.starts(with: $0) })
            || ["'''", "<<<", "---", "***"].contains(where: { line.content.elementsEqual($0.utf8) })
        {
            blocks.endBlock()
            position += 1
            return true
        }
        if line.starts(with: "image::") || line.starts(with: "video::") || line.starts(with: "audio::"),
            let start = line.content.firstIndex(of: UInt8(ascii: "["))
        {
            blocks.endBlock()
            let text = line.content[(start + 1)...].prefix { $0 != UInt8(ascii: ",") && $0 != UInt8(ascii: "]") }
            blocks.append(plain(text), style)
            blocks.endBlock()
            position += 1
            return true
        }
        return false
    }

    private mutating func readTitle(_ line: MarkupLine) -> Bool {
        for mark in [UInt8(ascii: "="), UInt8(ascii: "#")] {
            let level = line.content.prefix { $0 == mark }.count
            let text = line.content.dropFirst(level)
            guard 1...6 ~= level, text.first == 0x20 else { continue }
            addTitle(text.dropFirst(), level: level)
            position += 1
            return true
        }
        // Two lines, the second as long as the first: the older form.
        let levels: [UInt8] = [0x3D, 0x2D, 0x7E, 0x5E, 0x2B]
        if position + 1 < lines.count, let mark = lines[position + 1].repeated(3), lines[position + 1].indent == 0,
            let level = levels.firstIndex(of: mark), abs(lines[position + 1].content.count - line.width) <= 1,
            line.repeated(3) == nil, blocks.open == nil
        {
            addTitle(line.content, level: level + 1)
            position += 2
            return true
        }
        guard line.starts(with: "."), let second = line.content.dropFirst().first, second != 0x20,
            second != UInt8(ascii: ".")
        else { return false }
        // The title of the next block.
        blocks.endBlock()
        blocks.append(plain(line.content.dropFirst()), style)
        blocks.endBlock()
        position += 1
        return true
    }

    private func addTitle(_ title: ArraySlice<UInt8>, level: Int) {
        blocks.endBlock()
        blocks.append(plain(title), BlockStyle(kind: .heading, level: level))
        blocks.endBlock()
    }

    /// Reads a line of a paragraph, an item, or lines that are indented, which are code.
    private mutating func readText(_ line: MarkupLine) {
        if let (marker, level) = marker(line) {
            blocks.endBlock()
            blocks.append(plain(line.content.dropFirst(marker)), BlockStyle(kind: .listItem, level: level))
            position += 1
            return continueParagraph(BlockStyle(kind: .listItem, level: level))
        }
        if let (term, text) = term(line) {
            let style = BlockStyle(kind: .listItem, level: 1)
            blocks.endBlock()
            blocks.append(plain(term), style)
            blocks.endBlock()
            blocks.append(plain(text), style)
            position += 1
            return continueParagraph(style)
        }
        if line.indent > 0, blocks.open == nil {
            let end = (position..<lines.count).first { lines[$0].isBlank } ?? lines.count
            blocks.appendCode(lines[position..<end])
            position = end
            return
        }
        appendLine(line, style)
        position += 1
        continueParagraph(style)
    }

    /// Reads the lines that belong to the open paragraph.
    private mutating func continueParagraph(_ style: BlockStyle) {
        // A definition may stand below its term.
        while position < lines.count, !lines[position].isBlank, marker(lines[position]) == nil,
            term(lines[position]) == nil
        {
            let line = lines[position]
            let isOther =
                line.content.elementsEqual("+".utf8) || line.starts(with: "//") || line.starts(with: "|===")
                || line.starts(with: "[") && line.content.last == UInt8(ascii: "]") || line.starts(with: "```")
                || line.repeated(4) != nil || line.content.elementsEqual("--".utf8)
            if isOther { break }
            appendLine(line, style)
            position += 1
        }
        blocks.endBlock()
    }

    private func appendLine(_ line: MarkupLine, _ style: BlockStyle) {
        let breaks = line.content.count > 2 && line.content.suffix(2).elementsEqual(" +".utf8)
        blocks.pendingSpace = true
        blocks.append(plain(breaks ? line.content.dropLast(2) : line.content), style)
        if breaks { blocks.breakLine() }
    }

    /// The bytes of a bullet or number with the space behind it, and the level of the item.
    private func marker(_ line: MarkupLine) -> (length: Int, level: Int)? {
        guard let first = line.content.first else { return nil }
        switch first {
        case UInt8(ascii: "*"), UInt8(ascii: "."), UInt8(ascii: "-"):
            let level = line.content.prefix { $0 == first }.count
            guard level <= (first == UInt8(ascii: "-") ? 1 : 6), line.content.dropFirst(level).first == 0x20 else {
                return nil
            }
            return (level + 1, level)
        default:
            let digits = line.content.prefix { $0 &- 0x30 < 10 }.count
            guard 1...4 ~= digits, line.content.dropFirst(digits).starts(with: [UInt8(ascii: "."), 0x20]) else {
                return nil
            }
            return (digits + 2, 1)
        }
    }

    /// A term and what stands behind it: `term:: text`.
    private func term(_ line: MarkupLine) -> (term: ArraySlice<UInt8>, text: ArraySlice<UInt8>)? {
        let content = line.content
        guard
            let end = content.indices.dropLast().first(where: {
                content[$0] == UInt8(ascii: ":") && content[$0 + 1] == UInt8(ascii: ":") && $0 > content.startIndex
            })
        else { return nil }
        let text = content[end...].drop { $0 == UInt8(ascii: ":") }
        guard text.isEmpty || text.first == 0x20 else { return nil }
        return (content[..<end], text)
    }
}

// Tables.
extension AsciiDoc {
    private mutating func readTable() {
        let border = lines[position].content
        let end = (position + 1..<lines.count).first { lines[$0].content == border } ?? lines.count
        let body = lines[position + 1..<end]
        position = min(end + 1, lines.count)
        var cells: [[UInt8]] = []
        var columns = Self.columns(blockAttributes)
        for line in body where !line.isBlank {
            let own = Self.cells(of: line.content)
            if let rest = own.rest, !cells.isEmpty { cells[cells.count - 1] += [0x20] + rest }
            cells += own.cells
            if columns == nil, !own.cells.isEmpty { columns = own.cells.count }
        }
        let width = max(1, columns ?? 1)
        let rows = stride(from: 0, to: cells.count, by: width).map { start in
            cells[start..<min(start + width, cells.count)].map { plain($0[...]) }
        }
        let hasHeader =
            blockAttributes.contains("header")
            || body.count > 1 && body.first?.isBlank == false && body.dropFirst().first?.isBlank == true
        blocks.appendTable(rows, headerRows: hasHeader ? 1 : 0)
    }

    /// How many columns `cols="1,2"` or `cols="3*"` says there are.
    private static func columns(_ attributes: String) -> Int? {
        guard let start = attributes.firstRange(of: "cols=")?.upperBound else { return nil }
        let rest = attributes[start...]
        let value = rest.first == "\"" ? rest.dropFirst().prefix { $0 != "\"" } : rest.prefix { $0 != "," && $0 != "]" }
        let count = value.split(whereSeparator: { $0 == "," || $0 == ";" }).reduce(0) { count, part in
            let times = part.split(separator: "*", omittingEmptySubsequences: false)
            return count + (times.count > 1 ? Int(times[0]) ?? 1 : 1)
        }
        return 1...1_000 ~= count ? count : nil
    }

    /// The cells that begin in a line, and what stands before the first.
    private static func cells(of line: ArraySlice<UInt8>) -> (rest: [UInt8]?, cells: [[UInt8]]) {
        var parts: [[UInt8]] = [[]]
        var isEscaped = false
        for byte in line {
            if byte == UInt8(ascii: "|"), !isEscaped {
                parts.append([])
            } else {
                if byte == UInt8(ascii: "|") { parts[parts.count - 1].removeLast() }
                parts[parts.count - 1].append(byte)
            }
            isEscaped = byte == UInt8(ascii: "\\")
        }
        // How the next cell is laid out stands before its bar, such as `2+` or `.3+^.>s`.
        let marks = Array("0123456789+.*<>^aehlmsv".utf8)
        for index in parts.indices.dropLast() {
            let specification = parts[index].reversed().prefix { marks.contains($0) }
            let isAlone =
                specification.count == parts[index].count
                || parts[index][parts[index].count - 1 - specification.count] == 0x20
            if !specification.isEmpty, specification.count < 12, isAlone,
                index == 0 || specification.contains(UInt8(ascii: "+")) || specification.count == 1
            {
                parts[index].removeLast(specification.count)
            }
        }
        let rest = Array(MarkupLine(parts[0][...]).content)
        return (rest.isEmpty ? nil : rest, parts.dropFirst().map { Array(MarkupLine($0[...]).content) })
    }
}
