/// What an HTTP service is to do, and how far it trusts its callers.
package struct ServiceConfiguration: Sendable {
    /// The address to listen on; default `127.0.0.1`.
    package var host: String
    /// The port; 0 takes a free one.
    ///
    /// Default 8000.
    package var port: Int
    /// Whether every request for a tenant must show one of its API keys or a user's password.
    package var requiresKeys: Bool
    /// `RAG_INTERNAL_KEYS`: what `X-Internal-Key` may be.
    package var internalKeys: [String]
    /// `AI_CORE_RATE_LIMIT_QUOTA`: requests of one tenant; `nil` for no limit.
    package var rateLimit: RateLimit?
    /// `RAG_UPLOAD_MAX_BYTES`: the largest file of an upload; default 100 MiB.
    package var maximumUploadBytes: Int
    /// After how long a connection on which nothing happens is closed; default 60 s.
    package var idleTimeout: Duration

    package init(
        host: String = "127.0.0.1",
        port: Int = 8000,
        requiresKeys: Bool = false,
        internalKeys: [String] = [],
        rateLimit: RateLimit? = RateLimit(requests: 60, period: .seconds(60)),
        maximumUploadBytes: Int = 100 << 20,
        idleTimeout: Duration = .seconds(60)
    ) {
        self.host = host
        self.port = port
        self.requiresKeys = requiresKeys
        self.internalKeys = internalKeys
        self.rateLimit = rateLimit
        self.maximumUploadBytes = maximumUploadBytes
        self.idleTimeout = idleTimeout
    }

    /// Whether an address is this machine's own, so that nobody else can reach the service.
    package static func isLoopback(_ host: String) -> Bool {
        host == "localhost" || host == "::1" || host.hasPrefix("127.")
    }
}

/// So many requests in so much time.
package struct RateLimit: Sendable, Equatable {
    package let requests: Int
    package let period: Duration

    package init(requests: Int, period: Duration) {
        self.requests = requests
        self.period = period
    }
}
