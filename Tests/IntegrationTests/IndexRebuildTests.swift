import KelterModel
import KelterStore
import KelterTestSupport
import Testing

@Suite("Rebuilding the vector index", .serialized, .timeLimit(.minutes(2)))
struct IndexRebuildTests {
    private let hnsw = "embeddings_embedding_hnsw"
    private let ivfflat = "embeddings_embedding_ivfflat"

    @Test("HNSW becomes IVFFLAT and HNSW again, one index at a time, each verified")
    func roundTrip() async throws {
        try await IndexRebuildFixture.with { fixture in
            let log = PhaseLog()
            let down = try await fixture.store.rebuildVectorIndex(IndexRequest(kind: .ivfflat())) { log.add($0) }
            #expect(try await fixture.indexes() == ["\(ivfflat) vector_cosine_ops"])
            #expect(
                try await fixture.definition(ivfflat) == "USING ivfflat (embedding vector_cosine_ops) WITH (lists='3')"
            )
            #expect(down.definition == "using IVFFLAT (scope: rag.embeddings, lists=3)")
            #expect(down.replaced == [hnsw] && down.removedLeftOvers.isEmpty && down.notes.isEmpty)
            // More probes than lists: everything is looked at.
            #expect(down.verification == .recall(1, sample: 50))
            #expect(
                log.all.filter { $0 == "verifying" || $0 == "swapping" } == ["verifying", "swapping"]
            )
            #expect(try await fixture.serves(ivfflat))
            // The schema script adds no second index beside it.
            try await fixture.store.applySchema()
            #expect(try await fixture.indexes() == ["\(ivfflat) vector_cosine_ops"])

            let up = try await fixture.store.rebuildVectorIndex(IndexRequest(kind: .hnsw()))
            #expect(try await fixture.indexes() == ["\(hnsw) vector_cosine_ops"])
            #expect(
                try await fixture.definition(hnsw)
                    == "USING hnsw (embedding vector_cosine_ops) WITH (m='32', ef_construction='200')"
            )
            #expect(
                up.lines.prefix(2) == [
                    "using HNSW (scope: rag.embeddings, m=32 ef_construction=200)", "operator class vector_cosine_ops",
                ]
            )
            #expect(!up.isFallback && up.rows == 3_000 && up.replaced == [ivfflat])
            #expect(try #require(up.verification.recall) >= 0.9)
            #expect(try await fixture.serves(hnsw))
        }
    }

    @Test("an index of the same kind and parameters is replaced by a new one")
    func sameAgain() async throws {
        try await IndexRebuildFixture.with(rows: 600) { fixture in
            let oid = "SELECT '\("rag." + hnsw)'::regclass::oid"
            let before = try await fixture.store.rows(oid)
            let report = try await fixture.store.rebuildVectorIndex(IndexRequest())
            #expect(try await fixture.store.rows(oid) != before)
            #expect(report.replaced == [hnsw] && report.verification.recall != nil)
            #expect(try await fixture.indexes() == ["\(hnsw) vector_cosine_ops"])
        }
    }

    @Test("the new index is measured, not the old one beside it")
    func measuresTheNewIndex() async throws {
        try await IndexRebuildFixture.with { fixture in
            // One of 300 lists finds little; the old index, with a larger number of candidates, would find nearly all.
            let poor = IndexRequest(kind: .ivfflat(lists: 300), efSearch: 1000, probes: 1, acceptedRecall: 0)
            let down = try await fixture.store.rebuildVectorIndex(poor)
            #expect(try #require(down.verification.recall) < 0.6)
            // And the other way round.
            let up = try await fixture.store.rebuildVectorIndex(IndexRequest(efSearch: 1000, probes: 1))
            #expect(try #require(up.verification.recall) > 0.95)
            // The same kind with other parameters, and again with the first ones.
            let few = IndexRequest(kind: .hnsw(m: 2, efConstruction: 4), efSearch: 10, acceptedRecall: 0)
            #expect(try #require(try await fixture.store.rebuildVectorIndex(few).verification.recall) < 0.8)
            let many = try await fixture.store.rebuildVectorIndex(IndexRequest(kind: .hnsw(), efSearch: 100))
            #expect(try #require(many.verification.recall) > 0.95)
        }
    }

    @Test("indexes of the older system are replaced, whatever their names and operator classes")
    func olderSystem() async throws {
        try await IndexRebuildFixture.with(rows: 600) { fixture in
            try await fixture.store.runScript(
                """
                DROP INDEX rag.\(hnsw);
                CREATE INDEX "Alter Index" ON rag.embeddings USING hnsw (embedding vector_l2_ops);
                CREATE INDEX embeddings_embedding_idx ON rag.embeddings USING ivfflat (embedding) WITH (lists = 20);
                CREATE INDEX embeddings_half ON rag.embeddings
                    USING hnsw ((embedding::halfvec(16)) halfvec_cosine_ops);
                CREATE INDEX embeddings_tenant ON rag.embeddings (tenant_id)
                """
            )
            let report = try await fixture.store.rebuildVectorIndex(IndexRequest())
            #expect(report.replaced == ["Alter Index", "embeddings_embedding_idx", "embeddings_half"])
            #expect(try await fixture.indexes() == ["\(hnsw) vector_cosine_ops"])
            #expect(try await fixture.definition("embeddings_tenant") != nil)
        }
    }

    @Test("without the operator class for cosine distance it refuses, or falls back when allowed, and says so")
    func fallback() async throws {
        try await IndexRebuildFixture.with(rows: 600) { fixture in
            try await fixture.store.runScript(
                """
                ALTER EXTENSION vector DROP OPERATOR CLASS vector_cosine_ops USING hnsw;
                DROP OPERATOR CLASS vector_cosine_ops USING hnsw CASCADE;
                CREATE INDEX old ON rag.embeddings USING hnsw (embedding vector_ip_ops)
                """
            )
            let error = try await fixture.refusal(of: IndexRequest())
            #expect(error.code == .indexOperatorMissing && error.fix?.contains("--allow-fallback") == true)
            #expect(try await fixture.indexes() == ["old vector_ip_ops"])

            let report = try await fixture.store.rebuildVectorIndex(IndexRequest(allowsFallback: true))
            #expect(report.isFallback && report.operatorClass == "vector_l2_ops")
            #expect(report.lines.contains { $0.hasPrefix("FALLBACK: ") })
            #expect(try #require(report.verification.recall) >= 0.9)
            #expect(try await fixture.indexes() == ["\(hnsw) vector_l2_ops"])
            // The other method still has its class: no fallback, also when one is allowed.
            let cosine = try await fixture.store.rebuildVectorIndex(
                IndexRequest(kind: .ivfflat(), allowsFallback: true)
            )
            #expect(!cosine.isFallback && cosine.notes.isEmpty)
        }
    }

    @Test("an empty table gets its index, with the remarks that belong to it")
    func empty() async throws {
        try await IndexRebuildFixture.with(rows: 0) { fixture in
            let report = try await fixture.store.rebuildVectorIndex(IndexRequest(kind: .ivfflat()))
            #expect(report.rows == 0 && report.definition.hasSuffix("lists=1)"))
            #expect(report.lines.contains("not verified: no visible rows"))
            #expect(report.notes.count == 1 && report.notes[0].contains("rebuild the index after loading"))
        }
    }

    @Test("an owner bound by row level security rebuilds it, with a sample of each tenant")
    func boundOwner() async throws {
        let tenants = [Fixture.tenant("a"), Fixture.tenant("b")]
        try await IndexRebuildFixture.with(rows: 1_000, tenants: tenants) { fixture in
            let owner = try await fixture.database.applicationStore(poolSize: 2)
            let role = fixture.database.name + "_app"
            let tables = try await fixture.store.rows("SELECT tablename FROM pg_tables WHERE schemaname = 'rag'")
            for table in tables.compactMap({ $0.first ?? nil }) {
                try await fixture.store.runScript("ALTER TABLE rag.\(table) OWNER TO \(role)")
            }
            try await fixture.store.runScript("ALTER SCHEMA rag OWNER TO \(role)")
            #expect(try await owner.count("SELECT count(*) FROM rag.embeddings") == 0)

            let report = try await owner.rebuildVectorIndex(IndexRequest(kind: .ivfflat(), tenants: tenants))
            #expect(report.rows == 2_000 && report.definition.hasSuffix("lists=2)"))
            #expect(report.verification == .recall(1, sample: 50))
            let back = try await owner.rebuildVectorIndex(IndexRequest(tenants: [tenants[1]]))
            #expect(try #require(back.verification.recall) >= 0.9)
            let unseen = try await owner.rebuildVectorIndex(IndexRequest(tenants: [Fixture.tenant("nobody")]))
            #expect(unseen.verification == .notVerified("no visible rows") && unseen.rows == 2_000)
            #expect(try await fixture.indexes() == ["\(hnsw) vector_cosine_ops"])
            #expect(try await fixture.serves(hnsw))
            await owner.close()
            // The database takes the tables along, but the role would outlive it.
            try await fixture.store.runScript("REASSIGN OWNED BY \(role) TO CURRENT_USER")
            try await fixture.database.dropApplicationRole()
        }
    }

    @Test("a filtered search through IVFFLAT goes on until it has enough candidates")
    func filteredSearch() async throws {
        try await IndexRebuildFixture.with { fixture in
            _ = try await fixture.store.rebuildVectorIndex(IndexRequest(kind: .ivfflat(lists: 100)))
            // 600 documents: more than are compared without the index; about 6 of them in a list.
            try await fixture.store.runScript(
                """
                UPDATE rag.documents SET doc_class = 'x' WHERE external_id ~ '[05]$';
                ALTER DATABASE \(fixture.database.name) SET enable_sort TO off
                """
            )
            let reader = try fixture.database.store()
            let vector = Fixture.axis(0, dimension: IndexRebuildFixture.dimension).values
            var request = SearchRequest(vector: vector, text: "", minSimilarity: 0, topK: 1, probes: 1)
            request.filters.docClass = "x"
            let scans = "SELECT idx_scan FROM pg_stat_user_indexes WHERE indexrelname = '\(ivfflat)'"
            let before = try #require(try await reader.count(scans))
            let result = try await reader.search(request, tenant: Fixture.tenant)
            _ = try await reader.rows("SELECT pg_stat_force_next_flush()")
            #expect(try #require(try await reader.count(scans)) > before)
            #expect(result.matches.count == 1 && result.vectorCandidates == 50)
            await reader.close()
        }
    }
}
