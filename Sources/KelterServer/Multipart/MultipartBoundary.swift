import KelterModel

/// The boundary between the parts of a multipart body.
enum MultipartBoundary {
    static let allowedLengths = 1...70

    /// The boundary a request's Content-Type names.
    ///
    /// - Throws: ``KelterError`` with ``ErrorCode/invalidMultipart`` for another media type, a malformed
    ///   parameter or boundary.
    static func boundary(ofContentType text: String) throws(KelterError) -> String {
        guard let type = HeaderParameters(Array(trimmed(text).utf8)[...]) else { throw invalid("is malformed") }
        guard type.word == "multipart/form-data" else { throw invalid("is not multipart/form-data") }
        guard let value = type["boundary"] else { throw invalid("names no boundary") }
        let boundary = String(decoding: value.unquoted, as: UTF8.self)
        guard isBoundary(boundary) else { throw invalid("names a boundary that RFC 2046 does not allow") }
        return boundary
    }

    /// Whether a text is 1 to 70 of the characters RFC 2046 section 5.1.1 allows, the last one no space.
    static func isBoundary(_ text: String) -> Bool {
        let bytes = text.utf8
        guard allowedLengths.contains(bytes.count), bytes.last != UInt8(ascii: " ") else { return false }
        return bytes.allSatisfy { byte in
            switch byte {
            case 0x30...0x39, 0x41...0x5A, 0x61...0x7A: true
            default: "'()+_,-./:=? ".utf8.contains(byte)
            }
        }
    }

    private static func invalid(_ what: String) -> KelterError {
        .multipart(
            "The Content-Type \(what).",
            subject: "Content-Type",
            fix: "Send 'multipart/form-data; boundary=\"…\"' with 1 to 70 letters and digits."
        )
    }
}
