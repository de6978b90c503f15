/// Where answers come from, and how long they are waited for.
package struct ChatEndpoint: Sendable, Equatable {
    /// `LITELLM_BASE_URL`: `http` or `https`, with or without `/v1` and a slash at the end; `/chat/completions` is
    /// appended.
    package var baseURL: String
    /// `LITELLM_MASTER_KEY`, sent as a bearer token.
    package var apiKey: String?
    /// Whom connections trust and how they show who they are.
    package var security = ConnectionSecurity()
    /// The model alias, `LITELLM_CHAT_MODEL`.
    package var model: String
    /// The whole time of one request; default 60 s.
    package var timeout: Duration
    /// How often a request is sent again after a passing failure, `RAG_RETRY_ATTEMPTS`; default 3.
    package var retryAttempts: Int
    /// The first step of the exponential backoff, `RAG_RETRY_BASE_DELAY_MS`; default 50 ms.
    package var retryBaseDelay: Duration
    /// How long one answer may be put off by backoff and `Retry-After` altogether; default 30 s, as somebody waits.
    package var patience: Duration
    /// Requests at a time; default 16.
    package var requestsInFlight: Int

    package init(
        baseURL: String,
        apiKey: String? = nil,
        model: String,
        timeout: Duration = .seconds(60),
        retryAttempts: Int = 3,
        retryBaseDelay: Duration = .milliseconds(50),
        patience: Duration = .seconds(30),
        requestsInFlight: Int = 16
    ) {
        self.baseURL = baseURL
        self.apiKey = apiKey
        self.model = model
        self.timeout = timeout
        self.retryAttempts = retryAttempts
        self.retryBaseDelay = retryBaseDelay
        self.patience = patience
        self.requestsInFlight = requestsInFlight
    }
}
