import Foundation
import KelterHashing
import KelterLocal
import KelterModel
import KelterStore
import KelterTestSupport
import Testing

/// The demo as a test: the embedded PostgreSQL, the embedded model and the samples.
@Suite(.serialized) struct SamplesTests {
    private struct Question: Decodable {
        let question: String
        let answer_file: String
    }

    private static let repository = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent()
    private let samples = Self.repository.appending(path: "Samples").path

    /// A home of its own with the embedded services, stopped and removed at the end.
    private func withHome(_ body: ([String: String]) async throws -> Void) async throws {
        let home = FileManager.default.temporaryDirectory.appending(path: "kelter-samples-\(UUID().uuidString)").path
        let environment = ["KELTER_HOME": home, "KELTER_PARTS": TestServer.partsDirectory]
        let result: Result<Void, any Error>
        do { result = .success(try await body(environment)) } catch { result = .failure(error) }
        let down = try await KelterProcess.run(["down"], environment: environment)
        #expect(down.exitCode == 0, "\(down.messages)")
        try FileManager.default.removeItem(atPath: home)
        try result.get()
    }

    @Test func `Samples become searchable, a second run sends nothing, and the data outlives the servers`() async throws
    {
        try await withHome { environment in
            func kelter(_ arguments: String...) async throws -> KelterProcess.Result {
                try await KelterProcess.run(arguments, environment: environment)
            }
            #expect(try await kelter("status", "--json").json["postgres"]?["running"] == .bool(false))

            // `ingest` starts what it needs.
            let first = try await kelter("ingest", samples, "--json")
            #expect(first.exitCode == 0, "\(first.messages)")
            let report = try first.json
            #expect(report["outcomes"]?["inserted"] == .int(24) && report["found"] == .int(24))
            #expect(report["balanced"] == .bool(true))
            #expect(report["embeddings"] == report["chunks"] && report["embeddings_empty"] == .int(0))
            // One file is in two collections and embedded once.
            #expect((report["embedding_inputs"]?.int ?? 0) < (report["chunks"]?.int ?? 0))

            let second = try await kelter("ingest", samples, "--json").json
            #expect(second["outcomes"]?["unchanged"] == .int(24))
            #expect(second["embedding_requests"] == .int(0) && second["embedding_inputs"] == .int(0))

            try await checkStorage(environment)
            try await askQuestions(environment)

            #expect(try await kelter("down", "--json").json["embeddings"]?["running"] == .bool(false))
            let up = try await kelter("up", "--json").json
            #expect(up["postgres"]?["running"] == .bool(true) && up["embeddings"]?["running"] == .bool(true))
            #expect(up["postgres"]?["version"]?.string?.hasPrefix("18.") == true)
            #expect(up["embeddings"]?["dimension"] == .int(384))
            let third = try await kelter("ingest", samples, "--json").json
            #expect(third["outcomes"]?["unchanged"] == .int(24))
        }
    }

    private func checkStorage(_ environment: [String: String]) async throws {
        let status = try await KelterProcess.run(["status", "--json"], environment: environment).json
        let url = try #require(status["postgres"]?["url"]?.string)
        let store = try Store(configuration: StoreConfiguration(url: url, dimension: 384, poolSize: 1))
        try await IndependentCheck(store, documents: samples).run()
        // Raw bytes of every file, by name: hash and scope as the sidecar says.
        let hashes = Set(try await store.rows("SELECT hash FROM rag.documents").compactMap { $0[0] })
        let files = try #require(FileManager.default.enumerator(atPath: samples)).compactMap { $0 as? String }
        var expected: Set<String> = []
        for file in files where !file.hasSuffix(".meta.json") {
            let path = samples + "/" + file
            guard let bytes = FileManager.default.contents(atPath: path), !bytes.isEmpty else { continue }
            expected.insert(try SHA256.hash([UInt8](bytes)).hex)
        }
        #expect(hashes == expected && expected.count == 23)
        // Where a chunk is found in its file, in the terms of the file.
        let places = try await store.rows(
            """
            SELECT d.external_id, c.metadata->>'page', c.metadata->>'slide', c.metadata->>'row', c.metadata->>'section_path'
            FROM rag.chunks c JOIN rag.documents d ON d.id = c.document_id
            WHERE d.external_id IN ('pdf/garantie.pdf', 'office/visitor-safety.pptx', 'data/weinlese.csv')
                AND c.ordinal = 0 ORDER BY 1
            """
        )
        #expect(places.map { $0[3] } == ["1", nil, nil])
        #expect(places.map { $0[2] } == [nil, "1", nil])
        #expect(places.map { $0[1] } == [nil, nil, "1"])
        let tenant = try await store.rows("SELECT DISTINCT tenant_id FROM rag.documents")
        #expect(tenant == [[try Tenant("dev-tenant").rowID.description]])
        await store.close()
    }

    private func askQuestions(_ environment: [String: String]) async throws {
        let file = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "Fixtures/questions.json")
        let questions = try JSONDecoder().decode([Question].self, from: Data(contentsOf: file))
        #expect(questions.count == 11)
        for question in questions {
            let result = try await KelterProcess.run(["query", question.question, "--json"], environment: environment)
            #expect(result.exitCode == 0, "\(result.messages)")
            let snippets = try result.json["snippets"]?.array ?? []
            let citation = snippets.first?["citation"]?.string ?? ""
            let hash = snippets.first?["hash"]?.string
            let bytes = try Data(contentsOf: URL(filePath: samples + "/" + question.answer_file))
            #expect(hash == (try SHA256.hash([UInt8](bytes))).hex, "\(question.question) was answered by \(citation)")
            let scores = snippets.compactMap { $0["score"]?.double }
            #expect(scores == scores.sorted(by: >) && scores.count == snippets.count)
        }
        // Only the asked collection answers, whatever a header says.
        let hr = "7b1d0c52-6a3e-4f18-9c47-2e5a8d90b314"
        let scoped = try await KelterProcess.run(
            [
                "query", "Wie wird die Presse gewartet?", "--collections", hr, "--header",
                "X-Collection-ID: c4e82f6b-15d7-4a09-b3f2-9d6071e8ac25", "--json",
            ],
            environment: environment
        ).json
        #expect(scoped["scope"]?["ignored"] == .array([.string("header")]))
        let collections = scoped["snippets"]?.array?.compactMap { $0["meta"]?["collection_id"]?.string } ?? []
        #expect(!collections.isEmpty && Set(collections) == [hr])
    }
}
