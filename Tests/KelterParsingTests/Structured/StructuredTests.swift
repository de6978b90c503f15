import KelterModel
import Testing

@testable import KelterParsing

@Suite("Rows, JSON, XML and source code")
struct StructuredTests {
    static let rows = #"""
        Teil;Maß;"Bemerkung; lang"
        Bolzen;12,5;"Zwei
        Zeilen mit ""Anführung"""

        ;;
        Mutter;8;
        """#
    static let json = """
        {"stand": "2026", "offen": null, "teile": [
          {"name": "Bolzen", "maß": {"länge": 12.50, "ok": true}, "farben": ["rot", "blau"]},
          {"name": "Mutter", "text": "Zeile 1\\nZeile 2"}
        ]}
        """
    static let jsonLines = "{\"a\": 1}\n\n[\"x\", {\"b\": \"y\"}]\n"

    private func parse(_ text: String, _ name: String) throws -> ParsedDocument {
        let document = try DocumentParser().parse(Array(text.utf8), name: name).document
        #expect(violations(of: document) == [])
        return document
    }

    @Test("rows are lines, blank ones part tables, quotes hide delimiters and line ends")
    func table() throws {
        let document = try parse(Self.rows, "a.csv")
        #expect(
            outline(document) == [
                "table: Teil | Maß | Bemerkung; lang\nBolzen | 12,5 | Zwei Zeilen mit \"Anführung\"",
                "table: Mutter | 8",
            ]
        )
        #expect(document.blocks.map(\.place) == [.row(1), .row(5)])
        let header = try #require(document.blocks[0].header)
        #expect(String(decoding: document.text[header], as: UTF8.self) == "Teil | Maß | Bemerkung; lang")
        #expect(document.blocks[1].header == nil)
    }

    @Test(
        "the delimiter is the one that gives rows the same number of cells",
        arguments: [
            ("a,b\nc,d\n", ","), ("a;1,5\nb;2,5\nc;3,5\n", ";"), ("a\tb, c\nd\te\n", "\t"), ("a|b\nc|d", "|"),
            ("nur Text\nohne alles", ","), ("", ","), ("a,b,c;x\nd,e,f;y\n", ","),
        ]
    )
    func delimiters(text: String, delimiter: String) {
        Array(text.utf8).withUnsafeBufferPointer {
            #expect(RowReader.delimiter(of: $0) == delimiter.utf8.first)
        }
    }

    @Test("a row that shows nothing is a blank one")
    func invisibleRow() throws {
        let document = try parse("a;b\n1;2\n\u{A0};\u{AD}\n3;4\n", "a.csv")
        #expect(outline(document) == ["table: a | b\n1 | 2", "table: 3 | 4"])
        #expect(document.blocks.map(\.place) == [.row(1), .row(4)])
    }

    @Test("a stray quote costs its cell, not the file")
    func strayQuote() throws {
        #expect(outline(try parse("a,b\n\"c,d\ne,f\n", "a.csv")) == ["table: a | b\n\"c | d\ne | f"])
        #expect(outline(try parse("Rolle 5\",1\nx,2", "a.csv")) == ["table: Rolle 5\" | 1\nx | 2"])
    }

    @Test("a value of JSON stands in a line with its names; elements of the array at the top are blocks")
    func jsonDocument() throws {
        #expect(
            outline(try parse(Self.json, "a.json")) == [
                "paragraph: stand: 2026",
                "paragraph: name: Bolzen\nmaß.länge: 12.50\nmaß.ok: true\nfarben: rot\nfarben: blau".prefixed("teile."),
                "paragraph: name: Mutter\ntext: Zeile 1 Zeile 2".prefixed("teile."),
            ]
        )
        #expect(outline(try parse("[1, \"a\\u0000b\", {}]", "a.json")) == ["paragraph: 1", "paragraph: ab"])
    }

    @Test("every line of JSON Lines is a block that knows its number")
    func lines() throws {
        let document = try parse(Self.jsonLines, "a.jsonl")
        #expect(outline(document) == ["paragraph: a: 1", "paragraph: x\nb: y"])
        #expect(document.blocks.map(\.place) == [.row(1), .row(3)])
    }

    @Test("what only looks like JSON is read as it stands, and counted", arguments: ["a.json", "a.jsonl"])
    func noJSON(name: String) throws {
        let document = try parse("{\"a\": 1} // Kommentar\n", name)
        #expect(outline(document) == ["paragraph: {\"a\": 1} // Kommentar"])
        #expect(document.repairs == [.readAsPlainText: 1])
    }

    @Test("elements of XML are blocks unless they stand in running text; titles open sections")
    func xml() throws {
        let text = """
            <?xml version="1.0" encoding="ISO-8859-1"?><!DOCTYPE book [<!ENTITY firma "Kelterwerk">]>
            <book xml:lang="de"><title>Buch</title><chapter><title>Erstes <emphasis>Kapitel</emphasis></title>
            <para>Ein <b>fetter</b> Satz &amp; &firma;.</para><item a="1">eins</item><item>zwei</item></chapter></book>
            """
        let document = try parse(text, "a.xml")
        #expect(
            outline(document) == [
                "heading1: Buch", "heading2: Buch > Erstes Kapitel", "paragraph: Ein fetter Satz & &firma;.",
                "paragraph: eins",
                "paragraph: zwei",
            ]
        )
        #expect(document.language == "de")
        #expect(failure { _ = try parse("<?xml version=\"1.0\"?><a><b></a>", "a.xml") }?.code == .parserFailed)
    }

    @Test("an entity that expands to others is not expanded")
    func entities() throws {
        let text = """
            <!DOCTYPE a [<!ENTITY b "\(String(repeating: "b", count: 1_000))"><!ENTITY c "&b;&b;&b;&b;">
            <!ENTITY d SYSTEM "file:///etc/passwd">]><a>&c;&d;</a>
            """
        #expect(outline(try parse(text, "a.xml")) == ["paragraph: &c;&d;"])
    }

    @Test("source code is cut between its outermost parts")
    func code() throws {
        let text = """
            import A

            /// Doc.
            func a() {
                let b = 1

                return b
            }

            } // stray

            def c():
                pass

            """
        #expect(
            outline(try parse(text, "a.swift")) == [
                "code: import A", "code: /// Doc.\nfunc a() {\n    let b = 1\n\n    return b\n}\n\n} // stray",
                "code: def c():\n    pass",
            ]
        )
    }
}

extension String {
    /// The text with a prefix before every line's beginning but the kind of the block.
    fileprivate func prefixed(_ prefix: String) -> String {
        let (kind, text) = (prefixText, dropFirst(prefixText.count))
        return kind + text.split(separator: "\n").map { prefix + $0 }.joined(separator: "\n")
    }

    private var prefixText: String { "paragraph: " }
}
