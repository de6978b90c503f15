import KelterModel

/// Parses a workbook (XLSX); ECMA-376 part 1, section 18.
///
/// Every sheet is a section; rows without an empty one between them are a table with a line for each. Cells have the
/// values that were calculated when the file was saved; dates are ISO 8601. Of charts only the titles follow: what they show
/// is in the cells.
///
/// - Throws: ``KelterError`` of the package, with `parserLimit` or `parserFailed`.
func parseWorkbook(_ bytes: [UInt8], limits: ParsingLimits) throws(KelterError) -> ParsedDocument {
    let package = try Package(bytes, limits: limits)
    let roots = try Relationships(of: "", in: package)
    let main = try mainPart(roots)
    let relationships = try Relationships(of: main, in: package)
    let workbook = Workbook()
    try package.parse(main, workbook)
    let strings = SharedStrings(limits: limits)
    for part in relationships.parts("sharedStrings") { try package.parse(ifPresent: part, strings) }
    let formats = CellFormats()
    for part in relationships.parts("styles") { try package.parse(ifPresent: part, formats) }
    let properties = try coreProperties(of: package, roots)
    let builder = DocumentBuilder(limits: limits, capacity: bytes.count)
    for sheet in workbook.sheets {
        guard let target = relationships.targets[sheet.relationship], target.type == "worksheet" else { continue }
        builder.leaveSections()
        builder.place = nil
        Array(sheet.name.utf8).withUnsafeBufferPointer { builder.append($0, BlockStyle(kind: .heading, level: 1)) }
        builder.endBlock()
        try package.parse(target.part, SheetReader(builder, strings, formats, is1904: workbook.is1904))
        builder.endBlock()
        builder.place = nil
        for drawing in try Relationships(of: target.part, in: package).parts("drawing") {
            for part in try Relationships(of: drawing, in: package).parts("chart") {
                let chart = Chart()
                try package.parse(ifPresent: part, chart)
                chart.writeTitle(to: builder)
            }
        }
    }
    return try builder.finish(title: properties.title, language: properties.language)
}

/// The sheets in their order.
private final class Workbook: XMLHandler {
    private(set) var sheets: [(name: String, relationship: String)] = []
    /// Whether day 0 is 1904-01-01.
    private(set) var is1904 = false

    override func start(_ name: XMLName, _ attributes: XMLAttributes) {
        switch name {
        case "sheet":
            // The id of the sheet itself is called sheetId.
            if let name = attributes["name"], let id = attributes["id"] { sheets.append((name, id)) }
        case "workbookPr": is1904 = attributes["date1904"] == "1" || attributes["date1904"] == "true"
        default: break
        }
    }
}

/// The texts that cells refer to by number.
private final class SharedStrings: XMLHandler {
    private let limits: ParsingLimits
    private var text: [UInt8] = []
    private var ends: [Int] = []
    private var inText = false
    private var inPhonetics = false

    init(limits: ParsingLimits) {
        self.limits = limits
    }

    override func start(_ name: XMLName, _ attributes: XMLAttributes) {
        switch name {
        case "t": inText = !inPhonetics
        case "rPh": inPhonetics = true
        default: break
        }
    }

    override func end(_ name: XMLName) {
        switch name {
        case "t": inText = false
        case "rPh": inPhonetics = false
        case "si":
            ends.append(text.count)
            if text.count > limits.maximumTextBytes {
                fail(
                    KelterError(
                        .parserLimit,
                        "The texts of the workbook have more than \(limits.maximumTextBytes) bytes.",
                        fix: "Split the file."
                    )
                )
            }
        default: break
        }
    }

    override func characters(_ text: UnsafeBufferPointer<UInt8>) {
        if inText { self.text.append(contentsOf: text) }
    }

    /// Passes on a text; nothing when there is none with this number.
    func with(_ index: Int, _ body: (UnsafeBufferPointer<UInt8>) -> Void) {
        guard ends.indices.contains(index) else { return }
        let start = index == 0 ? 0 : ends[index - 1]
        text.withUnsafeBufferPointer { body(UnsafeBufferPointer(rebasing: $0[start..<ends[index]])) }
    }
}

/// Makes a table of a sheet's rows.
private final class SheetReader: XMLHandler {
    private enum CellKind {
        case number, sharedText, text, boolean
    }

    private let blocks: DocumentBuilder
    private var sheet: SheetWriter
    private let strings: SharedStrings
    private let formats: CellFormats
    private let is1904: Bool
    private var row = 0
    private var column = 0
    private var kind = CellKind.number
    private var format = 0
    private var isWanted = false
    private var value: [UInt8] = []

    init(_ blocks: DocumentBuilder, _ strings: SharedStrings, _ formats: CellFormats, is1904: Bool) {
        self.blocks = blocks
        sheet = SheetWriter(blocks)
        self.strings = strings
        self.formats = formats
        self.is1904 = is1904
    }

    override func start(_ name: XMLName, _ attributes: XMLAttributes) {
        switch name {
        case "row":
            if let failure = blocks.failure { fail(failure) }
            row = attributes.number("r") ?? row + 1
            column = -1
        case "c":
            column = attributes.bytes("r").flatMap(Self.column) ?? column + 1
            format = attributes.number("s") ?? 0
            kind =
                switch attributes["t"] {
                case "s": .sharedText
                case "b": .boolean
                case "str", "inlineStr", "e", "d": .text
                default: .number
                }
            value.removeAll(keepingCapacity: true)
        case "v", "t": isWanted = true
        case "rPh", "f": isWanted = false
        default: break
        }
    }

    override func characters(_ text: UnsafeBufferPointer<UInt8>) {
        if isWanted { value.append(contentsOf: text) }
    }

    override func end(_ name: XMLName) {
        switch name {
        case "v", "t": isWanted = false
        case "c": endCell()
        case "row": sheet.endRow(row)
        default: break
        }
    }

    private func endCell() {
        guard !value.isEmpty else { return }
        switch kind {
        case .sharedText:
            let index = Int(String(decoding: value, as: UTF8.self)) ?? -1
            strings.with(index) { write($0, isText: true) }
        case .text: value.withUnsafeBufferPointer { write($0, isText: true) }
        case .boolean: write(value == [UInt8(ascii: "1")] ? "TRUE" : "FALSE")
        case .number:
            let text = String(decoding: value, as: UTF8.self)
            guard let number = Double(text), number.isFinite else { return write(text) }
            if formats.isDate(format), let date = dateText(serial: number, is1904: is1904) { return write(date) }
            // 0.1 + 0.2 is stored with 17 digits; 15 are what Excel shows.
            write(numberText(number, as: text))
        }
    }

    private func write(_ text: String) {
        var text = text
        text.withUTF8 { write($0, isText: false) }
    }

    private func write(_ text: UnsafeBufferPointer<UInt8>, isText: Bool) {
        guard DocumentBuilder.shows(text) else { return }
        sheet.beginCell(row: row, column: column, isText: isText)
        blocks.append(text, .table)
    }

    /// The column of a reference such as `BC12`, from 0.
    private static func column(_ reference: UnsafeBufferPointer<UInt8>) -> Int? {
        var column = 0
        for byte in reference.prefix(4) {
            let letter = Int(byte | 0x20) - 0x61
            guard (0..<26).contains(letter) else { break }
            column = column * 26 + letter + 1
        }
        return column > 0 ? column - 1 : nil
    }
}
