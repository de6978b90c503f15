import KelterModel

/// The value of a header field that is a word with parameters, as `form-data; name="file"`: RFC 9110 section 5.6.6.
struct HeaderParameters {
    /// What precedes the parameters, in lower case.
    let word: String
    /// The values by name in lower case.
    private var values: [String: HeaderParameterValue] = [:]

    /// Reads a value without white space at its ends; `nil` when it is malformed or has a parameter twice.
    init?(_ bytes: ArraySlice<UInt8>) {
        let end = bytes.firstIndex(of: UInt8(ascii: ";")) ?? bytes.endIndex
        word = lowercasedASCII(trimmed(String(decoding: bytes[..<end], as: UTF8.self)))
        var rest = bytes[end...]
        while rest.popFirst() != nil {
            // Each round begins behind a semicolon. The grammar allows parameters that are empty.
            rest = rest.drop(while: Self.isSpace)
            guard let first = rest.first, first != UInt8(ascii: ";") else { continue }
            let name = rest.prefix(while: isTokenByte)
            rest = rest[name.endIndex...]
            guard !name.isEmpty, rest.popFirst() == UInt8(ascii: "=") else { return nil }
            guard let value = HeaderParameterValue(takenFrom: &rest),
                values.updateValue(value, forKey: lowercasedASCII(String(decoding: name, as: UTF8.self))) == nil
            else { return nil }
            rest = rest.drop(while: Self.isSpace)
            guard rest.isEmpty || rest.first == UInt8(ascii: ";") else { return nil }
        }
    }

    subscript(name: String) -> HeaderParameterValue? {
        values[name]
    }

    private static func isSpace(_ byte: UInt8) -> Bool {
        byte == 0x20 || byte == 0x09
    }
}

/// Whether a byte may stand in a token: RFC 9110 section 5.6.2.
func isTokenByte(_ byte: UInt8) -> Bool {
    switch byte {
    case 0x30...0x39, 0x41...0x5A, 0x61...0x7A: true
    default: "!#$%&'*+-.^_`|~".utf8.contains(byte)
    }
}
