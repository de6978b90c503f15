import KelterModel

/// The title of a chart and a table of what it shows; ECMA-376 part 1, section 21.2.
///
/// The values are those the program stored with the chart when it was saved, a row for each category and a column for each
/// series. Of a point chart the places on its first axis are the categories.
final class Chart: XMLHandler {
    private struct Value {
        let point: Int
        let series: Int
        let text: String
    }

    private enum Field {
        case name, category, value
    }

    private var title: [UInt8] = []
    private var categoryTitle: [UInt8] = []
    private var names: [String] = []
    /// By their points; those of the first series that names a point.
    private var categories: [Int: String] = [:]
    private var values: [Value] = []
    private var is1904 = false

    // Where the parser is.
    private var inSeries = false
    private var seriesCategories: [Int: String] = [:]
    private var inTitle = false
    private var axis: String?
    private var field: Field?
    private var formatCode: [UInt8] = []
    private var inFormatCode = false
    private var point = 0
    private var isWanted = false
    private var text: [UInt8] = []

    override func start(_ name: XMLName, _ attributes: XMLAttributes) {
        switch name {
        case "date1904": is1904 = attributes["val"] != "0" && attributes["val"] != "false"
        case "catAx", "dateAx", "valAx", "serAx": axis = name.text
        case "title":
            inTitle = !inSeries
            text.removeAll(keepingCapacity: true)
        case "p" where inTitle: text.append(0x20)
        case "ser":
            inSeries = true
            names.append("")
        case "tx" where inSeries: begin(.name)
        case "cat", "xVal": begin(.category)
        case "val", "yVal": begin(.value)
        case "formatCode":
            inFormatCode = true
            formatCode.removeAll(keepingCapacity: true)
        case "pt": point = attributes.number("idx") ?? 0
        case "v", "t":
            isWanted = inTitle || field != nil
            if !inTitle { text.removeAll(keepingCapacity: true) }
        // Repetitions of values, and what only some programs understand.
        case "dLbls", "trendline", "errBars", "extLst", "Fallback": skip()
        default: break
        }
    }

    override func characters(_ text: UnsafeBufferPointer<UInt8>) {
        if inFormatCode { formatCode.append(contentsOf: text) } else if isWanted { self.text.append(contentsOf: text) }
    }

    override func end(_ name: XMLName) {
        switch name {
        case "formatCode": inFormatCode = false
        case "catAx", "dateAx", "valAx", "serAx": axis = nil
        case "title" where inTitle:
            if axis == nil { title += text } else if axis == "catAx" || axis == "dateAx" { categoryTitle += text }
            inTitle = false
        case "ser":
            inSeries = false
            categories.merge(seriesCategories) { first, _ in first }
            seriesCategories.removeAll(keepingCapacity: true)
        case "tx", "cat", "xVal", "val", "yVal": field = nil
        case "v", "t":
            if isWanted, !inTitle { endValue() }
            isWanted = false
        default: break
        }
    }

    private func begin(_ field: Field) {
        self.field = field
        formatCode.removeAll(keepingCapacity: true)
        point = 0
    }

    private func endValue() {
        guard let series = names.indices.last, let field else { return }
        let shown = shown(String(decoding: text, as: UTF8.self))
        switch field {
        case .name: names[series] += names[series].isEmpty ? shown : " " + shown
        case .category:
            // The levels of a grouped axis come from the inner to the outer one.
            let inner = seriesCategories[point].map { " " + $0 } ?? ""
            seriesCategories[point] = shown + inner
        case .value: values.append(Value(point: point, series: series, text: shown))
        }
    }

    private func shown(_ text: String) -> String {
        guard field != .name, let number = Double(text), number.isFinite else { return text }
        if CellFormats.showsDate(String(decoding: formatCode, as: UTF8.self)),
            let date = dateText(serial: number, is1904: is1904)
        {
            return date
        }
        return numberText(number, as: text)
    }

    /// Writes the title as a block.
    func writeTitle(to blocks: DocumentBuilder) {
        blocks.endBlock()
        title.withUnsafeBufferPointer { blocks.append($0, .paragraph) }
        blocks.endBlock()
    }

    /// Writes the title and the table as blocks of their own.
    func write(to blocks: DocumentBuilder) {
        writeTitle(to: blocks)
        guard !values.isEmpty else { return }
        let hasCategories = !categories.isEmpty
        if names.contains(where: { !$0.isEmpty }) {
            blocks.headerLines = 1
            blocks.beginRow()
            if hasCategories { write(String(decoding: categoryTitle, as: UTF8.self), to: blocks) }
            for name in names { write(name, to: blocks) }
        }
        var last: Value?
        for value in values.sorted(by: { ($0.point, $0.series) < ($1.point, $1.series) }) where !blocks.hasFailed {
            if last?.point != value.point {
                last = nil
                blocks.beginRow()
                if hasCategories { write(categories[value.point] ?? "", to: blocks) }
            }
            for _ in 0..<max(0, value.series - (last?.series ?? -1) - 1) { blocks.beginCell() }
            write(value.text, to: blocks)
            last = value
        }
        blocks.endBlock()
    }

    private func write(_ text: String, to blocks: DocumentBuilder) {
        var text = text
        blocks.beginCell()
        blocks.pendingSpace = false
        text.withUTF8 { blocks.append($0, .table) }
    }
}
