import KelterEmbedding
import KelterModel
import KelterTestSupport
import Testing

/// Every fault of a reply with its code, over HTTP: as base64 and as numbers, in the probe and in the reply behind it.
@Suite("Each fault of a reply has its code and gives no vector")
struct EmbeddingFaultMatrixTests {
    typealias Fault = FaultInjectingEndpoint.Fault

    /// What becomes of a fault in the reply behind the probe.
    enum Course {
        /// The request is repeated.
        case repeated
        /// It ends at once.
        case final
        /// It is repeated, and how often is not the client's doing alone: libcurl repeats on dead connections, a timeout
        /// divides the request, and a throttle is no attempt.
        case uncounted
    }

    /// One line of the table.
    struct Line: CustomTestStringConvertible {
        let name: String
        let fault: Fault
        let code: ErrorCode
        let course: Course
        /// The fault is one of base64, in whose place the probe finds numbers.
        let isBase64Only: Bool

        init(
            _ name: String,
            _ fault: Fault,
            _ code: ErrorCode,
            _ course: Course = .repeated,
            isBase64Only: Bool = false
        ) {
            self.name = name
            self.fault = fault
            self.code = code
            self.course = course
            self.isBase64Only = isBase64Only
        }

        var testDescription: String { "\(name): \(code)" }
    }

    static let table = [
        Line("too few items", .tooFewItems, .embeddingCountMismatch),
        Line("too many items", .tooManyItems, .embeddingCountMismatch),
        Line("an index twice", .duplicateIndex, .embeddingIndexInvalid),
        Line("no index", .missingIndex, .embeddingIndexInvalid),
        Line("an index out of range", .indexOutOfRange, .embeddingIndexInvalid),
        Line("one vector too narrow", .wrongWidth(item: 1), .vectorDimensionMismatch, .final),
        Line("all vectors too narrow", .wrongWidth(item: nil), .vectorDimensionMismatch, .final),
        Line("float64", .float64, .embeddingEncodingInvalid, .final, isBase64Only: true),
        Line("big-endian", .bigEndian, .embeddingEncodingInvalid, .final, isBase64Only: true),
        Line("odd length", .oddLength, .embeddingEncodingInvalid, isBase64Only: true),
        Line("invalid base64", .invalidBase64, .embeddingEncodingInvalid, isBase64Only: true),
        Line("NaN", .notANumber(item: 0), .embeddingInvalid, .final),
        Line("infinity", .infinity(item: 1), .embeddingInvalid, .final),
        Line("minus infinity", .infinity(item: 0, isNegative: true), .embeddingInvalid, .final),
        Line("null", .nullVector(item: 1), .embeddingInvalid, .final),
        Line("JSON without a byte", .cutJSON(after: 0), .embeddingReplyCut),
        Line("JSON cut in its head", .cutJSON(after: 9), .embeddingReplyCut),
        Line("JSON cut in a vector", .cutJSON(after: 60), .embeddingReplyCut),
        Line("connection cut in its head", .cutConnection(after: 0), .embeddingReplyCut),
        Line("connection cut in a vector", .cutConnection(after: 60), .embeddingReplyCut),
        Line("malformed JSON", .malformedJSON, .embeddingReplyInvalid),
        Line("JSON of another shape", .status(200, body: "[1]"), .embeddingReplyInvalid),
        Line("an empty object", .status(200), .embeddingReplyInvalid),
        Line("no content", .status(204, body: ""), .embeddingReplyCut),
        Line("plain text", .contentType("text/plain; charset=utf-8"), .embeddingContentType),
        Line("an event stream", .contentType("text/event-stream"), .embeddingContentType),
        Line("HTML", .html(), .embeddingContentType),
        Line("HTML called JSON", .html(as: "application/json"), .embeddingContentType),
        Line("HTML called nothing", .html(as: ""), .embeddingContentType),
        Line("an error under 200", .errorBody, .embeddingErrorBody),
        Line("an endless body", .endless, .embeddingReplyTooLarge, .final),
        Line(
            "an endless head",
            .status(200, headers: Array(repeating: ("X-Filler", String(repeating: "a", count: 2000)), count: 140)),
            .embeddingReplyTooLarge,
            .final
        ),
        Line("a slow loris", .drip(bytes: 1, pause: .milliseconds(20)), .embeddingTimeout, .uncounted),
        Line("no answer", .hang, .embeddingTimeout, .uncounted),
        Line("connection closed", .noReply, .embeddingServerError, .uncounted),
        Line("connection reset", .reset, .embeddingServerError, .uncounted),
        Line("a redirect", .redirect(), .embeddingRedirected, .final),
        Line("408", .status(408), .embeddingTimeout, .uncounted),
        Line("409", .status(409), .embeddingServerError),
        Line("425", .status(425), .embeddingServerError),
        Line("429", .status(429), .embeddingThrottled, .uncounted),
        Line("500", .status(500), .embeddingServerError),
        Line("HTML under 502", .status(502, body: "<html>"), .embeddingServerError),
        Line("503", .status(503), .embeddingServerError),
        Line("401", .status(401), .embeddingUnauthorised, .final),
        Line("403", .status(403), .embeddingUnauthorised, .final),
        Line("404", .status(404), .embeddingRefused, .final),
        Line(
            "a client certificate wanted",
            .status(400, body: "<center>No required SSL certificate was sent</center>"),
            .embeddingUnauthorised,
            .final
        ),
    ]

    private let texts = ["eins", "zwei"]

    /// Embeds two texts against a faulty endpoint, with one repetition.
    private func run(
        _ line: Line,
        in requests: PartialRangeFrom<Int>,
        _ encoding: EmbeddingEncoding,
        _ check: (FaultInjectingEndpoint, EmbeddingClient) async throws -> Void
    ) async throws {
        var options = FaultInjectingEndpoint.Options()
        options.script = .requests(requests, line.fault)
        options.base64 = encoding == .base64 ? .supported : .ignored
        let endpoint = try FaultInjectingEndpoint(dimension: 16, options: options)
        defer { endpoint.stop() }
        let isSlow = line.code == .embeddingTimeout
        let client = try makeClient(endpoint) {
            $0.retryAttempts = 1
            $0.patience = .milliseconds(300)
            if isSlow { $0.timeout = .milliseconds(800) }
        }
        defer { client.close() }
        try await check(endpoint, client)
    }

    @Test("in the first reply after the probe", arguments: table, EmbeddingEncoding.allCases)
    func first(_ line: Line, _ encoding: EmbeddingEncoding) async throws {
        guard encoding == .base64 || !line.isBase64Only else { return }
        try await run(line, in: 1..., encoding) { endpoint, client in
            let contract = try await client.probe()
            #expect(contract.encoding == encoding)
            let error = await failure { try await client.embed(texts.map { EmbeddingInput(text: $0, tokens: 1) }) }
            #expect(error?.code == line.code, "\(String(describing: error))")
            #expect(error?.fix != nil)
            switch line.course {
            case .repeated: #expect(client.statistics.retries == 1 && endpoint.log.requests == 3)
            case .final: #expect(client.statistics.retries == 0 && endpoint.log.requests == 2)
            case .uncounted: #expect(client.statistics.retries >= 1)
            }
        }
    }

    @Test("in the probe", arguments: table, EmbeddingEncoding.allCases)
    func probe(_ line: Line, _ encoding: EmbeddingEncoding) async throws {
        guard encoding == .base64 || !line.isBase64Only else { return }
        try await run(line, in: 0..., encoding) { endpoint, client in
            let inputs = texts.map { EmbeddingInput(text: $0, tokens: 1) }
            if line.isBase64Only {
                // The numbers of the same endpoint are right, and are asked for from then on.
                let contract = try await client.probe()
                #expect(contract.encoding == .float)
                let vectors = try await client.embed(inputs)
                #expect(try vectors == expected(texts, dimension: 16))
            } else {
                let error = await failure { try await client.embed(inputs) }
                #expect(error?.code == line.code, "\(String(describing: error))")
                #expect(!endpoint.log.texts.contains("eins"), "a text was sent before the probe was answered")
            }
        }
    }

    @Test(
        "JSON may be called by any of its names, or by none",
        arguments: [
            "application/json", "Application/JSON; charset=utf-8", "application/problem+json", "application/vnd.x+json",
            "",
        ]
    )
    func contentTypes(_ type: String) async throws {
        try await run(Line("JSON", .contentType(type), .internalError), in: 0..., .base64) { _, client in
            let vectors = try await client.embed([EmbeddingInput(text: "eins", tokens: 1)])
            #expect(try vectors == expected(["eins"], dimension: 16))
            #expect(client.statistics.retries == 0)
        }
    }

    @Test("the messages say what came and nothing of what was said")
    func messages() async throws {
        let lines = [
            (Line("HTML", .html(), .embeddingContentType), "HTML", "Login"),
            (Line("text", .contentType("text/plain; x=geheim"), .embeddingContentType), "text/plain", "geheim"),
            (Line("type", .contentType("x y geheim"), .embeddingContentType), "another type", "geheim"),
            (Line("error", .errorBody, .embeddingErrorBody), "the error 500", "crashed"),
            (Line("float64", .float64, .embeddingEncodingInvalid, .final), "float64", "eins"),
            (Line("big-endian", .bigEndian, .embeddingEncodingInvalid, .final), "big-endian", "eins"),
        ]
        for (line, said, unsaid) in lines {
            try await run(line, in: 1..., .base64) { _, client in
                let error = await failure { try await client.embed([EmbeddingInput(text: "eins", tokens: 1)]) }
                #expect(error?.code == line.code)
                #expect(error?.message.contains(said) == true, "\(String(describing: error))")
                #expect(error?.description.contains(unsaid) == false, "\(String(describing: error))")
            }
        }
    }

    @Test(
        "a redirect is never followed, to another host or to the same, and the key stays here",
        arguments: [true, false]
    )
    func redirects(_ isOther: Bool) async throws {
        let other = try FaultInjectingEndpoint(dimension: 16)
        defer { other.stop() }
        let target = isOther ? "http://user:geheim@127.0.0.1:\(other.port)/v1/embeddings?key=geheim" : "/v2/embeddings"
        var options = FaultInjectingEndpoint.Options()
        options.script = .requests(1..., .redirect(to: target))
        options.chatScript = .requests(0..., .redirect(to: target))
        let endpoint = try FaultInjectingEndpoint(dimension: 16, options: options)
        defer { endpoint.stop() }
        let client = try makeClient(endpoint) { $0.apiKey = "sk-geheim" }
        let error = await failure { try await client.embed([EmbeddingInput(text: "eins", tokens: 1)]) }
        #expect(error?.code == .embeddingRedirected)
        let port = isOther ? other.port : endpoint.port
        #expect(error?.message.contains("to http://127.0.0.1:\(port) (") == true, "\(String(describing: error))")
        #expect(error?.description.contains("geheim") == false)
        #expect(endpoint.log.requests == 2)
        let chat = try ChatClient(ChatEndpoint(baseURL: endpoint.baseURL, apiKey: "sk-geheim", model: "m"))
        #expect(await failure { try await chat.complete([ChatMessage(.user, "Ping?")]) }?.code == .chatRefused)
        let exchange = HTTPExchange(
            "POST",
            endpoint.baseURL + "/embeddings",
            body: Array(#"{"model":"m","input":"x"}"#.utf8)
        )
        let reply = try await exchange.send()
        #expect(reply.status == 307)
        #expect(other.connectionsAccepted == 0)
    }

    @Test("a single request has bounds for its body and its head as well")
    func exchangeBounds() async throws {
        let head = Array(repeating: (name: "X-Filler", value: String(repeating: "a", count: 2000)), count: 140)
        for fault in [Fault.endless, .status(200, headers: head)] {
            var options = FaultInjectingEndpoint.Options()
            options.script = .requests(0..., fault)
            let endpoint = try FaultInjectingEndpoint(dimension: 16, options: options)
            defer { endpoint.stop() }
            let exchange = HTTPExchange(
                "POST",
                endpoint.baseURL + "/embeddings",
                body: Array(#"{"model":"m","input":"x"}"#.utf8)
            )
            #expect(await failure { try await exchange.send() }?.code == .serviceUnreachable)
        }
    }
}
