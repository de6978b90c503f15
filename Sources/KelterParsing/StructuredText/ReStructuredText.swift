import KelterModel

/// Reads reStructuredText: sections, lists, tables, code, and the text of directives; comments and targets are left out.
///
/// Source: docutils, "reStructuredText Markup Specification", https://docutils.sourceforge.io/docs/ref/rst/restructuredtext.html.
///
/// - Throws: ``KelterError`` with `parserLimit`.
func parseReStructuredText(_ text: [UInt8], limits: ParsingLimits) throws(KelterError) -> ParsedDocument {
    let blocks = DocumentBuilder(limits: limits, capacity: text.count)
    var reader = ReStructuredText(blocks: blocks, lines: MarkupLine.lines(of: text))
    reader.read(0..<reader.lines.count, BlockContext())
    return try blocks.finish(title: nil, language: nil)
}

/// What a block stands in.
private struct BlockContext {
    var style = BlockStyle.paragraph
    var depth = 0

    /// Structure is kept to this depth; what lies deeper is text.
    static let deepest = 50

    var inner: BlockContext { BlockContext(style: style, depth: depth + 1) }
}

private struct ReStructuredText {
    let blocks: DocumentBuilder
    var lines: [MarkupLine]
    /// The underlines, and whether there is an overline too, in the order of the levels that they mean.
    private var adornments: [[UInt8]] = []

    init(blocks: DocumentBuilder, lines: [MarkupLine]) {
        self.blocks = blocks
        self.lines = lines
    }

    /// Reads the blocks of a part of the text.
    mutating func read(_ range: Range<Int>, _ context: BlockContext) {
        let indent = smallestIndent(range) ?? 0
        var position = range.lowerBound
        while position < range.upperBound, !blocks.hasFailed {
            if lines[position].isBlank {
                position += 1
            } else if lines[position].indent > indent, context.depth < BlockContext.deepest {
                let end = endOfBody(position, deeperThan: indent, in: range)
                var inner = context.inner
                if inner.style == .paragraph { inner.style = BlockStyle(kind: .quote) }
                read(position..<end, inner)
                position = end
            } else {
                position = readBlock(position, in: range, context)
            }
        }
        blocks.endBlock()
    }

    private mutating func readBlock(_ position: Int, in range: Range<Int>, _ context: BlockContext) -> Int {
        let line = lines[position]
        if context.depth < BlockContext.deepest {
            if line.content.elementsEqual("..".utf8) || line.starts(with: ".. ") {
                return readExplicit(position, in: range, context)
            }
            if let end = readTitle(position, in: range, context) { return end }
            if line.starts(with: "+-"), line.content.last == UInt8(ascii: "+") {
                return readGridTable(position, in: range)
            }
            if isSimpleBorder(line), let end = readSimpleTable(position, in: range) { return end }
            if let marker = markerLength(line) { return readItem(position, marker, in: range, context) }
            if let end = readField(position, in: range, context) { return end }
        }
        if line.repeated(4) != nil { return position + 1 }
        if line.starts(with: "__ ") { return position + 1 }
        if line.starts(with: ">>> ") {
            let end = endOfParagraph(position, in: range)
            blocks.appendCode(lines[position..<end])
            return end
        }
        return readParagraph(position, in: range, context)
    }

    // MARK: - Extents

    private func smallestIndent(_ range: Range<Int>) -> Int? {
        lines[range].lazy.filter { !$0.isBlank }.map(\.indent).min()
    }

    /// The end of the lines up to a blank one, or to one that is indented less.
    private func endOfParagraph(_ start: Int, in range: Range<Int>) -> Int {
        let indent = lines[start].indent
        return (start..<range.upperBound).first { lines[$0].isBlank || lines[$0].indent < indent } ?? range.upperBound
    }

    /// The end of the lines that are blank or indented more.
    private func endOfBody(_ start: Int, deeperThan indent: Int, in range: Range<Int>) -> Int {
        var end = start
        for index in start..<range.upperBound {
            if lines[index].isBlank { continue }
            guard lines[index].indent > indent else { break }
            end = index + 1
        }
        return end
    }

    // MARK: - Sections

    private mutating func readTitle(_ position: Int, in range: Range<Int>, _ context: BlockContext) -> Int? {
        guard context.depth == 0, position + 1 < range.upperBound else { return nil }
        let line = lines[position]
        if let mark = line.repeated(2), position + 2 < range.upperBound, !lines[position + 1].isBlank,
            lines[position + 2].repeated(2) == mark, lines[position + 2].content.count == line.content.count
        {
            addTitle(lines[position + 1].content, [mark, mark])
            return position + 3
        }
        let next = lines[position + 1]
        guard next.indent == 0, let mark = next.repeated(2), line.repeated(4) == nil,
            next.content.count >= line.width || next.content.count >= 4
        else { return nil }
        addTitle(line.content, [mark])
        return position + 2
    }

    private mutating func addTitle(_ title: ArraySlice<UInt8>, _ adornment: [UInt8]) {
        let level: Int
        if let known = adornments.firstIndex(of: adornment) {
            level = known + 1
        } else {
            adornments.append(adornment)
            level = adornments.count
        }
        blocks.endBlock()
        blocks.append(plainReStructuredText(title), BlockStyle(kind: .heading, level: min(level, 6)))
        blocks.endBlock()
    }

    // MARK: - Paragraphs and lists

    private mutating func readParagraph(_ start: Int, in range: Range<Int>, _ context: BlockContext) -> Int {
        let indent = lines[start].indent
        let next = start + 1 < range.upperBound && !lines[start + 1].isBlank ? lines[start + 1].indent : indent
        // A line with an indented one right below is a term with its definition.
        let isTerm = next > indent && context.depth < BlockContext.deepest
        let isLine = isTerm || lines[start].starts(with: "| ")
        let end = isLine ? start + 1 : endOfParagraph(start, in: range)
        var text = lines[start..<end].map(\.content).joined(separator: [0x20]).map { $0 }
        let isLiteralNext = text.suffix(2).elementsEqual("::".utf8)
        if isLiteralNext { text.removeLast(text.count == 2 || text.dropLast(2).last == 0x20 ? 2 : 1) }
        var style = context.style
        if isTerm { style = itemStyle(context) }
        if lines[start].starts(with: "| ") {
            blocks.append(plainReStructuredText(text.dropFirst(2)), style)
            blocks.breakLine()
            if end == range.upperBound || !lines[end].starts(with: "|") { blocks.endBlock() }
            return end
        }
        blocks.append(plainReStructuredText(text[...]), style)
        blocks.endBlock()
        if isLiteralNext {
            let body = endOfBody(end, deeperThan: indent, in: range)
            blocks.appendCode(lines[end..<body])
            return body
        }
        guard isTerm else { return end }
        let body = endOfBody(end, deeperThan: indent, in: range)
        read(end..<body, BlockContext(style: style, depth: context.depth + 1))
        return body
    }

    private func itemStyle(_ context: BlockContext) -> BlockStyle {
        BlockStyle(kind: .listItem, level: context.style.kind == .listItem ? min(context.style.level + 1, 254) : 1)
    }

    /// The bytes of a bullet or number with the space behind it.
    private func markerLength(_ line: MarkupLine) -> Int? {
        let content = Array(line.content.prefix(12))
        guard let first = content.first else { return nil }
        if [UInt8(ascii: "-"), UInt8(ascii: "*"), UInt8(ascii: "+")].contains(first) {
            return content.count > 1 && content[1] == 0x20 ? 2 : nil
        }
        if line.starts(with: "• ") { return 4 }
        let opening = first == UInt8(ascii: "(") ? 1 : 0
        var end = opening
        while end < content.count, content[end] &- 0x30 < 10 { end += 1 }
        if end == opening, end < content.count, (content[end] | 0x20) &- 0x61 < 26 || content[end] == UInt8(ascii: "#")
        {
            end += 1
        }
        guard end > opening, end + 1 < content.count, content[end + 1] == 0x20,
            content[end] == UInt8(ascii: ")") || opening == 0 && content[end] == UInt8(ascii: ".")
        else { return nil }
        return end + 2
    }

    private mutating func readItem(_ start: Int, _ marker: Int, in range: Range<Int>, _ context: BlockContext) -> Int {
        let end = endOfBody(start + 1, deeperThan: lines[start].indent, in: range)
        lines[start].drop(marker)
        // Its other paragraphs stand below its text; a first line that is indented more than they are is no quotation.
        if let other = smallestIndent(start + 1..<max(end, start + 1)) {
            lines[start].indent = other
        }
        read(start..<max(end, start + 1), BlockContext(style: itemStyle(context), depth: context.depth + 1))
        return max(end, start + 1)
    }

    /// Reads `:name: value`.
    private mutating func readField(_ start: Int, in range: Range<Int>, _ context: BlockContext) -> Int? {
        let line = lines[start]
        guard line.starts(with: ":"), let end = line.content.dropFirst().firstIndex(of: UInt8(ascii: ":")),
            end > line.content.startIndex + 1,
            end + 1 == line.content.endIndex || line.content[end + 1] == 0x20
        else { return nil }
        let body = max(start + 1, endOfBody(start + 1, deeperThan: line.indent, in: range))
        let name = line.content[(line.content.startIndex + 1)...end]
        blocks.append(plainReStructuredText(name), context.style)
        lines[start].drop(end + 1 - line.content.startIndex)
        let paragraph = endOfParagraph(start, in: start..<body)
        let text = lines[start..<paragraph].map(\.content).joined(separator: [0x20]).map { $0 }
        blocks.pendingSpace = true
        blocks.append(plainReStructuredText(text[...]), context.style)
        blocks.endBlock()
        if paragraph < body { read(paragraph..<body, context.inner) }
        return body
    }

    // MARK: - Directives

    private mutating func readExplicit(_ start: Int, in range: Range<Int>, _ context: BlockContext) -> Int {
        let indent = lines[start].indent
        let end = max(start + 1, endOfBody(start + 1, deeperThan: indent, in: range))
        lines[start].drop(2)
        let line = lines[start]
        if line.starts(with: "["), let close = line.content.firstIndex(of: UInt8(ascii: "]")) {
            // A footnote or citation.
            blocks.append(Array(line.content[...close]), context.style)
            lines[start].drop(close + 1 - line.content.startIndex)
            blocks.pendingSpace = true
            read(start..<end, context.inner)
            return end
        }
        guard let marks = firstIndex(of: "::", in: line.content), marks > line.content.startIndex,
            line.content[..<marks].allSatisfy({
                !WhiteSpace.isASCII($0) && $0 != UInt8(ascii: "|") && $0 != UInt8(ascii: "_")
            })
        else { return end }
        let name = String(decoding: line.content[..<marks], as: UTF8.self).lowercased()
        lines[start].drop(marks + 2 - line.content.startIndex)
        // Options come right below, before an empty line.
        var body = start + 1
        while body < end, !lines[body].isBlank, !lines[body].starts(with: ":") { body += 1 }
        let argument = start..<body
        while body < end, lines[body].starts(with: ":") { body += 1 }
        readDirective(name.split(separator: ":").last.map(String.init) ?? name, argument, body..<end, context)
        return end
    }

    private mutating func readDirective(
        _ name: String,
        _ argument: Range<Int>,
        _ body: Range<Int>,
        _ context: BlockContext
    ) {
        switch name {
        case _ where Self.withoutText.contains(name): break
        case _ where Self.code.contains(name):
            // The argument is a language, but what stands below it without an empty line is code already.
            blocks.appendCode(
                lines[(argument.lowerBound + 1)..<body.upperBound].drop { $0.isBlank || $0.starts(with: ":") }
            )
        case "csv-table":
            readParagraphs(argument, context)
            let rows = lines[body].filter { !$0.isBlank }.map {
                commaSeparated($0.content).map { plainReStructuredText($0[...]) }
            }
            blocks.appendTable(rows, headerRows: 0)
        case _ where Self.withArgument.contains(name):
            // What is documented, a title or a caption; the text stands below.
            readParagraphs(argument, context)
            read(body, context.inner)
        default:
            lines[argument.lowerBound].indent = smallestIndent(argument.lowerBound + 1..<body.upperBound) ?? 0
            read(argument.lowerBound..<argument.upperBound, context.inner)
            read(body, context.inner)
        }
    }

    private func readParagraphs(_ range: Range<Int>, _ context: BlockContext) {
        for line in lines[range] where !line.isBlank {
            blocks.append(plainReStructuredText(line.content + [0x20]), context.style)
        }
        blocks.endBlock()
    }

    private static let withoutText: Set<String> = [
        "toctree", "contents", "index", "include", "raw", "highlight", "meta", "default-role", "role", "sectnum",
        "image",
        "literalinclude", "graphviz", "currentmodule", "module", "tags", "class", "target-notes", "header", "footer",
    ]
    private static let code: Set<String> = [
        "code", "code-block", "sourcecode", "parsed-literal", "math", "doctest", "testcode", "prompt", "console",
        "productionlist", "ipython", "highlights",
    ]
    private static let withArgument: Set<String> = [
        "figure", "table", "list-table", "only", "function", "method", "classmethod", "staticmethod", "attribute",
        "data",
        "exception", "option", "envvar", "describe", "object", "topic", "sidebar", "rubric", "admonition",
        "versionadded",
        "versionchanged", "deprecated", "glossary", "container", "autoclass", "autofunction", "automodule",
    ]
}

// Tables.
extension ReStructuredText {
    private mutating func readGridTable(_ start: Int, in range: Range<Int>) -> Int {
        let end =
            (start..<range.upperBound).first { !lines[$0].starts(with: "+") && !lines[$0].starts(with: "|") }
            ?? range.upperBound
        var rows: [[[UInt8]]] = []
        var headerRows = 0
        var cells: [[UInt8]] = []
        for line in lines[start..<end] {
            if line.starts(with: "+-") || line.starts(with: "+=") {
                if !cells.isEmpty { rows.append(cells) }
                cells = []
                if line.starts(with: "+=") { headerRows = rows.count }
                continue
            }
            let parts = line.content.dropFirst().split(separator: UInt8(ascii: "|"), omittingEmptySubsequences: false)
            for (index, part) in parts.dropLast().enumerated() {
                if index >= cells.count { cells.append([]) }
                let text = MarkupLine(part).content
                if !text.isEmpty { cells[index] += (cells[index].isEmpty ? [] : [0x20]) + text }
            }
        }
        if !cells.isEmpty { rows.append(cells) }
        blocks.appendTable(rows.map { $0.map { plainReStructuredText($0[...]) } }, headerRows: headerRows)
        return end
    }

    private func isSimpleBorder(_ line: MarkupLine) -> Bool {
        line.starts(with: "=") && line.content.allSatisfy { $0 == UInt8(ascii: "=") || $0 == 0x20 }
            && line.content.contains(0x20)
    }

    /// Reads a table whose columns lie below the runs of its border; `nil` when it has no end.
    private mutating func readSimpleTable(_ start: Int, in range: Range<Int>) -> Int? {
        var borders: [Int] = []
        for index in start..<range.upperBound where isSimpleBorder(lines[index]) {
            borders.append(index)
            if borders.count == 3 { break }
        }
        guard borders.count >= 2 else { return nil }
        // The second border ends the header, or the table when nothing comes behind it.
        let isEnd = borders.count == 2 || lines[borders[1] + 1].isBlank
        let end = isEnd ? borders[1] : borders[2]
        let header = isEnd ? start : borders[1]
        var columns: [Int] = []
        var previous: UInt8 = 0x20
        for (column, byte) in lines[start].content.enumerated() {
            if byte != 0x20, previous == 0x20 { columns.append(column) }
            previous = byte
        }
        var rows: [[[UInt8]]] = []
        var headerRows = 0
        for index in start + 1..<end where index != header {
            let line = lines[index]
            guard !line.isBlank, !line.content.allSatisfy({ $0 == UInt8(ascii: "-") || $0 == 0x20 }) else { continue }
            let cells = self.cells(of: line, columns, from: lines[start].indent)
            if cells[0].isEmpty, !rows.isEmpty {
                for (column, cell) in cells.enumerated() where !cell.isEmpty {
                    rows[rows.count - 1][column] += [0x20] + cell
                }
            } else {
                rows.append(cells)
                if index < header { headerRows = rows.count }
            }
        }
        blocks.appendTable(rows.map { $0.map { plainReStructuredText($0[...]) } }, headerRows: headerRows)
        return end + 1
    }

    /// The cells of a line by the columns, counted in characters.
    private func cells(of line: MarkupLine, _ columns: [Int], from indent: Int) -> [[UInt8]] {
        var cells = [[UInt8]](repeating: [], count: columns.count)
        var column = line.indent - indent - 1
        for byte in line.content {
            if !isContinuation(byte) { column += 1 }
            let cell = (columns.lastIndex { $0 <= column }) ?? 0
            cells[cell].append(byte)
        }
        return cells.map { Array(MarkupLine($0[...]).content) }
    }
}

/// The place of two ASCII characters in bytes.
private func firstIndex(of text: StaticString, in bytes: ArraySlice<UInt8>) -> Int? {
    bytes.indices.dropLast().first { bytes[$0] == text.utf8Start[0] && bytes[$0 + 1] == text.utf8Start[1] }
}

/// The values of a line of a CSV table.
private func commaSeparated(_ line: ArraySlice<UInt8>) -> [[UInt8]] {
    var values: [[UInt8]] = [[]]
    var isQuoted = false
    for byte in line {
        if byte == UInt8(ascii: "\"") {
            isQuoted.toggle()
        } else if byte == UInt8(ascii: ","), !isQuoted {
            values.append([])
        } else {
            values[values.count - 1].append(byte)
        }
    }
    return values.map { Array(MarkupLine($0[...]).content) }
}
