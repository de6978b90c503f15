import KelterModel
import KelterParsing
import Testing

@Suite("Word-processing documents")
struct WordDocumentTests {
    private func parse(_ bytes: [UInt8]) throws -> ParsedDocument {
        let result = try DocumentParser().parse(bytes, name: "a.docx")
        #expect(result.mediaType == "application/vnd.openxmlformats-officedocument.wordprocessingml.document")
        #expect(violations(of: result.document) == [])
        return result.document
    }

    private func paragraph(_ text: String, _ properties: String = "") -> String {
        "<w:p><w:pPr>\(properties)</w:pPr><w:r><w:t xml:space=\"preserve\">\(text)</w:t></w:r></w:p>"
    }

    @Test("styles give headings, whatever they are called in the user's language, and their descendants too")
    func headings() throws {
        let styles = """
            <w:docDefaults><w:rPrDefault><w:rPr><w:lang w:val="fr-FR"/></w:rPr></w:rPrDefault></w:docDefaults>
            <w:style w:styleId="berschrift1"><w:name w:val="heading 1"/></w:style>
            <w:style w:styleId="Own"><w:name w:val="Eigene"/><w:basedOn w:val="berschrift1"/></w:style>
            <w:style w:styleId="Circle"><w:name w:val="x"/><w:basedOn w:val="Circle"/></w:style>
            <w:style w:styleId="List"><w:name w:val="List Bullet"/><w:pPr><w:numPr><w:numId w:val="3"/></w:numPr></w:pPr></w:style>
            """
        let body =
            paragraph("Eins", "<w:pStyle w:val=\"berschrift1\"/>") + paragraph("Text", "<w:pStyle w:val=\"Circle\"/>")
            + paragraph("Zwei", "<w:pStyle w:val=\"Own\"/>") + paragraph("Drei", "<w:outlineLvl w:val=\"1\"/>")
            + paragraph("Punkt", "<w:pStyle w:val=\"List\"/>")
            + paragraph("Unterpunkt", "<w:numPr><w:ilvl w:val=\"1\"/><w:numId w:val=\"3\"/></w:numPr>")
            + paragraph("Keiner", "<w:pStyle w:val=\"List\"/><w:numPr><w:numId w:val=\"0\"/></w:numPr>")
        let document = try parse(OfficeSamples.word(body, styles: styles))
        #expect(
            outline(document) == [
                "heading1: Eins", "paragraph: Text", "heading1: Zwei", "heading2: Zwei > Drei", "listItem1: Punkt",
                "listItem2: Unterpunkt", "paragraph: Keiner",
            ]
        )
        #expect(document.title == "Der Titel")
        #expect(document.language == "de-DE")
    }

    @Test("runs join without a space, tabs and breaks part words, deletions and field codes are no text")
    func runs() throws {
        let body = """
            <w:p><w:r><w:t>Kel</w:t></w:r><w:r><w:t>ter</w:t><w:tab/><w:t>Wein</w:t><w:br/><w:t>Most</w:t></w:r>\
            <w:del><w:r><w:delText>gelöscht</w:delText></w:r></w:del><w:ins><w:r><w:t xml:space="preserve"> neu</w:t></w:r></w:ins>\
            <w:r><w:instrText>PAGE</w:instrText></w:r><w:moveFrom><w:r><w:t>weg</w:t></w:r></w:moveFrom>\
            <w:r><w:t>be</w:t><w:noBreakHyphen/><w:t>last</w:t></w:r></w:p>
            """
        #expect(outline(try parse(OfficeSamples.word(body))) == ["paragraph: Kelter Wein\nMost neube-last"])
    }

    @Test("a table is a line for each row, with the cells of nested tables in theirs, and knows its header")
    func tables() throws {
        func row(_ cells: String...) -> String {
            "<w:tr>" + cells.map { "<w:tc>\($0)</w:tc>" }.joined() + "</w:tr>"
        }
        let nested = "<w:tbl>\(row(paragraph("innen"), paragraph("links")))</w:tbl>"
        let body =
            paragraph("Davor") + "<w:tbl><w:tblPr><w:tblLook w:val=\"04A0\"/></w:tblPr>"
            + row(paragraph("Ort"), paragraph("Preis")) + row(paragraph("Bonn") + paragraph("Süd"), paragraph(""))
            + row(paragraph(""), nested) + "</w:tbl>" + paragraph("Danach")
        let document = try parse(OfficeSamples.word(body))
        #expect(
            outline(document) == [
                "paragraph: Davor", "table: Ort | Preis\nBonn Süd\n| innen links", "paragraph: Danach",
            ]
        )
        let header = try #require(document.blocks[1].header)
        #expect(String(decoding: document.text[header], as: UTF8.self) == "Ort | Preis")
        #expect(document.blocks[0].header == nil && document.blocks[2].header == nil)
    }

    @Test("a footnote follows the paragraph that refers to it; the line between text and notes is none")
    func footnotes() throws {
        let notes = """
            <w:footnote w:type="separator" w:id="0"><w:p><w:r><w:t>Linie</w:t></w:r></w:p></w:footnote>\
            <w:footnote w:id="1"><w:p><w:r><w:t>Fußnote.</w:t></w:r></w:p></w:footnote>
            """
        let body =
            "<w:p><w:r><w:t>Satz.</w:t><w:footnoteReference w:id=\"1\"/><w:footnoteReference w:id=\"0\"/></w:r></w:p>"
            + paragraph("Weiter.")
        #expect(
            outline(try parse(OfficeSamples.word(body, footnotes: notes))) == [
                "paragraph: Satz.", "paragraph: Fußnote.", "paragraph: Weiter.",
            ]
        )
    }

    @Test("the text of a text box is read once, although its fallback repeats it")
    func textBoxes() throws {
        let box = "<w:txbxContent>\(paragraph("Kasten"))</w:txbxContent>"
        let body = """
            <w:p><w:r><w:t>vorn</w:t></w:r><w:r><mc:AlternateContent><mc:Choice>\(box)</mc:Choice>\
            <mc:Fallback>\(box)</mc:Fallback></mc:AlternateContent></w:r><w:r><w:t>hinten</w:t></w:r></w:p>
            """
        #expect(
            outline(try parse(OfficeSamples.word(body))) == [
                "paragraph: vorn", "paragraph: Kasten", "paragraph: hinten",
            ]
        )
    }

    @Test("what is damaged, hostile or something else fails with a code")
    func failures() throws {
        func code(_ bytes: [UInt8], limits: ParsingLimits = ParsingLimits()) -> ErrorCode? {
            failure { _ = try DocumentParser(limits: limits).parse(bytes, name: "a.docx") }?.code
        }
        #expect(code(OfficeSamples.word("<w:p>")) == .parserFailed)
        #expect(code(OfficeSamples.package([("[Content_Types].xml", "<Types/>"), ("word/x", "")])) == .parserFailed)
        #expect(code(OfficeSamples.package([("a.txt", "text")])) == .unsupportedMediaType)
        #expect(code(Array(OfficeSamples.word("").dropLast(30))) == .archiveInvalid)
        let entities = "<!DOCTYPE w [<!ENTITY a \"\(String(repeating: "b", count: 1000))\">]><w>&a;</w>"
        let bomb = OfficeSamples.package([
            ("[Content_Types].xml", "<Types/>"),
            ("_rels/.rels", OfficeSamples.relationships([("officeDocument", "word/document.xml")])),
            ("word/document.xml", entities),
        ])
        #expect(code(bomb) == .parserFailed)
        var limits = ParsingLimits()
        limits.maximumPackageBytes = 2_000
        let long = OfficeSamples.word(paragraph(String(repeating: "Wein ", count: 1_000)))
        #expect(code(long, limits: limits) == .archiveLimit)
        limits = ParsingLimits()
        limits.maximumTextBytes = 1_000
        #expect(
            code(OfficeSamples.word(paragraph(String(repeating: "Wein ", count: 1_000))), limits: limits)
                == .parserLimit
        )
        let deep = String(repeating: "<w:sdt>", count: 1_100) + String(repeating: "</w:sdt>", count: 1_100)
        #expect(code(OfficeSamples.word(deep)) == .parserLimit)
    }
}
