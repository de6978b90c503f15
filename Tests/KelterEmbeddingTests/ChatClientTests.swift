import KelterEmbedding
import KelterModel
import KelterTestSupport
import Testing

@Suite("The chat client")
struct ChatClientTests {
    typealias Fault = FaultInjectingEndpoint.Fault

    private let messages = [ChatMessage(.system, "Antworte."), ChatMessage(.user, "Was ist eine \"Kelter\"?\n\u{1} 🍇")]
    private let answer = "Das steht in der ersten Quelle [1]."

    private func run(
        _ script: FaultInjectingEndpoint.Script = .none,
        options change: (inout FaultInjectingEndpoint.Options) -> Void = { _ in },
        settings changeSettings: (inout ChatEndpoint) -> Void = { _ in },
        _ check: (FaultInjectingEndpoint, ChatClient) async throws -> Void
    ) async throws {
        var options = FaultInjectingEndpoint.Options()
        options.chatScript = script
        change(&options)
        let endpoint = try FaultInjectingEndpoint(dimension: 8, options: options)
        defer { endpoint.stop() }
        var settings = ChatEndpoint(
            baseURL: endpoint.baseURL,
            model: "chat-model",
            timeout: .seconds(5),
            retryBaseDelay: .milliseconds(1)
        )
        changeSettings(&settings)
        try await check(endpoint, try ChatClient(settings))
    }

    @Test("sends model and messages, and returns the answer without white space around it")
    func answers() async throws {
        try await run(options: { $0.chatText = " \n" + answer + "\n" }) { endpoint, client in
            let text = try await client.complete(messages)
            #expect(text == answer)
            #expect(
                endpoint.log.chats == [
                    .object([
                        ("model", .string("chat-model")),
                        (
                            "messages",
                            .array(
                                messages.map {
                                    .object([("role", .string($0.role.rawValue)), ("content", .string($0.text))])
                                }
                            )
                        ),
                        ("stream", .bool(false)),
                    ])
                ]
            )
            #expect(endpoint.log.requests == 0)
        }
    }

    @Test("many callers at a time get their answers over few connections")
    func concurrent() async throws {
        try await run(options: { $0.latency = .milliseconds(5) }) { endpoint, client in
            try await withThrowingTaskGroup(of: String.self) { group in
                for _ in 0..<60 { group.addTask { try await client.complete(messages) } }
                for try await text in group { #expect(text == answer) }
            }
            #expect(endpoint.log.chats.count == 60 && endpoint.connectionsAccepted <= 16)
        }
    }

    @Test("a wrong key is refused at once, without showing it")
    func key() async throws {
        let options = { (options: inout FaultInjectingEndpoint.Options) in options.apiKey = "sk-richtig" }
        try await run(options: options, settings: { $0.apiKey = "sk-falsch" }) { endpoint, client in
            let error = await failure { try await client.complete(messages) }
            #expect(error?.code == .chatUnauthorised && error?.subject == "LITELLM_MASTER_KEY")
            #expect(error?.description.contains("sk-") == false)
            #expect(endpoint.log.chats.count == 1)
        }
        try await run(options: options, settings: { $0.apiKey = "sk-richtig" }) { _, client in
            let text = try await client.complete(messages)
            #expect(text == answer)
        }
    }

    static let passing: [Fault] = [
        .status(409), .status(425), .status(429), .status(500), .status(502), .status(503), .status(529), .html(),
        .errorBody, .cutJSON(after: 0), .cutJSON(after: 100), .cutConnection(after: 50), .reset, .noReply,
    ]

    @Test("a passing fault is repaired by a repetition", arguments: passing.indices)
    func repaired(_ index: Int) async throws {
        try await run(.at([0: Self.passing[index]])) { endpoint, client in
            let text = try await client.complete(messages)
            #expect(text == answer)
            #expect(endpoint.log.chats.count == 2)
        }
    }

    static let lasting: [(Fault, ErrorCode)] = [
        (.status(429), .chatThrottled), (.status(500), .chatServerError), (.status(503), .chatServerError),
        (.reset, .chatServerError), (.html(), .chatReplyInvalid), (.errorBody, .chatReplyInvalid),
        (.cutJSON(after: 60), .chatReplyInvalid), (.cutConnection(after: 60), .chatReplyInvalid),
        (.status(200, body: #"{"choices":[]}"#), .chatReplyInvalid),
        (.status(200, body: #"{"choices":[{"message":{"content":null}}]}"#), .chatReplyInvalid),
        (.status(200, body: #"{"choices":[{"message":{"content":" "}}]}"#), .chatReplyInvalid),
        (.status(200, body: #"{"choices":[{"message":{"content":["a"]}}]}"#), .chatReplyInvalid),
        (.status(200, body: #"{"choices":{"0":{"message":{"content":"a"}}}}"#), .chatReplyInvalid),
    ]

    @Test("a lasting fault ends with its code after the repetitions", arguments: lasting.indices)
    func exhausted(_ index: Int) async throws {
        let (fault, code) = Self.lasting[index]
        try await run(.requests(0..., fault)) { endpoint, client in
            let error = await failure { try await client.complete(messages) }
            #expect(error?.code == code && error?.fix != nil)
            #expect(endpoint.log.chats.count == 4)
        }
    }

    static let final: [(Fault, ErrorCode)] = [
        (.status(400), .chatRefused), (.status(403), .chatUnauthorised), (.status(404), .chatRefused),
        (.status(413), .chatRefused), (.status(422), .chatRefused), (.redirect(), .chatRefused),
        (.status(408), .chatTimeout), (.endless, .chatReplyInvalid),
        (.status(400, body: #"{"error":{"message":"no_db_connection"}}"#), .chatUnauthorised),
    ]

    @Test("a fault no repetition can repair ends at once", arguments: final.indices)
    func notRepeated(_ index: Int) async throws {
        let (fault, code) = Self.final[index]
        try await run(.requests(0..., fault)) { endpoint, client in
            #expect(await failure { try await client.complete(messages) }?.code == code)
            #expect(endpoint.log.chats.count == 1)
        }
    }

    @Test("a reply of up to 1 MiB is read, a longer one refused")
    func size() async throws {
        let long = String(repeating: "a", count: 1_000_000)
        try await run(options: { $0.chatText = long }) { _, client in
            let text = try await client.complete(messages)
            #expect(text == long)
        }
        try await run(options: { $0.chatText = long + long }) { endpoint, client in
            #expect(await failure { try await client.complete(messages) }?.code == .chatReplyInvalid)
            #expect(endpoint.log.chats.count == 1)
        }
    }

    @Test("a slow reply is a timeout, which is not repeated; one in pieces is read")
    func slow() async throws {
        try await run(.at([0: .hang]), settings: { $0.timeout = .milliseconds(300) }) { endpoint, client in
            #expect(await failure { try await client.complete(messages) }?.code == .chatTimeout)
            #expect(endpoint.log.chats.count == 1)
        }
        try await run(.at([0: .drip(bytes: 9, pause: .milliseconds(1))])) { _, client in
            let text = try await client.complete(messages)
            #expect(text == answer)
        }
        try await run(
            .requests(0..., .drip(bytes: 1, pause: .milliseconds(20))),
            settings: { $0.timeout = .milliseconds(400) }
        ) { _, client in
            #expect(await failure { try await client.complete(messages) }?.code == .chatTimeout)
        }
    }

    @Test("Retry-After is waited for within the attempts and the patience")
    func retryAfter() async throws {
        let wait = { (seconds: String) in Fault.status(429, headers: [("Retry-After", seconds)]) }
        try await run(.at([0: wait("0.2"), 1: wait("0.1")])) { endpoint, client in
            let start = ContinuousClock.now
            let text = try await client.complete(messages)
            #expect(text == answer)
            #expect(ContinuousClock.now - start >= .milliseconds(300))
            #expect(endpoint.log.chats.count == 3)
        }
        try await run(.requests(0..., wait("0"))) { endpoint, client in
            #expect(await failure { try await client.complete(messages) }?.code == .chatThrottled)
            #expect(endpoint.log.chats.count == 4)
        }
        try await run(.requests(0..., wait("31"))) { endpoint, client in
            #expect(await failure { try await client.complete(messages) }?.code == .chatThrottled)
            #expect(endpoint.log.chats.count == 1)
        }
    }

    @Test("an address where nobody listens is unreachable")
    func unreachable() async throws {
        // Port 9 is nobody's; one that was just freed may soon be another test's.
        try await run(settings: { $0.baseURL = "http://127.0.0.1:9/v1" }) { _, client in
            #expect(await failure { try await client.complete(messages) }?.code == .chatUnreachable)
        }
    }

    @Test("cancelling frees the connection, in a request as well as between two")
    func cancellation() async throws {
        try await run(.requests(0..., .hang), settings: { $0.timeout = .seconds(120) }) { endpoint, client in
            let hanging = Task { await failure { try await client.complete(messages) } }
            try await waitUntil("the request") { !endpoint.log.chats.isEmpty }
            hanging.cancel()
            #expect(await hanging.value?.code == .interrupted)
            try await waitUntil("all connections are closed") { endpoint.connectionsOpen == 0 }
        }
        try await run(.requests(0..., .status(429, headers: [("Retry-After", "30")]))) { endpoint, client in
            let waiting = Task { await failure { try await client.complete(messages) } }
            try await waitUntil("the request") { !endpoint.log.chats.isEmpty }
            waiting.cancel()
            #expect(await waiting.value?.code == .interrupted)
        }
        try await run { endpoint, client in
            let early = Task {
                withUnsafeCurrentTask { $0?.cancel() }
                return await failure { try await client.complete(messages) }
            }
            #expect(await early.value?.code == .interrupted)
            #expect(endpoint.log.chats.isEmpty)
        }
    }

    @Test("closing ends waiting callers, and later ones fail at once")
    func close() async throws {
        try await run(.requests(0..., .hang), settings: { $0.timeout = .seconds(120) }) { endpoint, client in
            let waiting = Task { await failure { try await client.complete(messages) } }
            try await waitUntil("the request") { !endpoint.log.chats.isEmpty }
            client.close()
            #expect(await waiting.value?.code == .interrupted)
            #expect(await failure { try await client.complete(messages) }?.code == .interrupted)
            try await waitUntil("all connections are closed") { endpoint.connectionsOpen == 0 }
        }
    }

    @Test(
        "bad settings are refused before anything is sent",
        arguments: [
            ("ftp://host/", "m", nil, "LITELLM_BASE_URL"), ("http://host/?a=1", "m", nil, "LITELLM_BASE_URL"),
            ("http://host", " ", nil, "LITELLM_CHAT_MODEL"),
            ("http://host", "m", "a\r\nX-Evil: 1", "LITELLM_MASTER_KEY"),
        ] as [(String, String, String?, String)]
    )
    func settings(_ url: String, _ model: String, _ key: String?, _ subject: String) {
        let error = #expect(throws: KelterError.self) {
            try ChatClient(ChatEndpoint(baseURL: url, apiKey: key, model: model))
        }
        #expect(error?.code == .settingInvalid && error?.subject == subject)
    }
}
