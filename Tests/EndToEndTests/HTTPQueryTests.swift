import Foundation
import KelterModel
import KelterTestSupport
import Testing

/// Queries over HTTP: scope, filters, options, visibility, answers, and what the log says of them.
///
/// One after the other: each test starts servers of its own, and all at once would starve each other.
@Suite("HTTP: queries", .serialized)
struct HTTPQueryTests {
    private let first = "6f1c1d9e-0d5a-4b7e-9a53-2f1f6f0f7c11"
    private let second = "a1b2c3d4-0000-4000-8000-000000000001"

    @Test("scope, filters, hybrid options and visibility do what the contract says")
    func queries() async throws {
        try await World.with { world in
            try await world.registerTenants()
            let password = ["DJANGO_SUPERUSER_PASSWORD": "admin123"]
            let created = try await world.kelter(
                "create-tenant-superuser",
                "--schema=dev",
                "--username=admin",
                "--email=a@b.c",
                environment: password
            )
            #expect(created.exitCode == 0, "\(created.messages)")
            try await HTTPServerProcess.with(world, ["--log-format", "json", "--log-level", "debug"]) { server in
                for (name, collection, caseID, docClass) in [
                    ("one", first, "c1", "manual"), ("two", second, "c1", "letter"), ("three", second, "c2", "manual"),
                ] {
                    let metadata =
                        #"{"external_id": "\#(name)", "collection_id": "\#(collection)", "doc_class": "\#(docClass)"}"#
                    let run = try await server.ingest(
                        "\(name).txt",
                        "The heliotrope number \(name).",
                        metadata: metadata,
                        headers: ["X-Case-ID": caseID]
                    )
                    #expect(run["status"] == .string("succeeded"))
                }
                func found(_ body: String, headers: [String: String?] = [:]) async throws -> [String] {
                    let answer = try await server.post("/v1/ai/rag/query/", JSONReader.read(body), headers: headers)
                    if answer.code == "rag_no_matches" { return [] }
                    guard answer.status == 200 else { return ["\(answer.status) \(answer.code ?? "")"] }
                    return (answer.json["snippets"]?.array ?? []).compactMap { $0["meta"]?["external_id"]?.string }
                        .sorted()
                }
                let ask = #""question": "heliotrope number""#
                let cases: [(String, [String: String?], [String])] = [
                    ("{\(ask)}", [:], ["one", "three", "two"]),
                    ("{\(ask)}", ["X-Collection-ID": first], ["one"]),
                    (
                        #"{"query": "heliotrope number", "collection_id": "\#(second)"}"#, ["X-Collection-ID": first],
                        ["three", "two"]
                    ),
                    (
                        #"{\#(ask), "collection_id": "\#(first)", "filters": {"collection_id": "\#(second)"}}"#, [:],
                        ["three", "two"]
                    ),
                    (
                        #"{\#(ask), "filters": {"collection_ids": ["\#(first)"], "collection_id": "\#(second)"}}"#, [:],
                        ["one"]
                    ),
                    (
                        #"{\#(ask), "filters": {"collection_ids": ["\#(first)"], "case_id": "c2"}}"#, [:],
                        ["one", "three"]
                    ),
                    (#"{\#(ask), "filters": {"case_id": "c1", "doc_class": "Manual"}}"#, [:], ["one"]),
                    (#"{\#(ask), "filters": {"external_id": "two"}}"#, [:], ["two"]),
                    (#"{\#(ask), "filters": {"case_id": "nobody"}}"#, [:], []),
                    (#"{\#(ask), "hybrid": {"top_k": 1}, "filters": {"external_id": "two"}}"#, [:], ["two"]),
                    (#"{\#(ask), "hybrid": {"alpha": 2}}"#, [:], ["400 validation_error"]),
                    (#"{\#(ask), "hybrid": {"unknown": 1}}"#, [:], ["400 validation_error"]),
                    (#"{\#(ask), "filters": {"collectionids": []}}"#, [:], ["400 validation_error"]),
                    (#"{\#(ask), "filters": {"collection_ids": "x"}}"#, [:], ["400 invalid_collection_ids"]),
                    (#"{"question": " "}"#, [:], ["400 missing_question"]), ("{}", [:], ["400 missing_question"]),
                ]
                for (body, headers, expected) in cases {
                    #expect(try await found(body, headers: headers) == expected, "\(body)")
                }
                let answer = try await server.query("heliotrope number")
                #expect(
                    answer.json.members?.map(\.name) == [
                        "answer", "prompt_version", "retrieval", "snippets", "scope", "trace_id", "idempotent",
                    ]
                )
                #expect(answer.json["answer"] == .null)
                let list = try await server.post("/ai/rag/query/", .array([]))
                #expect(list.code == "validation_error")

                _ = try await world.rows("UPDATE rag.documents SET deleted_at = now() WHERE external_id = 'one'")
                let admin = "Basic " + Data("admin:admin123".utf8).base64EncodedString()
                let deleted = #"{\#(ask), "visibility": "deleted"}"#
                #expect(try await found(deleted) == ["three", "two"], "silently active without the right")
                #expect(try await found(deleted, headers: ["Authorization": admin]) == ["one"])
                let blocked = try await server.query("heliotrope number")
                #expect(blocked.json["retrieval"]?["deleted_matches_blocked"] == .number("1"))

                let log = server.process.messagesSoFar
                #expect(!log.contains("heliotrope"), "no text of documents or questions")
                #expect(!log.contains("admin123"))
                let lines = log.split(separator: "\n").compactMap { try? JSONReader.read(String($0)) }
                let line = lines.last { $0["route"]?.string == "/v1/ai/rag/query/" }
                #expect(line?["trace_id"]?.string == blocked.json["trace_id"]?.string)
                #expect(line?["tenant"] == .string("dev-tenant"))
                #expect(line?["case"] == .string("local"))
                #expect(lines.contains { $0["collection"]?.string == first })
            }
        }
    }

    @Test("with a chat model the answer cites the snippets; without its service the search is not lost")
    func answers() async throws {
        var options = FaultInjectingEndpoint.Options()
        options.chatScript = .init { $0 == 0 ? nil : .status(400) }
        try await World.with(options) { world in
            try await world.registerTenants()
            try await HTTPServerProcess.with(
                world,
                environment: ["LITELLM_CHAT_MODEL": "chat", "RAG_RETRY_ATTEMPTS": "1"]
            ) { server in
                _ = try await server.ingest("n.txt", "The number is seven.", metadata: #"{"title": "Numbers"}"#)
                let answer = try await server.query("number")
                #expect(answer.json["answer"]?.string?.contains("[1]") == true, "\(answer.text)")
                #expect(answer.json["prompt_version"]?.string?.isEmpty == false)
                let asked = try #require(world.endpoint.log.chats.first)
                #expect(asked.compactText.contains("The number is seven."))
                #expect(asked.compactText.contains("number"))
                let failed = try await server.query("number")
                #expect(failed.status == 200)
                #expect(failed.json["answer"] == .null)
                #expect(failed.json["answer_error"]?["code"]?.string?.isEmpty == false, "\(failed.text)")
                #expect(failed.json["snippets"]?.array?.count == 1)
            }
        }
    }
}
