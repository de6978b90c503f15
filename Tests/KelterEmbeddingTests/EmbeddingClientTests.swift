import KelterEmbedding
import KelterModel
import KelterTestSupport
import Testing

@Suite("The embedding client against a well-behaved endpoint")
struct EmbeddingClientTests {
    @Test(
        "returns one unit vector per input, in order and equal to the endpoint's",
        arguments: EmbeddingEncoding.allCases
    )
    func vectors(_ encoding: EmbeddingEncoding) async throws {
        var options = FaultInjectingEndpoint.Options()
        options.base64 = encoding == .base64 ? .supported : .ignored
        let endpoint = try FaultInjectingEndpoint(dimension: 48, options: options)
        defer { endpoint.stop() }
        let client = try makeClient(endpoint)
        let inputs = (0..<150).map { "Text \($0) \"mit\" \\ Zeichen\n\t\u{1} äöü 🍇" }
        let vectors = try await client.embed(inputs.map { EmbeddingInput(text: $0, tokens: 9) })
        #expect(vectors == (try expected(inputs, dimension: 48)))
        let statistics = client.statistics
        #expect(statistics.inputs == 150)
        #expect(statistics.requests == 4, "a probe, 64, 64 and 22")
        #expect(statistics.promptTokens > 0)
        #expect(statistics.bytesReceived > 150 * 48 * 4)
        #expect(endpoint.log.encodings.first == "base64")
        #expect(endpoint.log.encodings.last == encoding.rawValue)
    }

    @Test("gets the first texts' vectors again from an endpoint that uses its replies again")
    func reusedReplies() async throws {
        var options = FaultInjectingEndpoint.Options()
        options.reusesReplies = true
        let endpoint = try FaultInjectingEndpoint(dimension: 24, options: options)
        defer { endpoint.stop() }
        let client = try makeClient(endpoint)
        let probe = try expected(["Kelter", "Traubenmost"], dimension: 24)
        for texts in [["a", "b", "c"], ["d", "e", "f"]] {
            let vectors = try await client.embed(texts.map { EmbeddingInput(text: $0, tokens: 1) })
            #expect(vectors == (try expected(["a", "b", "c"], dimension: 24)))
        }
        // Two texts were asked for by the probe before.
        let vectors = try await client.embed(["a", "b"].map { EmbeddingInput(text: $0, tokens: 1) })
        #expect(vectors == probe)
    }

    @Test("probes once: encoding, width, length and model")
    func probe() async throws {
        let endpoint = try FaultInjectingEndpoint(dimension: 32)
        defer { endpoint.stop() }
        let client = try makeClient(endpoint)
        let contract = try await client.probe()
        let reference = try expected(["Kelter", "Traubenmost"], dimension: 32).compactMap(\.values)
        #expect(
            contract
                == EmbeddingContract(
                    encoding: .base64,
                    dimension: 32,
                    returnsUnitVectors: false,
                    modelName: "test-model",
                    reference: reference
                )
        )
        #expect(try await client.probe() == contract)
        _ = try await client.embed([EmbeddingInput(text: "a", tokens: 1)])
        #expect(endpoint.log.requests == 2)
    }

    @Test("falls back to numbers when base64 is refused, and remembers it")
    func base64Refused() async throws {
        var options = FaultInjectingEndpoint.Options()
        options.base64 = .refused
        let endpoint = try FaultInjectingEndpoint(dimension: 16, options: options)
        defer { endpoint.stop() }
        let client = try makeClient(endpoint)
        #expect(try await client.probe().encoding == .float)
        let vectors = try await client.embed([EmbeddingInput(text: "a", tokens: 1)])
        #expect(vectors == (try expected(["a"], dimension: 16)))
        #expect(endpoint.log.encodings == ["base64", "float", "float"])
    }

    @Test("accepts a base URL with and without a slash at the end", arguments: ["", "/", "//"])
    func addresses(_ end: String) async throws {
        let endpoint = try FaultInjectingEndpoint(dimension: 8)
        defer { endpoint.stop() }
        let client = try EmbeddingClient(
            endpoint: EmbeddingEndpoint(baseURL: endpoint.baseURL + end),
            model: "m",
            dimension: 8
        )
        #expect(try await client.probe().dimension == 8)
    }

    @Test("packs the inputs of concurrent callers into few requests over few connections")
    func packing() async throws {
        var options = FaultInjectingEndpoint.Options()
        options.latency = .milliseconds(5)
        let endpoint = try FaultInjectingEndpoint(dimension: 16, options: options)
        defer { endpoint.stop() }
        let client = try makeClient(endpoint) { $0.requestsInFlight = 4 }
        try await withThrowingTaskGroup(of: Void.self) { group in
            for document in 0..<200 {
                group.addTask {
                    let texts = (0...document % 7).map { "Dokument \(document), Abschnitt \($0)" }
                    let vectors = try await client.embed(texts.map { EmbeddingInput(text: $0, tokens: 10) })
                    #expect(vectors == (try expected(texts, dimension: 16)))
                }
            }
            try await group.waitForAll()
        }
        let log = endpoint.log
        let inputs = (0..<200).reduce(0) { $0 + $1 % 7 + 1 }
        #expect(log.inputs == inputs + 2)
        #expect(log.sizes.allSatisfy { $0 <= 64 })
        #expect(log.requests <= inputs / 64 + 12, "\(log.requests) requests of \(log.sizes)")
        #expect(log.maximumInFlight <= 4)
        #expect(endpoint.connectionsAccepted <= 4)
    }

    @Test("keeps connections alive")
    func keepAlive() async throws {
        let endpoint = try FaultInjectingEndpoint(dimension: 8)
        defer { endpoint.stop() }
        let client = try makeClient(endpoint)
        for number in 0..<50 { _ = try await client.embed([EmbeddingInput(text: "\(number)", tokens: 1)]) }
        #expect(endpoint.log.requests == 51)
        #expect(endpoint.connectionsAccepted == 1)
        #expect(client.statistics.connections == 1)
    }

    @Test("sends more and more requests at a time to an endpoint that takes them, up to the configured number")
    func inFlight() async throws {
        var options = FaultInjectingEndpoint.Options()
        options.latency = .milliseconds(20)
        let endpoint = try FaultInjectingEndpoint(dimension: 8, options: options)
        defer { endpoint.stop() }
        let client = try makeClient(endpoint) {
            $0.maximumInputs = 1
            $0.requestsInFlight = 7
            $0.timeout = .seconds(60)
        }
        _ = try await client.embed((0..<60).map { EmbeddingInput(text: "\($0)", tokens: 1) })
        #expect(endpoint.log.maximumInFlight == 7)
        #expect(endpoint.log.sizes.dropFirst().allSatisfy { $0 == 1 })
    }

    @Test("holds requests to the token cap, texts of similar length together; a single longer input goes alone")
    func tokenCap() async throws {
        let endpoint = try FaultInjectingEndpoint(dimension: 8)
        defer { endpoint.stop() }
        let client = try makeClient(endpoint) {
            $0.maximumTokensPerRequest = 100
            $0.requestsInFlight = 1
        }
        let tokens = [40, 40, 40, 500, 60, 40]
        _ = try await client.embed(tokens.map { EmbeddingInput(text: "\($0)", tokens: $0) })
        #expect(endpoint.log.sizes == [2, 2, 2, 1, 1])
    }

    @Test("without inputs answers without a request")
    func empty() async throws {
        let client = try EmbeddingClient(
            endpoint: EmbeddingEndpoint(baseURL: "http://127.0.0.1:9"),
            model: "m",
            dimension: 4
        )
        #expect(try await client.embed([]).isEmpty)
        #expect(client.statistics.requests == 0)
    }

    @Test("sends the key, and says what to do about a wrong one")
    func key() async throws {
        var options = FaultInjectingEndpoint.Options()
        options.apiKey = "sk-richtig"
        let endpoint = try FaultInjectingEndpoint(dimension: 8, options: options)
        defer { endpoint.stop() }
        let good = try makeClient(endpoint) { $0.apiKey = "sk-richtig" }
        #expect(try await good.probe().dimension == 8)
        let bad = try makeClient(endpoint) { $0.apiKey = "sk-falsch" }
        let error = try #require(
            await failure { try await bad.embed([EmbeddingInput(text: "a", tokens: 1)]) }
        )
        #expect(error.code == .embeddingUnauthorised)
        #expect(error.subject == "LITELLM_MASTER_KEY")
        #expect(!error.description.contains("sk-falsch"))
        #expect(bad.statistics.requests == 1, "a refused key is not tried again")
    }

    @Test("an address where nobody listens is unreachable, after the repetitions")
    func unreachable() async throws {
        let endpoint = try FaultInjectingEndpoint(dimension: 8)
        defer { endpoint.stop() }
        // Port 9 is nobody's; one that was just freed may soon be another test's.
        let client = try makeClient(endpoint) { $0.baseURL = "http://127.0.0.1:9/v1" }
        #expect(await failure { try await client.probe() }?.code == .embeddingUnreachable)
        #expect(client.statistics.requests == 4)
        #expect(client.statistics.retries == 3)
    }

    @Test(
        "bad settings are refused before anything is sent",
        arguments: [
            ("ftp://host/", 64, "LITELLM_BASE_URL"), ("localhost:4000", 64, "LITELLM_BASE_URL"),
            ("http://", 64, "LITELLM_BASE_URL"), ("http://host/?a=1", 64, "LITELLM_BASE_URL"),
            ("http://ho st/", 64, "LITELLM_BASE_URL"), ("", 64, "LITELLM_BASE_URL"),
            ("http://host", 0, "EMBEDDINGS_BATCH_SIZE"), ("http://host", 2049, "EMBEDDINGS_BATCH_SIZE"),
        ]
    )
    func settings(_ url: String, _ inputs: Int, _ subject: String) throws {
        let error = #expect(throws: KelterError.self) {
            try EmbeddingClient(
                endpoint: EmbeddingEndpoint(baseURL: url, maximumInputs: inputs),
                model: "m",
                dimension: 4
            )
        }
        #expect(error?.code == .settingInvalid)
        #expect(error?.subject == subject)
    }

    @Test("a key with a line break cannot smuggle a header field")
    func keyInjection() throws {
        let error = #expect(throws: KelterError.self) {
            try EmbeddingClient(
                endpoint: EmbeddingEndpoint(baseURL: "http://host", apiKey: "a\r\nX-Evil: 1"),
                model: "m",
                dimension: 4
            )
        }
        #expect(error?.subject == "LITELLM_MASTER_KEY")
    }

    @Test("cancelling a caller frees its connection and leaves other callers alone")
    func cancellation() async throws {
        // Request 0 is the probe; request 1 hangs.
        var options = FaultInjectingEndpoint.Options()
        options.script = .at([1: .hang])
        let endpoint = try FaultInjectingEndpoint(dimension: 8, options: options)
        defer { endpoint.stop() }
        let client = try makeClient(endpoint)
        _ = try await client.probe()
        let hanging = Task { await failure { try await client.embed([EmbeddingInput(text: "a", tokens: 1)]) } }
        try await waitUntil("the second request") { endpoint.log.requests >= 2 }
        let vectors = try await client.embed([EmbeddingInput(text: "b", tokens: 1)])
        #expect(vectors == (try expected(["b"], dimension: 8)))
        #expect(endpoint.connectionsOpen == 2)
        hanging.cancel()
        #expect(await hanging.value?.code == .interrupted)
        try await waitUntil("its connection is closed") { endpoint.connectionsOpen <= 1 }
        _ = try await client.embed([EmbeddingInput(text: "c", tokens: 1)])
        #expect(endpoint.connectionsAccepted == 2)
    }

    @Test("a task cancelled beforehand sends nothing of its own")
    func cancelledBefore() async throws {
        let endpoint = try FaultInjectingEndpoint(dimension: 8)
        defer { endpoint.stop() }
        let client = try makeClient(endpoint)
        _ = try await client.probe()
        let task = Task {
            withUnsafeCurrentTask { $0?.cancel() }
            return await failure { try await client.embed([EmbeddingInput(text: "a", tokens: 1)]) }
        }
        #expect(await task.value?.code == .interrupted)
        _ = try await client.embed([EmbeddingInput(text: "b", tokens: 1)])
        #expect(!endpoint.log.texts.contains("a"))
    }

    @Test("closing ends waiting callers, and later ones fail at once")
    func close() async throws {
        var options = FaultInjectingEndpoint.Options()
        options.script = .requests(0..., .hang)
        let endpoint = try FaultInjectingEndpoint(dimension: 8, options: options)
        defer { endpoint.stop() }
        let client = try makeClient(endpoint)
        let waiting = Task { await failure { try await client.embed([EmbeddingInput(text: "a", tokens: 1)]) } }
        try await waitUntil("the request") { endpoint.log.requests >= 1 }
        client.close()
        #expect(await waiting.value?.code == .interrupted)
        #expect(await failure { try await client.probe() }?.code == .interrupted)
        try await waitUntil("all connections are closed") { endpoint.connectionsOpen == 0 }
    }
}

/// A client with short delays.
func makeClient(
    _ endpoint: FaultInjectingEndpoint,
    dimension: Int? = nil,
    _ change: (inout EmbeddingEndpoint) -> Void = { _ in }
) throws -> EmbeddingClient {
    var settings = EmbeddingEndpoint(
        baseURL: endpoint.baseURL,
        timeout: .seconds(5),
        retryBaseDelay: .milliseconds(1),
        packingDelay: .milliseconds(5)
    )
    change(&settings)
    return try EmbeddingClient(
        endpoint: settings,
        model: "test-model",
        dimension: dimension ?? endpoint.vectorDimension
    )
}

/// The vectors the endpoint must have given for some texts.
func expected(_ texts: [String], dimension: Int) throws -> [UnitVector] {
    try texts.map {
        try UnitVector(
            normalising: FaultInjectingEndpoint.vector(for: $0, dimension: dimension),
            dimension: dimension
        )
    }
}

/// The error of a call that must fail.
func failure<Value>(_ body: () async throws -> Value) async -> KelterError? {
    do {
        _ = try await body()
        return nil
    } catch {
        return error as? KelterError
    }
}
