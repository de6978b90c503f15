import KelterModel
import KelterParsing
import Testing

@Suite("Presentations")
struct PresentationTests {
    @Test("a slide's title opens a section even where it comes last; notes follow; footers are left out")
    func slides() throws {
        let table = """
            <p:graphicFrame><a:tbl><a:tblPr firstRow="1"/><a:tr><a:tc><a:p><a:r><a:t>A</a:t></a:r></a:p></a:tc><a:tc><a:p>\
            <a:r><a:t>B</a:t></a:r></a:p></a:tc></a:tr><a:tr><a:tc><a:p><a:r><a:t>1</a:t></a:r></a:p></a:tc>\
            <a:tc><a:p/></a:tc></a:tr></a:tbl></p:graphicFrame>
            """
        let second = "<p:sp><p:txBody><a:p><a:pPr lvl=\"1\"/><a:r><a:t>frei</a:t></a:r></a:p></p:txBody></p:sp>"
        let bytes = OfficeSamples.presentation([
            (second + OfficeSamples.shape("sldNum", ["2"]), nil),
            (
                OfficeSamples.shape("", ["Punkt", "Noch &amp; einer"]) + table
                    + OfficeSamples.shape("title", ["Großer", "Titel"]),
                OfficeSamples.shape("sldImg", []) + OfficeSamples.shape("body", ["Sag das."])
                    + OfficeSamples.shape("sldNum", ["1"])
            ),
        ])
        let result = try DocumentParser().parse(bytes, name: "a.pptx")
        #expect(violations(of: result.document) == [])
        #expect(
            outline(result.document) == [
                "heading1: Großer Titel", "listItem1: Punkt", "listItem1: Noch & einer", "table: A | B\n1",
                "paragraph: Sag das.", "listItem2: frei",
            ]
        )
        let blocks = result.document.blocks
        #expect(blocks.map(\.place) == [.slide(1), .slide(1), .slide(1), .slide(1), .slide(1), .slide(2)])
        #expect(blocks[3].header != nil)
        #expect(result.document.sections[blocks[5].section] == .root)
        #expect(result.document.title == "Der Titel")
    }
}
