package import KelterModel

/// Turns texts into unit vectors through an OpenAI-compatible embeddings endpoint; SPEC section 6.
///
/// Inputs of concurrent callers share requests. One thread drives all transfers; no caller's thread is blocked. Passing
/// failures are repeated, refusals are narrowed down to the input at fault, and only its caller fails.
package final class EmbeddingClient: Sendable {
    private let driver: EmbeddingDriver

    /// Checks the settings and starts the client's thread; nothing is sent yet.
    ///
    /// - Parameters:
    ///   - endpoint: The address and the limits.
    ///   - model: The model alias, `EMBEDDINGS_MODEL_PRIMARY` or a profile's.
    ///   - dimension: The width every vector must have.
    /// - Throws: ``KelterError`` with ``ErrorCode/settingInvalid`` about the setting at fault.
    package init(endpoint: EmbeddingEndpoint, model: String, dimension: Int) throws(KelterError) {
        let address = try EndpointAddress(baseURL: endpoint.baseURL, route: "embeddings")
        try Self.check(endpoint, dimension: dimension)
        try EndpointAddress.check(key: endpoint.apiKey)
        try endpoint.security.check()
        driver = EmbeddingDriver()
        try driver.start(endpoint, address: address, model: model, dimension: dimension)
    }

    deinit {
        driver.close()
    }

    /// Sends two short texts to learn how the endpoint answers, unless that is known already.
    ///
    /// Asks for base64 first and for numbers when base64 is refused or cannot be read. The first ``embed(_:)`` does the
    /// same; an explicit call fails early.
    ///
    /// - Throws: ``KelterError`` with one of the `embedding…` codes, or ``ErrorCode/vectorDimensionMismatch``.
    package func probe() async throws(KelterError) -> EmbeddingContract {
        guard case .contract(let contract) = try await driver.request(nil).get() else {
            throw KelterError(.internalError, "A probe was answered with vectors.")
        }
        return contract
    }

    /// Embeds texts; one unit vector, or ``UnitVector/empty``, per input in order.
    ///
    /// Cancelling the task takes its inputs out of the queue and ends requests that carry no others.
    ///
    /// - Parameters:
    ///   - inputs: The texts.
    ///   - deadline: When the vectors are not wanted any more; default never.
    ///   - progress: Told of vectors as requests end, with the positions of their inputs, on the client's thread: it must
    ///     return at once. Also what is told belongs to a call that fails later.
    /// - Returns: The vectors.
    /// - Throws: ``KelterError`` of the first input that failed: one of the `embedding…` codes,
    ///   ``ErrorCode/vectorDimensionMismatch``, or ``ErrorCode/interrupted`` after a cancellation or ``close()``.
    package func embed(
        _ inputs: [EmbeddingInput],
        deadline: ContinuousClock.Instant? = nil,
        progress: (@Sendable ([Int], [UnitVector]) -> Void)? = nil
    ) async throws(KelterError) -> [UnitVector] {
        guard !inputs.isEmpty else { return [] }
        let submission = EmbeddingDriver.Submission(inputs: inputs, deadline: deadline, progress: progress)
        guard case .vectors(let vectors) = try await driver.request(submission).get() else {
            throw KelterError(.internalError, "Texts were answered with a contract.")
        }
        return vectors
    }

    /// What was done so far; exact for every caller that has got its answer.
    package var statistics: EmbeddingStatistics {
        driver.statistics
    }

    /// Ends all requests and the thread; callers that wait fail with ``ErrorCode/interrupted``.
    package func close() {
        driver.close()
    }

    private static func check(_ endpoint: EmbeddingEndpoint, dimension: Int) throws(KelterError) {
        func require(_ condition: Bool, _ name: String, _ message: String, _ fix: String) throws(KelterError) {
            guard condition else { throw KelterError(.settingInvalid, message, subject: name, fix: fix) }
        }
        try require(
            (1...2048).contains(endpoint.maximumInputs),
            "EMBEDDINGS_BATCH_SIZE",
            "A request cannot have \(endpoint.maximumInputs) inputs.",
            "Give a number from 1 to 2048."
        )
        try require(
            endpoint.timeout > .zero,
            "EMBEDDINGS_TIMEOUT_SECONDS",
            "The time of a request is not positive.",
            "Give a number of seconds above 0."
        )
        try require(
            endpoint.retryAttempts >= 0,
            "RAG_RETRY_ATTEMPTS",
            "The number of repetitions is negative.",
            "Give 0 or more."
        )
        try require(
            endpoint.retryBaseDelay >= .zero,
            "RAG_RETRY_BASE_DELAY_MS",
            "The delay before a repetition is negative.",
            "Give 0 or more milliseconds."
        )
        try require(
            dimension > 0,
            "EMBEDDINGS_DIM",
            "A vector cannot have \(dimension) numbers.",
            "Give the model's dimension."
        )
        guard endpoint.requestsInFlight > 0, endpoint.maximumTokensPerRequest > 0 else {
            throw KelterError(.internalError, "An embedding client needs at least one request and one token in flight.")
        }
    }
}
