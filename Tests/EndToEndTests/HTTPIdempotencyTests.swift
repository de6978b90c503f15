import Foundation
import Glibc
import KelterModel
import KelterTestSupport
import Testing

/// `Idempotency-Key`: one request, one effect, one answer.
///
/// One after the other: each test starts servers of its own, and all at once would starve each other.
@Suite("HTTP: idempotency keys", .serialized)
struct HTTPIdempotencyTests {
    /// The body of a first answer as its repetitions must have it.
    private func repeated(_ answer: HTTPAnswer) -> String {
        answer.text.replacingOccurrences(of: #""idempotent":false"#, with: #""idempotent":true"#)
    }

    @Test("an upload is repeated byte for byte, also after a restart; another request with its key is refused")
    func replay() async throws {
        try await World.with { world in
            try await world.registerTenants()
            let key = ["Idempotency-Key": "upload-1"]
            var first: HTTPAnswer?
            try await HTTPServerProcess.with(world) { server in
                let answer = try await server.upload("a.txt", "Alpha.", headers: key)
                first = answer
                #expect(answer.status == 202)
                #expect(answer.headers["idempotency-key"] == "upload-1")
                #expect(answer.json["idempotent"] == .bool(false))
                let again = try await server.upload("a.txt", "Alpha.", headers: key)
                #expect(again.status == 202)
                #expect(again.text == repeated(answer))
                #expect(again.headers["x-trace-id"] != again.json["trace_id"]?.string)
                for change in [
                    try await server.upload("a.txt", "Beta.", headers: key),
                    try await server.upload("b.txt", "Alpha.", headers: key),
                    try await server.upload("a.txt", "Alpha.", metadata: "{}", headers: key),
                    try await server.upload("a.txt", "Alpha.", headers: key.merging(["X-Case-ID": "other"]) { $1 }),
                    try await server.upload(
                        "a.txt",
                        "Alpha.",
                        headers: key.merging(["X-Collection-ID": "6f1c1d9e-0d5a-4b7e-9a53-2f1f6f0f7c11"]) { $1 }
                    ),
                ] {
                    #expect(change.status == 409)
                    #expect(change.code == "idempotency_key_reused")
                }
            }
            let answer = try #require(first)
            try await HTTPServerProcess.with(world) { server in
                let later = try await server.upload("a.txt", "Alpha.", headers: key)
                #expect(later.text == repeated(answer))
                // The key belongs to the route: a query may have the same.
                _ = try await server.finished(try #require(answer.json["ingestion_run_id"]?.string))
                let question = try await server.query("Alpha", headers: key)
                #expect(question.status == 200, "\(question.text)")
                #expect(try await server.query("Alpha", headers: key).text == repeated(question))
                let reused = try await server.query("Beta", headers: key)
                #expect(reused.code == "idempotency_key_reused")
            }
            #expect(try await world.count("SELECT count(*) FROM rag.runs") == 1)
            #expect(!world.objects.contains { $0.hasPrefix(".incoming") }, "\(world.objects)")
        }
    }

    @Test("of two requests at once one is carried out and both get its answer")
    func concurrent() async throws {
        try await World.with { world in
            try await world.registerTenants()
            try await HTTPServerProcess.with(world) { server in
                for round in 0..<5 {
                    let key = ["Idempotency-Key": "round-\(round)"]
                    let answers = try await withThrowingTaskGroup(of: HTTPAnswer.self) { group in
                        for _ in 0..<4 {
                            group.addTask { try await server.upload("a.txt", "Text of round \(round).", headers: key) }
                        }
                        return try await group.reduce(into: []) { $0.append($1) }
                    }
                    #expect(answers.allSatisfy { $0.status == 202 }, "\(answers.map(\.text))")
                    #expect(Set(answers.map { $0.json["ingestion_run_id"]?.string }).count == 1)
                    #expect(answers.count { $0.json["idempotent"] == .bool(false) } == 1)
                    #expect(Set(answers.map(repeated)).count == 1)
                }
                #expect(try await world.count("SELECT count(*) FROM rag.runs") == 5)
            }
        }
    }

    @Test("a refused request leaves its key free; a killed one holds it only for a time")
    func released() async throws {
        try await World.with { world in
            try await world.registerTenants()
            try await HTTPServerProcess.with(world) { server in
                let key = ["Idempotency-Key": "k"]
                #expect(try await server.upload("a.txt", "A", metadata: "{", headers: key).status == 400)
                #expect(try await server.query("Nothing", headers: key).code == "rag_no_matches")
                let corrected = try await server.upload("a.txt", "Words.", metadata: "{}", headers: key)
                #expect(corrected.status == 202)
                _ = try await server.finished(try #require(corrected.json["ingestion_run_id"]?.string))
                #expect(try await server.query("Words", headers: key).status == 200)
                // As a request whose process was killed leaves it.
                _ = try await world.rows(
                    "UPDATE rag.idempotency_keys SET status = NULL, body = NULL, locked_until = now() - interval '1 s'"
                )
                let taken = try await server.query("Words", headers: key)
                #expect(taken.status == 200)
                #expect(taken.json["idempotent"] == .bool(false))
            }
        }
    }
}
