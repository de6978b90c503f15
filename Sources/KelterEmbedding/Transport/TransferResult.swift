/// What became of one HTTP request.
struct TransferResult: Sendable {
    /// Why there is no whole reply.
    enum Failure: Sendable, Equatable {
        /// No connection: refused, unknown host.
        case unreachable
        /// The two sides do not trust each other.
        case untrusted(TLSFailure)
        case timedOut
        /// The connection ended without a reply.
        case broken
        /// The reply had begun and ended before its announced length.
        case cut
        /// The reply, or its header fields, exceeded their bound.
        case tooLarge
    }

    var failure: Failure?
    /// The HTTP status; 0 without a reply.
    var status = 0
    var body: [UInt8] = []
    /// The value of `Content-Type`; `nil` without one.
    var contentType: String?
    /// Scheme, host and port that a redirect leads to.
    var redirect: String?
    /// The value of `Retry-After`, else of `llm_provider-retry-after`.
    var retryAfter: String?
    /// The value of `retry-after-ms`, which says the same more exactly.
    var retryAfterMilliseconds: String?
    /// The `x-ratelimit-…` header fields, names in lower case.
    var limitFields: [(name: String, value: String)] = []
    /// Connections opened for this request.
    var connections = 0
}

extension TransferResult {
    /// How long the endpoint wants to be left alone.
    ///
    /// - Parameter now: Seconds since 1970, for a date.
    /// - Returns: The time; `nil` when it does not say.
    func wait(now: Int) -> Duration? {
        if let text = retryAfterMilliseconds, let value = Double(text), (0..<1e12).contains(value) {
            return .milliseconds(value)
        }
        return retryAfter.flatMap { KelterEmbedding.retryAfter($0, now: now) }
    }

    /// Whether a proxy asks for a client certificate in nginx's way: with a page of its own under status 400.
    var isCertificateRefusal: Bool {
        status == 400 && String(decoding: body.prefix(4096), as: UTF8.self).contains(" SSL certificate ")
    }

    /// Whether the key was refused in LiteLLM's way: without a database it answers an unknown key with 400
    /// `no_db_connection`.
    var isKeyRefusal: Bool {
        status == 400 && String(decoding: body.prefix(4096), as: UTF8.self).contains("no_db_connection")
    }
}
