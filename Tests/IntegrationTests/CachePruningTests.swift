import KelterModel
import KelterStore
import KelterTestSupport
import Testing

@Suite("Pruning the embedding cache")
struct CachePruningTests {
    private let tenant = Fixture.tenant

    /// Entries that were used 1, 2, 3 … hours ago.
    private func fill(_ store: Store, _ count: Int, fingerprint: String = "f", tenant: Tenant) async throws {
        try await store.runScript(
            """
            INSERT INTO rag.embedding_cache
                (tenant_id, input_hash, fingerprint, template, dimension, embedding, used_at)
            SELECT '\(tenant.rowID)', sha256(n::text::bytea), '\(fingerprint)', '1', 8, '[0,0,0,0,0,0,0,1]',
                now() - n * interval '1 hour'
            FROM generate_series(1, \(count)) n
            """
        )
    }

    private func withCache(_ body: (TemporaryDatabase, Store) async throws -> Void) async throws {
        try await TemporaryDatabase.with { database in
            try await database.store.applyRoles()
            let app = try database.roleStore(.application)
            // Another tenant has the same, and keeps it.
            try await fill(database.store, 100, tenant: Fixture.tenant("other"))
            try await body(database, app)
            let others = "SELECT count(*) FROM rag.embedding_cache WHERE tenant_id = '\(Fixture.tenant("other").rowID)'"
            #expect(try await database.store.count(others) == 100)
            await app.close()
        }
    }

    /// The hours since the use of the entries that are left.
    private func left(_ database: TemporaryDatabase) async throws -> [Int] {
        try await database.store.rows(
            """
            SELECT round(extract(epoch FROM now() - used_at) / 3600)::int FROM rag.embedding_cache
            WHERE tenant_id = '\(tenant.rowID)' ORDER BY 1
            """
        ).compactMap { $0[0].flatMap { Int($0) } }
    }

    @Test("the figures count entries, bytes and use by space, and name the present model")
    func figures() async throws {
        try await withCache { database, app in
            #expect(try await app.cacheFigures(tenant: tenant).isEmpty)
            let fingerprint = try await app.adoptFingerprint(
                model: "m",
                reference: [[1, 0, 0, 0, 0, 0, 0, 0], [0, 1, 0, 0, 0, 0, 0, 0]]
            )
            try await fill(database.store, 10, fingerprint: "0 before", tenant: tenant)
            try await fill(database.store, 20, fingerprint: fingerprint, tenant: tenant)
            let figures = try await app.cacheFigures(tenant: tenant)
            #expect(figures.map(\.model) == ["m", nil] && figures.map(\.entries) == [20, 10])
            #expect(figures[0].space == CacheSpace(fingerprint: fingerprint, dimension: 8, template: "1"))
            #expect(figures[0].bytes == figures[1].bytes * 2 && figures[0].bytes > 20 * 8 * 4)
            #expect(figures[0].oldestUse < figures[1].oldestUse && figures[0].newestUse.hasSuffix("Z"))
            #expect(figures[0].oldestUse < figures[0].newestUse)
        }
    }

    @Test("without a condition nothing goes; by age, model or size what they say, and it is counted")
    func conditions() async throws {
        try await withCache { database, app in
            try await fill(database.store, 100, tenant: tenant)
            let all = try #require(try await app.cacheFigures(tenant: tenant).first)
            #expect(try await app.pruneCache(tenant: tenant) == CachePruning())
            #expect(try await app.pruneCache(maximumBytes: all.bytes, tenant: tenant) == CachePruning())
            let old = try await app.pruneCache(unusedFor: .seconds(90 * 3600 + 1800), tenant: tenant)
            #expect(old == CachePruning(entries: 10, bytes: all.bytes / 10))
            #expect(try await left(database) == Array(1...90))
            // 50.5 entries may stay: 50 do.
            let large = try await app.pruneCache(maximumBytes: all.bytes / 100 * 101 / 2, tenant: tenant)
            #expect(large.entries == 40 && large.bytes == all.bytes / 100 * 40)
            #expect(try await left(database) == Array(1...50))
            try await fill(database.store, 30, fingerprint: "other model", tenant: tenant)
            #expect(try await app.pruneCache(keeping: "f", tenant: tenant).entries == 30)
            #expect(try await left(database) == Array(1...50))
            #expect(
                try await app.pruneCache(unusedFor: .zero, maximumBytes: 0, keeping: "x", tenant: tenant).entries == 50
            )
            #expect(try await app.cacheFigures(tenant: tenant).isEmpty)
        }
    }

    @Test("no statement removes more than 10,000 entries", arguments: ["size", "age", "model"])
    func batches(condition: String) async throws {
        try await withCache { database, app in
            try await fill(database.store, 20_500, tenant: tenant)
            try await database.store.runScript(
                """
                CREATE TABLE removals (number int);
                CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS
                    $$ BEGIN INSERT INTO removals SELECT count(*) FROM gone; RETURN NULL; END $$;
                CREATE TRIGGER note AFTER DELETE ON rag.embedding_cache REFERENCING OLD TABLE AS gone
                    FOR EACH STATEMENT EXECUTE FUNCTION note();
                GRANT INSERT ON removals TO kelter_app
                """
            )
            let removed =
                switch condition {
                case "size": try await app.pruneCache(maximumBytes: 0, tenant: tenant)
                case "age": try await app.pruneCache(unusedFor: .seconds(1), tenant: tenant)
                default: try await app.pruneCache(keeping: "other", tenant: tenant)
                }
            #expect(removed.entries == 20_500)
            let numbers = try await database.store.rows("SELECT number FROM removals WHERE number > 0 ORDER BY 1")
            #expect(numbers == [["500"], ["10000"], ["10000"]])
        }
    }

    @Test("it goes with its tenant, and what it has of a document with the document's hard deletion")
    func deletion() async throws {
        try await TemporaryDatabase.with { database in
            let store = database.store
            try await store.applyRegistry()
            let record = TenantRecord(tenant: tenant, schema: "dev", name: "Dev", domains: [])
            _ = try await store.createTenant(record)
            let space = CacheSpace(fingerprint: "f", dimension: 8, template: "1")
            let chunks = ["1 eins", "1 zwei", "2 eins", "2 zwei"].enumerated().map { Fixture.chunk($0 % 2, $1) }
            let items = [Fixture.item("a", "1"), Fixture.item("b", "2")]
            let written = try await store.write(items, run: nil, tenant: tenant)
            for each in [tenant, Fixture.tenant("other")] {
                try await store.cacheVectors(chunks.map { ($0.inputHash, $0.vector) }, in: space, tenant: each)
            }
            let document = try #require(written[0].document)
            let order = HardDeletionOrder(documents: [document], reason: "r", ticketReference: "T", actor: "test")
            #expect(try await store.hardDelete(order, tenant: tenant).chunks == 2)
            let hashes = chunks.map(\.inputHash)
            #expect(Set(try await store.cachedVectors(hashes, in: space, tenant: tenant).keys) == Set(hashes[2...]))
            try await store.deleteTenant(record)
            #expect(try await store.cacheFigures(tenant: tenant).isEmpty)
            #expect(try await store.cachedVectors(hashes, in: space, tenant: Fixture.tenant("other")).count == 4)
        }
    }
}
