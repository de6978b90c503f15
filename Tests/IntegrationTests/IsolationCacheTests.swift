import KelterModel
import KelterStore
import KelterTestSupport
import Testing

// One database after the other: all at once they would make the other suites wait.
/// What the embedding cache tells one tenant of another's texts.
///
/// Asked by the application's role, and by a superuser, whom row level security does not bind: the calls ask for the
/// tenant themselves.
@Suite("Attacks on the isolation of tenants by the embedding cache", .serialized)
struct IsolationCacheTests {
    private static let us = IsolationWorld.attacker

    private func attack(
        _ caller: IsolationCallTests.Caller,
        _ body: (IsolationWorld, Store) async throws -> Void
    ) async throws {
        try await IsolationWorld.with { world in
            let store = caller == .application ? world.app : world.truth
            // As if nobody had used anything for long: readings would be noted.
            try await world.truth.runScript("UPDATE rag.embedding_cache SET used_at = now() - interval '9 days'")
            let before = try await world.dump()
            try await body(world, store)
            #expect(try await world.dump() == before)
        }
    }

    @Test("another tenant's texts are not found", arguments: IsolationCallTests.Caller.allCases)
    func reading(caller: IsolationCallTests.Caller) async throws {
        try await attack(caller) { _, store in
            let texts = [IsolationRows.sharedText, IsolationRows.secretText, Fixture.hash("cached, empty")]
            #expect(
                try await store.cachedVectors(texts, in: IsolationRows.cache, tenant: Self.us)
                    == [IsolationRows.sharedText: Fixture.axis(3)]
            )
            #expect(try await store.cachedVectors(texts, in: IsolationRows.secretCache, tenant: Self.us).isEmpty)
            let figures = try await store.cacheFigures(tenant: Self.us)
            #expect(figures.map(\.space) == [IsolationRows.cache] && figures.map(\.entries) == [1])
        }
    }

    @Test(
        "adding what another tenant has is not refused, waits for nobody and changes nothing of it",
        arguments: IsolationCallTests.Caller.allCases
    )
    func writing(caller: IsolationCallTests.Caller) async throws {
        try await attack(caller) { world, store in
            let guesses = [
                (IsolationRows.secretText, Fixture.axis(5)), (Fixture.hash("nobody has this"), Fixture.axis(6)),
            ]
            for space in [IsolationRows.cache, IsolationRows.secretCache] {
                try await store.cacheVectors(guesses, in: space, tenant: Self.us)
                #expect(
                    try await store.cachedVectors(guesses.map(\.0), in: space, tenant: Self.us)
                        == Dictionary(uniqueKeysWithValues: guesses)
                )
            }
            // A statement sees as many new rows for a text that another tenant has as for one that nobody has.
            let counts = try await world.truth.rows(
                "SELECT count(*) FROM rag.embedding_cache WHERE tenant_id = '\(Self.us.rowID)' GROUP BY input_hash"
                    + " ORDER BY 1"
            )
            #expect(counts == [["1"], ["2"], ["2"]])
        }
    }

    @Test("pruning all of one's own leaves the other's", arguments: IsolationCallTests.Caller.allCases)
    func pruning(caller: IsolationCallTests.Caller) async throws {
        try await attack(caller) { _, store in
            let kept = try await store.pruneCache(keeping: "shared", tenant: Self.us)
            let own = try await store.pruneCache(unusedFor: .zero, maximumBytes: 0, tenant: Self.us)
            let rest = try await store.pruneCache(maximumBytes: 0, keeping: "none", tenant: Self.us)
            let figures = try await store.cacheFigures(tenant: Self.us)
            #expect(kept.entries == 0 && own.entries == 1 && rest == CachePruning() && figures.isEmpty)
        }
    }

    @Test("no estimate of the planner tells a text that other tenants have from one that nobody has")
    func estimates() async throws {
        try await IsolationWorld.with { world in
            // Fifty tenants have one text and vector in common: with statistics, the most common value there is. The
            // attacker has many of its own, so that a share of them is seen in an estimate.
            let text = Fixture.hash("in fifty tenants")
            try await world.truth.runScript(
                """
                INSERT INTO rag.embedding_cache (tenant_id, input_hash, fingerprint, template, dimension, embedding)
                SELECT t, h, 'common', 'common', 8, '[0,0,0,0,0,0,1,0]'
                FROM (SELECT gen_random_uuid() AS t FROM generate_series(1, 50)) t,
                    unnest('\\x\(text.hex)'::bytea || ARRAY[sha256(t::text::bytea), sha256((t::text || 'x')::bytea)]) h;
                INSERT INTO rag.embedding_cache (tenant_id, input_hash, fingerprint, template, dimension, embedding)
                SELECT '\(Self.us.rowID)', sha256(n::text::bytea), n, n, 8, array_fill(n, ARRAY[8])::public.vector
                FROM generate_series(1, 3000) n;
                ANALYZE rag.embedding_cache
                """
            )
            let shared = ["input_hash = '\\x\(text.hex)'", "fingerprint = 'common'", "template = 'common'"]
            let unknown = ["input_hash = '\\x\(Fixture.hash("nobody").hex)'", "fingerprint = 'a'", "template = 'a'"]
            let vectors = ["embedding = '[0,0,0,0,0,0,1,0]'", "embedding = '[0,0,0,0,0,0,0,1]'"]
            for (hit, miss) in zip(shared + [vectors[0]], unknown + [vectors[1]]) {
                var estimates: [[Substring]] = []
                for condition in [hit, miss] {
                    let plan = try await world.app.rows(
                        "EXPLAIN SELECT FROM rag.embedding_cache WHERE \(condition)",
                        tenant: Self.us
                    )
                    // Node, costs, rows and width; not the conditions, which are different.
                    estimates.append(
                        plan.compactMap { $0[0] }.flatMap { $0.matches(of: /^.*\(cost=.*\)$/).map(\.output) }
                    )
                }
                #expect(!estimates[0].isEmpty && estimates[0] == estimates[1], "\(hit)")
            }
            let statistics = try await world.truth.count(
                """
                SELECT count(*) FROM pg_stats WHERE tablename = 'embedding_cache'
                    AND attname IN ('input_hash', 'fingerprint', 'template', 'embedding')
                """
            )
            #expect(statistics == 0)
        }
    }

    @Test("another tenant's transaction on the same text is not waited for")
    func waiting() async throws {
        try await IsolationWorld.with { world in
            // The victim adds a text and does not commit; whoever waited for it would know that it is there.
            let gate = try world.database.store(poolSize: 1)
            try await gate.runScript("SELECT pg_advisory_lock(7)")
            let text = Fixture.hash("being added")
            let holder = try world.database.store(poolSize: 1)
            let adding = Task {
                try await holder.rows(
                    """
                    WITH i AS (
                        INSERT INTO rag.embedding_cache (tenant_id, input_hash, fingerprint, template, dimension)
                        VALUES ('\(IsolationWorld.victim.rowID)', '\\x\(text.hex)', 'shared', '1', 8) RETURNING 1
                    ) SELECT pg_advisory_xact_lock(7) FROM i
                    """,
                    tenant: IsolationWorld.victim
                )
            }
            try await world.truth.waitForAdvisoryWaiter()
            var configuration = world.app.configuration
            configuration.statementTimeout = .seconds(20)
            configuration.attempts = 1
            let app = try Store(configuration: configuration)
            try await app.cacheVectors([(text, Fixture.axis(1))], in: IsolationRows.cache, tenant: Self.us)
            let found = try await app.cachedVectors([text], in: IsolationRows.cache, tenant: Self.us)
            #expect(found == [text: Fixture.axis(1)])
            try await world.truth.waitForAdvisoryWaiter()
            try await gate.runScript("SELECT pg_advisory_unlock(7)")
            _ = try await adding.value
            for store in [gate, holder, app] { await store.close() }
        }
    }
}

extension Store {
    /// Returns when a session of this database waits for an advisory lock; fails after a minute.
    func waitForAdvisoryWaiter() async throws {
        for _ in 0..<6_000 {
            let waiting = try await count(
                """
                SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted
                    AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
                """
            )
            if waiting != 0 { return }
            try await Task.sleep(for: .milliseconds(10))
        }
        Issue.record("nobody waits for the lock")
    }
}
