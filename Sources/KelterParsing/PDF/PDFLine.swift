/// A line of text on a page, in PDF's units: 1/72 inch, the origin at the lower left.
struct PDFLine {
    /// A run of text without a wide gap, such as a cell of a table.
    struct Cell {
        /// UTF-8.
        var text: [UInt8]
        var left: Double
        var right: Double
    }

    var cells: [Cell]
    /// Where its baseline lies.
    var baseline: Double
    /// The height of its font on the page.
    var size: Double
    /// Whether a word goes on in the next line, and its hyphen was left out.
    var endsInHyphen = false

    var left: Double { cells.first?.left ?? 0 }

    /// The cells with spaces between.
    var text: [UInt8] {
        Array(cells.map(\.text).joined(separator: [0x20]))
    }

    var byteCount: Int { cells.reduce(0) { $0 + $1.text.count + 1 } }
}

/// The lines of one page in the order of reading.
struct PDFPage {
    /// From 1.
    let number: Int
    let height: Double
    var lines: [PDFLine]
}
