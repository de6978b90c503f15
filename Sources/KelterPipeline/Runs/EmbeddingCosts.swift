import KelterEmbedding
package import KelterModel

/// What a run asked the endpoint of one profile for, on behalf of one tenant.
package struct EmbeddingCosts: Sendable, Equatable {
    package let tenant: String
    package let profile: String
    package let model: String
    package let requests: Int
    package let inputs: Int
    /// The endpoint's own count; that of the profile's tokenizer where the endpoint tells none.
    package let tokens: Int
    /// The tokens of the texts that were sent as the profile's tokenizer counts them.
    package let tokensCounted: Int
    /// The price of the tokens; `nil` without a price in the profile.
    package let price: Double?
    /// Texts whose vectors came from the cache.
    package let cacheHits: Int
    package let tokensSaved: Int
    /// The price of the tokens saved.
    package let priceSaved: Double?
    package let retries: Int
    package let throttles: Int
    /// The time in which only a throttle kept requests from being sent.
    package let throttledTime: Duration
    /// How often requests were held back because the endpoint failed again and again.
    package let outages: Int
    package let fallbackInputs: Int
    /// Why the fallback model was not used although it was needed.
    package let fallbackProblem: KelterError?
    /// Requests of which the endpoint says it has read fewer tokens than were sent.
    package let suspectedTruncations: Int
    package let truncatedTokens: Int
    /// Vectors that could not be entered in the cache.
    package let uncached: Int

    init(_ stages: Ingestion.Stages, tenant: Tenant) {
        let (statistics, figures) = (stages.embeddings.statistics, stages.source.figures)
        self.tenant = tenant.key
        profile = stages.profile.name
        model = stages.profile.model
        requests = statistics.requests
        inputs = statistics.inputs
        tokens = statistics.promptTokens > 0 ? statistics.promptTokens : figures.tokensSent
        tokensCounted = figures.tokensSent
        cacheHits = figures.cacheHits
        tokensSaved = figures.tokensSaved
        let perToken = stages.profile.pricePerMillionTokens.map { $0 / 1e6 }
        price = perToken.map { [tokens] in $0 * Double(tokens) }
        priceSaved = perToken.map { $0 * Double(figures.tokensSaved) }
        retries = statistics.retries
        throttles = statistics.throttles
        throttledTime = statistics.throttledTime
        outages = statistics.outages
        fallbackInputs = statistics.fallbackInputs
        fallbackProblem = statistics.fallbackProblem
        suspectedTruncations = statistics.suspectedTruncations
        truncatedTokens = statistics.truncatedTokens
        uncached = figures.uncached
    }

    /// The figures as JSON.
    package var json: JSONValue {
        .object([
            ("profile", .string(profile)), ("tenant", .string(tenant)), ("model", .string(model)),
            ("requests", .int(requests)), ("inputs", .int(inputs)), ("tokens", .int(tokens)),
            ("tokens_counted", .int(tokensCounted)),
            ("price", price.map { .double($0) } ?? .null), ("cache_hits", .int(cacheHits)),
            ("tokens_saved", .int(tokensSaved)), ("price_saved", priceSaved.map { .double($0) } ?? .null),
            ("retries", .int(retries)), ("throttles", .int(throttles)),
            ("throttled_ms", .int(throttledTime.milliseconds)), ("outages", .int(outages)),
            ("fallback_inputs", .int(fallbackInputs)),
            ("fallback_problem", .optional(fallbackProblem?.description)),
            ("suspected_truncations", .int(suspectedTruncations)),
            ("truncated_tokens", .int(truncatedTokens)), ("uncached", .int(uncached)),
        ])
    }
}

extension Ingestion {
    /// The costs so far of every profile that was used, the default one's first.
    func costs(tenant: Tenant) async -> [EmbeddingCosts] {
        var costs: [EmbeddingCosts] = []
        for stages in await catalog.opened() {
            // What came late is in the cache before it is counted.
            await stages.source.finish()
            costs.append(EmbeddingCosts(stages, tenant: tenant))
        }
        return costs
    }
}
