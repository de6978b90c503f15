import KelterModel
import Testing

@Suite("JSON reader")
struct JSONReaderTests {
    @Test(
        "malformed documents are refused",
        arguments: [
            "", " ", "\u{FEFF}", "nul", "nulL", "True", "NaN", "Infinity", "-Infinity", "undefined", "'a'", "{", "}",
            "[", "]", "[1",
            "[1,", "[1,]", "[,1]", "[1 2]", "[1,,2]", "[1}", "{]", "{\"a\"}", "{\"a\":}", "{\"a\":1,}", "{,}", "{a:1}",
            "{'a':1}",
            "{\"a\" 1}", "{\"a\":1 \"b\":2}", "{1:2}", "{null:1}", "{\"a\":1", "1 2", "[] []", "{}x", "null,", "01",
            "-01", "00", "1.",
            ".5", "-.5", "-", "+1", "1e", "1e+", "1E-", "1.e1", "0x10", "1_000", "1,5", "--1", "\"", "\"a", "\"\\\"",
            "\"\\x\"",
            "\"\\u\"", "\"\\u12\"", "\"\\u123g\"", "\"\\u 123\"", "\"\\U0041\"", "\"a\nb\"", "\"a\tb\"", "\"\u{1F}\"",
            "// a\n1",
            "/* a */ 1", "1 # a", "\u{A0}1", "1\u{B}", "\u{FEFF}\u{FEFF}1", "1\u{FEFF}", "{\"a\":1,\"a\":2}",
            "{\"a\":1,\"\\u0061\":2}", "[{\"x\":{\"a\":1,\"b\":2,\"a\":1}}]",
        ]
    )
    func malformed(text: String) {
        #expect(throws: JSONReader.Failure.self) { try JSONReader.read(text) }
    }

    @Test(
        "surrogates must come in pairs",
        arguments: [
            #""\uD800""#, #""\uDBFF""#, #""\uDC00""#, #""\uDFFF""#, #""\uD83Dx""#, #""\uD83D\n""#, #""\uD83D\u0041""#,
            #""\uD83D\uD83D""#, #""\uDE00\uD83D""#, #""\uD83D\uDE0""#,
        ]
    )
    func loneSurrogates(text: String) {
        #expect(throws: JSONReader.Failure.self) { try JSONReader.read(text) }
    }

    @Test(
        "escapes",
        arguments: [
            (#""\" \\ \/ \b \f \n \r \t""#, "\" \\ / \u{8} \u{C} \n \r \t"), (#""\u0041\u00e4\u00E4\u20ac""#, "Aää€"),
            (#""\uD83C\uDF47\uDBFF\uDFFF\uD800\uDC00""#, "🍇\u{10FFFF}\u{10000}"), (#""\u0000""#, "\u{0}"),
            (#""\uFFFF\uE000\uD7FF""#, "\u{FFFF}\u{E000}\u{D7FF}"), (#""a\u0301""#, "a\u{301}"),
            ("\"\u{7F}ß🍇\"", "\u{7F}ß🍇"),
        ]
    )
    func escapes(text: String, expected: String) throws {
        let string = try #require(try JSONReader.read(text).string)
        #expect(Array(string.utf8) == Array(expected.utf8))
    }

    @Test(
        "invalid UTF-8 is refused",
        arguments: [
            [0x80], [0xC3], [0xC0, 0xAF], [0xE0, 0x80, 0xAF], [0xED, 0xA0, 0x80], [0xF4, 0x90, 0x80, 0x80],
            [0xF8, 0x88, 0x80, 0x80, 0x80],
            [0xFF], [0xFE, 0xFF], [0xE4],
        ] as [[UInt8]]
    )
    func invalidUTF8(bytes: [UInt8]) {
        let quote = [UInt8(ascii: "\"")]
        #expect(throws: JSONReader.Failure.self) { try JSONReader.read(quote + bytes + quote) }
        #expect(throws: JSONReader.Failure.self) {
            try JSONReader.read(Array("{\"a".utf8) + bytes + Array("\":1}".utf8))
        }
        #expect(throws: JSONReader.Failure.self) { try JSONReader.read(bytes) }
    }

    @Test("a UTF-16 document is refused")
    func utf16() {
        #expect(throws: JSONReader.Failure.self) { try JSONReader.read([0xFF, 0xFE, 0x7B, 0x00, 0x7D, 0x00]) }
    }

    @Test("a byte order mark and white space around the value are allowed")
    func byteOrderMark() throws {
        #expect(try JSONReader.read([0xEF, 0xBB, 0xBF] + Array(" \t\r\n{ } \n".utf8)) == .object([]))
        #expect(try JSONReader.read([0xEF, 0xBB, 0xBF] + Array("1".utf8)) == .number("1"))
    }

    @Test(
        "numbers keep their literal text",
        arguments: [
            "0", "-0", "1", "-1", "1.0", "1.50", "1e5", "1E+5", "1e-05", "-0.0e0", "12345678901234567890123456789",
            "1e999",
            "0.1234567890123456789012345678901", "9007199254740993",
        ]
    )
    func numbers(literal: String) throws {
        #expect(try JSONReader.read(literal) == .number(literal))
        #expect(try JSONReader.read("[ \(literal) ]").compactText == "[\(literal)]")
    }

    @Test("128 levels are read, more are refused and the stack survives")
    func nesting() throws {
        func nested(_ levels: Int) -> String {
            String(repeating: "[", count: levels) + String(repeating: "]", count: levels)
        }
        #expect(try JSONReader.read(nested(128)).array?.count == 1)
        for levels in [129, 1_000, 1_000_000] {
            #expect(throws: JSONReader.Failure.self) { try JSONReader.read(nested(levels)) }
        }
        #expect(throws: JSONReader.Failure.self) { try JSONReader.read(String(repeating: "{\"a\":", count: 200_000)) }
    }

    @Test("objects keep the order of their members")
    func order() throws {
        let text = #"{"z":1,"a":2,"m":{"y":null,"b":true},"":[]}"#
        #expect(try JSONReader.read(text).compactText == text)
        #expect(try JSONReader.read(text).members?.map(\.name) == ["z", "a", "m", ""])
    }

    @Test("names that differ in their code points are different names")
    func canonicallyEquivalentNames() throws {
        let value = try JSONReader.read("{\"\u{E9}\":1,\"e\u{301}\":2}")
        #expect(value.members?.count == 2)
    }

    @Test("a failure says what and where")
    func offsets() {
        let character = #expect(throws: JSONReader.Failure.self) { try JSONReader.read(#"{"a":x}"#) }
        #expect(character?.description == "unexpected character at byte 5")
        let trailing = #expect(throws: JSONReader.Failure.self) { try JSONReader.read("{} 1") }
        #expect(trailing?.description == "unexpected text after the value at byte 3")
        let duplicate = #expect(throws: JSONReader.Failure.self) { try JSONReader.read(#"{"owner":1,"owner":2}"#) }
        #expect(duplicate?.description.contains("owner") == true)
    }

    @Test("reading never traps, whatever the bytes", arguments: UInt64(30)..<34)
    func garbage(seed: UInt64) {
        var generator = SeededGenerator(seed: seed)
        let alphabet = Array("{}[]\",:\\u0dD8e+-.1tfn \n".utf8) + [0xC3, 0xA4, 0xFF]
        for _ in 0..<3_000 {
            let bytes = (0..<Int.random(in: 0...24, using: &generator)).compactMap { _ in
                alphabet.randomElement(using: &generator)
            }
            if let value = try? JSONReader.read(bytes) {
                #expect((try? JSONReader.read(value.bytes(indented: false))) == value)
            }
        }
    }
}
