import KelterModel

/// Makes blocks from the elements and the text that libxml2 reports.
///
/// Keeps only the elements that are open and counts of them; libxml2 guarantees that starts and ends are balanced.
final class HTMLBlockReader {
    private let blocks: DocumentBuilder
    /// The elements that are open now, outermost first.
    private(set) var openTags: [HTMLTag] = []
    /// The title's text, while and after it is read.
    private(set) var title: [UInt8] = []
    /// What the lists and quotes around a fragment make of plain paragraphs.
    private var surrounding = BlockStyle.paragraph

    private var inTitle = false
    private var listDepth = 0
    private var preformattedDepth = 0
    private var tableDepth = 0
    /// How many of the outermost open tables serve the layout only.
    private var layoutTables = 0
    /// What the row of the outermost table that is being read has, and the rows before it.
    private var header = TableHeader()
    /// The styles that open items and quotes give to text, innermost last.
    private var containers: [BlockStyle] = []
    private var headingLevel = 0
    private var style = BlockStyle.paragraph

    init(blocks: DocumentBuilder) {
        self.blocks = blocks
    }

    /// The reader behind the pointer that libxml2 hands to its callbacks.
    @inline(__always)
    static func at(_ pointer: UnsafeMutableRawPointer?) -> HTMLBlockReader? {
        pointer.map { Unmanaged<HTMLBlockReader>.fromOpaque($0).takeUnretainedValue() }
    }

    /// Says what the next fragment stands in.
    func surround(with style: BlockStyle) {
        surrounding = style
        updateStyle()
    }

    private var inTable: Bool { tableDepth > layoutTables }

    func start(_ tag: HTMLTag?) {
        guard let tag, tag != .root, tag != .body else { return }
        if tag.nests { openTags.append(tag) }
        switch tag {
        case .lineBreak: blocks.breakLine()
        case .title: inTitle = title.isEmpty
        case .row where inTable:
            endTableLine()
            blocks.beginRow()
        case .cell where inTable, .headerCell where inTable:
            if tableDepth == layoutTables + 1 { header.beginCell(isHeader: tag == .headerCell) }
            blocks.beginCell()
        case .table:
            if !inTable {
                blocks.endBlock()
                header = TableHeader()
            }
            tableDepth += 1
            if tableDepth > layoutTables + 1 { blocks.beginRow() }
        case .list:
            endBlock()
            listDepth += 1
        case .item:
            endBlock()
            containers.append(BlockStyle(kind: .listItem, level: max(1, listDepth + surrounding.level)))
        case .quote:
            endBlock()
            containers.append(BlockStyle(kind: .quote))
        case .preformatted:
            if inTable { blocks.pendingSpace = true } else { blocks.endBlock() }
            preformattedDepth += 1
        case .heading1, .heading2, .heading3, .heading4, .heading5, .heading6:
            // A heading inside a table tells that the table is there for the layout.
            if inTable {
                blocks.endBlock()
                layoutTables = tableDepth
            }
            endBlock()
            headingLevel = tag.headingLevel
        default: endBlock()
        }
        updateStyle()
    }

    func end(_ tag: HTMLTag?) {
        guard let tag, tag.nests else { return }
        if openTags.last == tag { openTags.removeLast() }
        switch tag {
        case .title: inTitle = false
        case .row where inTable: break
        case .cell where inTable, .headerCell where inTable: blocks.pendingSpace = true
        case .table:
            if tableDepth == layoutTables + 1 {
                endTableLine()
                blocks.endBlock()
            }
            tableDepth -= 1
            layoutTables = min(layoutTables, tableDepth)
        case .list:
            endBlock()
            listDepth -= 1
        case .item, .quote:
            endBlock()
            if !containers.isEmpty { containers.removeLast() }
        case .preformatted:
            if inTable { blocks.pendingSpace = true } else { blocks.endBlock() }
            preformattedDepth -= 1
        case .heading1, .heading2, .heading3, .heading4, .heading5, .heading6:
            endBlock()
            headingLevel = 0
        case .caption where inTable:
            endTableLine(isCaption: true)
            blocks.beginRow()
        default: endBlock()
        }
        updateStyle()
    }

    func characters(_ text: UnsafeBufferPointer<UInt8>) {
        if inTitle {
            title.append(contentsOf: text)
        } else if text.count == 2, text[0] == 0xC2, text[1] &- 0x80 < 0x20 {
            let character = windows1252(text[1])
            character.withUnsafeBufferPointer { blocks.append($0, style) }
        } else if style.kind == .code {
            blocks.appendVerbatim(text, style)
        } else {
            blocks.append(text, style)
        }
    }

    /// Ends the block where blocks may stand beside each other; inside a table or a code block it is only a space or
    /// a new line.
    private func endBlock() {
        if inTable {
            blocks.pendingSpace = true
        } else if preformattedDepth > 0, blocks.open != nil {
            if blocks.text.last != 0x0A { blocks.breakLine() }
        } else {
            blocks.endBlock()
        }
    }

    /// Ends a line of the outermost table, which may be the last one of its header.
    private func endTableLine(isCaption: Bool = false) {
        guard tableDepth == layoutTables + 1 else { return }
        let isShown = blocks.open?.kind == .table && !blocks.pendingRow
        if let lines = header.endLine(isShown: isShown, isCaption: isCaption) { blocks.headerLines = lines }
    }

    private func updateStyle() {
        if inTable {
            style = .table
        } else if preformattedDepth > 0 {
            style = .code
        } else if containers.last?.kind == .quote || headingLevel == 0 {
            // A heading inside a quotation is not one of this document.
            style = containers.last ?? surrounding
        } else {
            style = BlockStyle(kind: .heading, level: headingLevel)
        }
    }
}

/// Finds the lines at the beginning of a table that name its columns: the caption, and rows of header cells only.
private struct TableHeader {
    private var lines = 0
    private var headerCells = 0
    private var dataCells = 0
    private var hasRow = false
    private var isKnown = false

    mutating func beginCell(isHeader: Bool) {
        if isHeader { headerCells += 1 } else { dataCells += 1 }
    }

    /// Ends a line; how many lines the header has, once the first line behind it is known.
    mutating func endLine(isShown: Bool, isCaption: Bool) -> Int? {
        defer { (headerCells, dataCells) = (0, 0) }
        guard isShown, !isKnown else { return nil }
        if isCaption || dataCells == 0 && headerCells > 0 {
            lines += 1
            hasRow = hasRow || !isCaption
            return nil
        }
        isKnown = true
        return hasRow ? lines : nil
    }
}

/// The character a numeric reference to a C1 control code means.
///
/// Writers mean Windows-1252, and so the HTML standard reads it: section "Numeric character reference end state".
private func windows1252(_ code: UInt8) -> [UInt8] {
    let scalars: [UInt32] = [
        0x20AC, 0x81, 0x201A, 0x192, 0x201E, 0x2026, 0x2020, 0x2021, 0x2C6, 0x2030, 0x160, 0x2039, 0x152, 0x8D, 0x17D,
        0x8F, 0x90, 0x2018, 0x2019, 0x201C, 0x201D, 0x2022, 0x2013, 0x2014, 0x2DC, 0x2122, 0x161, 0x203A, 0x153, 0x9D,
        0x17E, 0x178,
    ]
    guard let scalar = Unicode.Scalar(scalars[Int(code & 0x1F)]), let bytes = UTF8.encode(scalar) else { return [] }
    return Array(bytes)
}
