import Glibc
package import KelterModel

/// Has a language model answer, through `POST /chat/completions` in the shape of OpenAI's API.
///
/// One thread drives all transfers; no caller's thread is blocked. Calls may run at the same time.
package final class ChatClient: Sendable {
    /// The most bytes of a reply: 1 MiB.
    private static let maximumReply = 1 << 20

    private let endpoint: ChatEndpoint
    private let driver: TransferDriver

    /// Checks the settings and starts the client's thread; nothing is sent yet.
    ///
    /// - Throws: ``KelterError`` with ``ErrorCode/settingInvalid`` about the setting at fault.
    package init(_ endpoint: ChatEndpoint) throws(KelterError) {
        let address = try EndpointAddress(baseURL: endpoint.baseURL, route: "chat/completions")
        try EndpointAddress.check(key: endpoint.apiKey)
        try endpoint.security.check()
        guard !trimmed(endpoint.model).isEmpty else {
            throw KelterError(
                .settingInvalid,
                "The chat model has no name.",
                subject: "LITELLM_CHAT_MODEL",
                fix: "Give the alias of a chat model of the endpoint."
            )
        }
        self.endpoint = endpoint
        driver = try TransferDriver(
            address: address,
            apiKey: endpoint.apiKey,
            security: endpoint.security,
            timeout: endpoint.timeout,
            connections: endpoint.requestsInFlight
        )
    }

    /// Sends a conversation and returns the model's answer, trimmed.
    ///
    /// 409, 425, 429, 5xx, broken connections and unreadable replies are repeated after a random delay, or after what
    /// `Retry-After` asks for; a timeout is not, since somebody waits. Cancelling the task ends the request.
    ///
    /// - Throws: ``KelterError`` with one of the `chat…` codes, or ``ErrorCode/interrupted`` after a cancellation or
    ///   ``close()``.
    package func complete(_ messages: [ChatMessage]) async throws(KelterError) -> String {
        let body = body(messages)
        let backoff = Backoff(base: endpoint.retryBaseDelay)
        var delayed = Duration.zero
        var attempt = 0
        while true {
            let result = try await driver.send(body, maximumReply: Self.maximumReply).get()
            let failure: (error: KelterError, after: Duration?)
            switch ChatVerdict(result, now: time(nil)) {
            case .answer(let text): return text
            case .failed(let error): throw error
            case .retry(let error, let after): failure = (error, after)
            }
            let delay = failure.after ?? backoff.delay(attempt: attempt, fraction: .random(in: 0...1))
            attempt += 1
            delayed += delay
            guard attempt <= endpoint.retryAttempts, delayed <= endpoint.patience else { throw failure.error }
            do {
                try await Task.sleep(for: delay)
            } catch {
                throw KelterError(.interrupted, "The request was cancelled.")
            }
        }
    }

    /// Ends all requests and the thread; callers that wait fail with ``ErrorCode/interrupted``.
    package func close() {
        driver.close()
    }

    /// `{"model":…,"messages":[{"role":…,"content":…}],"stream":false}`; sampling is left to the model's own settings,
    /// as some models refuse a temperature.
    private func body(_ messages: [ChatMessage]) -> [UInt8] {
        let list = messages.map { message in
            JSONValue.object([("role", .string(message.role.rawValue)), ("content", .string(message.text))])
        }
        return JSONValue.object([
            ("model", .string(endpoint.model)), ("messages", .array(list)), ("stream", .bool(false)),
        ])
        .bytes(indented: false)
    }
}
