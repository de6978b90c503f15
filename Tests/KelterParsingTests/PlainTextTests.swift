import KelterModel
import KelterParsing
import Testing

@Suite("Plain text")
struct PlainTextTests {
    @Test("Paragraphs end at blank lines, of whatever white space, and the text stays as it is")
    func paragraphs() throws {
        let document = try parse(Samples.plainText, name: "a.txt")
        #expect(
            outline(document)
                == ["paragraph: Erster Absatz\nzweite Zeile", "paragraph: Äußerst", "paragraph: Zuletzt"]
        )
        #expect(String(decoding: document.text, as: UTF8.self) == Samples.plainText)
        #expect(violations(of: document) == [])
    }

    @Test("Every kind of line end becomes LF")
    func lineEnds() throws {
        let document = try parse("a\r\nb\rc\r\n\r\nd\r\r", name: "a.txt")
        #expect(String(decoding: document.text, as: UTF8.self) == "a\nb\nc\n\nd\n\n")
        #expect(outline(document) == ["paragraph: a\nb\nc", "paragraph: d"])
    }

    @Test(
        "A file without text gives no blocks and no error",
        arguments: ["", " ", "\n\n", "\u{FEFF}", "\t\r\n \u{A0}\u{3000}"]
    )
    func withoutText(_ text: String) throws {
        for name in ["a.txt", "a.md", "a.html"] { #expect(try parse(text, name: name).blocks.isEmpty) }
    }

    @Test("More paragraphs than allowed are an error, not a loss")
    func tooManyBlocks() {
        var limits = ParsingLimits()
        limits.maximumBlocks = 2
        for (name, text) in [("a.txt", "a\n\nb\n\nc"), ("a.md", "a\n\nb\n\nc"), ("a.html", "<p>a<p>b<p>c")] {
            #expect(failure { _ = try parse(text, name: name, limits: limits) }?.code == .parserLimit)
        }
        #expect(throws: Never.self) { try parse("a\n\nb", name: "a.txt", limits: limits) }
    }
}
