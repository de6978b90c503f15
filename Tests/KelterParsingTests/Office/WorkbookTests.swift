import KelterModel
import Testing

@testable import KelterParsing

@Suite("Workbooks")
struct WorkbookTests {
    private func parse(_ bytes: [UInt8]) throws -> ParsedDocument {
        let document = try DocumentParser().parse(bytes, name: "a.xlsx").document
        #expect(violations(of: document) == [])
        return document
    }

    @Test("a sheet is a section, rows without a gap are a table, and a block knows its first row")
    func sheets() throws {
        let strings = [
            "<t>Ort</t>", "<r><t>Pr</t></r><r><t>eis</t></r><rPh><t>ignored</t></rPh>", "<t>Köln</t>", "<t> </t>",
        ]
        let first = """
            <row r="2"><c r="B2" t="s"><v>0</v></c><c r="C2" t="s"><v>1</v></c></row>\
            <row r="3"><c r="B3" t="s"><v>2</v></c><c r="C3"><v>12.5</v></c></row>\
            <row r="4"><c r="B4" t="s"><v>3</v></c></row>\
            <row r="5"><c r="C5"><f>1+1</f><v>0.30000000000000004</v></c><c r="E5" t="b"><v>1</v></c>\
            <c r="F5" t="inlineStr"><is><t>inline</t></is></c><c r="G5" t="e"><v>#DIV/0!</v></c></row>
            """
        let second = "<row><c t=\"s\"><v>99</v></c><c t=\"str\"><v>allein</v></c></row>"
        let document = try parse(
            OfficeSamples.workbook([("Orte &amp; Preise", first), ("Zwei", second)], strings: strings)
        )
        #expect(
            outline(document) == [
                "heading1: Orte & Preise", "table: | Ort | Preis\n| Köln | 12.5",
                "table: | | 0.3 | | TRUE | inline | #DIV/0!", "heading1: Zwei", "table: | allein",
            ]
        )
        #expect(document.blocks.map(\.place) == [nil, .row(2), .row(5), nil, .row(1)])
        let header = try #require(document.blocks[1].header)
        #expect(String(decoding: document.text[header], as: UTF8.self) == "| Ort | Preis")
        #expect(document.blocks[2].header == nil)
    }

    @Test("cells with a date format are ISO dates, also in the system that begins in 1904")
    func dates() throws {
        let styles = """
            <numFmts><numFmt numFmtId="164" formatCode="dd\\.mm\\.yyyy;@"/><numFmt numFmtId="165" formatCode="0.00&quot; days&quot;"/>\
            </numFmts><cellStyleXfs><xf numFmtId="14"/></cellStyleXfs>\
            <cellXfs><xf numFmtId="0"/><xf numFmtId="164"/><xf numFmtId="165"/><xf numFmtId="22"/></cellXfs>
            """
        let row = """
            <row r="1"><c r="A1"><v>45000</v></c><c r="B1" s="1"><v>45000</v></c><c r="C1" s="2"><v>45000</v></c>\
            <c r="D1" s="3"><v>45000.75</v></c></row>
            """
        let document = try parse(OfficeSamples.workbook([("S", row)], styles: styles))
        #expect(outline(document).last == "table: 45000 | 2023-03-15 | 45000 | 2023-03-15 18:00")
        let mac = try parse(
            OfficeSamples.workbook([("S", row)], styles: styles, settings: "<workbookPr date1904=\"1\"/>")
        )
        #expect(outline(mac).last == "table: 45000 | 2027-03-16 | 45000 | 2027-03-16 18:00")
    }

    @Test(
        "serial numbers are the days Excel shows",
        arguments: [
            (0.5, "12:00"), (1, "1900-01-01"), (59, "1900-02-28"), (61, "1900-03-01"), (25_569, "1970-01-01"),
            (36_585, "2000-02-29"), (45_000.999_999_9, "2023-03-16"), (2_958_465, "9999-12-31"),
        ]
    )
    func serials(serial: Double, text: String) {
        #expect(dateText(serial: serial, is1904: false) == text)
    }

    @Test("numbers that no calendar has stay numbers")
    func noDates() {
        #expect(dateText(serial: -1, is1904: false) == nil)
        #expect(dateText(serial: 2_958_466, is1904: false) == nil)
    }

    @Test(
        "format codes show dates when a date's letter is meant",
        arguments: [
            ("yyyy-mm-dd", true), ("[h]:mm", true), ("[$-407]d. mmmm yyyy", true), ("General", false),
            ("#,##0.00 \"dm\"", false), ("0\\d", false), ("[Red]0.0", false), ("@", false), ("0;\"y\"d", false),
        ]
    )
    func codes(code: String, isDate: Bool) {
        #expect(CellFormats.showsDate(code) == isDate)
    }

    @Test("numbers have at most 15 digits and no needless exponent")
    func numbers() {
        #expect(numberText(0.1 + 0.2, as: "0.30000000000000004") == "0.3")
        #expect(numberText(1e-5, as: "1.0000000000000001E-5") == "1e-05")
        #expect(numberText(1234567, as: "1234567") == "1234567")
    }
}
