package import KelterModel

/// Where vectors come from, and how hard it may be pressed.
package struct EmbeddingEndpoint: Sendable, Equatable {
    /// `LITELLM_BASE_URL`: `http` or `https`, with or without `/v1` and a slash at the end; `/embeddings` is appended.
    package var baseURL: String
    /// `LITELLM_MASTER_KEY`, sent as a bearer token.
    package var apiKey: String?
    /// Whom connections trust and how they show who they are.
    package var security = ConnectionSecurity()
    /// The whole time of one request, `EMBEDDINGS_TIMEOUT_SECONDS`; default 20 s.
    package var timeout: Duration
    /// Most inputs of one request, `EMBEDDINGS_BATCH_SIZE`; 1 to 2048, default 64.
    package var maximumInputs: Int
    /// Most tokens of one request, a longer single input aside; default 300,000, the cap of OpenAI's service.
    package var maximumTokensPerRequest: Int
    /// The model that is asked while the other one is throttled or failing, if its vectors are the same; default none.
    package var fallbackModel: String?
    /// Whether the tokens of inputs are exact, so that a lower `usage.prompt_tokens` means a truncation; default no.
    package var countsTokensExactly: Bool
    /// The most requests at a time; default 16.
    ///
    /// How many there are adapts to the endpoint.
    package var requestsInFlight: Int
    /// How often one request is sent again after a passing failure, `RAG_RETRY_ATTEMPTS`; default 3.
    package var retryAttempts: Int
    /// The first step of the exponential backoff, `RAG_RETRY_BASE_DELAY_MS`; default 50 ms.
    package var retryBaseDelay: Duration
    /// How long an endpoint may answer with nothing but throttles; default 10 minutes.
    package var patience: Duration
    /// How long an endpoint that has worked may fail or be away before inputs fail; default zero: as long as the
    /// repetitions last.
    package var outagePatience: Duration
    /// How long a request that is not full waits for more inputs; default 50 ms.
    package var packingDelay: Duration
    /// After how long without new inputs an idle client sends a request that is not full; default 4 ms.
    package var packingPause: Duration

    package init(
        baseURL: String,
        apiKey: String? = nil,
        timeout: Duration = .seconds(20),
        maximumInputs: Int = 64,
        maximumTokensPerRequest: Int = 300_000,
        fallbackModel: String? = nil,
        countsTokensExactly: Bool = false,
        requestsInFlight: Int = 16,
        retryAttempts: Int = 3,
        retryBaseDelay: Duration = .milliseconds(50),
        patience: Duration = .seconds(600),
        outagePatience: Duration = .zero,
        packingDelay: Duration = .milliseconds(50),
        packingPause: Duration = .milliseconds(4)
    ) {
        self.baseURL = baseURL
        self.apiKey = apiKey
        self.timeout = timeout
        self.maximumInputs = maximumInputs
        self.maximumTokensPerRequest = maximumTokensPerRequest
        self.fallbackModel = fallbackModel
        self.countsTokensExactly = countsTokensExactly
        self.requestsInFlight = requestsInFlight
        self.retryAttempts = retryAttempts
        self.retryBaseDelay = retryBaseDelay
        self.patience = patience
        self.outagePatience = outagePatience
        self.packingDelay = packingDelay
        self.packingPause = packingPause
    }
}

/// A text to embed.
package struct EmbeddingInput: Sendable, Equatable {
    /// The exact text, prefix and context header included.
    package var text: String
    /// Its tokens, for the cap of a request; 0 when they are not known.
    package var tokens: Int

    package init(text: String, tokens: Int) {
        self.text = text
        self.tokens = tokens
    }
}

/// How an endpoint writes vectors.
package enum EmbeddingEncoding: String, Sendable, CaseIterable {
    /// Little-endian float32 in base64.
    case base64
    /// Arrays of JSON numbers.
    case float
}

/// What a probe has found out about an endpoint.
package struct EmbeddingContract: Sendable, Equatable {
    /// The encoding that is asked for from now on.
    package var encoding: EmbeddingEncoding
    /// The width of the vectors.
    package var dimension: Int
    /// Whether the endpoint's vectors had length 1 (within 0.001) already.
    package var returnsUnitVectors: Bool
    /// The model the endpoint says it used; the alias that was asked for when it says nothing.
    package var modelName: String
    /// The unit vectors of the two probe texts, by which a model is known again.
    package var reference: [[Float]]

    package init(
        encoding: EmbeddingEncoding,
        dimension: Int,
        returnsUnitVectors: Bool,
        modelName: String,
        reference: [[Float]]
    ) {
        self.encoding = encoding
        self.dimension = dimension
        self.returnsUnitVectors = returnsUnitVectors
        self.modelName = modelName
        self.reference = reference
    }
}

/// What a client has done since it was made.
package struct EmbeddingStatistics: Sendable, Equatable {
    /// Requests sent, probes and repeated ones included.
    package var requests = 0
    /// Inputs answered with a usable vector, probes aside.
    package var inputs = 0
    /// The sum of `usage.prompt_tokens`.
    package var promptTokens = 0
    /// Requests sent again after a passing failure.
    package var retries = 0
    /// Answers that asked to wait: 429, and 503 with `Retry-After`.
    package var throttles = 0
    /// The time in which only a throttle kept requests from being sent.
    package var throttledTime = Duration.zero
    /// How often requests were held back because the endpoint failed again and again.
    package var outages = 0
    /// Inputs answered by the fallback model.
    package var fallbackInputs = 0
    /// Why the fallback model is not used; `nil` while it is, or was not needed.
    package var fallbackProblem: KelterError?
    /// Requests of whose tokens the endpoint says it has read fewer than were sent, beyond the tolerance.
    package var suspectedTruncations = 0
    /// The tokens missing in them.
    package var truncatedTokens = 0
    /// Requests divided because the endpoint refused them or did not finish them in time.
    package var splits = 0
    /// Bytes of reply bodies.
    package var bytesReceived = 0
    /// Connections opened.
    package var connections = 0
    /// Requests under way now.
    package var requestsInFlight = 0
    /// How many may be under way at a time now.
    package var window = 0

    package init() {}
}
