import KelterModel
import KelterParsing
import Testing

@Suite("Markdown")
struct MarkdownTests {
    @Test("A file with everything gives the expected blocks, title and language")
    func reference() throws {
        let document = try parse(Samples.markdown, name: "a.md")
        #expect(outline(document) == Samples.markdownOutline)
        #expect(document.title == "Handbuch: Öl & \"Wein\"")
        #expect(document.language == "de")
        #expect(violations(of: document) == [])
    }

    @Test("Blocks are an empty line apart, items of a list one line")
    func separators() throws {
        let document = try parse("# A\nb\n- c\n- d\n  - e\n\nf", name: "a.md")
        #expect(String(decoding: document.text, as: UTF8.self) == "A\n\nb\n\nc\nd\ne\n\nf")
    }

    @Test(
        "Front matter gives title and language and leaves the text",
        arguments: [
            ("---\ntitle: Öl # Kommentar\nlanguage: de-AT\n---\nText", "Öl", "de-AT"),
            ("---\n# nur\n\nTitle: 'Wein''s'\n...\nText", "Wein's", nil),
            ("---\ntitle: >\n  lang\nlang: \"nicht gültig\"\n---\nText", nil, nil),
            ("---\ntitle: https://x.de/a\ntags:\n- a\n---\nText", "https://x.de/a", nil),
            ("---\r\ntitle: a\r\n---\r\nText", "a", nil),
        ] as [(String, String?, String?)]
    )
    func frontMatter(text: String, title: String?, language: String?) throws {
        let document = try parse(text, name: "a.md")
        #expect(outline(document) == ["paragraph: Text"])
        #expect(document.title == title)
        #expect(document.language == language)
    }

    @Test(
        "What only looks like front matter stays text",
        arguments: ["---\nEin Satz\n---\nText", "---\ntitle: a\nText"]
    )
    func noFrontMatter(_ text: String) throws {
        let document = try parse(text, name: "a.md")
        #expect(document.title == nil)
        #expect(outline(document).count == (text.contains("Satz") ? 2 : 1))
    }

    @Test("The first heading of level 1 is the title when front matter has none")
    func titleFromHeading() throws {
        #expect(try parse("## A\n\n# B *c*\n\n# D", name: "a.md").title == "B c")
        #expect(try parse("## A", name: "a.md").title == nil)
    }

    @Test("Section paths follow the levels of headings, also when levels are skipped")
    func sections() throws {
        let document = try parse("a\n# B\n### C\nd\n## E\n# F\ng", name: "a.md")
        #expect(
            document.blocks.map { document.sections[$0.section].headings }
                == [[], ["B"], ["B", "C"], ["B", "C"], ["B", "E"], ["F"], ["F"]]
        )
    }

    @Test("Neither tags nor comments nor scripts reach the text")
    func rawHTML() throws {
        let text = """
            <!-- eins -->

            <script>
            let a = 1
            </script>

            A <span class="x">b</span><!-- zwei --> <style>p{}</style>c &lt;d&gt;

            <table>
            <tr><td>e</td><td>f</td></tr>
            </table>
            """
        let document = try parse(text, name: "a.md")
        #expect(outline(document) == ["paragraph: A b c <d>", "table: e | f"])
    }

    @Test("HTML that is left open in one block does not reach into the next")
    func openHTML() throws {
        let document = try parse("<table><tr><td>a\n\nb\n\n<pre>c\n\n</pre>\n\n<p>d", name: "a.md")
        #expect(outline(document) == ["table: a", "paragraph: b", "code: c", "paragraph: d"])
    }

    @Test("A code block keeps its lines, and its indentation is in the text before the block")
    func code() throws {
        let document = try parse("```\n\n  if a:\n\n    b  \n```", name: "a.md")
        #expect(String(decoding: document.text, as: UTF8.self) == "  if a:\n\n    b")
        #expect(outline(document) == ["code: if a:\n\n    b"])
    }

    @Test("Strikethrough and links work when many files are parsed at the same time")
    func concurrency() async throws {
        let expected = Samples.markdownOutline
        let failures = await withTaskGroup(of: Int.self) { group in
            for _ in 0..<8 {
                group.addTask { @concurrent in
                    (0..<40).count { _ in (try? parse(Samples.markdown, name: "a.md")).map(outline) != expected }
                }
            }
            return await group.reduce(0, +)
        }
        #expect(failures == 0)
    }
}
