import KelterModel
import KelterParsing
import Testing

@Suite("Hostile input", .timeLimit(.minutes(1)))
struct HostileInputTests {
    private func repeated(_ text: String, _ count: Int) -> String {
        String(repeating: text, count: count)
    }

    @Test(
        "HTML nested 100,000 deep keeps its text",
        arguments: ["div", "ul><li", "table><tr><td", "blockquote", "b", "h1", "pre", "unknown", "p"]
    )
    func deepNesting(_ tag: String) throws {
        let document = try parse("<html>" + repeated("<\(tag)>", 100_000) + "tief<p>unten", name: "a.html")
        #expect(violations(of: document) == [])
        let words = String(decoding: document.text, as: UTF8.self).split { " \n|".contains($0) }
        #expect(words == ["tief", "unten"])
    }

    @Test("Below the depth limit blocks are still told apart, and structure is back above it")
    func suppressedNesting() throws {
        var limits = ParsingLimits()
        limits.maximumDepth = 10
        let html = repeated("<div>", 20) + "a<p>b</p>c" + repeated("</div>", 20) + "<ul><li>d</ul>"
        let document = try parse(html, name: "a.html", limits: limits)
        #expect(outline(document) == ["paragraph: a", "paragraph: b", "paragraph: c", "listItem1: d"])
    }

    @Test(
        "Long tags, many attributes, long texts and endless openings keep the text around them",
        arguments: [
            "<a " + String(repeating: "x=y ", count: 100_000) + ">",
            "<a x=\"" + String(repeating: "y", count: 1_000_000) + "\">",
            String(repeating: "<!-- x -->", count: 50_000), String(repeating: "<b></i>", count: 50_000),
            String(repeating: "</table>", count: 50_000), String(repeating: "<script></script>", count: 20_000),
        ]
    )
    func harmless(_ middle: String) throws {
        let document = try parse("<p>vor " + middle + "nach</p>", name: "a.html")
        #expect(outline(document) == ["paragraph: vor nach"])
    }

    @Test(
        "Openings that never end cost no more than linear time",
        arguments: ["<a ", "<a b=\"", "<![CDATA[", "<title>", "<noscript>", "<"]
    )
    func endless(_ opening: String) throws {
        let document = try parse("<p>vor</p>" + repeated(opening, 100_000), name: "a.html")
        #expect(outline(document).first == "paragraph: vor")
        #expect(violations(of: document) == [])
    }

    @Test("A text of megabytes without a single tag or space arrives whole")
    func hugeLine() throws {
        for piece in ["ä", "wort ", "&auml;", "x&amp;", "\u{1F600}"] {
            let count = 2_000_000 / piece.utf8.count
            let document = try parse("<p>" + repeated(piece, count), name: "a.html")
            let expected = repeated(piece, count).replacing("&auml;", with: "ä").replacing("&amp;", with: "&")
            let body = String(decoding: document.text, as: UTF8.self)
            #expect(document.blocks.count == 1)
            // Compared outside the expectation, whose report would print megabytes.
            let isSame = body == (expected.last == " " ? String(expected.dropLast()) : expected)
            #expect(isSame)
        }
    }

    @Test(
        "Markdown that would take cmark quadratic time or memory is refused",
        arguments: [
            String(repeating: "![[]()", count: 30_000), String(repeating: "> ", count: 30_000) + "a",
            String(repeating: "- ", count: 30_000) + "a",
            "|" + String(repeating: "a|", count: 200) + "\n|" + String(repeating: "-|", count: 200) + "\n"
                + String(repeating: "|x\n", count: 50_000),
        ]
    )
    func quadraticMarkdown(_ text: String) {
        #expect(failure { _ = try parse(text, name: "a.md") }?.code == .parserLimit)
    }

    @Test(
        "Markdown full of brackets, marks and HTML is read",
        arguments: ["[", "*a _", "`a``", "[a](", "<p>a\n\n", "~~", "&amp;", "| a\n"]
    )
    func markdown(_ piece: String) throws {
        #expect(violations(of: try parse(repeated(piece, 20_000), name: "a.md")) == [])
    }
}
