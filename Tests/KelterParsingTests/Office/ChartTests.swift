import KelterModel
import KelterParsing
import Testing

@Suite("Charts")
struct ChartTests {
    private func points(_ values: [(Int, String)]) -> String {
        values.map { "<c:pt idx=\"\($0.0)\"><c:v>\($0.1)</c:v></c:pt>" }.joined()
    }

    private func series(_ name: String, _ categories: String, _ values: [(Int, String)]) -> String {
        """
        <c:ser><c:tx><c:strRef><c:f>A!$B$1</c:f><c:strCache>\(points([(0, name)]))</c:strCache></c:strRef></c:tx>\
        <c:dLbls><c:dLbl><c:tx><c:rich><a:p><a:r><a:t>Beschriftung</a:t></a:r></a:p></c:rich></c:tx></c:dLbl></c:dLbls>\
        <c:cat>\(categories)</c:cat>\
        <c:val><c:numRef><c:numCache><c:formatCode>General</c:formatCode>\(points(values))</c:numCache></c:numRef></c:val>\
        </c:ser>
        """
    }

    private func title(_ text: String) -> String {
        "<c:title><c:tx><c:rich><a:p><a:r><a:t>\(text)</a:t></a:r></a:p></c:rich></c:tx></c:title>"
    }

    private var sales: String {
        let years =
            "<c:strRef><c:strCache>\(points([(0, "Bücher"), (1, "Karten"), (2, "Hefte")]))</c:strCache></c:strRef>"
        return """
            <c:chart>\(title("Umsatz je Sparte"))<c:plotArea><c:barChart>\
            \(series("2023", years, [(0, "4.3"), (1, "0.30000000000000004")]))\(series("2024", years, [(0, "5"), (2, "1")]))\
            </c:barChart><c:catAx>\(title("Sparte"))</c:catAx><c:valAx>\(title("Tausend Euro"))</c:valAx></c:plotArea>\
            </c:chart>
            """
    }

    private let table = "table: Sparte | 2023 | 2024\nBücher | 4.3 | 5\nKarten | 0.3\nHefte | | 1"

    @Test("that of a slide is a table of its values under its title, before the notes")
    func slide() throws {
        let slide = (
            OfficeSamples.shape("title", ["Zahlen"]), String?(OfficeSamples.shape("body", ["Sag das."]))
        )
        let document = try DocumentParser()
            .parse(OfficeSamples.presentation([slide], chart: sales), name: "a.pptx").document
        #expect(violations(of: document) == [])
        #expect(
            outline(document) == [
                "heading1: Zahlen", "paragraph: Umsatz je Sparte", table, "paragraph: Sag das.",
            ]
        )
        #expect(document.blocks[2].header != nil)
        #expect(document.blocks.allSatisfy { $0.place == .slide(1) })
    }

    @Test("that of a text follows its paragraph")
    func text() throws {
        let body = """
            <w:p><w:r><w:t>Davor </w:t></w:r><w:r><w:drawing><c:chart r:id="rId3"/></w:drawing></w:r>\
            <w:r><w:t>und daneben</w:t></w:r></w:p><w:p><w:r><w:t>Danach</w:t></w:r></w:p>
            """
        let document = try DocumentParser().parse(OfficeSamples.word(body, chart: sales), name: "a.docx").document
        #expect(violations(of: document) == [])
        #expect(
            outline(document) == [
                "paragraph: Davor und daneben", "paragraph: Umsatz je Sparte", table, "paragraph: Danach",
            ]
        )
    }

    @Test("that of a sheet has only its title: its values are in the cells")
    func sheet() throws {
        let sheets = [("Zahlen", "<row r=\"1\"><c r=\"A1\"><v>4.3</v></c></row>"), ("Leer", "")]
        let document = try DocumentParser()
            .parse(OfficeSamples.workbook(sheets, chart: sales), name: "a.xlsx").document
        #expect(violations(of: document) == [])
        #expect(
            outline(document) == ["heading1: Zahlen", "table: 4.3", "paragraph: Umsatz je Sparte", "heading1: Leer"]
        )
    }

    @Test("dates, grouped categories and places of points are categories")
    func categories() throws {
        let dates =
            "<c:numRef><c:numCache><c:formatCode>m/d/yyyy</c:formatCode>\(points([(0, "45658")]))</c:numCache></c:numRef>"
        let groups = """
            <c:multiLvlStrRef><c:multiLvlStrCache><c:lvl>\(points([(0, "Nord"), (1, "Süd")]))</c:lvl>\
            <c:lvl>\(points([(0, "2024")]))</c:lvl></c:multiLvlStrCache></c:multiLvlStrRef>
            """
        let places = """
            <c:ser><c:xVal><c:numRef><c:numCache>\(points([(0, "0.5")]))</c:numCache></c:numRef></c:xVal>\
            <c:yVal><c:numRef><c:numCache>\(points([(0, "7")]))</c:numCache></c:numRef></c:yVal></c:ser>
            """
        let expected = [
            (series("a", dates, [(0, "1")]), "| a\n2025-01-01 | 1"),
            (series("a", groups, [(0, "1"), (1, "2")]), "| a\n2024 Nord | 1\nSüd | 2"),
            (places, "0.5 | 7"), (series("a", "", [(1, "3"), (0, "2"), (0, "4")]), "a\n2 | 4\n3"),
            (series("a", dates, [(4_000_000_000, "1"), (-1, "2")]), "| a\n| 2\n2025-01-01 | 1"),
        ]
        for (content, lines) in expected {
            let bytes = OfficeSamples.presentation([("", nil)], chart: content)
            let document = try DocumentParser().parse(bytes, name: "a.pptx").document
            #expect(violations(of: document) == [])
            #expect(outline(document) == ["table: " + lines])
        }
    }

    @Test("one of a table with more cells than a text may have ends with a limit")
    func limit() throws {
        let all = (0..<4_000).map { series("s", "", [($0, "1")]) }.joined()
        var limits = ParsingLimits()
        limits.maximumTextBytes = 1_000_000
        let bytes = OfficeSamples.presentation([("", nil)], chart: all)
        let error = #expect(throws: KelterError.self) {
            _ = try DocumentParser(limits: limits).parse(bytes, name: "a.pptx")
        }
        #expect(error?.code == .parserLimit)
    }
}
