import KelterModel

/// A media type as somebody declared it, such as `text/html; charset=iso-8859-1`.
struct DeclaredMediaType: Equatable, Sendable {
    /// Type and subtype, lower case, without parameters.
    let name: String
    /// The `charset` parameter.
    let charset: String?

    /// Whether it says nothing about the format: what is sent when nobody knows, and what contains others.
    var isGeneric: Bool {
        ["", "application/octet-stream", "binary/octet-stream", "text/plain", "application/gzip", "application/zip"]
            .contains(name)
    }

    /// The name in the form that results have.
    var standardName: String { name == "text/rtf" ? "application/rtf" : name }

    init(_ text: String) {
        let parts = text.utf8.split(separator: UInt8(ascii: ";"), omittingEmptySubsequences: false)
            .map { trimmed(String(Substring($0))) }
        name = lowercasedASCII(parts.first ?? "")
        var charset: String?
        for part in parts.dropFirst() {
            let pair = part.utf8.split(separator: UInt8(ascii: "="), maxSplits: 1).map {
                trimmed(String(Substring($0)))
            }
            guard pair.count == 2, lowercasedASCII(pair[0]) == "charset" else { continue }
            charset = trimmed(String(pair[1].filter { $0 != "\"" && $0 != "'" }))
        }
        self.charset = charset
    }
}
