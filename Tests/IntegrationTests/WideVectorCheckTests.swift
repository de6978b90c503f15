import KelterModel
import KelterStore
import KelterTestSupport
import Testing

@Suite("The checks of vectors of more than 2000 dimensions", .timeLimit(.minutes(3)))
struct WideVectorCheckTests {
    private static let drop = "DROP INDEX rag.embeddings_embedding_hnsw;"
    private static let create = drop + "CREATE INDEX embeddings_embedding_hnsw ON rag.embeddings USING hnsw "
    private static let options = " WITH (m = 32, ef_construction = 200)"

    private static let damages = [
        CheckDamage(
            "no vector index",
            drop,
            failed: ["vector-index"],
            detail: "no valid vector index",
            fix: "kelter rebuild-rag-index"
        ),
        CheckDamage(
            "an index by Euclidean distance",
            create + "((embedding::halfvec(2048)) halfvec_l2_ops)" + options,
            failed: ["vector-index"],
            detail: "((embedding::halfvec(2048)) halfvec_l2_ops) WITH (m=32, ef_construction=200) does not compare by",
            fix: "kelter rebuild-rag-index"
        ),
        CheckDamage(
            "an index of something else than searches order by",
            create + "((l2_normalize(embedding)::halfvec(2048)) halfvec_cosine_ops)" + options,
            failed: ["vector-index"],
            detail: "is not on (embedding::halfvec(2048)), which searches order by",
            fix: "kelter rebuild-rag-index"
        ),
        CheckDamage(
            "an index of the first dimensions",
            create + "((subvector(embedding, 1, 1000)::vector(1000)) vector_cosine_ops)" + options,
            failed: ["vector-index"],
            detail: "is not on (embedding::halfvec(2048))",
            fix: "kelter rebuild-rag-index"
        ),
        CheckDamage(
            "two indexes",
            "CREATE INDEX second ON rag.embeddings USING hnsw ((embedding::halfvec(2048)) halfvec_cosine_ops)",
            failed: ["vector-index"],
            detail: "2 vector indexes where one is enough: embeddings_embedding_hnsw, second",
            fix: "kelter rebuild-rag-index"
        ),
        CheckDamage(
            "an index of one collection",
            create + "((embedding::halfvec(2048)) halfvec_cosine_ops)" + options + " WHERE collection_id IS NOT NULL",
            failed: ["vector-index"],
            detail: "leaves rows out",
            fix: "kelter rebuild-rag-index"
        ),
        CheckDamage(
            "another m",
            create + "((embedding::halfvec(2048)) halfvec_cosine_ops) WITH (ef_construction = 200)",
            failed: ["vector-index"],
            detail: "has m=16 ef_construction=200 instead of m=32 ef_construction=200",
            fix: "kelter rebuild-rag-index"
        ),
        CheckDamage(
            "the temporary fallback",
            drop + "CREATE INDEX embeddings_embedding_ivfflat ON rag.embeddings"
                + " USING ivfflat ((embedding::halfvec(2048)) halfvec_cosine_ops) WITH (lists = 1)",
            warned: ["vector-index"],
            detail: "temporary fallback",
            fix: "kelter rebuild-rag-index"
        ),
        CheckDamage(
            "an index that is not valid",
            "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'rag.embeddings_embedding_hnsw'::regclass",
            failed: ["vector-index", "invalid-indexes"],
            detail: "no valid vector index",
            fix: "kelter rebuild-rag-index"
        ),
        CheckDamage(
            "no operator class for cosine distance of half-precision vectors",
            """
            ALTER EXTENSION vector DROP OPERATOR CLASS public.halfvec_cosine_ops USING hnsw;
            DROP OPERATOR CLASS public.halfvec_cosine_ops USING hnsw CASCADE
            """,
            failed: ["pgvector-operator-class", "vector-index"],
            detail: "no operator class halfvec_cosine_ops for hnsw",
            fix: "ALTER EXTENSION vector UPDATE",
            isRepaired: false
        ),
        CheckDamage(
            "a pgvector without half precision",
            "UPDATE pg_extension SET extversion = '0.6.2' WHERE extname = 'vector'",
            failed: ["pgvector-version"],
            detail: "pgvector 0.7.0 or newer is needed to index 2048 dimensions, this is 0.6.2",
            fix: "ALTER EXTENSION vector UPDATE",
            isRepaired: false
        ),
        CheckDamage(
            "vectors a little too long",
            """
            UPDATE rag.embeddings
            SET embedding = (SELECT array_agg(1.00001 * x)::vector FROM unnest(embedding::real[]) x)
            """,
            failed: ["unit-vectors"],
            detail: "12 of 12 vectors are not of length 1 (100.00 %)",
            fix: "kelter reembed --only-unnormalised",
            isRepaired: false
        ),
    ]

    @Test("a healthy database passes, every damage is found, and a rebuild repairs the index", arguments: damages)
    func damage(damage: CheckDamage) async throws {
        try await CheckDatabase.with(dimension: 2048) { checked in
            let healthy = try await checked.results()
            #expect(healthy.filter { $0.status != .ok } == [])
            #expect(
                healthy.first { $0.name == "vector-index" }?.detail
                    == "embeddings_embedding_hnsw USING hnsw ((embedding::halfvec(2048)) halfvec_cosine_ops) "
                    + "WITH (m=32, ef_construction=200)"
            )
            for statement in damage.statements { try await checked.run(statement) }
            let found = try await checked.results().filter { $0.status != .ok }
            let expected = damage.failed.map { "failed \($0)" } + damage.warned.map { "warning \($0)" }
            #expect(found.map { "\($0.status) \($0.name)" } == expected)
            let first = try #require(found.first)
            #expect(first.detail.contains(damage.detail), "\(first.detail)")
            #expect(first.fix?.contains(damage.fix) == true, "\(first.fix ?? "none")")

            guard damage.isRepaired else { return }
            _ = try await checked.database.store.rebuildVectorIndex(IndexRequest())
            #expect(try await checked.results().filter { $0.status != .ok } == [])
        }
    }

    @Test("lengths are repaired in place")
    func normalised() async throws {
        try await CheckDatabase.with(dimension: 2048) { checked in
            try await checked.run(
                "UPDATE rag.embeddings SET embedding = (SELECT array_agg(3 * x)::vector FROM unnest(embedding::real[]) x)"
            )
            for tenant in CheckDatabase.tenants {
                let report = try await checked.app.normaliseVectors(after: nil, tenant: tenant).report
                #expect(report.normalised == 6)
            }
            #expect(try await checked.results().filter { $0.status != .ok } == [])
        }
    }
}
