import KelterEmbedding
import KelterModel
import KelterTestSupport
import Testing

@Suite("The embedding client against a faulty endpoint")
struct EmbeddingFaultTests {
    typealias Fault = FaultInjectingEndpoint.Fault

    /// Three inputs sent as one request after the probe, which is request 0.
    private let inputs = ["eins", "zwei", "drei"].map { EmbeddingInput(text: $0, tokens: 1) }
    private let texts = ["eins", "zwei", "drei"]

    private func run(
        _ script: FaultInjectingEndpoint.Script,
        base64: FaultInjectingEndpoint.Base64Support = .supported,
        settings change: (inout EmbeddingEndpoint) -> Void = { _ in },
        _ check: (FaultInjectingEndpoint, EmbeddingClient) async throws -> Void
    ) async throws {
        var options = FaultInjectingEndpoint.Options()
        options.script = script
        options.base64 = base64
        let endpoint = try FaultInjectingEndpoint(dimension: 16, options: options)
        defer { endpoint.stop() }
        let client = try makeClient(endpoint, change)
        try await check(endpoint, client)
    }

    static let passing: [Fault] = [
        .status(408), .status(409), .status(425), .status(429), .status(500), .status(502), .status(503), .status(504),
        .status(529), .tooFewItems, .tooManyItems, .duplicateIndex, .indexOutOfRange, .missingIndex, .oddLength,
        .cutJSON(after: 0), .cutJSON(after: 1), .cutJSON(after: 40), .cutJSON(after: 200), .cutConnection(after: 100),
        .errorBody, .html(), .malformedJSON, .invalidBase64, .contentType("text/plain"),
    ]

    @Test("a passing fault is repaired by one repetition", arguments: passing.indices)
    func repaired(_ index: Int) async throws {
        try await run(.at([1: Self.passing[index]])) { endpoint, client in
            let vectors = try await client.embed(inputs)
            #expect(try vectors == expected(texts, dimension: 16))
            let splits = client.statistics.splits
            #expect(client.statistics.retries == 1)
            // A timeout of several inputs is repeated in halves, so it needs one request more.
            #expect(endpoint.log.requests == 3 + splits)
            #expect(client.statistics.inputs == 3)
        }
    }

    static let lasting: [(Fault, ErrorCode)] = [
        (.status(500), .embeddingServerError),
        (.status(503), .embeddingServerError),
        (.status(425), .embeddingServerError), (.tooFewItems, .embeddingCountMismatch),
        (.duplicateIndex, .embeddingIndexInvalid), (.cutConnection(after: 60), .embeddingReplyCut),
    ]

    @Test("a lasting fault ends with its code after the repetitions", arguments: lasting.indices)
    func exhausted(_ index: Int) async throws {
        let (fault, code) = Self.lasting[index]
        try await run(.requests(1..., fault)) { endpoint, client in
            let error = await failure { try await client.embed(inputs) }
            #expect(error?.code == code)
            #expect(error?.fix != nil)
            #expect(client.statistics.retries == 3)
            #expect(endpoint.log.requests == 5)
        }
    }

    @Test("a throttle is no attempt: only an endpoint that does nothing else for long ends the wait")
    func throttledForLong() async throws {
        try await run(.requests(1...8, .status(429)), settings: { $0.retryAttempts = 0 }) { _, client in
            let vectors = try await client.embed(inputs)
            #expect(try vectors == expected(texts, dimension: 16))
            #expect(client.statistics.throttles == 8)
        }
        let impatient = { (settings: inout EmbeddingEndpoint) in settings.patience = .milliseconds(300) }
        try await run(.requests(1..., .status(429)), settings: impatient) { endpoint, client in
            #expect(await failure { try await client.embed(inputs) }?.code == .embeddingThrottled)
            #expect(endpoint.log.requests > 2)
            #expect(client.statistics.throttledTime > .zero)
        }
    }

    @Test("an endpoint with a limit throttles, and no text fails", arguments: [false, true])
    func limited(_ saysWhen: Bool) async throws {
        var options = FaultInjectingEndpoint.Options()
        options.limit = .init(rate: 100, burst: 20, saysWhen: saysWhen)
        let endpoint = try FaultInjectingEndpoint(dimension: 16, options: options)
        defer { endpoint.stop() }
        let client = try makeClient(endpoint) { $0.maximumInputs = 1 }
        let many = (0..<400).map { EmbeddingInput(text: "\($0)", tokens: 1) }
        let vectors = try await client.embed(many)
        #expect(try vectors == expected(many.map(\.text), dimension: 16))
        #expect(endpoint.log.throttled > 0)
        #expect(client.statistics.throttles == endpoint.log.throttled)
        #expect(client.statistics.throttledTime > .zero)
    }

    @Test("a connection that breaks before the reply is repeated", arguments: [Fault.reset, .noReply].indices)
    func brokenConnections(_ index: Int) async throws {
        let fault = [Fault.reset, .noReply][index]
        // libcurl itself repeats a request once when a kept-alive connection turns out to be dead.
        try await run(.requests(1...2, fault)) { endpoint, client in
            let vectors = try await client.embed(inputs)
            #expect(try vectors == expected(texts, dimension: 16))
            #expect(client.statistics.retries == 1)
            #expect(endpoint.log.requests == 4)
        }
        try await run(.requests(1..., fault)) { endpoint, client in
            #expect(await failure { try await client.embed(inputs) }?.code == .embeddingServerError)
            #expect(client.statistics.retries == 3)
            #expect(endpoint.log.requests == 6)
        }
    }

    static let final: [(Fault, ErrorCode)] = [
        (.status(401), .embeddingUnauthorised), (.status(403), .embeddingUnauthorised),
        (.status(404), .embeddingRefused), (.status(405), .embeddingRefused),
        (.redirect(), .embeddingRedirected), (.endless, .embeddingReplyTooLarge),
        (.wrongWidth(item: nil), .vectorDimensionMismatch), (.float64, .embeddingEncodingInvalid),
        (.notANumber(item: 1), .embeddingInvalid), (.infinity(item: 2), .embeddingInvalid),
        (.wrongWidth(item: 0), .vectorDimensionMismatch),
    ]

    @Test("a fault no repetition can repair ends at once", arguments: final.indices)
    func notRepeated(_ index: Int) async throws {
        let (fault, code) = Self.final[index]
        try await run(.at([1: fault])) { endpoint, client in
            #expect(await failure { try await client.embed(inputs) }?.code == code)
            #expect(client.statistics.retries == 0)
            #expect(endpoint.log.requests == 2)
        }
    }

    @Test("numbers that are null or too large are no vector either")
    func numbers() async throws {
        for fault in [Fault.notANumber(item: 1), .infinity(item: 1)] {
            try await run(.at([1: fault]), base64: .ignored) { _, client in
                #expect(await failure { try await client.embed(inputs) }?.code == .embeddingInvalid)
            }
        }
    }

    @Test("shuffled items are put in order, a zero vector is empty, a content type may be missing")
    func harmless() async throws {
        let script = FaultInjectingEndpoint.Script.at([
            1: .shuffledItems, 2: .contentType(""), 3: .zeroVector(item: 1), 4: .drip(bytes: 7, pause: .zero),
        ])
        try await run(script) { _, client in
            let vectors = try expected(texts, dimension: 16)
            #expect(try await client.embed(inputs) == vectors)
            #expect(try await client.embed(inputs) == vectors)
            #expect(try await client.embed(inputs) == [vectors[0], .empty, vectors[2]])
            #expect(try await client.embed(inputs) == vectors)
            #expect(client.statistics.retries == 0)
        }
    }

    @Test("a reply that does not come is a timeout")
    func timeout() async throws {
        let change = { (settings: inout EmbeddingEndpoint) in
            settings.timeout = .milliseconds(400)
            settings.retryAttempts = 1
        }
        try await run(.requests(1..., .hang), settings: change) { _, client in
            #expect(await failure { try await client.embed([inputs[0]]) }?.code == .embeddingTimeout)
            #expect(client.statistics.requests == 3)
        }
    }

    @Test("a slow endpoint gets smaller requests until they are done in time")
    func slow() async throws {
        var options = FaultInjectingEndpoint.Options()
        options.latencyPerInput = .milliseconds(20)
        let endpoint = try FaultInjectingEndpoint(dimension: 16, options: options)
        defer { endpoint.stop() }
        let client = try makeClient(endpoint) {
            $0.timeout = .milliseconds(400)
            $0.requestsInFlight = 1
            // A loaded machine may need more halvings than this endpoint itself.
            $0.retryAttempts = 10
        }
        let many = (0..<64).map { EmbeddingInput(text: "\($0)", tokens: 1) }
        let vectors = try await client.embed(many)
        #expect(try vectors == expected(many.map(\.text), dimension: 16))
        #expect(client.statistics.splits > 0)
    }

    @Test("Retry-After is waited for, costs no attempt and pauses the whole client", arguments: [429, 503])
    func retryAfter(_ status: Int) async throws {
        let header = [(name: "Retry-After", value: "0.05")]
        let script = FaultInjectingEndpoint.Script.requests(1...2, .status(status, headers: header))
        try await run(script, settings: { $0.retryAttempts = 0 }) { endpoint, client in
            _ = try await client.probe()
            let start = ContinuousClock.now
            let vectors = try await client.embed(inputs)
            #expect(try vectors == expected(texts, dimension: 16))
            #expect(ContinuousClock.now - start >= .milliseconds(100))
            #expect(client.statistics.throttles == 2)
            #expect(endpoint.log.requests == 4)
        }
    }

    @Test("LiteLLM's own name for Retry-After and a date are read as well")
    func retryAfterForms() async throws {
        let script = FaultInjectingEndpoint.Script.at([
            1: .status(429, headers: [("llm_provider-retry-after", "0.03")]),
            2: .status(429, headers: [("Retry-After", "Sun, 06 Nov 1994 08:49:37 GMT")]),
        ])
        try await run(script, settings: { $0.retryAttempts = 0 }) { _, client in
            let vectors = try await client.embed(inputs)
            #expect(try vectors == expected(texts, dimension: 16))
            #expect(client.statistics.throttles == 2)
        }
    }

    @Test("a wait beyond the patience ends at once")
    func impatient() async throws {
        let script = FaultInjectingEndpoint.Script.requests(1..., .status(429, headers: [("Retry-After", "3600")]))
        try await run(script) { endpoint, client in
            #expect(await failure { try await client.embed(inputs) }?.code == .embeddingThrottled)
            #expect(endpoint.log.requests == 2)
        }
    }

    @Test("the input at fault is found in O(log n) requests, and only its caller fails")
    func bisection() async throws {
        var options = FaultInjectingEndpoint.Options()
        options.refusedMarker = "GIFT"
        let endpoint = try FaultInjectingEndpoint(dimension: 16, options: options)
        defer { endpoint.stop() }
        let client = try makeClient(endpoint) {
            $0.requestsInFlight = 1
            $0.packingDelay = .milliseconds(50)
        }
        _ = try await client.probe()
        // A first request of its own, behind which the 64 callers gather.
        async let first = client.embed([EmbeddingInput(text: "Anfang", tokens: 1)])
        let codes = await withTaskGroup(of: (Int, ErrorCode?).self) { group in
            for number in 0..<64 {
                group.addTask {
                    let text = number == 37 ? "ein GIFT-Text" : "Text \(number)"
                    let error = await failure { try await client.embed([EmbeddingInput(text: text, tokens: 1)]) }
                    if let error { #expect(!error.description.contains("GIFT")) }
                    return (number, error?.code)
                }
            }
            return await group.reduce(into: [Int: ErrorCode]()) { $0[$1.0] = $1.1 }
        }
        _ = try await first
        #expect(codes == [37: .embeddingRefused])
        // How the callers fall into requests is a matter of timing; 64 inputs are halved at most six times.
        #expect(client.statistics.splits <= 6)
        #expect(client.statistics.retries == 0)
    }

    @Test("a limit of the endpoint on inputs is learned from one refusal")
    func learnedSize() async throws {
        var options = FaultInjectingEndpoint.Options()
        options.maximumInputs = 32
        let endpoint = try FaultInjectingEndpoint(dimension: 16, options: options)
        defer { endpoint.stop() }
        let client = try makeClient(endpoint) { $0.requestsInFlight = 1 }
        let many = (0..<640).map { EmbeddingInput(text: "\($0)", tokens: 1) }
        let vectors = try await client.embed(many)
        #expect(try vectors == expected(many.map(\.text), dimension: 16))
        #expect(endpoint.log.sizes.filter { $0 > 32 }.count == 1)
    }

    @Test("one item's bad vector fails its caller and no other")
    func oneItem() async throws {
        var options = FaultInjectingEndpoint.Options()
        // Request 1 holds the line while others queue; request 2 carries the first of them.
        options.latency = .milliseconds(40)
        options.script = .at([2: .notANumber(item: 0)])
        let endpoint = try FaultInjectingEndpoint(dimension: 16, options: options)
        defer { endpoint.stop() }
        let client = try makeClient(endpoint) { $0.requestsInFlight = 1 }
        _ = try await client.probe()
        async let first = client.embed([EmbeddingInput(text: "Anfang", tokens: 1)])
        try await waitUntil("the second request") { endpoint.log.requests >= 2 }
        let codes = await withTaskGroup(of: ErrorCode?.self) { group in
            for number in 0..<5 {
                group.addTask {
                    await failure { try await client.embed([EmbeddingInput(text: "\(number)", tokens: 1)]) }?.code
                }
            }
            return await group.reduce(into: [ErrorCode]()) { if let code = $1 { $0.append(code) } }
        }
        _ = try await first
        #expect(codes == [.embeddingInvalid])
    }

    @Test("base64 that cannot be read is not used", arguments: [Fault.float64, .bigEndian, .oddLength].indices)
    func probeFallsBack(_ index: Int) async throws {
        let fault = [Fault.float64, .bigEndian, .oddLength][index]
        try await run(.requests(0..<4, fault)) { endpoint, client in
            // Only base64 replies suffer from these faults: numbers are right.
            #expect(try await client.probe().encoding == .float)
            let vectors = try await client.embed(inputs)
            #expect(try vectors == expected(texts, dimension: 16))
        }
    }

    @Test("a model of another width is refused by the probe, and nothing is embedded")
    func width() async throws {
        let endpoint = try FaultInjectingEndpoint(dimension: 16)
        defer { endpoint.stop() }
        let client = try makeClient(endpoint, dimension: 24)
        let error = await failure { try await client.embed(inputs) }
        #expect(error?.code == .vectorDimensionMismatch)
        #expect(error?.subject == "EMBEDDINGS_DIM")
        #expect(endpoint.log.sizes == [2, 2])
    }

    @Test("an endpoint that refuses everything is found out by the probe, without bisection")
    func refusesAll() async throws {
        try await run(.requests(0..., .status(400))) { endpoint, client in
            #expect(await failure { try await client.embed(inputs) }?.code == .embeddingRefused)
            #expect(endpoint.log.requests == 2)
        }
    }

    @Test("after a failed probe the next call probes again")
    func probeAgain() async throws {
        try await run(.at([0: .status(401)])) { _, client in
            #expect(await failure { try await client.embed(inputs) }?.code == .embeddingUnauthorised)
            let vectors = try await client.embed(inputs)
            #expect(try vectors == expected(texts, dimension: 16))
        }
    }

    @Test("a fifth of all requests failing changes no vector", arguments: [1, 2, 3] as [UInt64])
    func storm(_ seed: UInt64) async throws {
        let faults: [Fault] = [
            .status(500), .status(429, headers: [("Retry-After", "0")]), .reset, .noReply, .cutConnection(after: 500),
            .cutJSON(after: 700), .duplicateIndex, .tooFewItems, .shuffledItems, .html(), .oddLength,
        ]
        let script = FaultInjectingEndpoint.Script.fraction(0.2, seed: seed, of: faults)
        let settings = { (settings: inout EmbeddingEndpoint) in
            settings.maximumInputs = 8
            settings.retryAttempts = 10
        }
        try await run(script, settings: settings) { endpoint, client in
            try await withThrowingTaskGroup(of: Void.self) { group in
                for document in 0..<60 {
                    group.addTask {
                        let texts = (0..<12).map { "\(document)/\($0)" }
                        let vectors = try await client.embed(texts.map { EmbeddingInput(text: $0, tokens: 3) })
                        #expect(vectors == (try expected(texts, dimension: 16)))
                    }
                }
                try await group.waitForAll()
            }
            #expect(client.statistics.retries > 0)
            #expect(client.statistics.inputs == 720)
        }
    }
}
