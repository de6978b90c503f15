import KelterModel
import KelterStore
import KelterTestSupport
import Synchronization
import Testing

/// Searches in more documents than are compared one by one: 500.
@Suite("Searching through the indexes")
struct SearchIndexTests {
    private let tenant = Fixture.tenant

    /// 2,400 near documents of class `nah` and 700 far ones of class `fern`, all with one chunk.
    private func write(to store: Store, seed: UInt64 = 1) async throws {
        var generator = Seeded(state: seed)
        for (docClass, count, axis) in [("nah", 2_400, 0), ("fern", 700, 4)] {
            let group = (0..<count).map { number in
                let text = "\(docClass) \(number)"
                var values = (0..<8).map { _ in Float.random(in: -0.3...0.3, using: &generator) }
                values[axis] += 1
                let vector = (try? UnitVector(normalising: values, dimension: 8)) ?? .empty
                var item = Fixture.item(text, text, content: [Fixture.chunk(0, text, vector: vector)])
                item.attributes.docClass = docClass
                return item
            }
            _ = try await store.write(group, run: nil, tenant: tenant)
        }
        try await store.runScript("ANALYZE rag.documents; ANALYZE rag.chunks; ANALYZE rag.embeddings")
    }

    /// How often the vector index was read; the statistics of one connection are those of its own statements at once.
    private func scans(_ store: Store) async throws -> Int {
        _ = try await store.rows("SELECT pg_stat_force_next_flush()")
        return try await store.count(
            "SELECT idx_scan FROM pg_stat_user_indexes WHERE indexrelname = 'embeddings_embedding_hnsw'"
        ) ?? -1
    }

    @Test("a filter that only far documents pass gets its top_k from the index")
    func filtered() async throws {
        try await TemporaryDatabase.with { database in
            try await write(to: database.store)
            let store = try database.store()
            for topK in [1, 5, 10] {
                let before = try await scans(store)
                var request = SearchRequest(vector: Fixture.axis(0).values, text: "", minSimilarity: 0, topK: topK)
                request.filters.docClass = "fern"
                let result = try await store.search(request, tenant: tenant)
                #expect(try await scans(store) > before)
                #expect(result.matches.count == topK)
                #expect(result.matches.allSatisfy { $0.externalID.hasPrefix("fern") })
                #expect(result.vectorCandidates == 50)
                // The index is approximate: nearly all of the best, in the right order.
                let reference = try await SearchReference(store, tenant: tenant, vector: request.vector, text: "")
                let best = reference.result(request).chunks
                #expect(result.matches.filter { best.contains($0.chunkID) }.count >= topK * 8 / 10)
                #expect(result.matches.map(\.score) == result.matches.map(\.score).sorted(by: >))
            }
            await store.close()
        }
    }

    @Test("an index scan that gives up too early is completed by comparing all")
    func givesUp() async throws {
        try await TemporaryDatabase.with { database in
            try await write(to: database.store)
            try await database.store.runScript(
                "ALTER DATABASE \(database.name) SET hnsw.max_scan_tuples = 1; "
                    + "ALTER DATABASE \(database.name) SET hnsw.scan_mem_multiplier = 1"
            )
            let store = try database.store()
            let before = try await scans(store)
            var request = SearchRequest(vector: Fixture.axis(0).values, text: "", minSimilarity: 0, topK: 10)
            request.filters.docClass = "fern"
            request.efSearch = 1
            let result = try await store.search(request, tenant: tenant)
            #expect(try await scans(store) > before)
            let reference = try await SearchReference(store, tenant: tenant, vector: request.vector, text: "")
            #expect(result.matches.map(\.chunkID) == reference.result(request).chunks)
            await store.close()
        }
    }

    @Test("equal scores come in the same order every time, from the index or without it", arguments: [300, 900])
    func equalScores(_ count: Int) async throws {
        try await TemporaryDatabase.with { database in
            let store = database.store
            let group = (0..<count).map { number in
                Fixture.item(
                    "d\(number)",
                    "Wein \(number)",
                    content: [
                        Fixture.chunk(0, "Wein", vector: Fixture.axis(number % 2)),
                        Fixture.chunk(1, "Wein", vector: Fixture.axis(number % 2)),
                    ]
                )
            }
            _ = try await store.write(group, run: nil, tenant: tenant)
            try await store.runScript("ANALYZE rag.documents; ANALYZE rag.chunks; ANALYZE rag.embeddings")
            let request = SearchRequest(vector: Fixture.axis(0).values, text: "Wein", topK: 10)
            let first = try await store.search(request, tenant: tenant).matches
            #expect(first.count == 10 && Set(first.map(\.score)).count == 1)
            let places = first.map { ($0.documentID, $0.ordinal) }
            #expect(zip(places, places.dropFirst()).allSatisfy { $0 < $1 })
            for _ in 0..<5 {
                #expect(try await store.search(request, tenant: tenant).matches.map(\.chunkID) == first.map(\.chunkID))
            }
            // Another physical order of the same rows changes nothing.
            try await store.runScript(
                """
                CREATE INDEX by_text ON rag.chunks (md5(id::text)); CLUSTER rag.chunks USING by_text;
                CREATE INDEX by_chunk ON rag.embeddings (md5(chunk_id::text)); CLUSTER rag.embeddings USING by_chunk
                """
            )
            let again = try await store.search(request, tenant: tenant).matches
            if count <= 500 {
                #expect(again.map(\.chunkID) == first.map(\.chunkID))
            } else {
                // Which of equally near chunks the new index gives is its choice; their order is not.
                let places = again.map { ($0.documentID, $0.ordinal) }
                #expect(again.count == 10 && zip(places, places.dropFirst()).allSatisfy { $0 < $1 })
            }
        }
    }

    @Test("a misspelt word is found among thousands of texts, and always the same ones")
    func misspelt() async throws {
        try await TemporaryDatabase.with { database in
            let store = database.store
            // Every text resembles the question a little; only the last one has its word.
            let texts = (0..<3_000).map { "Nummer \($0): Trauben, Volk und Ernte am Rhein" }
            let group = (texts + ["Der Traubenvollernter fährt."]).enumerated().map { number, text in
                Fixture.item("d\(number)", text, language: "de", content: [Fixture.chunk(0, text)])
            }
            _ = try await store.write(group, run: nil, tenant: tenant)
            try await store.runScript("ANALYZE rag.documents; ANALYZE rag.chunks; ANALYZE rag.embeddings")
            let request = SearchRequest(vector: nil, text: "Traubenvolernter")
            let result = try await store.search(request, tenant: tenant)
            #expect(result.matches.first?.externalID == "d3000")
            let again = try await store.search(request, tenant: tenant)
            #expect(result.matches.map(\.chunkID) == again.matches.map(\.chunkID))
            await store.close()
        }
    }

    @Test("a dash between words is punctuation, one in front of a word excludes it")
    func dashes() async throws {
        try await TemporaryDatabase.with { database in
            let texts = ["Der Einspruch hat eine Frist.", "Ein Einspruch ohne Eile."]
            let group = texts.enumerated().map { number, text in
                Fixture.item("d\(number)", text, language: "de", content: [Fixture.chunk(0, text)])
            }
            _ = try await database.store.write(group, run: nil, tenant: tenant)
            func found(_ text: String) async throws -> [String] {
                let request = SearchRequest(vector: nil, text: text)
                return try await database.store.search(request, tenant: tenant).matches.map(\.externalID)
            }
            #expect(try await found("Einspruch - Frist") == ["d0", "d1"])
            #expect(try await found("Einspruch -- Frist") == ["d0", "d1"])
            #expect(try await found("Einspruch -Frist") == ["d1"])
        }
    }

    @Test(
        "a date or an identifier in the question excludes nothing, in whatever language the text is",
        arguments: [nil, "de", "en"] as [String?]
    )
    func signedNumbers(_ language: String?) async throws {
        try await TemporaryDatabase.with { database in
            let between = (0..<60).map { "Wort\($0)" }.joined(separator: " ")
            let text =
                "Sitzung \(between) 2026-11-24 \(between) Kennung \(between) 01a20fa9-7390-4390-8390-000000000012"
            let item = Fixture.item("d", text, language: language, content: [Fixture.chunk(0, text)])
            _ = try await database.store.write([item], run: nil, tenant: tenant)
            for question in ["Sitzung 2026-11-24", "Kennung 01a20fa9-7390-4390-8390-000000000012", "2026-11-24"] {
                let request = SearchRequest(vector: nil, text: question)
                let found = try await database.store.search(request, tenant: tenant).matches.map(\.externalID)
                #expect(found == ["d"], "\(question)")
            }
        }
    }

    @Test("a search sees one generation of a document, whatever is written meanwhile")
    func oneGeneration() async throws {
        try await TemporaryDatabase.with { database in
            let store = database.store
            let item = { (generation: Int) in
                let content = (0..<4).map { Fixture.chunk($0, "Wein \(generation)", vector: Fixture.axis(0)) }
                return Fixture.item("a", "Wein \(generation)", content: content)
            }
            _ = try await store.write([item(0)], run: nil, tenant: tenant)
            let isDone = Mutex(false)
            async let generations: Int = {
                var generation = 1
                while !isDone.withLock({ $0 }) {
                    _ = try await store.write([item(generation)], run: nil, tenant: tenant)
                    generation += 1
                }
                return generation
            }()
            let request = SearchRequest(vector: Fixture.axis(0).values, text: "Wein", topK: 10)
            for _ in 0..<300 {
                let matches = try await store.search(request, tenant: tenant).matches
                #expect(matches.count == 4 && Set(matches.map(\.text)).count == 1)
            }
            isDone.withLock { $0 = true }
            #expect(try await generations > 10)
        }
    }
}
