import KelterModel

/// Writes the cells of a sheet as tables: rows without an empty one between them are one, which knows its first row.
///
/// A first row of two texts or more, and nothing else, names the columns. The cells of a table in a text are one table whatever is empty.
struct SheetWriter {
    /// More empty cells in a row than this are not written.
    private static let widestGap = 256

    private let blocks: DocumentBuilder
    private let isSheet: Bool
    /// The last row that has text.
    private var lastRow: Int?
    /// The column of the last cell of that row that has text.
    private var lastColumn = -1
    /// Whether all cells of that row are texts, and how many they are.
    private var texts = (isOnly: true, count: 0)

    init(_ blocks: DocumentBuilder, isSheet: Bool = true) {
        self.blocks = blocks
        self.isSheet = isSheet
    }

    /// Begins a cell that has text; empty ones before it keep their place.
    ///
    /// - Parameters:
    ///   - row: Its row, from 1, not before the last one.
    ///   - column: Its column, from 0.
    ///   - isText: Whether it is a text, not a number or a date.
    mutating func beginCell(row: Int, column: Int, isText: Bool) {
        if lastRow != row {
            if isSheet, lastRow.map({ row != $0 + 1 }) ?? true {
                blocks.endBlock()
                blocks.place = .row(row)
            }
            blocks.beginRow()
            lastRow = row
            lastColumn = -1
            texts = (true, 0)
        }
        texts = (texts.isOnly && isText, texts.count + 1)
        // One for each cell from the last one that was written to this one.
        for _ in 0..<max(1, min(column - lastColumn, Self.widestGap)) { blocks.beginCell() }
        lastColumn = column
        blocks.pendingSpace = false
    }

    /// Ends a row of a sheet.
    func endRow(_ row: Int) {
        guard isSheet, lastRow == row, blocks.place == .row(row) else { return }
        blocks.headerLines = texts.isOnly && texts.count > 1 ? 1 : 0
    }
}
