import KelterModel
import KelterParsing
import Testing

@Suite("OpenDocument and EPUB")
struct OpenDocumentTests {
    private func parse(_ bytes: [UInt8], name: String) throws -> ParsedDocument {
        let document = try DocumentParser().parse(bytes, name: name).document
        #expect(violations(of: document) == [])
        #expect(document.title == "Der Titel")
        #expect(document.language == "de-DE")
        return document
    }

    @Test("a text has headings, lists, tables and notes behind their paragraph")
    func text() throws {
        let body = """
            <office:text><text:tracked-changes><text:p>weg</text:p></text:tracked-changes>\
            <text:h text:outline-level="2">Über<text:s/>schrift</text:h>\
            <text:p>Ein <text:span>Satz</text:span>.<text:note><text:note-citation>1</text:note-citation>\
            <text:note-body><text:p>Fußnote.</text:p></text:note-body></text:note> Mehr<text:tab/>Text.</text:p>\
            <text:list><text:list-item><text:p>Punkt</text:p><text:list><text:list-item><text:p>innen</text:p></text:list-item>\
            </text:list></text:list-item></text:list>\
            <table:table><table:table-header-rows><table:table-row><table:table-cell><text:p>Ort</text:p></table:table-cell>\
            <table:table-cell><text:p>Preis</text:p></table:table-cell></table:table-row></table:table-header-rows>\
            <table:table-row><table:table-cell table:number-columns-repeated="2"/><table:table-cell><text:p>3</text:p>\
            <text:p>4</text:p></table:table-cell></table:table-row></table:table></office:text>
            """
        let document = try parse(OfficeSamples.openDocument(body, type: "text"), name: "a.odt")
        #expect(
            outline(document) == [
                "heading2: Über schrift", "paragraph: Ein Satz.", "paragraph: Fußnote.", "paragraph: Mehr Text.",
                "listItem1: Punkt", "listItem2: innen", "table: Ort | Preis\n| | 3 4",
            ]
        )
        #expect(document.blocks[6].header != nil)
    }

    @Test("a sheet is a section; rows and columns that are repeated keep the count, not the memory")
    func spreadsheet() throws {
        func cell(_ text: String, _ attributes: String = "") -> String {
            "<table:table-cell \(attributes)>\(text.isEmpty ? "" : "<text:p>\(text)</text:p>")</table:table-cell>"
        }
        let body = """
            <office:spreadsheet><table:table table:name="Blatt 1"><table:table-row>\(cell("a"))\(cell("b"))</table:table-row>\
            <table:table-row table:number-rows-repeated="1000000">\(cell("", "table:number-columns-repeated=\"16384\""))\
            </table:table-row><table:table-row>\(cell("", "table:number-columns-repeated=\"2\""))\(cell("c"))</table:table-row>\
            </table:table><table:table table:name="Leer"/></office:spreadsheet>
            """
        let document = try parse(OfficeSamples.openDocument(body, type: "spreadsheet"), name: "a.ods")
        #expect(outline(document) == ["heading1: Blatt 1", "table: a | b", "table: | | c", "heading1: Leer"])
        #expect(document.blocks.map(\.place) == [nil, .row(1), .row(1_000_002), nil])
    }

    @Test("a first row of texts names the columns, a row that shows nothing parts tables")
    func columnNames() throws {
        func row(_ cells: (String, String)...) -> String {
            let cells = cells.map {
                "<table:table-cell office:value-type=\"\($0.1)\"><text:p>\($0.0)</text:p></table:table-cell>"
            }
            return "<table:table-row>\(cells.joined())</table:table-row>"
        }
        let body = """
            <office:spreadsheet><table:table table:name="B">\(row(("Ort", "string"), ("Preis", "string")))\
            \(row(("Bonn", "string"), ("3", "float")))\(row(("\u{A0}", "string")))\(row(("1", "float"), ("2", "float")))\
            \(row(("3", "float"), ("4", "float")))</table:table></office:spreadsheet>
            """
        let document = try parse(OfficeSamples.openDocument(body, type: "spreadsheet"), name: "a.ods")
        #expect(outline(document) == ["heading1: B", "table: Ort | Preis\nBonn | 3", "table: 1 | 2\n3 | 4"])
        #expect(document.blocks.map(\.place) == [nil, .row(1), .row(4)])
        #expect(document.blocks.map { $0.header != nil } == [false, true, false])
    }

    @Test("numbers that no sheet has take nothing down")
    func absurdNumbers() throws {
        let body = """
            <office:spreadsheet><table:table table:name="B"><table:table-row table:number-rows-repeated="9223372036854775807">\
            <table:table-cell table:number-columns-repeated="-5"><text:p>a</text:p></table:table-cell></table:table-row>\
            <table:table-row table:number-rows-repeated="2000000000"><table:table-cell><text:p>b</text:p></table:table-cell>\
            </table:table-row><table:table-row><table:table-cell><text:p>c</text:p></table:table-cell></table:table-row>\
            </table:table></office:spreadsheet>
            """
        let document = try parse(OfficeSamples.openDocument(body, type: "spreadsheet"), name: "a.ods")
        #expect(outline(document) == ["heading1: B", "table: a\nb", "table: c"])
        let rows =
            "<row r=\"9223372036854775807\"><c r=\"ZZZZZZ1\" t=\"str\"><v>a</v></c></row><row><c t=\"str\"><v>b</v></c></row>"
        let sheet = try DocumentParser().parse(OfficeSamples.workbook([("B", rows)]), name: "a.xlsx").document
        #expect(violations(of: sheet) == [])
        #expect(String(decoding: sheet.text, as: UTF8.self).hasSuffix("a\nb"))
    }

    @Test("a slide's title opens a section")
    func presentation() throws {
        let body = """
            <office:presentation><draw:page><draw:frame presentation:class="title"><draw:text-box><text:p>Titel</text:p>\
            </draw:text-box></draw:frame><draw:frame><draw:text-box><text:p>Inhalt</text:p></draw:text-box></draw:frame>\
            </draw:page><draw:page><draw:frame><text:p>Zwei</text:p></draw:frame></draw:page></office:presentation>
            """
        let document = try parse(OfficeSamples.openDocument(body, type: "presentation"), name: "a.odp")
        #expect(outline(document) == ["heading1: Titel", "paragraph: Inhalt", "paragraph: Zwei"])
        #expect(document.blocks.map(\.place) == [.slide(1), .slide(1), .slide(2)])
        #expect(document.sections[document.blocks[2].section] == .root)
    }

    @Test("an encrypted document says so")
    func encrypted() {
        let bytes = OfficeSamples.openDocument(
            "",
            type: "text",
            manifest: "<file-entry><encryption-data/></file-entry>"
        )
        #expect(failure { _ = try DocumentParser().parse(bytes, name: "a.odt") }?.code == .documentEncrypted)
    }

    @Test("a book is its chapters in reading order")
    func book() throws {
        let package = """
            <package xmlns="urn:opf" xmlns:dc="urn:dc"><metadata><dc:title>Der Titel</dc:title><dc:language>de-DE</dc:language>\
            </metadata><manifest><item id="gone" href="gone.xhtml" media-type="application/xhtml+xml"/><item id="b" href="text/b%20c.xhtml" media-type="application/xhtml+xml"/>\
            <item id="a" href="a.xhtml#top" media-type="application/xhtml+xml"/><item id="x" href="x.css" media-type="text/css"/>\
            <item id="nav" href="nav.xhtml" media-type="application/xhtml+xml"/></manifest>\
            <spine><itemref idref="a"/><itemref idref="gone"/><itemref idref="nav" linear="no"/><itemref idref="x"/><itemref idref="b"/></spine></package>
            """
        func page(_ body: String) -> String {
            "<?xml version=\"1.0\"?><!DOCTYPE html><html xmlns=\"urn:x\"><head><title>t</title></head><body>\(body)</body></html>"
        }
        let bytes = OfficeSamples.package([
            ("mimetype", "application/epub+zip"),
            (
                "META-INF/container.xml",
                "<container><rootfiles><rootfile full-path=\"OEBPS/book.opf\"/></rootfiles></container>"
            ),
            ("OEBPS/book.opf", package), ("OEBPS/a.xhtml", page("<h1>Eins</h1><p>Text")),
            ("OEBPS/text/b c.xhtml", page("<h1>Zwei</h1><p>Mehr&nbsp;Text</p>")),
            ("OEBPS/nav.xhtml", page("<p>nav</p>")),
        ])
        let document = try parse(bytes, name: "a.epub")
        #expect(document.repairs == [.partsMissing: 1])
        #expect(
            outline(document) == [
                "heading1: Eins", "paragraph: Text", "heading1: Zwei", "paragraph: Mehr Text",
            ]
        )
    }
}
