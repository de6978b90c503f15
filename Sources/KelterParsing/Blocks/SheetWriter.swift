import KelterModel

/// Writes the cells of a sheet as tables: rows without an empty one between them are one, which knows its first row.
///
/// The cells of a table in a text are one table whatever is empty.
struct SheetWriter {
    /// More empty cells in a row than this are not written.
    private static let widestGap = 256

    private let blocks: DocumentBuilder
    private let isSheet: Bool
    /// The last row that has text.
    private var lastRow: Int?
    /// The column of the last cell of that row that has text.
    private var lastColumn = -1

    init(_ blocks: DocumentBuilder, isSheet: Bool = true) {
        self.blocks = blocks
        self.isSheet = isSheet
    }

    /// Begins a cell that has text; empty ones before it keep their place.
    ///
    /// - Parameters:
    ///   - row: Its row, from 1, not before the last one.
    ///   - column: Its column, from 0.
    mutating func beginCell(row: Int, column: Int) {
        if lastRow != row {
            if isSheet, lastRow.map({ row != $0 + 1 }) ?? true {
                blocks.endBlock()
                blocks.place = .row(row)
            }
            blocks.beginRow()
            lastRow = row
            lastColumn = -1
        }
        // One for each cell from the last one that was written to this one.
        for _ in 0..<max(1, min(column - lastColumn, Self.widestGap)) { blocks.beginCell() }
        lastColumn = column
        blocks.pendingSpace = false
    }

    /// Whether the open table consists of this row.
    func isFirst(_ row: Int) -> Bool {
        lastRow == row && blocks.open != nil && blocks.place == .row(row)
    }
}
