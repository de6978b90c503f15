import KelterModel
import KelterStore
import KelterTestSupport
import Testing

@Suite("The embedding cache")
struct EmbeddingCacheTests {
    private let tenant = Fixture.tenant

    /// A database and a store as the application's role, which row level security binds.
    private func withCache(_ body: (TemporaryDatabase, Store) async throws -> Void) async throws {
        try await TemporaryDatabase.with { database in
            try await database.store.applyRoles()
            let app = try database.roleStore(.application, poolSize: 2)
            try await body(database, app)
            await app.close()
        }
    }

    private func space(_ dimension: Int = 8, fingerprint: String = "f", template: String = "1") -> CacheSpace {
        CacheSpace(fingerprint: fingerprint, dimension: dimension, template: template)
    }

    /// Vectors of any direction, with every bit of their numbers used.
    private func vectors(_ range: Range<Int>, dimension: Int = 8) -> [(hash: ContentHash, vector: UnitVector)] {
        range.map { number in
            var generator = Seeded(state: UInt64(number))
            let raw = (0..<dimension).map { _ in Float.random(in: -1...1, using: &generator) }
            let vector = (try? UnitVector(normalising: raw, dimension: dimension)) ?? .empty
            return (Fixture.hash("text \(number)"), vector)
        }
    }

    @Test("vectors come back bit for bit, whatever their width", arguments: [1, 8, 384, 1536, 3072])
    func roundTrip(dimension: Int) async throws {
        try await withCache { _, app in
            // More than fit into one statement at the greatest width: 170.
            var stored = vectors(0..<200, dimension: dimension)
            // Minus zero and the smallest number there is.
            var values = [Float](repeating: -0.0, count: dimension)
            values[dimension - 1] = 1
            if dimension > 1 { values[0] = .leastNonzeroMagnitude }
            stored.append((Fixture.hash("odd"), .unit(values)))
            stored.append((Fixture.hash("empty"), .empty))
            try await app.cacheVectors(stored, in: space(dimension), tenant: tenant)
            let unknown = (0..<50).map { Fixture.hash("unknown \($0)") }
            let found = try await app.cachedVectors(
                unknown + stored.map(\.hash) + unknown,
                in: space(dimension),
                tenant: tenant
            )
            #expect(found.count == stored.count)
            for (hash, vector) in stored {
                #expect(found[hash]?.values?.map(\.bitPattern) == vector.values?.map(\.bitPattern))
                #expect(found[hash] != nil)
            }
        }
    }

    @Test("another model, width, template or tenant has entries of its own")
    func spaces() async throws {
        try await withCache { _, app in
            let hash = Fixture.hash("text")
            let spaces = [space(), space(fingerprint: "g"), space(template: "2"), space(4)]
            for (number, space) in spaces.enumerated() {
                #expect(try await app.cachedVectors([hash], in: space, tenant: tenant).isEmpty)
                let vector = Fixture.axis(number, dimension: space.dimension)
                try await app.cacheVectors([(hash, vector)], in: space, tenant: tenant)
            }
            for (number, space) in spaces.enumerated() {
                let vector = Fixture.axis(number, dimension: space.dimension)
                #expect(try await app.cachedVectors([hash], in: space, tenant: tenant) == [hash: vector])
                #expect(try await app.cachedVectors([hash], in: space, tenant: Fixture.tenant("other")).isEmpty)
            }
        }
    }

    @Test("an entry that is there stays; nothing, a hash twice and an empty question are accepted")
    func repeated() async throws {
        try await withCache { database, app in
            let hash = Fixture.hash("text")
            try await app.cacheVectors([], in: space(), tenant: tenant)
            #expect(try await app.cachedVectors([], in: space(), tenant: tenant).isEmpty)
            let twice = [(hash, Fixture.axis(1)), (hash, Fixture.axis(1))]
            try await app.cacheVectors(twice, in: space(), tenant: tenant)
            try await app.cacheVectors([(hash, Fixture.axis(2))], in: space(), tenant: tenant)
            #expect(try await app.cachedVectors([hash, hash], in: space(), tenant: tenant) == [hash: Fixture.axis(1)])
            #expect(try await database.store.count("SELECT count(*) FROM rag.embedding_cache") == 1)
        }
    }

    @Test("a vector of another width or length is refused, and nothing of its group is kept")
    func refused() async throws {
        try await withCache { database, app in
            let good = (hash: Fixture.hash("good"), vector: Fixture.axis(0))
            let cases: [(UnitVector, ErrorCode)] = [
                (Fixture.axis(0, dimension: 4), .vectorDimensionMismatch),
                (.unit([Float](repeating: 1, count: 8)), .embeddingInvalid),
                (.unit([.nan] + [Float](repeating: 0, count: 7)), .embeddingInvalid),
            ]
            for (vector, code) in cases {
                let refusal = await app.refusal {
                    try await app.cacheVectors([good, (Fixture.hash("bad"), vector)], in: space(), tenant: tenant)
                }
                #expect(refusal == code.rawValue)
            }
            let kept = try await database.store.count("SELECT count(*) FROM rag.embedding_cache")
            #expect(kept == 0)
        }
    }

    @Test("a damaged entry is a miss, and is replaced by the next insertion")
    func damaged() async throws {
        try await withCache { database, app in
            let stored = vectors(0..<4)
            try await app.cacheVectors(stored, in: space(), tenant: tenant)
            for (number, damage) in ["[1,0,0]", "[1,1,0,0,0,0,0,0]", "[0,0,0,0,0,0,0,0]"].enumerated() {
                try await database.store.runScript(
                    "UPDATE rag.embedding_cache SET embedding = '\(damage)' WHERE input_hash = '\\x\(stored[number].hash.hex)'"
                )
            }
            let hashes = stored.map(\.hash)
            #expect(
                try await app.cachedVectors(hashes, in: space(), tenant: tenant) == [hashes[3]: stored[3].vector]
            )
            try await app.cacheVectors(stored, in: space(), tenant: tenant)
            #expect(
                try await app.cachedVectors(hashes, in: space(), tenant: tenant)
                    == Dictionary(uniqueKeysWithValues: stored.map { ($0.hash, $0.vector) })
            )
        }
    }

    @Test("its use is noted once a day")
    func use() async throws {
        try await withCache { database, app in
            let stored = vectors(0..<3)
            try await app.cacheVectors(stored, in: space(), tenant: tenant)
            for (number, age) in ["23 hours", "25 hours", "9 days"].enumerated() {
                try await database.store.runScript(
                    """
                    UPDATE rag.embedding_cache SET used_at = now() - interval '\(age)'
                    WHERE input_hash = '\\x\(stored[number].hash.hex)'
                    """
                )
            }
            let versions = "SELECT xmin::text FROM rag.embedding_cache WHERE input_hash = '\\x\(stored[0].hash.hex)'"
            let before = try await database.store.rows(versions)
            #expect(try await app.cachedVectors(stored.map(\.hash), in: space(), tenant: tenant).count == 3)
            #expect(try await database.store.rows(versions) == before)
            let fresh = "SELECT count(*) FROM rag.embedding_cache WHERE used_at > now() - interval '1 hour'"
            #expect(try await database.store.count(fresh) == 2)
            // From now on reading writes nothing.
            let all = "SELECT input_hash, xmin::text FROM rag.embedding_cache ORDER BY 1"
            let noted = try await database.store.rows(all)
            #expect(try await app.cachedVectors(stored.map(\.hash), in: space(), tenant: tenant).count == 3)
            #expect(try await database.store.rows(all) == noted)
        }
    }

    @Test("reading and pruning wait for nobody's lock")
    func locked() async throws {
        try await withCache { database, app in
            let stored = vectors(0..<3)
            try await app.cacheVectors(stored, in: space(), tenant: tenant)
            try await database.store.runScript("UPDATE rag.embedding_cache SET used_at = now() - interval '9 days'")
            let gate = try database.store(poolSize: 1)
            try await gate.runScript("SELECT pg_advisory_lock(7)")
            let holder = try database.store(poolSize: 1)
            let holding = Task {
                try await holder.rows(
                    """
                    WITH l AS MATERIALIZED (
                        SELECT 1 FROM rag.embedding_cache WHERE input_hash = '\\x\(stored[0].hash.hex)' FOR UPDATE
                    ) SELECT pg_advisory_xact_lock(7) FROM l
                    """,
                    tenant: tenant
                )
            }
            try await database.store.waitForAdvisoryWaiter()
            var configuration = app.configuration
            configuration.statementTimeout = .seconds(20)
            configuration.attempts = 1
            let impatient = try Store(configuration: configuration)
            #expect(try await impatient.cachedVectors(stored.map(\.hash), in: space(), tenant: tenant).count == 3)
            let noted = "SELECT count(*) FROM rag.embedding_cache WHERE used_at > now() - interval '1 hour'"
            #expect(try await database.store.count(noted) == 2)
            #expect(try await impatient.pruneCache(maximumBytes: 0, tenant: tenant).entries == 2)
            try await database.store.waitForAdvisoryWaiter()
            try await gate.runScript("SELECT pg_advisory_unlock(7)")
            _ = try await holding.value
            #expect(try await impatient.pruneCache(maximumBytes: 0, tenant: tenant).entries == 1)
            for store in [gate, holder, impatient] { await store.close() }
        }
    }

    @Test("sessions that add and read the same texts in any order do not deadlock")
    func concurrent() async throws {
        try await withCache { database, _ in
            let deadlocks = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"
            let before = try await database.store.rows(deadlocks)
            let stores = try (0..<6).map { _ in try database.roleStore(.application) }
            let stored = vectors(0..<600)
            try await withThrowingTaskGroup(of: Void.self) { group in
                for (number, store) in stores.enumerated() {
                    let space = space()
                    group.addTask {
                        var generator = Seeded(state: UInt64(number))
                        for part in 0..<6 {
                            let own = stored[part * 100..<part * 100 + 100].shuffled(using: &generator)
                            try await store.cacheVectors(own, in: space, tenant: tenant)
                            let found = try await store.cachedVectors(own.map(\.hash), in: space, tenant: tenant)
                            #expect(found.count == 100)
                        }
                    }
                }
                try await group.waitForAll()
            }
            #expect(try await database.store.count("SELECT count(*) FROM rag.embedding_cache") == 600)
            for store in stores { await store.close() }
            #expect(try await database.store.rows(deadlocks) == before)
        }
    }

    @Test("among 60,000 entries a reading goes through the primary key, and touches what it returns")
    func plan() async throws {
        try await withCache { database, _ in
            try await database.store.runScript(
                """
                INSERT INTO rag.embedding_cache (tenant_id, input_hash, fingerprint, template, dimension, embedding)
                SELECT t, sha256(n::text::bytea), 'f', '1', 8, '[0,0,0,0,0,0,0,1]'
                FROM generate_series(1, 30000) n,
                    unnest(ARRAY['\(tenant.rowID)', '\(Fixture.tenant("other").rowID)']::uuid[]) t;
                ANALYZE rag.embedding_cache
                """
            )
            let hashes = try await database.store.rows(
                "SELECT encode(sha256((n * 25)::text::bytea), 'hex') FROM generate_series(1, 1000) n"
            ).compactMap { $0[0].flatMap { ContentHash(hex: $0) } }
            // The statistics of one connection are those of its own statements at once.
            let app = try database.roleStore(.application)
            let figures = {
                _ = try await app.rows("SELECT pg_stat_force_next_flush()")
                return try await app.rows(
                    """
                    SELECT s.seq_scan, i.idx_scan, i.idx_tup_read FROM pg_stat_user_tables s
                    JOIN pg_stat_user_indexes i ON i.relid = s.relid AND i.indexrelname = 'embedding_cache_pkey'
                    WHERE s.relname = 'embedding_cache'
                    """
                )[0].map { Int($0 ?? "") ?? -1 }
            }
            for count in [1, 64, 1000] {
                let before = try await figures()
                let found = try await app.cachedVectors(Array(hashes.prefix(count)), in: space(), tenant: tenant)
                #expect(found.count == count)
                let after = try await figures()
                #expect(after[0] == before[0] && after[1] > before[1])
                #expect(after[2] - before[2] == count)
            }
            let list = hashes.map { "'\\x\($0.hex)'" }.joined(separator: ", ")
            let plan = try await app.rows(
                """
                EXPLAIN (COSTS OFF) SELECT input_hash, embedding FROM rag.embedding_cache
                WHERE tenant_id = '\(tenant.rowID)' AND input_hash = ANY (ARRAY[\(list)]::bytea[]) AND fingerprint = 'f'
                    AND template = '1' AND dimension = 8
                """,
                tenant: tenant
            ).compactMap { $0[0] }
            #expect(plan.contains { $0.contains("embedding_cache_pkey") })
            #expect(plan.contains { $0.contains("Index Cond") && $0.contains("input_hash = ANY") })
            #expect(!plan.contains { $0.contains("Seq Scan") })
            await app.close()
        }
    }
}
