import KelterModel

/// The `code`, else the `type`, of an error object, if it is one short plain word or a small number.
///
/// Nothing else of an error may be shown: its text can hold the document's, or a key. A word has at most 40 letters and
/// underscores, as in `rate_limit_exceeded`; a key has digits.
///
/// - Parameter value: The JSON text of the `error` member.
/// - Returns: The word, or the number of at most four digits, or `nil`.
func errorWord(_ value: [UInt8]) -> String? {
    guard value.count <= 64 << 10, let error = try? JSONReader.read(value) else { return nil }
    for member in [error["code"], error["type"]] {
        switch member {
        case .number(let text), .string(let text):
            if isPlainWord(text) { return text }
        default: continue
        }
    }
    return nil
}

private func isPlainWord(_ text: String) -> Bool {
    let bytes = text.utf8
    let isNumber = (1...4).contains(bytes.count) && bytes.allSatisfy { (0x30...0x39).contains($0) }
    let isWord =
        (1...40).contains(bytes.count)
        && bytes.allSatisfy { (0x61...0x7A).contains($0 | 0x20) || $0 == UInt8(ascii: "_") }
    return isNumber || isWord
}
