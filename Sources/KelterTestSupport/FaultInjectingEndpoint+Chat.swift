import KelterLocal
import KelterModel

extension FaultInjectingEndpoint {
    /// A reply of `POST /chat/completions` with the text, in the order of members LiteLLM uses.
    static func chatReply(model: String, text: String) -> [UInt8] {
        JSONValue.object([
            ("id", .string("chatcmpl-test")), ("created", .int(1_800_000_000)), ("model", .string(model)),
            ("object", .string("chat.completion")),
            (
                "choices",
                .array([
                    .object([
                        ("finish_reason", .string("stop")), ("index", .int(0)),
                        ("message", .object([("content", .string(text)), ("role", .string("assistant"))])),
                    ])
                ])
            ),
            ("usage", .object([("prompt_tokens", .int(70)), ("completion_tokens", .int(7))])),
        ])
        .bytes(indented: false)
    }

    /// Answers a chat request; `nil` for a body without model and messages.
    static func chatAnswer(_ body: JSONValue, text: String, fault: Fault?) -> LoopbackHTTPServer.Response? {
        guard let model = body["model"]?.string, let messages = body["messages"]?.array, !messages.isEmpty,
            messages.allSatisfy({ $0["role"]?.string != nil && $0["content"]?.string != nil })
        else { return nil }
        let reply = chatReply(model: model, text: text)
        return fault.map { $0.response(reply) } ?? LoopbackHTTPServer.Response(body: reply)
    }
}
