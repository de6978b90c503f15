/// What became of one HTTP request.
struct TransferResult: Sendable {
    /// Why there is no whole reply.
    enum Failure: Sendable, Equatable {
        /// No connection: refused, unknown host.
        case unreachable
        /// The server's certificate or TLS itself was not acceptable.
        case untrusted
        case timedOut
        /// The connection ended without a reply.
        case broken
        /// The reply ended before its announced length.
        case cut
        /// The reply exceeded its bound.
        case tooLarge
    }

    var failure: Failure?
    /// The HTTP status; 0 without a reply.
    var status = 0
    var body: [UInt8] = []
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
    /// How long the endpoint wants to be left alone; `nil` when it does not say.
    ///
    /// - Parameter now: Seconds since 1970, for a date.
    func wait(now: Int) -> Duration? {
        if let text = retryAfterMilliseconds, let value = Double(text), (0..<1e12).contains(value) {
            return .milliseconds(value)
        }
        return retryAfter.flatMap { KelterEmbedding.retryAfter($0, now: now) }
    }

    /// Whether the key was refused in LiteLLM's way: without a database it answers an unknown key with 400
    /// `no_db_connection`.
    var isKeyRefusal: Bool {
        status == 400 && String(decoding: body.prefix(4096), as: UTF8.self).contains("no_db_connection")
    }
}
