import KelterModel

/// Parses an OpenDocument text, spreadsheet or presentation (ODT, ODS, ODP); OASIS OpenDocument 1.3, part 3.
///
/// Headings, sheets and slides' titles open sections. Footnotes and endnotes follow the paragraph that refers to them.
/// Tracked changes, comments, headers and footers are left out.
///
/// - Throws: ``KelterError`` of the package, with `parserLimit` or `parserFailed`.
func parseOpenDocument(_ bytes: [UInt8], limits: ParsingLimits) throws(KelterError) -> ParsedDocument {
    let package = try Package(bytes, limits: limits)
    let encryption = EncryptionFinder()
    try package.parse(ifPresent: "META-INF/manifest.xml", encryption)
    guard !encryption.isEncrypted else {
        throw KelterError(.documentEncrypted, "The document is encrypted.", fix: "Save it without a password.")
    }
    let properties = DublinCoreReader()
    try package.parse(ifPresent: "meta.xml", properties)
    let builder = DocumentBuilder(limits: limits, capacity: bytes.count)
    try package.parse("content.xml", OpenDocumentReader(builder))
    builder.place = nil
    return try builder.finish(title: properties.title, language: properties.language)
}

/// Tells whether the manifest of a document says that parts are encrypted.
private final class EncryptionFinder: XMLHandler {
    private(set) var isEncrypted = false

    /// Old documents declare one, which is not read.
    override func documentType() {}

    override func start(_ name: XMLName, _ attributes: XMLAttributes) {
        if case "encryption-data" = name { isEncrypted = true }
    }
}

/// Makes blocks of `content.xml`.
private final class OpenDocumentReader: XMLHandler {
    private let blocks: DocumentBuilder
    private var sheet: SheetWriter
    private var listDepth = 0
    private var tableDepth = 0
    /// Whether the body is a spreadsheet, whose tables are sheets.
    private var isSpreadsheet = false
    private var inTitle = false
    private var slide = 0
    /// The kinds of the open paragraphs; text in a frame or note stands inside of another one.
    private var paragraphs: [BlockStyle] = []
    /// What the open notes and frames stand in: the table and list depth outside.
    private var suspended: [(tables: Int, lists: Int)] = []
    // Sheets.
    private var row = 0
    private var repeatsRow = 1
    private var column = 0
    private var repeatsColumn = 1
    private var isNewCell = false
    private var isText = false

    init(_ blocks: DocumentBuilder) {
        self.blocks = blocks
        sheet = SheetWriter(blocks)
    }

    /// Whether text now belongs to the cells of a table.
    private var inTable: Bool { tableDepth > 0 }

    override func start(_ name: XMLName, _ attributes: XMLAttributes) {
        if let failure = blocks.failure { fail(failure) }
        switch name {
        case "p", "h": startParagraph(isHeading: name.bytes.equals("h"), attributes)
        case "s": blocks.pendingSpace = true
        case "tab": blocks.pendingSpace = true
        case "line-break": blocks.breakLine()
        case "list": listDepth += 1
        case "spreadsheet": isSpreadsheet = true
        case "page" where !isSpreadsheet:
            slide += 1
            blocks.leaveSections()
            blocks.place = .slide(slide)
        case "frame": inTitle = attributes["class"] == "title"
        case "table": startTable(attributes)
        case "table-header-rows": if tableDepth == 1, blocks.open == nil { blocks.headerLines = 1 }
        case "table-row" where tableDepth == 1: startRow(attributes)
        case "table-cell", "covered-table-cell":
            guard tableDepth == 1 else { break }
            repeatsColumn = max(1, attributes.number("number-columns-repeated") ?? 1)
            isNewCell = true
            isText = ["string", nil].contains(attributes["value-type"])
        case "note-body": suspend()
        case "note-citation", "tracked-changes", "annotation", "forms", "sequence-decls", "date-time", "page-number",
            "shapes", "desc", "ruby-text", "style", "scripts", "settings":
            // "page-number" and "date-time" are fields of footers; "desc" describes a picture to those who do not see it.
            skip()
        default: break
        }
    }

    override func end(_ name: XMLName) {
        switch name {
        case "p", "h":
            if !inTable { blocks.endBlock() }
            paragraphs.removeLast()
        case "list": listDepth -= 1
        case "frame": inTitle = false
        case "page": blocks.endBlock()
        case "table":
            tableDepth -= 1
            if tableDepth == 0 { blocks.endBlock() } else { blocks.pendingSpace = true }
        case "table-cell", "covered-table-cell": if tableDepth == 1 { column += repeatsColumn }
        case "table-row" where tableDepth == 1:
            sheet.endRow(row)
            row += repeatsRow
        case "note-body": resume()
        default: break
        }
    }

    override func characters(_ text: UnsafeBufferPointer<UInt8>) {
        guard let style = paragraphs.last else { return }
        guard style.kind == .table else { return blocks.append(text, style) }
        if isNewCell {
            guard DocumentBuilder.shows(text) else { return }
            startCell()
        }
        blocks.append(text, style)
    }

    private func startParagraph(isHeading: Bool, _ attributes: XMLAttributes) {
        if inTable {
            blocks.pendingSpace = true
            paragraphs.append(.table)
            return
        }
        blocks.endBlock()
        if isHeading {
            let level = max(1, min(attributes.number("outline-level") ?? 1, 6))
            paragraphs.append(BlockStyle(kind: .heading, level: level))
        } else if inTitle {
            paragraphs.append(BlockStyle(kind: .heading, level: 1))
        } else if listDepth > 0 {
            paragraphs.append(BlockStyle(kind: .listItem, level: listDepth))
        } else {
            paragraphs.append(.paragraph)
        }
    }

    // MARK: - Notes

    /// A note's text is no part of the paragraph, table or list it stands in.
    private func suspend() {
        suspended.append((tableDepth, listDepth))
        // In a table the note's text goes where its mark is: ending the table for it would cut a row.
        guard !inTable else { return }
        listDepth = 0
    }

    private func resume() {
        guard let outside = suspended.popLast() else { return }
        (tableDepth, listDepth) = (outside.tables, outside.lists)
    }

    // MARK: - Tables

    private func startTable(_ attributes: XMLAttributes) {
        if tableDepth == 0 {
            blocks.endBlock()
            row = 1
            sheet = SheetWriter(blocks, isSheet: isSpreadsheet)
            if isSpreadsheet { startSheet(attributes["name"] ?? "") }
        }
        tableDepth += 1
    }

    private func startSheet(_ name: String) {
        blocks.leaveSections()
        blocks.place = nil
        Array(name.utf8).withUnsafeBufferPointer { blocks.append($0, BlockStyle(kind: .heading, level: 1)) }
        blocks.endBlock()
    }

    private func startRow(_ attributes: XMLAttributes) {
        repeatsRow = max(1, attributes.number("number-rows-repeated") ?? 1)
        column = 0
    }

    /// Begins a cell with its first text; cells without any before it keep their place.
    private func startCell() {
        isNewCell = false
        sheet.beginCell(row: row, column: column, isText: isText)
    }
}
