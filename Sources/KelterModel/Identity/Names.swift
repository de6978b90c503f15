/// The text without ASCII white space at its ends.
package func trimmed(_ text: String) -> String {
    let isSpace: (UInt8) -> Bool = { $0 == 0x20 || (0x09...0x0D).contains($0) }
    let bytes = text.utf8
    guard let first = bytes.firstIndex(where: { !isSpace($0) }), let last = bytes.lastIndex(where: { !isSpace($0) })
    else { return "" }
    return String(Substring(bytes[first...last]))
}

/// The text with ASCII capitals folded; other scripts are left alone, so that the result never depends on a locale.
package func lowercasedASCII(_ text: String) -> String {
    String(decoding: text.utf8.map { (0x41...0x5A).contains($0) ? $0 | 0x20 : $0 }, as: UTF8.self)
}

/// The text with its ASCII letters in upper case.
package func uppercasedASCII(_ text: String) -> String {
    String(decoding: text.utf8.map { (0x61...0x7A).contains($0) ? $0 & 0xDF : $0 }, as: UTF8.self)
}

/// The first 80 characters of a value quoted in a message.
package func shortened(_ text: String) -> String {
    text.count > 80 ? text.prefix(80) + "…" : text
}

/// Whether a text is a name: ASCII letters, digits and the given marks, the first a letter or digit.
package func isName(_ text: String, maximum: Int, marks: String) -> Bool {
    let bytes = text.utf8
    guard (1...maximum).contains(bytes.count), let first = bytes.first, isASCIILetterOrDigit(first) else {
        return false
    }
    return bytes.allSatisfy { isASCIILetterOrDigit($0) || marks.utf8.contains($0) }
}

func isASCIILetterOrDigit(_ byte: UInt8) -> Bool {
    (0x30...0x39).contains(byte) || (0x41...0x5A).contains(byte) || (0x61...0x7A).contains(byte)
}

/// One segment of an object store path: SPEC section 3.
///
/// Characters outside `[A-Za-z0-9._-]` become `_`; at most 128 characters are kept.
///
/// - Throws: ``KelterError`` with ``ErrorCode/invalidPathSegment`` for an empty segment, `.`, `..` or one with a slash.
package func pathSegment(_ text: String) throws(KelterError) -> String {
    guard !text.isEmpty, text != ".", text != "..", !text.utf8.contains(UInt8(ascii: "/")) else {
        throw KelterError(
            .invalidPathSegment,
            "\"\(shortened(text))\" cannot be a part of an object path.",
            fix: "Use a name without slashes that is not '.' or '..'."
        )
    }
    let safe = text.unicodeScalars.map { scalar in
        guard scalar.isASCII, let byte = UInt8(exactly: scalar.value),
            isASCIILetterOrDigit(byte) || "._-".utf8.contains(byte)
        else { return UInt8(ascii: "_") }
        return byte
    }
    return String(decoding: safe.prefix(128), as: UTF8.self)
}
