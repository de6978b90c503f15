import KelterModel
import KelterParsing
import Testing

@Suite("RTF")
struct RTFTests {
    @Test(
        "Paragraphs, characters and charsets",
        arguments: [
            (
                "Ein Absatz.\\par Noch\n einer.\\line Zeile",
                ["paragraph: Ein Absatz.", "paragraph: Noch einer.\nZeile"]
            ),
            ("Gr\\'fc\\'dfe \\'80 \\emdash\\~x\\-y \\\\ \\{a\\}", ["paragraph: Grüße € — xy \\ {a}"]),
            ("\\u8364? \\uc2\\u228\\'e4\\'e4{\\uc0\\u246}x \\uc1\\u-10179?\\u-8704?.", ["paragraph: € äöx 😀."]),
            ("{\\uc1\\u228 a}b\\u228{}c", ["paragraph: äbäc"]),
            ("\\f1\\'cf\\'f0\\'e8\\f0\\'e4", ["paragraph: Приä"]),
            ("a{\\*\\unknown b{c}}{\\v d}{\\header e}{\\pict 00ff}{\\*\\bkmkstart f}g", ["paragraph: ag"]),
            ("a\\bin3 }}}b", ["paragraph: ab"]),
            ("{\\field{\\*\\fldinst HYPERLINK \"x\"}{\\fldrslt Verweis}} dort", ["paragraph: Verweis dort"]),
            ("a{\\shp{\\*\\shpinst{\\sp{\\sn n}{\\sv v}}{\\shptxt b}}{\\shprslt c}}", ["paragraph: ab"]),
            (
                "Satz{\\footnote \\chftn Anmerkung\\par zwei} weiter.\\par Neu",
                [
                    "paragraph: Satz weiter.", "paragraph: Anmerkung", "paragraph: zwei", "paragraph: Neu",
                ]
            ),
            ("\\par\\par a\\u0 b\\'00c", ["paragraph: ac"]),
        ] as [(String, [String])]
    )
    func text(rtf: String, expected: [String]) throws {
        let document = try parse(rtf)
        #expect(outline(document) == expected)
        #expect(violations(of: document) == [])
    }

    @Test(
        "Headings, lists and tables",
        arguments: [
            (
                "\\pard\\s1 Kapitel\\par\\pard\\s2 Teil\\par\\pard Text",
                ["heading1: Kapitel", "heading2: Kapitel > Teil", "paragraph: Text"]
            ),
            ("\\pard\\outlinelevel2 Tief\\par Auch\\par", ["heading3: Tief", "heading3: Auch"]),
            ("\\pard\\s9 Kein Titel", ["paragraph: Kein Titel"]),
            (
                "{\\listtext 1.\\tab}\\ls1 eins\\par{\\listtext a}\\ilvl1 zwei\\par\\pard drei",
                ["listItem1: eins", "listItem2: zwei", "paragraph: drei"]
            ),
            (
                "vor\\par\\trowd\\trhdr\\intbl Ort\\cell Tag\\cell\\row\\trowd\\pard\\intbl Bonn\\par am Rhein\\cell\\cell 3\\cell\\row\\pard nach",
                ["paragraph: vor", "table: Ort | Tag\nBonn am Rhein | | 3", "paragraph: nach"]
            ),
        ] as [(String, [String])]
    )
    func structure(rtf: String, expected: [String]) throws {
        let document = try parse(rtf)
        #expect(outline(document) == expected)
        #expect(violations(of: document) == [])
    }

    @Test("The title, the header of a table and the media type are known")
    func properties() throws {
        let text =
            "{\\info{\\title Der Titel}{\\author wer}}\\trowd\\trhdr\\intbl A\\cell B\\cell\\row\\intbl 1\\cell 2\\cell\\row"
        let result = try DocumentParser().parse(Array(file(text).utf8), name: "a.rtf", mediaType: "text/rtf")
        #expect(result.mediaType == "application/rtf")
        #expect(result.document.title == "Der Titel")
        #expect(result.document.repairs == [:])
        let table = try #require(result.document.blocks.first)
        #expect(table.header.map { String(decoding: result.document.text[$0], as: UTF8.self) } == "A | B")
    }

    @Test("Whatever a file ends in, what came before is kept, and the nesting is bounded")
    func broken() throws {
        let whole = Array(file("Anfang{\\b fett}\\'e4\\u228?\\trowd\\intbl a\\cell\\row").utf8)
        let prefix = file("Anfang").utf8.count - 1
        for end in prefix...whole.count {
            let document = try DocumentParser().parse(Array(whole[..<end]), name: "a.rtf").document
            #expect(String(decoding: document.text, as: UTF8.self).hasPrefix("Anfang"))
            #expect(violations(of: document) == [])
        }
        let deep = failure { _ = try parse(String(repeating: "{", count: 100_000)) }
        #expect(deep?.code == .parserLimit)
        #expect(try outline(parse("a}}}b")) == ["paragraph: ab"])
    }

    /// A file with two fonts and styles around a text.
    private func file(_ text: String) -> String {
        """
        {\\rtf1\\ansi\\ansicpg1252\\deff0{\\fonttbl{\\f0\\fswiss\\fcharset0 Arial;}{\\f1\\fcharset204 Arial;}}
        {\\colortbl;\\red0;}{\\stylesheet{\\s0 Normal;}{\\s1 heading 1;}{\\s2\\outlinelevel1 Abschnitt;}{\\*\\cs3 fett;}
        {\\s9 Heading;}}{\\*\\generator Test;}\(text)}
        """
    }

    private func parse(_ text: String) throws -> ParsedDocument {
        try DocumentParser().parse(Array(file(text).utf8), name: "a.rtf").document
    }
}
