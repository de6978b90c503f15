/// A line of a text whose markup is told by indentation and punctuation.
struct MarkupLine {
    /// What is on it, without the indentation and the space behind.
    var content: ArraySlice<UInt8>
    /// The column of its first character; a tab goes to the next multiple of eight.
    var indent: Int
    /// The line with its indentation, for what is kept as it is.
    let whole: ArraySlice<UInt8>

    var isBlank: Bool { content.isEmpty }

    /// The lines of a text that has LF line ends.
    static func lines(of text: [UInt8]) -> [MarkupLine] {
        text.split(separator: 0x0A, omittingEmptySubsequences: false).map { MarkupLine($0) }
    }

    init(_ line: ArraySlice<UInt8>) {
        var content = line
        while let last = content.last, WhiteSpace.isASCII(last) { content.removeLast() }
        whole = content
        var indent = 0
        while let first = content.first, first == 0x20 || first == 0x09 {
            indent = first == 0x20 ? indent + 1 : (indent / 8 + 1) * 8
            content.removeFirst()
        }
        self.content = content
        self.indent = indent
    }

    func starts(with text: StaticString) -> Bool {
        content.starts(with: UnsafeBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount))
    }

    /// The character that the line repeats and nothing else, if it does so at least as often.
    func repeated(_ atLeast: Int) -> UInt8? {
        guard content.count >= atLeast, let first = content.first, Self.isPunctuation(first),
            content.allSatisfy({ $0 == first })
        else { return nil }
        return first
    }

    /// How many characters it has.
    var width: Int { content.reduce(into: 0) { count, byte in if !isContinuation(byte) { count += 1 } } }

    /// Drops so many bytes from the front, and the white space behind them.
    mutating func drop(_ count: Int) {
        let rest = content.dropFirst(count)
        let text = rest.drop { $0 == 0x20 || $0 == 0x09 }
        indent += content.count - text.count
        content = text
    }

    static func isPunctuation(_ byte: UInt8) -> Bool {
        0x21...0x2F ~= byte || 0x3A...0x40 ~= byte || 0x5B...0x60 ~= byte || 0x7B...0x7E ~= byte
    }
}

extension DocumentBuilder {
    /// Appends a text to the open block, or opens one.
    func append(_ text: [UInt8], _ style: BlockStyle) {
        text.withUnsafeBufferPointer { append($0, style) }
    }

    /// Files lines as code, without the indentation that all of them have.
    func appendCode(_ lines: some Collection<MarkupLine>) {
        endBlock()
        let indent = lines.lazy.filter { !$0.isBlank }.map(\.indent).min() ?? 0
        for line in lines {
            // Tabs stay as they are where they are part of the common indentation.
            let text = Array(line.whole.dropFirst(min(indent, line.whole.count - line.content.count))) + [0x0A]
            text.withUnsafeBufferPointer { appendVerbatim($0, .code) }
        }
        endBlock()
    }

    /// Files rows as a table.
    ///
    /// - Parameters:
    ///   - rows: The cells of every row.
    ///   - headerRows: How many of them name the columns.
    func appendTable(_ rows: [[[UInt8]]], headerRows: Int) {
        endBlock()
        for (index, row) in rows.enumerated() where !row.allSatisfy(\.isEmpty) {
            beginRow()
            for cell in row {
                beginCell()
                append(cell, .table)
                pendingSpace = false
            }
            if index < headerRows, open != nil { headerLines += 1 }
        }
        endBlock()
    }
}
