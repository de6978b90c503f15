import KelterModel
import KelterParsing
import Testing

@Suite("reStructuredText and AsciiDoc")
struct StructuredTextTests {
    @Test(
        "reStructuredText gives its structure without its marks",
        arguments: [
            (
                "=====\nTitel\n=====\n\nEin\nAbsatz.\n\nTeil\n----\n\nText\n\nNoch\n----\nx\n\nTiefer\n~~~~~~\n\nTeil 2\n------",
                [
                    "heading1: Titel", "paragraph: Ein Absatz.", "heading2: Titel > Teil", "paragraph: Text",
                    "heading2: Titel > Noch", "paragraph: x", "heading3: Titel > Noch > Tiefer",
                    "heading2: Titel > Teil 2",
                ]
            ),
            (
                "- eins\n  weiter\n\n  Absatz\n\n  * zwei\n- drei\n\n1. vier\n#. fünf\n(a) sechs",
                [
                    "listItem1: eins weiter", "listItem1: Absatz", "listItem2: zwei", "listItem1: drei",
                    "listItem1: vier",
                    "listItem1: fünf", "listItem1: sechs",
                ]
            ),
            (
                "Code::\n\n    a\n      b\n\n    c\n\nText\n\n  Zitat\n\n.. code-block:: python\n   :linenos:\n\n   x = 1\n\n>>> 1\n1",
                [
                    "paragraph: Code:", "code: a\n  b\n\nc", "paragraph: Text", "quote: Zitat", "code: x = 1",
                    "code: >>> 1\n1",
                ]
            ),
            (
                "Wort\n    Erklärung.\n\n:Autor: Anna\n:Ort: Bonn\n\n| Zeile 1\n| Zeile 2\n\nEnde",
                [
                    "listItem1: Wort", "listItem1: Erklärung.", "paragraph: Autor: Anna", "paragraph: Ort: Bonn",
                    "paragraph: Zeile 1\nZeile 2", "paragraph: Ende",
                ]
            ),
            (
                ".. _ziel:\n.. Kommentar\n   noch\n.. |x| replace:: y\n.. toctree::\n   :maxdepth: 2\n\n   a\n\n.. note:: Eine Notiz\n   weiter.\n\n"
                    + "   Zweiter Absatz\n.. figure:: a.png\n   :alt: x\n\n   Unterschrift\n.. [1] Fußnote\n.. py:function:: f(x)\n\n   Tut es.",
                [
                    "paragraph: Eine Notiz weiter.", "paragraph: Zweiter Absatz", "paragraph: a.png",
                    "paragraph: Unterschrift",
                    "paragraph: [1] Fußnote", "paragraph: f(x)", "paragraph: Tut es.",
                ]
            ),
            (
                "+-----+-----+\n| A   | B   |\n+=====+=====+\n| a   | b   |\n| a2  |     |\n+-----+-----+\n\n=====  =====\nC      D\n=====  =====\nc      ä ö\n       mehr\n=====  =====\n\n====  ===\n1     2\n====  ===\n",
                ["table: A | B\na a2 | b", "table: C | D\nc | ä ö mehr", "table: 1 | 2"]
            ),
            (
                "*a* **b** ``c*`` `d`_ `e <http://x>`_ :ref:`f <g>` |h| i_ a*b \\*k* 2 * 3 [1]_ x_y (*z*)",
                ["paragraph: a b c* d e f h i a*b *k* 2 * 3 [1] x_y (z)"]
            ),
            (
                ".. csv-table:: Preise\n   :header: A, B\n\n   x, \"1, 2\"\n   y, 3",
                ["paragraph: Preise", "table: x | 1, 2\ny | 3"]
            ),
        ] as [(String, [String])]
    )
    func reStructuredText(text: String, expected: [String]) throws {
        let document = try parse(text, name: "a.rst")
        #expect(outline(document) == expected)
        #expect(violations(of: document) == [])
    }

    @Test(
        "AsciiDoc gives its structure without its marks",
        arguments: [
            (
                "= Titel\n:lang: de\n:x: Wert\n\nEin\nAbsatz {x} {y}. +\nNeu\n\n== Teil\n\n=== Tiefer\n\nAlt\n---\n\nx",
                [
                    "heading1: Titel", "paragraph: Ein Absatz Wert {y}.\nNeu", "heading2: Titel > Teil",
                    "heading3: Titel > Teil > Tiefer", "heading2: Titel > Alt", "paragraph: x",
                ]
            ),
            (
                "* eins\nweiter\n** zwei\n+\nAbsatz\n. drei\n1. vier\n- fünf\nBegriff:: Text\nZwei::\n  Text 2",
                [
                    "listItem1: eins weiter", "listItem2: zwei", "paragraph: Absatz", "listItem1: drei",
                    "listItem1: vier",
                    "listItem1: fünf", "listItem1: Begriff", "listItem1: Text", "listItem1: Zwei", "listItem1: Text 2",
                ]
            ),
            (
                "[source,ruby]\n.Beispiel\n----\nputs 1\n  # 2\n----\n\n....\na\n....\n\n```\nb\n```\n\n literal\n zwei\n\n____\nZitat\n____\n\n====\nNOTE: x\n====",
                [
                    "paragraph: Beispiel", "code: puts 1\n  # 2", "code: a", "code: b", "code: literal\nzwei",
                    "quote: Zitat",
                    "paragraph: NOTE: x",
                ]
            ),
            (
                "// Kommentar\n////\nweg\n////\ninclude::x[]\nimage::a.png[Bild,100]\nifdef::x[]\nText\nendif::[]",
                ["paragraph: Bild", "paragraph: Text endif::[]"]
            ),
            (
                "|===\n|A |B\n\n|a |b \\| c\n|d\n|e\n|===\n\n[%header,cols=\"1,2*\"]\n|===\n|A\n|B\n|C\n2+|a b\nweiter\n|c\n|===",
                ["table: A | B\na | b | c\nd | e", "table: A | B | C\na b weiter | c"]
            ),
            (
                "*a* _b_ `c` **d**e #f# x^2^ https://x.de[g] https://y.de link:z[h] <<i,j>> <<k>> image:l[m] 2 * 3 a_b_c \\*n* footnote:[o, p]",
                ["paragraph: a b c de f x2 g https://y.de h j k m 2 * 3 a_b_c *n* (o, p)"]
            ),
        ] as [(String, [String])]
    )
    func asciiDoc(text: String, expected: [String]) throws {
        let document = try parse(text, name: "a.adoc")
        #expect(outline(document) == expected)
        #expect(violations(of: document) == [])
    }

    @Test("Tables know their header, and the document its language")
    func headers() throws {
        for (text, name) in [
            ("=  =\nA  B\n=  =\na  b\n=  =\n", "a.rst"), (":lang: de\n\n|===\n|A |B\n\n|a |b\n|===\n", "a.adoc"),
        ] {
            let document = try parse(text, name: name)
            #expect(document.blocks.first?.header.map { String(decoding: document.text[$0], as: UTF8.self) } == "A | B")
            if name == "a.adoc" { #expect(document.language == "de") }
        }
    }

    @Test("Marks without end or number cost no more than the text", arguments: ["a.rst", "a.adoc"])
    func bombs(name: String) throws {
        for piece in ["*_`", "- ", "**a ", "|", "`<", ":a:`", "<<", "..\n ", "=\n", "+-\n", "== ==\n", "a\n b\n  c\n"] {
            let document = try parse(String(repeating: piece, count: 20_000), name: name)
            #expect(violations(of: document) == [], "\(piece)")
        }
        let nested = (0..<300).map { String(repeating: "  ", count: $0) + "- a\n\n" }.joined()
        #expect(try parse(nested, name: name).blocks.count >= 300)
    }
}
