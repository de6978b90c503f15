import KelterModel

/// The value of one parameter of a header field, as sent.
struct HeaderParameterValue {
    /// The token, or what stands between the quotes.
    private let bytes: ArraySlice<UInt8>
    private let isQuoted: Bool

    /// Takes a token or a quoted string off the front of a text; `nil` when neither stands there.
    init?(takenFrom rest: inout ArraySlice<UInt8>) {
        isQuoted = rest.first == UInt8(ascii: "\"")
        guard isQuoted else {
            bytes = rest.prefix(while: isTokenByte)
            rest = rest[bytes.endIndex...]
            if bytes.isEmpty { return nil }
            return
        }
        rest.removeFirst()
        var end = rest.startIndex
        while end < rest.endIndex, rest[end] != UInt8(ascii: "\"") {
            end += rest[end] == UInt8(ascii: "\\") ? 2 : 1
        }
        guard end < rest.endIndex else { return nil }
        bytes = rest[..<end]
        rest = rest[(end + 1)...]
    }

    /// The value with `\x` in quotes read as `x`: RFC 9110 section 5.6.4.
    var unquoted: [UInt8] {
        unescaped { _ in true }
    }

    /// The value as forms send it.
    ///
    /// Browsers write `"`, CR and LF as `%22`, `%0D` and `%0A` and leave `\` and `%` alone (WHATWG HTML, "multipart
    /// form data"); others escape `"` and `\` with a backslash. Any other backslash is one of a path.
    var formText: [UInt8] {
        let text = unescaped { $0 == UInt8(ascii: "\"") || $0 == UInt8(ascii: "\\") }
        var output: [UInt8] = []
        output.reserveCapacity(text.count)
        var index = 0
        while index < text.count {
            if let byte = Self.percentEncoded(text[index...]), "\"\r\n".utf8.contains(byte) {
                output.append(byte)
                index += 3
            } else {
                output.append(text[index])
                index += 1
            }
        }
        return output
    }

    /// The value of a parameter whose name ends in `*`, as `UTF-8''na%C3%AFve.txt`; `nil` when it is malformed or in
    /// another encoding.
    ///
    /// RFC 8187 section 3.2, which replaces RFC 5987. The language between the quotes is of no use here.
    var extendedText: [UInt8]? {
        guard !isQuoted else { return nil }
        let fields = bytes.split(separator: UInt8(ascii: "'"), omittingEmptySubsequences: false)
        guard fields.count == 3, lowercasedASCII(String(decoding: fields[0], as: UTF8.self)) == "utf-8" else {
            return nil
        }
        var rest = fields[2]
        var output: [UInt8] = []
        while let first = rest.first {
            if first == UInt8(ascii: "%") {
                guard let byte = Self.percentEncoded(rest) else { return nil }
                output.append(byte)
                rest = rest.dropFirst(3)
            } else {
                guard first != UInt8(ascii: "*") else { return nil }
                output.append(first)
                rest.removeFirst()
            }
        }
        return output
    }

    /// The byte a text begins with in the form `%2F`; `nil` when it begins otherwise.
    private static func percentEncoded(_ text: ArraySlice<UInt8>) -> UInt8? {
        let digits = text.dropFirst().prefix(2)
        guard text.first == UInt8(ascii: "%"), digits.count == 2, let high = hexValue(digits[digits.startIndex]),
            let low = hexValue(digits[digits.startIndex + 1])
        else { return nil }
        return high << 4 | low
    }

    private func unescaped(_ isEscaped: (UInt8) -> Bool) -> [UInt8] {
        guard isQuoted else { return Array(bytes) }
        var output: [UInt8] = []
        output.reserveCapacity(bytes.count)
        var index = bytes.startIndex
        while index < bytes.endIndex {
            if bytes[index] == UInt8(ascii: "\\"), index + 1 < bytes.endIndex, isEscaped(bytes[index + 1]) {
                index += 1
            }
            output.append(bytes[index])
            index += 1
        }
        return output
    }
}
