import KelterModel
import Testing

@Suite("JSON values and writer")
struct JSONValueTests {
    @Test("what is written reads back equal, in both forms", arguments: UInt64(40)..<48)
    func roundTrip(seed: UInt64) throws {
        var generator = SeededGenerator(seed: seed)
        for _ in 0..<100 {
            let value = Self.random(depth: 0, using: &generator)
            let compact = value.bytes(indented: false)
            let indented = value.bytes(indented: true)
            #expect(try JSONReader.read(compact) == value)
            #expect(try JSONReader.read(indented) == value)
            // Equality forgives the order of members; the bytes do not.
            #expect(try JSONReader.read(indented).bytes(indented: false) == compact)
        }
    }

    private static func random(depth: Int, using generator: inout SeededGenerator) -> JSONValue {
        switch Int.random(in: 0..<(depth < 5 ? 7 : 5), using: &generator) {
        case 0: return .null
        case 1: return .bool(Bool.random(using: &generator))
        case 2: return .int(Int.random(in: .min ... .max, using: &generator))
        case 3: return .double(Double(bitPattern: generator.next()))
        case 4: return .string(randomText(using: &generator))
        case 5:
            return .array(
                (0..<Int.random(in: 0...4, using: &generator)).map { _ in random(depth: depth + 1, using: &generator) }
            )
        default:
            let members = (0..<Int.random(in: 0...4, using: &generator)).map { index in
                (name: "\(index)" + randomText(using: &generator), value: random(depth: depth + 1, using: &generator))
            }
            return .object(members)
        }
    }

    private static func randomText(using generator: inout SeededGenerator) -> String {
        var text = ""
        for _ in 0..<Int.random(in: 0...12, using: &generator) {
            let ranges: [ClosedRange<UInt32>] = [
                0...0x7F, 0x20...0x7E, 0x80...0x7FF, 0xE000...0xFFFF, 0x10000...0x10FFFF,
            ]
            let value = UInt32.random(in: ranges.randomElement(using: &generator) ?? 0...0x7F, using: &generator)
            Unicode.Scalar(value).map { text.unicodeScalars.append($0) }
        }
        return text
    }

    @Test("control characters, quotes and backslashes are escaped, the rest stays UTF-8")
    func escaping() {
        #expect(
            JSONValue.string("\u{0}\u{1F}\n\r\t\"\\/ß🍇\u{7F}").compactText
                == "\"\\u0000\\u001f\\n\\r\\t\\\"\\\\/ß🍇\u{7F}\""
        )
    }

    @Test("the indented form has two spaces a level and keeps empty lists short")
    func indentation() {
        let value = JSONValue.object([("a", .array([.int(1), .int(2)])), ("b", .object([])), ("c", .array([]))])
        #expect(value.indentedText == "{\n  \"a\": [\n    1,\n    2\n  ],\n  \"b\": {},\n  \"c\": []\n}")
        #expect(value.compactText == #"{"a":[1,2],"b":{},"c":[]}"#)
    }

    @Test("doubles are written as JSON numbers that read back exactly")
    func doubles() throws {
        #expect(JSONValue.double(.nan) == .null)
        #expect(JSONValue.double(.infinity) == .null)
        #expect(JSONValue.double(-.infinity) == .null)
        #expect(JSONValue.double(3) == .number("3"))
        #expect(JSONValue.double(0.5) == .number("0.5"))
        for value in [
            1e15, 1e300, -1e-300, .leastNonzeroMagnitude, .greatestFiniteMagnitude, 0.1 + 0.2, 999_999_999_999_999,
            -1e15,
        ] {
            #expect(try JSONReader.read(JSONValue.double(value).compactText).double == value)
        }
    }

    @Test("integers of every width keep their digits")
    func integers() {
        #expect(JSONValue.int(UInt64.max).compactText == "18446744073709551615")
        #expect(JSONValue.int(Int.min).int == .min)
        #expect(JSONValue.int(UInt64.max).int == nil)
        #expect(JSONValue.number("1.0").int == nil)
    }

    @Test("equality compares content: members in any order, numbers by literal")
    func equality() {
        let left = JSONValue.object([("a", .int(1)), ("b", .null)])
        #expect(left == .object([("b", .null), ("a", .int(1))]))
        #expect(left != .object([("a", .int(1))]))
        #expect(left != .object([("a", .int(1)), ("b", .bool(false))]))
        #expect(JSONValue.number("1") != .number("1.0"))
        #expect(JSONValue.array([.int(1), .int(2)]) != .array([.int(2), .int(1)]))
        #expect(JSONValue.null != .string("null"))
        #expect(JSONValue.object([]) != .array([]))
    }

    @Test("accessors give the value of their kind and nil otherwise")
    func accessors() {
        let value = JSONValue.object([("s", .string("x")), ("l", .array([.bool(true)]))])
        #expect(value["s"]?.string == "x")
        #expect(value["l"]?[0]?.bool == true)
        #expect(value["l"]?[1] == nil)
        #expect(value["l"]?[-1] == nil)
        #expect(value["missing"] == nil)
        #expect(value[0] == nil)
        #expect(JSONValue.string("1").int == nil)
        #expect(JSONValue.optional(nil) == .null)
        #expect(JSONValue.optional("a") == .string("a"))
    }
}
