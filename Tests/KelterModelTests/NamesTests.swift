import KelterModel
import Testing

@Suite("Names and path segments")
struct NamesTests {
    @Test(
        "path segments",
        arguments: [
            ("report.pdf", "report.pdf"), ("a b", "a_b"), ("Ärzte", "_rzte"), ("e\u{301}", "e_"), ("a\\b", "a_b"),
            ("a:b", "a_b"),
            ("...", "..."), (" ", "_"), ("a\u{0}b", "a_b"), ("😀", "_"), (".hidden", ".hidden"), ("a\r\nb", "a__b"),
            ("A-Za-z0-9._-", "A-Za-z0-9._-"),
        ]
    )
    func segments(text: String, expected: String) throws {
        #expect(try pathSegment(text) == expected)
    }

    @Test(
        "segments that would leave their folder are refused",
        arguments: ["", ".", "..", "/", "a/b", "../a", "a/", "/a"]
    )
    func refused(text: String) {
        let error = #expect(throws: KelterError.self) { try pathSegment(text) }
        #expect(error?.code == .invalidPathSegment)
    }

    @Test("at most 128 characters are kept")
    func length() throws {
        #expect(try pathSegment(String(repeating: "x", count: 128)).utf8.count == 128)
        #expect(try pathSegment(String(repeating: "ü", count: 500)) == String(repeating: "_", count: 128))
    }

    @Test("whatever the text, a segment is safe", arguments: UInt64(10)..<14)
    func property(seed: UInt64) {
        var generator = SeededGenerator(seed: seed)
        let alphabet: [Unicode.Scalar] = [
            "a", "Z", "0", ".", "_", "-", "/", "\\", " ", "ä", "\u{0}", "\u{301}", "\u{200D}", "🍇",
        ]
        for _ in 0..<300 {
            var text = ""
            for _ in 0..<Int.random(in: 0...200, using: &generator) {
                alphabet.randomElement(using: &generator).map { text.unicodeScalars.append($0) }
            }
            guard let segment = try? pathSegment(text) else {
                #expect(text.isEmpty || text == "." || text == ".." || text.utf8.contains(UInt8(ascii: "/")))
                continue
            }
            #expect((1...128).contains(segment.utf8.count))
            #expect(segment != "." && segment != "..")
            #expect(
                segment.utf8.allSatisfy {
                    isName(String(UnicodeScalar($0)), maximum: 1, marks: "") || "._-".utf8.contains($0)
                }
            )
        }
    }

    @Test(
        "ASCII white space at the ends is trimmed, nothing else",
        arguments: [
            ("", ""), (" ", ""), ("\t\r\n\u{B}\u{C} ", ""), ("a", "a"), ("  a b  ", "a b"), ("\r\na\r\n", "a"),
            ("\u{A0}a\u{A0}", "\u{A0}a\u{A0}"), ("ä ", "ä"), (" e\u{301} ", "e\u{301}"), (" \u{301}", "\u{301}"),
            // U+0600 and the space after it are one Character.
            ("\u{600} ", "\u{600}"), ("🍇\r\n", "🍇"),
        ]
    )
    func trim(text: String, expected: String) {
        #expect(Array(trimmed(text).utf8) == Array(expected.utf8))
    }

    @Test("trimming works on bytes whatever the characters", arguments: UInt64(20)..<24)
    func trimProperty(seed: UInt64) {
        var generator = SeededGenerator(seed: seed)
        let alphabet: [Unicode.Scalar] = [
            " ", "\t", "\r", "\n", "a", "ß", "\u{301}", "\u{600}", "\u{200D}", "\u{1F1E9}", "👩", "\u{1F3FD}",
        ]
        for _ in 0..<500 {
            var text = ""
            for _ in 0..<Int.random(in: 0...12, using: &generator) {
                alphabet.randomElement(using: &generator).map { text.unicodeScalars.append($0) }
            }
            var bytes = Array(text.utf8)[...]
            while let last = bytes.last, [0x20, 0x09, 0x0D, 0x0A].contains(last) { bytes.removeLast() }
            while let first = bytes.first, [0x20, 0x09, 0x0D, 0x0A].contains(first) { bytes.removeFirst() }
            #expect(Array(trimmed(text).utf8) == Array(bytes))
        }
    }

    @Test("only ASCII capitals are folded")
    func fold() {
        #expect(lowercasedASCII("AZaz09-_ÄÖÜ@[") == "azaz09-_ÄÖÜ@[")
    }

    @Test("long values are shortened to 80 characters and a mark")
    func shortening() {
        #expect(shortened(String(repeating: "ä", count: 80)) == String(repeating: "ä", count: 80))
        #expect(shortened(String(repeating: "ä", count: 81)) == String(repeating: "ä", count: 80) + "…")
    }

    @Test("names begin with a letter or digit and respect their maximum")
    func names() {
        #expect(isName("a", maximum: 1, marks: ""))
        #expect(!isName("ab", maximum: 1, marks: ""))
        #expect(!isName("", maximum: 5, marks: "."))
        #expect(!isName(".a", maximum: 5, marks: "."))
        #expect(isName("a.", maximum: 5, marks: "."))
        #expect(!isName("a.", maximum: 5, marks: "-"))
        #expect(!isName("é", maximum: 5, marks: "é"))
    }
}
