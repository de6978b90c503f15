import KelterModel
import KelterStore
import KelterTestSupport
import Synchronization
import Testing

@Suite("The index of vectors of more than 2000 dimensions", .timeLimit(.minutes(3)))
struct WideVectorIndexTests {
    private let tenant = Fixture.tenant
    private let key = "((embedding)::halfvec(2048))"

    @Test("HNSW becomes IVFFLAT and HNSW again, each verified against the stored vectors")
    func roundTrip() async throws {
        try await WideVectorFixture.with(documents: 400) { database in
            let store = database.store
            let down = try await store.rebuildVectorIndex(IndexRequest(kind: .ivfflat(lists: 4)))
            #expect(
                down.lines.prefix(2) == [
                    "using IVFFLAT (scope: rag.embeddings, lists=4)", "operator class halfvec_cosine_ops",
                ]
            )
            #expect(down.replaced == ["embeddings_embedding_hnsw"] && down.notes.isEmpty && !down.isFallback)
            // More probes than lists: everything is looked at, and half precision alone loses nearly nothing.
            #expect(try #require(down.verification.recall) >= 0.98)
            #expect(
                try await database.indexDefinition() == "USING ivfflat (\(key) halfvec_cosine_ops) WITH (lists='4')"
            )
            try await store.applySchema()

            // What an interrupted build leaves.
            try await store.runScript(
                """
                CREATE INDEX embeddings_embedding_hnsw_building ON rag.embeddings
                    USING hnsw ((embedding::halfvec(2048)) halfvec_cosine_ops);
                UPDATE pg_index SET indisvalid = false
                    WHERE indexrelid = 'rag.embeddings_embedding_hnsw_building'::regclass
                """
            )
            let up = try await store.rebuildVectorIndex(IndexRequest(workers: 1))
            #expect(
                up.lines.prefix(2) == [
                    "using HNSW (scope: rag.embeddings, m=32 ef_construction=200)", "operator class halfvec_cosine_ops",
                ]
            )
            #expect(up.removedLeftOvers == ["embeddings_embedding_hnsw_building"])
            #expect(up.replaced == ["embeddings_embedding_ivfflat"] && up.rows == 400 && up.workers == 1)
            // 400 rows of 2 · 2048 bytes, 32 links of 32 bytes and 256 bytes, and 8 MiB.
            #expect(up.neededMemory == 400 * 5376 + 8 << 20)
            #expect(try #require(up.verification.recall) >= 0.9)
            #expect(
                try await database.indexDefinition()
                    == "USING hnsw (\(key) halfvec_cosine_ops) WITH (m='32', ef_construction='200')"
            )
        }
    }

    @Test("without the operator class for cosine distance it refuses, or falls back to one of half precision")
    func fallback() async throws {
        try await WideVectorFixture.with(documents: 300) { database in
            try await database.store.runScript(
                """
                ALTER EXTENSION vector DROP OPERATOR CLASS halfvec_cosine_ops USING hnsw;
                DROP OPERATOR CLASS halfvec_cosine_ops USING hnsw CASCADE
                """
            )
            let error = await #expect(throws: KelterError.self) {
                try await database.store.rebuildVectorIndex(IndexRequest())
            }
            #expect(error?.code == .indexOperatorMissing && error?.subject == "halfvec_cosine_ops")
            let report = try await database.store.rebuildVectorIndex(IndexRequest(allowsFallback: true))
            #expect(report.isFallback && report.operatorClass == "halfvec_l2_ops")
            #expect(report.lines.contains { $0.hasPrefix("FALLBACK: halfvec_cosine_ops is missing") })
            #expect(try #require(report.verification.recall) >= 0.9)
            #expect(try await database.indexDefinition()?.hasPrefix("USING hnsw (\(key) halfvec_l2_ops)") == true)
        }
    }

    @Test("a rebuild is given parallel workers, although the table without its vectors is a few pages")
    func workers() async throws {
        try await WideVectorFixture.with(documents: 300) { database in
            let isSeen = Mutex(false)
            let watching = Task {
                try await database.store.waitUntil(
                    """
                    SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'parallel worker'
                    AND leader_pid IN (SELECT pid FROM pg_stat_progress_create_index)
                    """
                )
                isSeen.withLock { $0 = true }
            }
            // The server's workers may all be busy with other tests.
            for _ in 0..<20 where !isSeen.withLock({ $0 }) {
                _ = try await database.store.rebuildVectorIndex(IndexRequest(workers: 2))
            }
            watching.cancel()
            #expect(isSeen.withLock { $0 })
        }
    }

    @Test("a space of 2500 dimensions stands by beside one of 384, and the switch goes both ways")
    func standby() async throws {
        try await TemporaryDatabase.with(dimension: 384) { database in
            var configuration = database.store.configuration
            configuration.model = "narrow"
            let narrow = try Store(configuration: configuration)
            (configuration.model, configuration.dimension) = ("wide", 2500)
            let wide = try Store(configuration: configuration)

            let group = try (0..<20).map { number in
                let vector = try WideVectorFixture.question(number, dimension: 384)
                let chunk = Fixture.chunk(0, "Text \(number)", vector: .unit(vector))
                return Fixture.item("d\(number)", "\(number)", content: [chunk])
            }
            _ = try await narrow.write(group, run: nil, tenant: tenant)
            try await database.store.createStandby(StandbySpace(model: "wide", dimension: 2500))
            try await fill(wide)
            try await database.store.indexStandby(IndexRequest())
            #expect(try await database.storage(schema: "rag_standby") == ["e", "{parallel_workers=16}"])
            let half = "USING hnsw (((embedding)::halfvec(2500)) halfvec_cosine_ops) "
            #expect(try await database.indexDefinition(schema: "rag_standby")?.hasPrefix(half) == true)
            let comparison = try await database.store.compareSpaces(samples: 10, tenant: tenant)
            #expect(comparison.samples == 10 && comparison.neighbours == 100)

            let there = try await database.store.switchSpaces(allowsMissing: false)
            #expect(there.space == StandbySpace(model: "wide", dimension: 2500) && there.missing == 0)
            #expect(try await wide.applySchema() == [])
            #expect(try await database.storage() == ["e", "{parallel_workers=16}"])
            #expect(try await found(7, in: wide, dimension: 2500) == "d7")
            #expect(try await wide.rebuildVectorIndex(IndexRequest()).operatorClass == "halfvec_cosine_ops")
            #expect(try await vectorIndexCheck(wide) == .ok)

            let back = try await database.store.switchSpaces(allowsMissing: false)
            #expect(back.space == StandbySpace(model: "narrow", dimension: 384))
            #expect(try await narrow.applySchema() == [])
            #expect(try await database.storage() == ["p", nil])
            #expect(try await found(7, in: narrow, dimension: 384) == "d7")
            #expect(try await vectorIndexCheck(narrow) == .ok)
            #expect(try await database.indexDefinition(schema: "rag_standby")?.hasPrefix(half) == true)
            await narrow.close()
            await wide.close()
        }
    }

    /// Gives each document its vector of 2500 dimensions in the space that stands by.
    private func fill(_ store: Store) async throws {
        let record = RunRecord(id: Fixture.id(), kind: "reembed", arguments: .object([]))
        let run = try await store.beginOrResume(record, tenant: tenant).id
        let target = EmbeddingTarget.standby(dimension: 2500)
        let documents = try await store.documentsToEmbed(
            DocumentSelection(),
            target: target,
            run: run,
            after: nil,
            limit: 100,
            tenant: tenant
        )
        #expect(documents.count == 20)
        let recomputed = try documents.map { document in
            let number = Int(document.externalID.dropFirst()) ?? -1
            let vector = UnitVector.unit(try WideVectorFixture.question(number, dimension: 2500))
            return RecomputedDocument(document: document, vectors: [vector], inputHashes: [Fixture.hash("\(number)")])
        }
        _ = try await store.storeVectors(recomputed, target: target, run: run, tenant: tenant)
    }

    /// The document nearest to a question.
    private func found(_ number: Int, in store: Store, dimension: Int) async throws -> String? {
        let question = try WideVectorFixture.question(number, dimension: dimension)
        let result = try await store.search(SearchRequest(vector: question, text: ""), tenant: tenant)
        let first = try #require(result.matches.first)
        #expect(abs(first.vectorScore - 1) <= 1e-6)
        return first.externalID
    }

    private func vectorIndexCheck(_ store: Store) async throws -> CheckResult.Status? {
        try await store.databaseChecks(tenants: [tenant]).first { $0.name == "vector-index" }?.status
    }
}
