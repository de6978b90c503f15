import KelterModel
import KelterParsing
import Testing

@Suite("Content of HTML pages")
struct HTMLContentTests {
    @Test(
        "What a page marks as navigation is left out, and the rest is kept",
        arguments: [
            ("<nav><ul><li>Start<li>Kontakt</ul></nav><p>Der Text.", ["paragraph: Der Text."]),
            ("<p>Vor<nav>Menü</nav>nach", ["paragraph: Vor", "paragraph: nach"]),
            ("<nav>a<nav>b</nav>c</nav><p>Der Text.", ["paragraph: Der Text."]),
            ("<NAV>a</NAV><p>Der Text.", ["paragraph: Der Text."]),
            ("<div role=navigation>a<div>b</div></div><div>Der Text.</div>", ["paragraph: Der Text."]),
            ("<div class='x NavHeader'><table><tr><td>Weiter</table></div><p>Der Text.", ["paragraph: Der Text."]),
            ("<p>Der Text.<footer>Impressum</footer>", ["paragraph: Der Text."]),
            (
                "<article><p>Der Text.<footer>Quelle</footer></article><footer>Impressum</footer>",
                ["paragraph: Der Text.", "paragraph: Quelle"]
            ),
            (
                "<h1>Titel<a class=\"headerlink\" href=\"#t\">¶</a></h1><p>Der Text.",
                ["heading1: Titel", "paragraph: Der Text."]
            ),
            ("<p>Seite <a href='#b'>b</a>", ["paragraph: Seite b"]),
            (
                "<header>Firma</header><main><h1>Titel</h1><p>Der Text.</main><aside>Werbung</aside>",
                ["heading1: Titel", "paragraph: Der Text."]
            ),
            (
                "<div>Firma</div><div role=\"main\"><div>Der Text.</div>und mehr</div><div>Werbung</div>",
                ["paragraph: Der Text.", "paragraph: und mehr"]
            ),
            (
                "<main><p>Der Text.<nav>Inhalt</nav><footer>Ende</footer></main>",
                ["paragraph: Der Text.", "paragraph: Ende"]
            ),
            ("<ul><li>x<main>Der Text.</main></ul>&lt;<textarea>y</textarea><![CDATA[z]]>", ["paragraph: Der Text."]),
            ("<?xml version='1.0'?><html><nav/><p>Der Text.</p></html>", ["paragraph: Der Text."]),
        ] as [(String, [String])]
    )
    func content(html: String, expected: [String]) throws {
        let document = try parse(html, name: "a.html")
        #expect(outline(document) == expected)
        #expect(violations(of: document) == [])
    }

    @Test(
        "Nothing is left out when there would be hardly anything else, or when an element is never ended",
        arguments: [
            ("<nav>Nur das.</nav>", ["paragraph: Nur das."]),
            ("<nav>Menü<p>Der Text.", ["paragraph: Menü", "paragraph: Der Text."]),
            ("<p>Der Text.<script>'<main'</script>", ["paragraph: Der Text."]),
            (
                "<p>Der lange Text steht daneben.<main>x</main>",
                ["paragraph: Der lange Text steht daneben.", "paragraph: x"]
            ),
        ] as [(String, [String])]
    )
    func fallback(html: String, expected: [String]) throws {
        let document = try parse(html, name: "a.html")
        #expect(outline(document) == expected)
        #expect(document.repairs[.boilerplateRemoved] == nil)
    }

    @Test("What was left out is counted, and the title and the language are those of the page")
    func counted() throws {
        let page = "<html lang=de><title>Seite</title><nav>Menü</nav><main><p>Der Text.</main></html>"
        let document = try parse(page, name: "a.html")
        #expect(document.repairs[.boilerplateRemoved] == 5)
        #expect(document.title == "Seite")
        #expect(document.language == "de")
    }

    @Test(
        "The rows of header cells that a table begins with, and its caption, are its header",
        arguments: [
            ("<table><tr><th>Ort<th>Tag<tr><td>Bonn<td>3</table>", "Ort | Tag"),
            (
                "<table><caption>Orte</caption><thead><tr><th>Ort<th>Tag</thead><tr><td>Bonn<td>3</table>",
                "Orte\nOrt | Tag"
            ),
            ("<table><tr><th colspan=2>Orte<tr><th>Ort<th>Tag<tr><th>Bonn<td>3</table>", "Orte\nOrt | Tag"),
            ("<table><tr><th><th><tr><th>Ort<th>Tag<tr><td>Bonn<td>3</table>", "Ort | Tag"),
            ("<table><tr><th>Ort<th><table><tr><td>Tag</table><tr><td>Bonn<td>3</table>", "Ort"),
            ("<table><tr><th>Ort<td>Bonn<tr><th>Tag<td>3</table>", nil),
            ("<table><caption>Orte</caption><tr><td>Bonn<td>3</table>", nil),
            ("<table><tr><th>Ort<th>Tag</table>", nil),
            ("<table><tr><td>Ort<td>Tag<tr><th>Bonn<th>3</table>", nil),
        ] as [(String, String?)]
    )
    func header(html: String, expected: String?) throws {
        let document = try parse(html + "<table><tr><td>a<td>b<tr><td>c<td>d</table>", name: "a.html")
        let first = try #require(document.blocks.first)
        #expect(first.header.map { String(decoding: document.text[$0], as: UTF8.self) } == expected)
        #expect(document.blocks.last?.header == nil)
        #expect(violations(of: document) == [])
    }
}
