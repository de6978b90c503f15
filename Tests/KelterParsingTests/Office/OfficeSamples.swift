import KelterModel
import KelterParsing

/// Office documents made part by part, so that each can be odd in one place.
enum OfficeSamples {
    private static let types = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    private static let packageTypes = "http://schemas.openxmlformats.org/package/2006/relationships"

    static func package(_ parts: [(String, String)]) -> [UInt8] {
        ArchiveSamples.zip(parts.map { ArchiveSamples.Member($0.0, $0.1, deflates: $0.0 != "mimetype") })
    }

    /// Relationships as `(type, target)`, numbered from `rId1`.
    static func relationships(_ targets: [(String, String)]) -> String {
        let lines = targets.enumerated().map { index, target in
            #"<Relationship Id="rId\#(index + 1)" Type="\#(types)/\#(target.0)" Target="\#(target.1)"/>"#
        }
        return #"<?xml version="1.0"?><Relationships xmlns="\#(packageTypes)">\#(lines.joined())</Relationships>"#
    }

    static let coreProperties = """
        <cp:coreProperties xmlns:cp="urn:cp" xmlns:dc="urn:dc"><dc:title>Der  Titel</dc:title>\
        <dc:language>de-DE</dc:language></cp:coreProperties>
        """

    private static func officeDocument(_ main: String, _ parts: [(String, String)]) -> [UInt8] {
        let core = "http://schemas.openxmlformats.org/package/2006/relationships/metadata/core-properties"
        let roots = relationships([("officeDocument", main), ("core", "docProps/core.xml")])
            .replacing("\(types)/core", with: core)
        return package(
            [("[Content_Types].xml", "<Types/>"), ("_rels/.rels", roots), ("docProps/core.xml", coreProperties)] + parts
        )
    }

    /// A DOCX of this body; its chart is `rId3`.
    static func word(_ body: String, styles: String = "", footnotes: String = "", chart: String = "") -> [UInt8] {
        let related = relationships([
            ("styles", "styles.xml"), ("footnotes", "/word/footnotes.xml"), ("chart", "charts/chart1.xml"),
        ])
        return officeDocument(
            "word/document.xml",
            [
                ("word/_rels/document.xml.rels", related),
                ("word/charts/chart1.xml", Self.chart(chart)),
                ("word/styles.xml", "<w:styles xmlns:w=\"urn:w\">\(styles)</w:styles>"),
                ("word/footnotes.xml", "<w:footnotes xmlns:w=\"urn:w\">\(footnotes)</w:footnotes>"),
                (
                    "word/document.xml",
                    "<?xml version=\"1.0\"?><w:document xmlns:w=\"urn:w\" xmlns:mc=\"urn:mc\" "
                        + "xmlns:c=\"urn:c\" xmlns:r=\"\(types)\"><w:body>\(body)</w:body></w:document>"
                ),
            ]
        )
    }

    /// An XLSX of these sheets, each a name and what is inside of `sheetData`; the first one has the chart.
    static func workbook(
        _ sheets: [(String, String)],
        strings: [String] = [],
        styles: String = "",
        settings: String = "",
        chart: String = ""
    ) -> [UInt8] {
        let names = sheets.enumerated().map { index, sheet in
            "<sheet name=\"\(sheet.0)\" sheetId=\"\(index + 9)\" r:id=\"rId\(index + 1)\"/>"
        }
        let targets = sheets.indices.map { ("worksheet", "worksheets/sheet\($0 + 1).xml") }
        let others = [("sharedStrings", "sharedStrings.xml"), ("styles", "styles.xml")]
        let items = strings.map { "<si>\($0)</si>" }.joined()
        return officeDocument(
            "xl/workbook.xml",
            [
                ("xl/_rels/workbook.xml.rels", relationships(targets + others)),
                ("xl/worksheets/_rels/sheet1.xml.rels", relationships([("drawing", "../drawings/drawing1.xml")])),
                ("xl/drawings/_rels/drawing1.xml.rels", relationships([("chart", "../charts/chart1.xml")])),
                ("xl/charts/chart1.xml", Self.chart(chart)),
                ("xl/sharedStrings.xml", "<sst>\(items)</sst>"),
                ("xl/styles.xml", "<styleSheet>\(styles)</styleSheet>"),
                (
                    "xl/workbook.xml",
                    "<workbook xmlns:r=\"urn:r\">\(settings)<sheets>\(names.joined())</sheets></workbook>"
                ),
            ]
                + sheets.enumerated().map { index, sheet in
                    ("xl/worksheets/sheet\(index + 1).xml", "<worksheet><sheetData>\(sheet.1)</sheetData></worksheet>")
                }
        )
    }

    private static func chart(_ content: String) -> String {
        "<c:chartSpace xmlns:c=\"urn:c\" xmlns:a=\"urn:a\">\(content)</c:chartSpace>"
    }

    /// A PPTX of slides, each what is inside of the shape tree, with notes or none; the last slide is shown first, and
    /// every slide has the chart.
    static func presentation(_ slides: [(shapes: String, notes: String?)], chart: String = "") -> [UInt8] {
        let spaces = "xmlns:p=\"urn:p\" xmlns:a=\"urn:a\" xmlns:mc=\"urn:mc\" xmlns:r=\"\(types)\""
        let ids = slides.indices.reversed().map { "<p:sldId id=\"\(300 + $0)\" r:id=\"rId\($0 + 1)\"/>" }
        var parts = [
            (
                "ppt/presentation.xml",
                "<p:presentation \(spaces)><p:sldIdLst>\(ids.joined())</p:sldIdLst></p:presentation>"
            ),
            (
                "ppt/_rels/presentation.xml.rels",
                relationships(slides.indices.map { ("slide", "slides/slide\($0 + 1).xml") })
            ),
        ]
        for (index, slide) in slides.enumerated() {
            parts.append(
                ("ppt/slides/slide\(index + 1).xml", "<p:sld \(spaces)><p:spTree>\(slide.shapes)</p:spTree></p:sld>")
            )
            parts += [
                (
                    "ppt/slides/_rels/slide\(index + 1).xml.rels",
                    relationships([
                        ("chart", "../charts/chart1.xml"),
                        ("notesSlide", "../notesSlides/notesSlide\(index + 1).xml"),
                    ])
                ),
                ("ppt/charts/chart1.xml", Self.chart(chart)),
            ]
            guard let notes = slide.notes else { continue }
            parts.append(("ppt/notesSlides/notesSlide\(index + 1).xml", "<p:notes \(spaces)>\(notes)</p:notes>"))
        }
        return officeDocument("ppt/presentation.xml", parts)
    }

    /// A shape with paragraphs; `kind` is the type of its placeholder.
    static func shape(_ kind: String?, _ paragraphs: [String]) -> String {
        let placeholder = kind.map {
            $0.isEmpty ? "<p:nvPr><p:ph/></p:nvPr>" : "<p:nvPr><p:ph type=\"\($0)\"/></p:nvPr>"
        }
        let texts = paragraphs.map { "<a:p><a:r><a:t>\($0)</a:t></a:r></a:p>" }
        return "<p:sp>\(placeholder ?? "")<p:txBody>\(texts.joined())</p:txBody></p:sp>"
    }

    /// An OpenDocument of this body.
    static func openDocument(_ body: String, type: String, manifest: String = "") -> [UInt8] {
        package([
            ("mimetype", "application/vnd.oasis.opendocument.\(type)"),
            ("META-INF/manifest.xml", "<manifest>\(manifest)</manifest>"),
            ("meta.xml", coreProperties),
            (
                "content.xml",
                """
                <office:document-content xmlns:office="urn:o" xmlns:text="urn:t" xmlns:table="urn:ta" xmlns:draw="urn:d" \
                xmlns:presentation="urn:p"><office:automatic-styles><style>no text</style></office:automatic-styles>\
                <office:body>\(body)</office:body></office:document-content>
                """
            ),
        ])
    }
}
