import KelterModel
import KelterParsing
import Testing

@Suite("HTML")
struct HTMLTests {
    @Test("A page with everything gives the expected blocks, title and language")
    func reference() throws {
        let document = try parse(Samples.html, name: "a.html")
        #expect(outline(document) == Samples.htmlOutline)
        #expect(document.title == "Seite & Titel zwei")
        #expect(document.language == "de-AT")
        #expect(violations(of: document) == [])
    }

    @Test(
        "Markup turns into blocks",
        arguments: [
            ("<p>a<span> </span>b<p>c</p>d", ["paragraph: a b", "paragraph: c", "paragraph: d"]),
            ("Do<b>nau</b>dampf", ["paragraph: Donaudampf"]),
            ("&auml;&#228;&#xE4; &euro; &unknown; &amp;lt; A&B &", ["paragraph: äää € &unknown; &lt; A&B &"]),
            ("&#128; &#0; &#xD800;x", ["paragraph: € x"]),
            (
                "<ol><li>a<p>b</p><ul><li>c</ul><li>d</ol>",
                ["listItem1: a", "listItem1: b", "listItem2: c", "listItem1: d"]
            ),
            ("<blockquote>a<ul><li>b</ul>c</blockquote>", ["quote: a", "listItem1: b", "quote: c"]),
            ("<pre>\n\n  a\n\tb &amp; c<br>d\n</pre>e", ["code: a\n\tb & c\nd", "paragraph: e"]),
            ("<pre><div>a</div><div>b</div></pre>", ["code: a\nb"]),
            ("<table><tr><td>a<td>b<tr><td><td>c</table>", ["table: a | b\n| c"]),
            ("<table><tr><td>a<br>b<td><ul><li>c<li>d</ul></table>", ["table: a b | c d"]),
            ("<table><tr><td><pre>a\n b</pre></table>", ["table: a b"]),
            ("a<hr>b<br>c<br><br>d", ["paragraph: a", "paragraph: b\nc", "paragraph: d"]),
            ("<h1>A<p>b</h1>c", ["heading1: A", "paragraph: b", "paragraph: c"]),
            ("<h2><div>A</div></h2><h2> </h2>", ["heading2: A"]),
            ("<title>T</title><svg><title>no</title></svg>a", ["paragraph: a"]),
            ("<![CDATA[a <b> & c]]> d", ["paragraph: a <b> & c d"]),
            ("<script>/*<!--<script></script>-->*/</script>b", ["paragraph: b"]),
            ("a <3 b <- c </> d <!x> e <?y> f", ["paragraph: a <3 b <- c d e f"]),
            ("</div></b>a</table></td>b</body></html>c</p>d", ["paragraph: ab", "paragraph: c", "paragraph: d"]),
            ("<a title='x > y' data-z=\"<p>\">a</a>", ["paragraph: a"]),
            ("<p>&nbsp;</p><p>\u{2003}</p><div>\u{AD}</div>", []),
        ] as [(String, [String])]
    )
    func blocks(html: String, expected: [String]) throws {
        let document = try parse(html, name: "a.html")
        #expect(outline(document) == expected)
        #expect(violations(of: document) == [])
    }

    @Test(
        "A file that breaks off keeps the text before",
        arguments: ["<a href=\"x", "<a href=x", "<", "</", "</p", "<!--", "<!"]
    )
    func brokenOff(_ end: String) throws {
        #expect(try outline(parse("<p>Text</p>" + end, name: "a.html")).first?.contains("Text") == true)
    }

    @Test("An unbalanced quote does not swallow the rest of the file")
    func unbalancedQuote() throws {
        #expect(try outline(parse("<p class=\"x>a</p><p>b", name: "a.html")) == ["paragraph: a", "paragraph: b"])
    }

    @Test("XHTML's empty elements hold nothing")
    func xhtml() throws {
        let text = """
            <?xml version="1.0"?><html xmlns="http://www.w3.org/1999/xhtml" xml:lang="en"><head><script src="a.js"/>\
            <title>T</title></head><body><p/>a<h1/>b</body></html>
            """
        let document = try parse(text, name: "a.xhtml")
        #expect(outline(document) == ["paragraph: a", "paragraph: b"])
        #expect(document.title == "T")
        #expect(document.language == "en")
    }

    @Test("A heading that is far too long is a paragraph and opens no section")
    func longHeading() throws {
        let document = try parse("<h1>" + String(repeating: "wort ", count: 300) + "</h1>", name: "a.html")
        #expect(document.blocks.map(\.kind) == [.paragraph])
        #expect(document.sections == [.root])
    }
}
