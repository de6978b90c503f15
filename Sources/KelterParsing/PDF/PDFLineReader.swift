/// Reads the characters of a page into lines, between which PDFium puts CR and LF.
struct PDFLineReader {
    /// A gap of more than this many times the height of the line parts cells.
    private static let widestSpace = 1.2
    /// The height of the largest page that PDF 1.7 allows.
    private static let largestHeight = 14_400.0

    private let library: PDFium
    private let text: PDFium.Handle
    private let count: Int32
    private var lines: [PDFLine] = []
    // The line that is being read.
    private var cells: [PDFLine.Cell] = []
    private var cell: [UInt8] = []
    /// The first and the last visible character of the cell.
    private var first: Int32?
    private var last: Int32 = 0
    private var lineFirst: Int32?
    private var isSpacePending = false
    private var endsInHyphen = false
    private var highSurrogate: UInt32?

    init(_ library: PDFium, _ text: PDFium.Handle) {
        self.library = library
        self.text = text
        count = library.characterCount(text)
    }

    /// Reads the whole page.
    mutating func read() -> [PDFLine] {
        var index: Int32 = 0
        while index < count {
            read(library.character(text, index), at: index)
            index += 1
        }
        endLine()
        return lines
    }

    private mutating func read(_ code: UInt32, at index: Int32) {
        switch code {
        case 0x0D, 0x0A: endLine()
        case 0x20, 0x09, 0xA0: isSpacePending = true
        // What PDFium puts in the place of a hyphen and the end of the line behind it.
        case 0x02, 0xFFFE:
            endsInHyphen = true
            endLine()
        case 0...0x1F, 0x7F...0x9F, 0xFFFF, 0xE000...0xF8FF: break
        case 0xD800...0xDBFF: highSurrogate = code
        case 0xDC00...0xDFFF:
            if let high = highSurrogate { append(0x10000 + (high - 0xD800) << 10 + (code - 0xDC00), at: index) }
            highSurrogate = nil
        default: append(code, at: index)
        }
    }

    private mutating func append(_ code: UInt32, at index: Int32) {
        guard let scalar = Unicode.Scalar(code) else { return }
        if isSpacePending, first != nil {
            if gap(before: index) > Self.widestSpace * height(index) {
                endCell()
            } else {
                cell.append(0x20)
            }
        }
        isSpacePending = false
        if first == nil { first = index }
        lineFirst = lineFirst ?? index
        last = index
        if let letters = Self.ligatures[code] {
            cell.append(letters)
        } else {
            UTF8.encode(scalar).map { cell.append(contentsOf: $0) }
        }
    }

    /// U+FB00 to U+FB06.
    private static let ligatures: [UInt32: StaticString] = [
        0xFB00: "ff", 0xFB01: "fi", 0xFB02: "fl", 0xFB03: "ffi", 0xFB04: "ffl", 0xFB05: "st", 0xFB06: "st",
    ]

    private func box(_ index: Int32) -> (left: Double, right: Double) {
        var (left, right, bottom, top) = (0.0, 0.0, 0.0, 0.0)
        _ = library.characterBox(text, index, &left, &right, &bottom, &top)
        return (left, right)
    }

    /// The height of a character's font on the page.
    ///
    /// PDFium's font size leaves out what the text matrix makes of it.
    private func height(_ index: Int32) -> Double {
        withUnsafeTemporaryAllocation(of: Float.self, capacity: 4) { place in
            place.initialize(repeating: 0)
            guard let base = place.baseAddress, library.characterPlace(text, index, base) != 0 else { return 0 }
            // Numbers in a file can be anything.
            return min(Double(abs(place[1] - place[3])), Self.largestHeight)
        }
    }

    private func gap(before index: Int32) -> Double {
        box(index).left - box(last).right
    }

    private mutating func endCell() {
        if let first {
            cells.append(PDFLine.Cell(text: cell, left: box(first).left, right: box(last).right))
        }
        cell.removeAll()
        first = nil
        isSpacePending = false
    }

    private mutating func endLine() {
        endCell()
        defer {
            cells.removeAll()
            lineFirst = nil
            endsInHyphen = false
        }
        guard let start = lineFirst else { return }
        if endsInLetterAndHyphen(cells[cells.count - 1].text) {
            cells[cells.count - 1].text.removeLast()
            endsInHyphen = true
        }
        var (x, y) = (0.0, 0.0)
        _ = library.characterOrigin(text, start, &x, &y)
        // The middle one: initials and marks of lists stand at the ends.
        let middle = start + (last - start) / 2
        lines.append(
            PDFLine(
                cells: cells,
                baseline: y,
                size: height(middle),
                endsInHyphen: endsInHyphen
            )
        )
    }
}

/// Whether a text ends in a letter and a hyphen, as a word does that the end of a line parts.
func endsInLetterAndHyphen(_ text: [UInt8]) -> Bool {
    guard text.count > 1, text[text.count - 1] == UInt8(ascii: "-") else { return false }
    let before = text[text.count - 2]
    return before >= 0x80 || lowercased(before) &- 0x61 < 26
}
