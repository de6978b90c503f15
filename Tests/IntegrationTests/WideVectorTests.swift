import KelterModel
import KelterStore
import KelterTestSupport
import Testing

/// Vectors that pgvector cannot index as they are: the index holds them in half precision.
@Suite("Vectors of more than 2000 dimensions", .timeLimit(.minutes(3)))
struct WideVectorTests {
    private let tenant = Fixture.tenant

    @Test("their schema is applied twice without a change, with an index of half-precision values")
    func idempotent() async throws {
        try await TemporaryDatabase.with(dimension: 3072) { database in
            let listing = """
                SELECT oid, relname, reloptions FROM pg_class WHERE relnamespace = 'rag'::regnamespace ORDER BY 1
                """
            let before = try await database.store.rows(listing)
            #expect(try await database.store.applySchema() == [])
            #expect(try await database.store.rows(listing) == before)
            #expect(try await database.store.schemaPresence() == .present(dimension: 3072))
            #expect(try await database.storage() == ["e", "{parallel_workers=16}"])
            #expect(
                try await database.indexDefinition()
                    == "USING hnsw (((embedding)::halfvec(3072)) halfvec_cosine_ops) WITH (m='32', ef_construction='200')"
            )
            let printed = try StoreSchema.sql(schema: "rag", dimension: 3072)
            #expect(printed.contains("USING hnsw ((embedding::public.halfvec(3072)) public.halfvec_cosine_ops)"))
        }
    }

    @Test("up to 2000 dimensions the vector itself is indexed and lies in the row, from 2001 on it does not")
    func border() async throws {
        try await TemporaryDatabase.with(dimension: 2000) { database in
            let other = try database.store(dimension: 2001, schema: "wide")
            try await other.applySchema()
            #expect(try await database.storage() == ["p", nil])
            #expect(try await database.indexDefinition()?.hasPrefix("USING hnsw (embedding vector_cosine_ops)") == true)
            #expect(try await database.storage(schema: "wide")?.first == "e")
            #expect(
                try await database.indexDefinition(schema: "wide")?.contains("halfvec(2001)) halfvec_cosine_ops")
                    == true
            )
            await other.close()
        }
    }

    @Test("stored vectors keep every bit and a length of 1 within 1e-6, and a search scores them exactly")
    func written() async throws {
        try await TemporaryDatabase.with(dimension: 3072) { database in
            var vectors: [RowID: [Float]] = [:]
            let group = try (0..<40).map { number in
                let values = try WideVectorFixture.question(number, dimension: 3072)
                let chunk = Fixture.chunk(0, "Text \(number)", vector: .unit(values))
                let item = Fixture.item("d\(number)", "\(number)", content: [chunk])
                vectors[item.newDocumentID] = values
                return item
            }
            let results = try await database.store.write(group, run: nil, tenant: tenant)
            #expect(results.map(\.embeddings) == Array(repeating: 1, count: 40))
            let longest = "SELECT count(*) FROM rag.embeddings WHERE abs(vector_norm(embedding) - 1) <= 1e-6"
            #expect(try await database.store.count(longest) == 40)

            var request = SearchRequest(vector: try WideVectorFixture.question(7, dimension: 3072), text: "")
            (request.alpha, request.minSimilarity, request.topK) = (1, 0, 40)
            let result = try await database.store.search(request, tenant: tenant)
            #expect(result.matches.count == 40 && result.matches.first?.externalID == "d7")
            for match in result.matches {
                let written = try #require(vectors[match.documentID])
                #expect(try await database.vector(of: match.chunkID) == written)
                let exact = max(0, WideVectorFixture.similarity(written, request.vector ?? []))
                #expect(abs(match.vectorScore - exact) <= 1e-6)
            }
        }
    }

    @Test("a search in many documents goes through the index, with the scores of the stored vectors")
    func indexed() async throws {
        try await WideVectorFixture.with(documents: 1_000) { database in
            let store = try database.store()
            func scans() async throws -> Int {
                _ = try await store.rows("SELECT pg_stat_force_next_flush()")
                let name = "embeddings_embedding_hnsw"
                let sql = "SELECT idx_scan FROM pg_stat_user_indexes WHERE indexrelname = '\(name)'"
                return try await store.count(sql) ?? -1
            }
            var found = 0
            var halves = 0
            for group in 0..<5 {
                let vector = try WideVectorFixture.question(group)
                // So few candidates that the planner takes the index for a thousand rows already.
                var request = SearchRequest(vector: vector, text: "", alpha: 1, minSimilarity: 0, topK: 10)
                (request.vectorLimit, request.efSearch) = (20, 20)
                let before = try await scans()
                let matches = try await store.search(request, tenant: tenant).matches
                #expect(try await scans() > before)
                #expect(matches.count == 10 && matches.map(\.score) == matches.map(\.score).sorted(by: >))
                let best = try await SearchReference(store, tenant: tenant, vector: vector, text: "").result(request)
                found += matches.count { best.chunks.contains($0.chunkID) }
                for match in matches {
                    let stored = try await database.vector(of: match.chunkID)
                    let exact = WideVectorFixture.similarity(stored, vector)
                    #expect(abs(match.vectorScore - exact) <= 1e-6)
                    let half = zip(stored, vector).map { (Float(Float16($0)), Float(Float16($1))) }
                    let rounded = WideVectorFixture.similarity(half.map(\.0), half.map(\.1))
                    if abs(match.vectorScore - rounded) > 1e-6 { halves += 1 }
                }
            }
            #expect(found >= 45)
            // Scores of the index itself would differ from nearly none of these.
            #expect(halves > 25)
            await store.close()
        }
    }

    @Test("the planner chooses the index for the order that searches ask for, and only for that")
    func plan() async throws {
        try await WideVectorFixture.with(documents: 1_500) { database in
            func plan(_ order: String) async throws -> String {
                let sql = "EXPLAIN SELECT chunk_id FROM rag.embeddings ORDER BY \(order) LIMIT 50"
                return try await database.store.rows(sql).compactMap { $0.first ?? nil }.joined(separator: "\n")
            }
            let vector = "'\(try WideVectorFixture.question(1))'::vector"
            let half = try await plan("(embedding::halfvec(2048)) <=> \(vector)::halfvec(2048)")
            #expect(half.contains("Index Scan using embeddings_embedding_hnsw on embeddings"), "\(half.prefix(300))")
            let exact = try await plan("embedding <=> \(vector)")
            #expect(!exact.contains("embeddings_embedding_hnsw"))
        }
    }

    @Test("4000 dimensions are stored, indexed and found")
    func widest() async throws {
        try await TemporaryDatabase.with(dimension: 4000) { database in
            let group = try (0..<3).map { number in
                let values = try WideVectorFixture.question(number, dimension: 4000)
                return Fixture.item("d\(number)", "\(number)", content: [Fixture.chunk(0, "t", vector: .unit(values))])
            }
            _ = try await database.store.write(group, run: nil, tenant: tenant)
            #expect(try await database.indexDefinition()?.contains("halfvec(4000)) halfvec_cosine_ops") == true)
            let question = try WideVectorFixture.question(2, dimension: 4000)
            let result = try await database.store.search(SearchRequest(vector: question, text: ""), tenant: tenant)
            #expect(result.matches.first?.externalID == "d2")
        }
    }

    @Test("4001 dimensions are refused before anything is created, and the limit is named")
    func tooWide() async throws {
        try await TemporaryDatabase.with { database in
            let wide = try database.store(dimension: 4001, schema: "wide")
            let apply = await #expect(throws: KelterError.self) { try await wide.applySchema() }
            let standby = await #expect(throws: KelterError.self) {
                try await database.store.createStandby(StandbySpace(model: "m", dimension: 4001))
            }
            for error in [apply, standby] {
                #expect(error?.code == .settingInvalid && error?.subject == "EMBEDDINGS_DIM")
                #expect(error?.message.contains("4001 dimensions") == true)
                #expect(error?.message.contains("ends at 4000") == true && error?.fix?.contains("1 to 4000") == true)
            }
            let schemas = "SELECT count(*) FROM pg_namespace WHERE nspname IN ('wide', 'rag_standby')"
            #expect(try await database.store.count(schemas) == 0)
            await wide.close()
        }
    }

    @Test("a pgvector without half precision is refused for them, with the version that has it, and for no others")
    func oldExtension() async throws {
        try await TemporaryDatabase.with(dimension: 2500) { database in
            try await database.store.runScript("UPDATE pg_extension SET extversion = '0.6.2' WHERE extname = 'vector'")
            let apply = await #expect(throws: KelterError.self) { try await database.store.applySchema() }
            let rebuild = await #expect(throws: KelterError.self) {
                try await database.store.rebuildVectorIndex(IndexRequest(allowsFallback: true))
            }
            let narrow = try database.store(dimension: 2000, schema: "narrow")
            #expect(try await narrow.applySchema().count == 1)
            let standby = await #expect(throws: KelterError.self) {
                try await narrow.createStandby(StandbySpace(model: "m", dimension: 2500))
            }
            for error in [apply, rebuild, standby] {
                #expect(error?.code == .pgvectorTooOld)
                #expect(error?.message.contains("0.7.0 or newer is needed to index 2500 dimensions") == true)
                #expect(error?.message.contains("this is 0.6.2") == true)
            }
            try await narrow.createStandby(StandbySpace(model: "m", dimension: 1500))
            #expect(try await narrow.rebuildVectorIndex(IndexRequest()).operatorClass == "vector_cosine_ops")
            await narrow.close()
        }
    }
}
