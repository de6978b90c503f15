import KelterModel
import KelterStore
import KelterTestSupport

/// A database with vectors of more than 2000 dimensions.
enum WideVectorFixture {
    static let dimension = 2048

    /// Runs a test on documents of one chunk each, in 40 groups of similar vectors, indexed and analysed.
    static func with(documents: Int, _ body: (TemporaryDatabase) async throws -> Void) async throws {
        try await TemporaryDatabase.with(dimension: dimension) { database in
            let writer = try database.store()
            try await writer.runScript(
                """
                DROP INDEX rag.embeddings_embedding_hnsw;
                SELECT setseed(0.5);
                CREATE TEMPORARY TABLE new AS SELECT gen_random_uuid() AS id, i FROM generate_series(1, \(documents)) i;
                INSERT INTO rag.documents (id, tenant_id, external_id, hash)
                    SELECT id, '\(Fixture.tenant.rowID)', 'e' || i, encode(sha256(i::text::bytea), 'hex') FROM new;
                INSERT INTO rag.chunks (id, document_id, tenant_id, ordinal, text)
                    SELECT id, id, '\(Fixture.tenant.rowID)', 0, 'Text' FROM new;
                INSERT INTO rag.embeddings (chunk_id, tenant_id, embedding)
                    SELECT id, '\(Fixture.tenant.rowID)', l2_normalize((
                        SELECT array_agg(random() - 0.5 + CASE j % 40 WHEN i % 40 THEN 0.5 ELSE 0 END)
                        FROM generate_series(1, \(dimension)) j
                    )::vector) FROM new;
                DROP TABLE new
                """
            )
            try await writer.applySchema()
            try await writer.runScript("ANALYZE rag.documents; ANALYZE rag.chunks; ANALYZE rag.embeddings")
            await writer.close()
            try await body(database)
        }
    }

    /// A vector near one of the groups, the same one every time.
    static func question(_ group: Int, dimension: Int = dimension) throws -> [Float] {
        var generator = Seeded(state: UInt64(group))
        let values = (1...dimension).map { place in
            Float.random(in: -0.5...0.5, using: &generator) + (place % 40 == group % 40 ? 0.5 : 0)
        }
        return try UnitVector(normalising: values, dimension: dimension).values ?? []
    }

    /// The cosine similarity in double precision.
    static func similarity(_ left: [Float], _ right: [Float]) -> Double {
        var (product, leftSquares, rightSquares) = (0.0, 0.0, 0.0)
        for (left, right) in zip(left, right) {
            product += Double(left) * Double(right)
            leftSquares += Double(left) * Double(left)
            rightSquares += Double(right) * Double(right)
        }
        return product / (leftSquares * rightSquares).squareRoot()
    }
}

extension TemporaryDatabase {
    /// The stored vector of a chunk.
    func vector(of chunk: RowID) async throws -> [Float] {
        let rows = try await store.rows("SELECT embedding FROM rag.embeddings WHERE chunk_id = '\(chunk)'")
        return (rows.first?.first ?? nil)?.dropFirst().dropLast().split(separator: ",").compactMap { Float($0) } ?? []
    }

    /// The definition of the vector index, from its access method on.
    func indexDefinition(schema: String = "rag") async throws -> String? {
        let rows = try await store.rows(
            """
            SELECT substring(indexdef FROM 'USING .*') FROM pg_indexes
            WHERE schemaname = '\(schema)' AND indexdef ~ 'USING (hnsw|ivfflat)'
            """
        )
        return rows.first?.first ?? nil
    }

    /// How the vectors are stored, and the options of their table.
    func storage(schema: String = "rag") async throws -> [String?]? {
        try await store.rows(
            """
            SELECT a.attstorage, c.reloptions FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
            WHERE c.oid = '\(schema).embeddings'::regclass AND a.attname = 'embedding'
            """
        ).first
    }
}
