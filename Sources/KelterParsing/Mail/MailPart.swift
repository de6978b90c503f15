import KelterModel

/// A part of a mail message, or the whole of it: RFC 2046.
struct MailPart {
    /// Deeper parts are not looked into.
    private static let deepest = 20
    /// The most parts of a message.
    static let mostParts = 1_000

    let header: MailHeader
    /// Type and subtype in lower case.
    let type: String
    let charset: String?
    /// The name under which it is to be saved.
    let name: String?
    let isAttachment: Bool
    let encoding: TransferEncoding?
    /// Where its content stands in the message, encoded.
    let content: Range<Int>
    private(set) var parts: [MailPart] = []

    /// Reads a message, or a part of one.
    ///
    /// - Parameters:
    ///   - bytes: What holds it.
    ///   - range: Where it stands.
    init(_ bytes: UnsafeBufferPointer<UInt8>, _ range: Range<Int>) {
        var budget = Self.mostParts
        self.init(bytes, range, depth: 0, standard: "text/plain", &budget)
    }

    private init(
        _ bytes: UnsafeBufferPointer<UInt8>,
        _ range: Range<Int>,
        depth: Int,
        standard: String,
        _ budget: inout Int
    ) {
        var content = range
        header = MailHeader(bytes, &content)
        self.content = content
        let declared = header.parameters("content-type")
        let type = declared.flatMap { $0.value.utf8.contains(UInt8(ascii: "/")) ? $0.value : nil } ?? standard
        self.type = type
        charset = declared?.parameters["charset"]
        let disposition = header.parameters("content-disposition")
        let name = disposition?.parameters["filename"] ?? declared?.parameters["name"]
        self.name = name.map { trimmed($0.replacing("\0", with: "")) }.flatMap { $0.isEmpty ? nil : $0 }
        isAttachment = disposition?.value == "attachment"
        encoding = header.parameters("content-transfer-encoding").flatMap { TransferEncoding(rawValue: $0.value) }
        guard type.utf8.starts(with: "multipart/".utf8), depth < Self.deepest,
            let boundary = declared?.parameters["boundary"], !boundary.isEmpty
        else { return }
        let inner = type == "multipart/digest" ? "message/rfc822" : "text/plain"
        for range in Self.ranges(bytes, content, boundary: Array("--\(boundary)".utf8)) where budget > 0 {
            budget -= 1
            parts.append(MailPart(bytes, range, depth: depth + 1, standard: inner, &budget))
        }
    }

    /// The parts between the lines that begin with a boundary; the last one may lack its end.
    private static func ranges(
        _ bytes: UnsafeBufferPointer<UInt8>,
        _ content: Range<Int>,
        boundary: [UInt8]
    ) -> [Range<Int>] {
        var ranges: [Range<Int>] = []
        var start: Int?
        var line = content.lowerBound
        while line < content.upperBound {
            let end = min(firstIndex(of: 0x0A, in: bytes, from: line) ?? content.upperBound, content.upperBound)
            if end - line >= boundary.count, bytes[line..<line + boundary.count].elementsEqual(boundary) {
                let rest = bytes[(line + boundary.count)..<end]
                let isLast = rest.starts(with: Array("--".utf8))
                // A longer boundary is another one.
                if isLast || rest.allSatisfy({ WhiteSpace.isASCII($0) }) {
                    if let start { ranges.append(start..<max(start, line)) }
                    start = isLast ? nil : min(end + 1, content.upperBound)
                    if isLast { return ranges }
                }
            }
            line = end + 1
        }
        if let start { ranges.append(start..<content.upperBound) }
        return ranges
    }

    /// The content without its encoding.
    func decoded(_ bytes: UnsafeBufferPointer<UInt8>) -> [UInt8] {
        let content = UnsafeBufferPointer(rebasing: bytes[content])
        return encoding?.decoded(content) ?? Array(content)
    }

    // MARK: - What is read and what is attached

    /// What is read of the message.
    ///
    /// - Parameter preferred: The type that is taken where there are alternatives, if it is among them.
    /// - Returns: The parts that are its text, in their order.
    func body(_ preferred: String = "text/html") -> [MailPart] {
        switch type {
        case _ where isAttachment: []
        case "multipart/alternative":
            // The last that can be read is the best, and HTML keeps more than plain text.
            (parts.last { $0.holds(preferred) } ?? parts.last { !$0.body(preferred).isEmpty })?.body(preferred) ?? []
        case "multipart/related", "multipart/signed": parts.first?.body(preferred) ?? []
        case _ where !parts.isEmpty: parts.flatMap { $0.body(preferred) }
        case "text/plain", "text/html", "message/delivery-status", "text/enriched": name == nil ? [self] : []
        case _ where type.utf8.starts(with: "multipart/".utf8): [self]
        default: []
        }
    }

    private func holds(_ type: String) -> Bool {
        !isAttachment && (self.type == type && name == nil || parts.contains { $0.holds(type) })
    }

    /// The parts that are documents of their own: what is attached, and messages that were forwarded.
    ///
    /// Signatures, and pictures that the text shows, are none.
    var attachments: [MailPart] {
        if type.utf8.starts(with: "multipart/".utf8) {
            return (type == "multipart/alternative" ? parts.filter { !$0.body().isEmpty } : parts).flatMap(
                \.attachments
            )
        }
        let isSignature = ["application/pgp-signature", "application/pkcs7-signature", "application/x-pkcs7-signature"]
            .contains(type)
        let isShown = !isAttachment && type.utf8.starts(with: "image/".utf8) && header.text("content-id") != nil
        guard !isSignature, !isShown, isAttachment || name != nil || type == "message/rfc822" else { return [] }
        return [self]
    }
}
