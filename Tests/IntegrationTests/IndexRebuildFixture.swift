import KelterModel
import KelterStore
import KelterTestSupport
import Synchronization
import Testing

/// A database with enough vectors for an index, and the looks at it that the tests of the rebuild share.
struct IndexRebuildFixture {
    let database: TemporaryDatabase
    static let dimension = 16

    var store: Store { database.store }

    /// Runs a test on documents of one chunk each with random unit vectors, the same ones every time.
    static func with(
        rows: Int = 3_000,
        tenants: [Tenant] = [Fixture.tenant],
        _ body: (IndexRebuildFixture) async throws -> Void
    ) async throws {
        try await TemporaryDatabase.with(dimension: dimension) { database in
            let fixture = IndexRebuildFixture(database: database)
            // Building the index once takes a tenth of the time of inserting into it.
            let writer = try database.store()
            try await writer.runScript("SET statement_timeout TO 0; DROP INDEX rag.embeddings_embedding_hnsw")
            for tenant in tenants { try await fill(rows, tenant: tenant, in: writer) }
            try await writer.applySchema()
            try await writer.runScript("ANALYZE rag.documents; ANALYZE rag.chunks; ANALYZE rag.embeddings")
            await writer.close()
            try await body(fixture)
        }
    }

    private static func fill(_ rows: Int, tenant: Tenant, in store: Store) async throws {
        try await store.runScript(
            """
            SELECT setseed(0.5);
            CREATE TEMPORARY TABLE new AS SELECT gen_random_uuid() AS id, i FROM generate_series(1, \(rows)) i;
            INSERT INTO rag.documents (id, tenant_id, external_id, hash)
                SELECT id, '\(tenant.rowID)', 'e' || i, encode(sha256(i::text::bytea), 'hex') FROM new;
            INSERT INTO rag.chunks (id, document_id, tenant_id, ordinal, text)
                SELECT id, id, '\(tenant.rowID)', 0, 'Text' FROM new;
            INSERT INTO rag.embeddings (chunk_id, tenant_id, embedding)
                SELECT id, '\(tenant.rowID)', l2_normalize(
                    (SELECT array_agg(random() - 0.5) FROM generate_series(1, \(dimension)) WHERE i > 0)::vector
                ) FROM new;
            DROP TABLE new
            """
        )
    }

    /// The error with which a rebuild ends.
    func refusal(of request: IndexRequest) async throws -> KelterError {
        let error = await #expect(throws: KelterError.self) { try await store.rebuildVectorIndex(request) }
        return try #require(error)
    }

    /// Names, operator classes and validity of the vector indexes.
    func indexes() async throws -> [String] {
        try await store.vectorIndexes().map { "\($0.name) \($0.operatorClass)\($0.isValid ? "" : " invalid")" }
    }

    /// The definition of an index from its access method on.
    func definition(_ name: String) async throws -> String? {
        let rows = try await store.rows("SELECT indexdef FROM pg_indexes WHERE indexname = '\(name)'")
        guard let text = rows.first?.first ?? nil, let range = text.firstRange(of: "USING") else { return nil }
        return String(text[range.lowerBound...])
    }

    /// Whether a scan by cosine distance that may only use an index uses this one, and finds rows.
    func serves(_ name: String) async throws -> Bool {
        let reader = try database.store()
        defer { Task { await reader.close() } }
        try await reader.runScript("SET enable_seqscan TO off; SET enable_sort TO off")
        let vector = "'[1\(String(repeating: ",0", count: Self.dimension - 1))]'::vector"
        let query = "SELECT chunk_id FROM rag.embeddings ORDER BY embedding <=> \(vector) LIMIT 5"
        let plan = try await reader.rows("EXPLAIN \(query)")
        let found = try await reader.rows(query)
        return found.count == 5 && plan.contains { $0.first??.contains("using \(name) on") == true }
    }

    /// Runs a closure while another session holds a snapshot, for which `CREATE INDEX CONCURRENTLY` waits.
    func whileBuildsWait<Value>(_ body: () async throws -> Value) async throws -> Value {
        let holder = try database.store()
        let holding = Task {
            try await holder.runScript(
                "SET statement_timeout TO 0; BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1; SELECT pg_sleep(600)"
            )
        }
        try await store.waitUntil(
            "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND datname = current_database()"
        )
        let result: Result<Value, any Error>
        do { result = .success(try await body()) } catch { result = .failure(error) }
        holding.cancel()
        _ = await holding.result
        await holder.close()
        return try result.get()
    }

    /// Returns when a build has done its work and waits for the snapshot of another session.
    func waitForBuild() async throws {
        try await store.waitUntil(
            "SELECT count(*) FROM pg_stat_progress_create_index WHERE phase = 'waiting for old snapshots' AND datname = current_database()"
        )
    }
}

/// The phases that a rebuild told.
final class PhaseLog: Sendable {
    private let phases = Mutex<[String]>([])

    var all: [String] { phases.withLock { $0 } }

    func add(_ progress: IndexProgress) {
        phases.withLock { $0.append(progress.phase) }
    }
}

extension Store {
    /// Returns when the statement counts something.
    func waitUntil(_ sql: String) async throws {
        try await KelterTestSupport.waitUntil(sql) {
            try await count(sql + (sql.contains("pg_stat_activity") ? " AND datname = current_database()" : "")) != 0
        }
    }
}
