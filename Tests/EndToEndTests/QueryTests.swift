import KelterModel
import KelterTestSupport
import Testing

@Suite struct QueryTests {
    /// A world with two documents, the second one of case K-7.
    private func withDocuments(
        _ options: FaultInjectingEndpoint.Options = .init(),
        _ body: (World) async throws -> Void
    ) async throws {
        try await World.with(options) { world in
            let press = try world.write("presse.md", "# Presse\n\nDie Presse wird montags gewartet.\n")
            let wine = try world.write("wein.md", "# Wein\n\nDer Wein wird dienstags abgefüllt.\n")
            try world.write("wein.md.meta.json", #"{"case_id": "K-7", "source": "keller"}"#)
            for path in [press, wine] {
                let upload = try await world.kelter("upload", path, "--json")
                #expect(upload.exitCode == 0, "\(upload.messages)")
            }
            try await body(world)
        }
    }

    private static let chat = ["LITELLM_CHAT_MODEL": "chat-model"]

    @Test func `Without a chat model there are matches and no answer`() async throws {
        try await withDocuments { world in
            let json = try await world.kelter("query", "Wann wird die Presse gewartet?", "--json").json
            #expect(json["answer"] == .null && json["prompt_version"] == .null && json["answer_error"] == nil)
            #expect(
                json.members?.map(\.name) == ["answer", "prompt_version", "retrieval", "snippets", "scope"]
            )
            #expect(json["retrieval"]?["max_candidates_effective"] == .int(100))
            #expect(json["retrieval"]?["visibility_effective"] == .string("active"))
            let first = try #require(json["snippets"]?[0])
            #expect(first["text"]?.string?.contains("montags") == true)
            #expect(first["meta"]?["document_id"]?.string != nil && first["meta"]?["collection_id"] == .null)
            #expect(world.endpoint.log.chats.isEmpty)
        }
    }

    @Test func `With a chat model the answer stands above the matches`() async throws {
        var options = FaultInjectingEndpoint.Options()
        options.chatText = "Montags \u{1B}[31m[1]."
        options.apiKey = "sk-test"
        try await World.with(options) { world in
            let key = ["LITELLM_MASTER_KEY": "sk-test"]
            let path = try world.write("presse.md", "# Presse\n\nDie Presse wird montags gewartet.\n")
            _ = try await world.kelter("upload", path, environment: key)
            let environment = key.merging(Self.chat) { $1 }
            let json = try await world.kelter(
                "query",
                "Wann wird die Presse gewartet?",
                "--json",
                environment: environment
            ).json
            #expect(json["answer"] == .string(options.chatText))
            #expect(json["prompt_version"] == .string("rag-answer-1"))
            let request = try #require(world.endpoint.log.chats.first)
            #expect(request["model"] == .string("chat-model"))
            let user = try #require(request["messages"]?[1]?["content"]?.string)
            #expect(user.contains("montags gewartet") && user.hasSuffix("Wann wird die Presse gewartet?"))

            let text = try await world.kelter("query", "Wann wird die Presse gewartet?", environment: environment)
            let lines = text.output.split(separator: "\n").map(String.init)
            #expect(lines.dropFirst().first == "Montags [31m[1].", "no control character reaches the terminal")
            #expect(lines.contains { $0.hasPrefix("1. ") })
        }
    }

    @Test(arguments: [(401, "CHAT_UNAUTHORISED"), (500, "CHAT_SERVER_ERROR"), (404, "CHAT_REFUSED")])
    func `A chat model that fails takes nothing away from the matches`(status: Int, code: String) async throws {
        var options = FaultInjectingEndpoint.Options()
        options.chatScript = .requests(0..., .status(status))
        try await withDocuments(options) { world in
            let result = try await world.kelter("query", "Presse", "--json", environment: Self.chat)
            #expect(result.exitCode == 0, "\(result.messages)")
            let json = try result.json
            #expect(json["answer"] == .null && json["answer_error"]?["code"] == .string(code))
            #expect(json["snippets"]?.array?.isEmpty == false)
            let text = try await world.kelter("query", "Presse", environment: Self.chat)
            #expect(text.exitCode == 0 && text.output.contains("No answer: \(code)"))
        }
    }

    @Test func `The case filter narrows a search, the case of the call does not`() async throws {
        try await withDocuments { world in
            func found(_ arguments: String...) async throws -> Set<String> {
                let result = try await KelterProcess.run(
                    ["query", "wird", "--json"] + arguments,
                    environment: world.environment
                )
                return Set(try result.json["snippets"]?.array?.compactMap { $0["meta"]?["external_id"]?.string } ?? [])
            }
            let all = try await found()
            #expect(all.count == 2)
            #expect(try await found("--case", "K-7") == all)
            #expect(try await found("--case-filter", "K-7").count == 1)
            #expect(try await found("--case-filter", "K-8").isEmpty)
            let bad = try await world.kelter("query", "wird", "--case-filter", "a b", "--json")
            #expect(bad.exitCode == 2)
        }
    }

    @Test func `A chat model without an endpoint of one's own is refused at once`() async throws {
        try await World.with { world in
            let result = try await KelterProcess.run(
                ["query", "x", "--json"],
                environment: ["KELTER_HOME": world.home, "LITELLM_CHAT_MODEL": "chat-model"]
            )
            #expect(result.exitCode == 2)
            #expect(try result.json["error"]?["code"] == .string("SETTING_INVALID"))
        }
    }
}
