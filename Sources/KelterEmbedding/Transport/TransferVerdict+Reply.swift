import KelterModel

extension TransferVerdict {
    /// Judges a whole reply with a status of success.
    static func judge(reply: TransferResult, count: Int, dimension: Int) -> Self {
        let type = reply.contentType.map(mediaType)
        if isHTML(type, reply.body) {
            return unusable(
                .embeddingContentType,
                "it is HTML, such as a proxy's error page or a login page",
                fix: "Check that LITELLM_BASE_URL is the service itself and that nothing in between asks for a login."
            )
        }
        if let type, type != "application/json", !type.hasSuffix("+json") {
            return unusable(.embeddingContentType, "it is \(isPlain(type) ? type : "of another type") and not JSON")
        }
        do throws(EmbeddingReplyReader.Failure) {
            return .reply(try EmbeddingReplyReader.read(reply.body, count: count, dimension: dimension))
        } catch {
            return error.code == .embeddingErrorBody
                ? unusable(error.code, error.message, fix: "Check the service's log.")
                : unusable(error.code, error.message)
        }
    }

    /// A reply that came and cannot be used, which another try may repair.
    ///
    /// - Parameters:
    ///   - code: What is wrong with it.
    ///   - message: The end of a sentence about the reply.
    ///   - fix: What the user can do when it lasts.
    /// - Returns: The verdict.
    static func unusable(
        _ code: ErrorCode,
        _ message: String,
        fix: String = "Check that the address is an OpenAI-compatible embeddings service."
    ) -> Self {
        .retry(
            Retry(
                error: KelterError(
                    code,
                    "The embedding endpoint's reply cannot be used: \(message).",
                    subject: subject,
                    fix: fix
                ),
                isUnusable: true
            )
        )
    }

    /// The error of a redirect, which is not followed: the key would go to an address nobody has configured.
    ///
    /// - Parameter result: A reply with any status.
    /// - Returns: The error, or `nil` for another status than 301, 302, 303, 307 and 308.
    static func redirect(_ result: TransferResult) -> KelterError? {
        guard [301, 302, 303, 307, 308].contains(result.status) else { return nil }
        let target = result.redirect.map { " to \($0)" } ?? ""
        return KelterError(
            .embeddingRedirected,
            "The embedding endpoint redirects\(target) (HTTP status \(result.status)), and redirects are not followed.",
            subject: subject,
            fix: "Set LITELLM_BASE_URL to the endpoint's own address."
        )
    }

    /// The type of a `Content-Type` without its parameters, in lower case; RFC 9110 section 8.3.1.
    private static func mediaType(_ field: String) -> String {
        lowercasedASCII(trimmed(String(field.prefix { $0 != ";" })))
    }

    /// Whether a page came, whatever it is called: JSON never begins with `<`.
    private static func isHTML(_ type: String?, _ body: [UInt8]) -> Bool {
        if type == "text/html" || type == "application/xhtml+xml" { return true }
        let first = body.first { !($0 == 0x20 || (0x09...0x0D).contains($0)) }
        return first == UInt8(ascii: "<") && (type == nil || type == "application/json")
    }

    /// Whether a media type may be shown.
    private static func isPlain(_ type: String) -> Bool {
        type.utf8.count <= 60
            && type.utf8.allSatisfy { byte in
                (0x30...0x39).contains(byte) || (0x61...0x7A).contains(byte) || "/+-.".utf8.contains(byte)
            }
    }
}
