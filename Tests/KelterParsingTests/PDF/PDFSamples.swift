/// PDFs made object by object; PDF 1.7, ISO 32000-1.
struct PDFSample {
    /// A piece of text on a page, 612 units wide and 792 high.
    struct Text {
        let text: String
        let x: Int
        let y: Int
        var size = 11
        var isBold = false
    }

    var pages: [[Text]] = []
    /// Title and page (from 0) of the outline's entries, all on one level.
    var outline: [(title: String, page: Int)] = []
    var title: String?
    var language: String?
    /// Draws an image on every page.
    var hasImages = false

    /// Lines of running text from a height downwards.
    static func lines(_ lines: [String], x: Int = 72, y: Int, size: Int = 11, leading: Int = 14) -> [Text] {
        lines.enumerated().map { Text(text: $1, x: x, y: y - $0 * leading, size: size) }
    }

    var bytes: [UInt8] {
        var objects: [String] = []
        func add(_ object: String) -> Int {
            objects.append(object)
            return objects.count
        }
        let catalog = add("")
        let tree = add("")
        let fonts = ["Helvetica", "Helvetica-Bold"].map {
            add("<</Type/Font/Subtype/Type1/BaseFont/\($0)/Encoding/WinAnsiEncoding>>")
        }
        let image = add(
            "<</Type/XObject/Subtype/Image/Width 1/Height 1/ColorSpace/DeviceGray/BitsPerComponent 8/Length 1>>stream\nA\nendstream"
        )
        var pageNumbers: [Int] = []
        for page in pages {
            var content = page.map { text in
                let escaped = text.text.replacing("\\", with: "\\\\").replacing("(", with: "\\(").replacing(
                    ")",
                    with: "\\)"
                )
                return "BT /F\(text.isBold ? 2 : 1) \(text.size) Tf \(text.x) \(text.y) Td (\(escaped)) Tj ET"
            }
            if hasImages { content.append("q 612 0 0 792 0 0 cm /I Do Q") }
            let stream = content.joined(separator: "\n")
            let contents = add("<</Length \(latin1(stream).count)>>stream\n\(stream)\nendstream")
            let resources = "<</Font<</F1 \(fonts[0]) 0 R/F2 \(fonts[1]) 0 R>>/XObject<</I \(image) 0 R>>>>"
            pageNumbers.append(
                add(
                    "<</Type/Page/Parent \(tree) 0 R/MediaBox[0 0 612 792]/Resources \(resources)/Contents \(contents) 0 R>>"
                )
            )
        }
        let kids = pageNumbers.map { "\($0) 0 R" }.joined(separator: " ")
        objects[tree - 1] = "<</Type/Pages/Kids[\(kids)]/Count \(pages.count)>>"
        var extra = language.map { "/Lang(\($0))" } ?? ""
        if !outline.isEmpty {
            let root = add("")
            let first = objects.count + 1
            for (index, entry) in outline.enumerated() {
                let next = index + 1 < outline.count ? "/Next \(first + index + 1) 0 R" : ""
                _ = add(
                    "<</Title(\(entry.title))/Parent \(root) 0 R\(next)/Dest[\(pageNumbers[entry.page]) 0 R/Fit]>>"
                )
            }
            objects[root - 1] = "<</First \(first) 0 R/Last \(objects.count) 0 R/Count \(outline.count)>>"
            extra += "/Outlines \(root) 0 R"
        }
        objects[catalog - 1] = "<</Type/Catalog/Pages \(tree) 0 R\(extra)>>"
        let information = title.map { add("<</Title(\($0))>>") }
        return Self.file(objects, catalog: catalog, information: information)
    }

    private static func file(_ objects: [String], catalog: Int, information: Int?) -> [UInt8] {
        var bytes = Array("%PDF-1.7\n".utf8)
        var offsets: [Int] = []
        for (index, object) in objects.enumerated() {
            offsets.append(bytes.count)
            bytes += latin1("\(index + 1) 0 obj\n\(object)\nendobj\n")
        }
        let start = bytes.count
        var table = "xref\n0 \(objects.count + 1)\n0000000000 65535 f \n"
        for offset in offsets {
            let digits = String(offset)
            table += String(repeating: "0", count: 10 - digits.count) + digits + " 00000 n \n"
        }
        let info = information.map { "/Info \($0) 0 R" } ?? ""
        table += "trailer<</Size \(objects.count + 1)/Root \(catalog) 0 R\(info)>>\nstartxref\n\(start)\n%%EOF\n"
        return bytes + Array(table.utf8)
    }
}

/// Text in WinAnsiEncoding: Latin-1, and of the characters beyond it the dash.
private func latin1(_ text: String) -> [UInt8] {
    text.unicodeScalars.map { $0 == "–" ? 0x96 : UInt8(truncatingIfNeeded: $0.value) }
}
