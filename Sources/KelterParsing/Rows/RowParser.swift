import KelterModel

/// Parses delimiter-separated values into one table: a line for each row, cells parted by ` | `; RFC 4180 and what programs
/// write besides.
///
/// The delimiter is the one that gives the first rows the same number of cells: comma, semicolon, tab or bar. The first
/// row names the columns when none of its cells is a number and none is empty. Blank rows are left out; they part tables.
///
/// - Throws: ``KelterError`` with `parserLimit`.
func parseRows(_ bytes: [UInt8], limits: ParsingLimits) throws(KelterError) -> ParsedDocument {
    let builder = DocumentBuilder(limits: limits, capacity: bytes.count + bytes.count / 4)
    bytes.withUnsafeBufferPointer { bytes in
        var reader = RowReader(bytes, delimiter: RowReader.delimiter(of: bytes))
        var line = 0
        var isFirst = true
        while !builder.hasFailed, let cells = reader.next() {
            line += 1
            guard cells.contains(where: { !$0.isBlank(in: bytes) }) else {
                builder.endBlock()
                continue
            }
            if builder.open == nil { builder.place = .row(line) }
            builder.beginRow()
            for cell in cells {
                builder.beginCell()
                builder.pendingSpace = false
                cell.append(to: builder, in: bytes)
            }
            if isFirst, cells.count > 1, cells.allSatisfy({ $0.isName(in: bytes) }) { builder.headerLines = 1 }
            isFirst = false
        }
    }
    builder.endBlock()
    builder.place = nil
    return try builder.finish(title: nil, language: nil)
}

/// A cell as it stands in the file.
struct RowCell {
    /// Without the quotes around it.
    var range: Range<Int>
    /// Whether it has doubled quotes inside.
    var hasQuotes = false

    func isBlank(in bytes: UnsafeBufferPointer<UInt8>) -> Bool {
        !DocumentBuilder.shows(UnsafeBufferPointer(rebasing: bytes[range]))
    }

    /// Whether it has a letter and so is no number, date or time.
    func isName(in bytes: UnsafeBufferPointer<UInt8>) -> Bool {
        range.contains { bytes[$0] >= 0x80 || lowercased(bytes[$0]) &- 0x61 < 26 }
            && !(bytes[range.lowerBound] &- 0x30 < 10)
    }

    func append(to builder: DocumentBuilder, in bytes: UnsafeBufferPointer<UInt8>) {
        guard hasQuotes else { return builder.append(UnsafeBufferPointer(rebasing: bytes[range]), .table) }
        var text: [UInt8] = []
        var position = range.lowerBound
        while position < range.upperBound {
            text.append(bytes[position])
            position += bytes[position] == RowReader.quote ? 2 : 1
        }
        text.withUnsafeBufferPointer { builder.append($0, .table) }
    }
}

/// Reads rows one by one.
struct RowReader {
    static let quote = UInt8(ascii: "\"")

    private let bytes: UnsafeBufferPointer<UInt8>
    private let delimiter: UInt8
    private var position = 0

    init(_ bytes: UnsafeBufferPointer<UInt8>, delimiter: UInt8) {
        self.bytes = bytes
        self.delimiter = delimiter
    }

    /// The cells of the next row; `nil` behind the last.
    mutating func next() -> [RowCell]? {
        guard position < bytes.count else { return nil }
        var cells: [RowCell] = []
        while true {
            cells.append(cell())
            guard position < bytes.count else { return cells }
            let end = bytes[position]
            position += 1
            if end == 0x0A { return cells }
        }
    }

    /// The next cell; the position is at what ends it.
    private mutating func cell() -> RowCell {
        guard position < bytes.count, bytes[position] == Self.quote, let quoted = quotedCell() else {
            let start = position
            while position < bytes.count, bytes[position] != delimiter, bytes[position] != 0x0A { position += 1 }
            return RowCell(range: start..<position)
        }
        return quoted
    }

    /// A cell between quotes; `nil` when they do not end before a delimiter, so that one stray quote costs one cell.
    private mutating func quotedCell() -> RowCell? {
        var index = position + 1
        var hasQuotes = false
        while let end = firstIndex(of: Self.quote, in: bytes, from: index) {
            if end + 1 < bytes.count, bytes[end + 1] == Self.quote {
                hasQuotes = true
                index = end + 2
                continue
            }
            guard end + 1 == bytes.count || bytes[end + 1] == delimiter || bytes[end + 1] == 0x0A else { return nil }
            let cell = RowCell(range: position + 1..<end, hasQuotes: hasQuotes)
            position = end + 1
            return cell
        }
        return nil
    }

    /// The delimiter of a file: of those that part its first rows, the one that does it most evenly, then most often; of two
    /// alike not the comma, which numbers have, too.
    static func delimiter(of bytes: UnsafeBufferPointer<UInt8>) -> UInt8 {
        let sample = UnsafeBufferPointer(rebasing: bytes.prefix(16_384))
        var best = (delimiter: UInt8(ascii: ","), score: 0)
        for delimiter in [0x09, UInt8(ascii: ";"), UInt8(ascii: "|"), UInt8(ascii: ",")] {
            var reader = RowReader(sample, delimiter: delimiter)
            var counts: [Int: Int] = [:]
            for _ in 0..<50 {
                guard let row = reader.next() else { break }
                // The last row of the sample may be cut.
                if row.count > 1, reader.position < sample.count || sample.count == bytes.count {
                    counts[row.count, default: 0] += 1
                }
            }
            guard let usual = counts.max(by: { ($0.value, $0.key) < ($1.value, $1.key) }) else { continue }
            let score = usual.value * 100 + min(usual.key, 99)
            if score > best.score { best = (delimiter, score) }
        }
        return best.delimiter
    }
}
