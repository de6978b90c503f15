/// Reads JSON (RFC 8259) from bytes, strictly.
///
/// Refused: comments, trailing commas, duplicate names in an object, invalid UTF-8, lone surrogates, more than 128
/// levels and anything after the value. A byte order mark at the start is allowed, as SPEC section 3 asks.
package struct JSONReader {
    /// What is wrong with a document, and at which byte.
    package struct Failure: Error, Equatable, Sendable, CustomStringConvertible {
        package let message: String
        /// Offset of the offending byte from the start of the document.
        package let offset: Int

        package var description: String { "\(message) at byte \(offset)" }
    }

    private static let deepest = 128
    private let bytes: [UInt8]
    private var position = 0

    /// Reads one document.
    ///
    /// - Throws: ``Failure``.
    package static func read(_ bytes: [UInt8]) throws(Failure) -> JSONValue {
        var reader = JSONReader(bytes: bytes)
        if bytes.starts(with: [0xEF, 0xBB, 0xBF]) { reader.position = 3 }
        let value = try reader.value(depth: 0)
        reader.skipSpace()
        guard reader.position == bytes.count else { throw reader.failure("unexpected text after the value") }
        return value
    }

    /// Reads one document from a string.
    ///
    /// - Throws: ``Failure``.
    package static func read(_ text: String) throws(Failure) -> JSONValue {
        try read(Array(text.utf8))
    }

    private init(bytes: [UInt8]) {
        self.bytes = bytes
    }

    private func failure(_ message: String) -> Failure {
        Failure(message: message, offset: position)
    }

    private var current: UInt8? {
        position < bytes.count ? bytes[position] : nil
    }

    private mutating func skipSpace() {
        while let byte = current, byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09 { position += 1 }
    }

    private mutating func take(_ scalar: Unicode.Scalar) -> Bool {
        guard current == UInt8(ascii: scalar) else { return false }
        position += 1
        return true
    }

    private mutating func value(depth: Int) throws(Failure) -> JSONValue {
        guard depth < Self.deepest else { throw failure("nested too deeply") }
        skipSpace()
        guard let byte = current else { throw failure("unexpected end") }
        switch byte {
        case UInt8(ascii: "{"): return try object(depth: depth)
        case UInt8(ascii: "["): return try array(depth: depth)
        case UInt8(ascii: "\""): return .string(try string())
        case UInt8(ascii: "t"): return try literal("true", .bool(true))
        case UInt8(ascii: "f"): return try literal("false", .bool(false))
        case UInt8(ascii: "n"): return try literal("null", .null)
        case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"): return .number(try number())
        default: throw failure("unexpected character")
        }
    }

    private mutating func literal(_ text: StaticString, _ value: JSONValue) throws(Failure) -> JSONValue {
        let expected = UnsafeBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount)
        guard bytes[position...].starts(with: expected) else { throw failure("unexpected word") }
        position += expected.count
        return value
    }

    private mutating func array(depth: Int) throws(Failure) -> JSONValue {
        position += 1
        var items: [JSONValue] = []
        skipSpace()
        if take("]") { return .array(items) }
        while true {
            items.append(try value(depth: depth + 1))
            skipSpace()
            if take("]") { return .array(items) }
            guard take(",") else { throw failure("expected ',' or ']'") }
        }
    }

    private mutating func object(depth: Int) throws(Failure) -> JSONValue {
        position += 1
        var members: [(name: String, value: JSONValue)] = []
        // As bytes: RFC 8259 compares names by code unit, String by canonical equivalence.
        var names: Set<[UInt8]> = []
        skipSpace()
        if take("}") { return .object(members) }
        while true {
            skipSpace()
            guard current == UInt8(ascii: "\"") else { throw failure("expected a name in quotes") }
            let name = try string()
            guard names.insert(Array(name.utf8)).inserted else {
                throw failure("the name \"\(shortened(name))\" stands twice")
            }
            skipSpace()
            guard take(":") else { throw failure("expected ':'") }
            members.append((name, try value(depth: depth + 1)))
            skipSpace()
            if take("}") { return .object(members) }
            guard take(",") else { throw failure("expected ',' or '}'") }
        }
    }

    private mutating func number() throws(Failure) -> String {
        let start = position
        _ = take("-")
        if take("0") {
            // A leading zero stands alone.
        } else if !digits() {
            throw failure("expected a digit")
        }
        if take("."), !digits() { throw failure("expected a digit") }
        if take("e") || take("E") {
            _ = take("+") || take("-")
            if !digits() { throw failure("expected a digit") }
        }
        return String(decoding: bytes[start..<position], as: UTF8.self)
    }

    private mutating func digits() -> Bool {
        let start = position
        while let byte = current, (0x30...0x39).contains(byte) { position += 1 }
        return position > start
    }

    private mutating func string() throws(Failure) -> String {
        position += 1
        var text: [UInt8] = []
        var start = position
        while let byte = current {
            switch byte {
            case UInt8(ascii: "\""):
                text.append(contentsOf: bytes[start..<position])
                guard let string = String(validating: text, as: UTF8.self) else { throw failure("invalid UTF-8") }
                position += 1
                return string
            case UInt8(ascii: "\\"):
                text.append(contentsOf: bytes[start..<position])
                position += 1
                text.append(contentsOf: String(try escape()).utf8)
                start = position
            case 0..<0x20:
                throw failure("control character in a string")
            default:
                position += 1
            }
        }
        throw failure("unexpected end")
    }

    private mutating func escape() throws(Failure) -> Unicode.Scalar {
        guard let byte = current else { throw failure("unexpected end") }
        position += 1
        switch byte {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): return Unicode.Scalar(byte)
        case UInt8(ascii: "b"): return "\u{8}"
        case UInt8(ascii: "f"): return "\u{C}"
        case UInt8(ascii: "n"): return "\n"
        case UInt8(ascii: "r"): return "\r"
        case UInt8(ascii: "t"): return "\t"
        case UInt8(ascii: "u"):
            let unit = try hexadecimalUnit()
            if let scalar = Unicode.Scalar(unit) { return scalar }
            guard (0xD800..<0xDC00).contains(unit), take("\\"), take("u") else { throw failure("lone surrogate") }
            let second = try hexadecimalUnit()
            guard (0xDC00..<0xE000).contains(second),
                let scalar = Unicode.Scalar(0x10000 + ((unit - 0xD800) << 10) + (second - 0xDC00))
            else { throw failure("lone surrogate") }
            return scalar
        default: throw failure("unknown escape")
        }
    }

    private mutating func hexadecimalUnit() throws(Failure) -> UInt32 {
        var unit: UInt32 = 0
        for _ in 0..<4 {
            guard let byte = current, let value = hexValue(byte) else {
                throw failure("expected four hexadecimal digits")
            }
            unit = unit << 4 | UInt32(value)
            position += 1
        }
        return unit
    }
}
