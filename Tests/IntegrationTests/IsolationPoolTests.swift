import KelterModel
import KelterStore
import KelterTestSupport
import Testing

// One database after the other: all at once they would make the other suites wait.
/// What one use of a pooled connection could leave behind for the next.
@Suite("Tenants on pooled connections", .serialized)
struct IsolationPoolTests {
    private static let (a, b) = (IsolationWorld.attacker, IsolationWorld.victim)

    /// A database with some documents of both tenants, and a store of the application's role.
    private func withStore(poolSize: Int = 1, _ body: (TemporaryDatabase, Store) async throws -> Void) async throws {
        try await TemporaryDatabase.with { database in
            try await database.store.applyRegistry()
            try await database.store.applyRoles()
            try await database.store.runScript("GRANT SELECT ON public.tenants, public.domains TO kelter_app")
            try await database.store.runScript("GRANT SELECT ON public.api_keys TO kelter_app")
            for tenant in [Self.a, Self.b] {
                let items = [Fixture.item("x", "1"), Fixture.item("y", "2", in: Fixture.collection(1))]
                _ = try await database.store.write(items, run: nil, tenant: tenant)
            }
            let store = try database.roleStore(.application, poolSize: poolSize)
            try await body(database, store)
            await store.close()
        }
    }

    private static let count = "SELECT count(*) FROM rag.documents"

    /// The connection of the store is one and the same and has no tenant left.
    private func expectNoTenant(_ store: Store, _ session: [[String?]]) async throws {
        #expect(try await store.rows(Self.count) == [["0"]])
        #expect(try await store.rows("SELECT nullif(current_setting('kelter.tenant_id', true), '')") == [[nil]])
        #expect(try await store.rows("SELECT pg_backend_pid()") == session)
        #expect(try await store.rows(Self.count, tenant: Self.b) == [["2"]])
    }

    @Test("a tenant is gone after its transaction, however it ended")
    func endings() async throws {
        try await withStore { database, store in
            let session = try await store.rows("SELECT pg_backend_pid()")
            #expect(try await store.rows(Self.count, tenant: Self.a) == [["2"]])
            try await expectNoTenant(store, session)
            _ = try await store.contents(of: Self.a)
            _ = try await store.tenants()
            try await expectNoTenant(store, session)

            #expect(await store.refusal("SELECT 1 / 0", tenant: Self.a) == "22012")
            try await expectNoTenant(store, session)

            let sleeping = Task { try await store.rows("SELECT pg_sleep(30)", tenant: Self.a) }
            try await waitUntil("the statement runs") {
                try await database.store.count(
                    "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND datname = '\(database.name)'"
                ) == 1
            }
            sleeping.cancel()
            let interrupted = await #expect(throws: KelterError.self) { try await sleeping.value }
            #expect(interrupted?.code == .interrupted)
            try await expectNoTenant(store, session)

            let failingCommit = """
                DO $$ BEGIN
                    SET CONSTRAINTS ALL DEFERRED;
                    UPDATE rag.documents SET collection_id = gen_random_uuid() WHERE collection_id IS NOT NULL;
                END $$
                """
            #expect(await store.refusal(failingCommit, tenant: Self.a) == "23503")
            try await expectNoTenant(store, session)
        }
    }

    @Test("a transaction that a script leaves open or failed does not reach the next use")
    func openTransactions() async throws {
        try await withStore { _, store in
            let session = try await store.rows("SELECT pg_backend_pid()")
            try await store.runScript("BEGIN; SET LOCAL kelter.tenant_id = '\(Self.a.rowID)'")
            try await expectNoTenant(store, session)
            let failure = await store.refusal {
                try await store.runScript("BEGIN; SET LOCAL kelter.tenant_id = '\(Self.a.rowID)'; SELECT 1 / 0")
            }
            #expect(failure == "22012")
            try await expectNoTenant(store, session)
        }
    }

    @Test("many tasks of two tenants on few connections see their own rows only")
    func concurrency() async throws {
        try await withStore(poolSize: 3) { _, store in
            let strangers = try await withThrowingTaskGroup(of: Int.self) { group in
                for task in 0..<8 {
                    group.addTask {
                        var strangers = 0
                        for turn in 0..<200 {
                            let tenant = (task + turn) % 2 == 0 ? Self.a : Self.b
                            let seen = try await store.rows("SELECT tenant_id FROM rag.documents", tenant: tenant)
                            if seen != [["\(tenant.rowID)"], ["\(tenant.rowID)"]] { strangers += 1 }
                            if turn % 20 == task, try await store.rows(Self.count) != [["0"]] { strangers += 1 }
                        }
                        return strangers
                    }
                }
                return try await group.reduce(0, +)
            }
            #expect(strangers == 0)
            #expect(store.connections.idle == 3)
        }
    }

    @Test("the session's temporary tables and prepared statements hold no row of an earlier tenant")
    func sessionState() async throws {
        try await withStore { _, store in
            let session = try await store.rows("SELECT pg_backend_pid()")
            _ = try await store.write([Fixture.item("z", "3")], run: nil, tenant: Self.a)
            // It is there, and empty.
            #expect(try await store.rows("SELECT count(*) FROM pg_temp.kelter_staging", tenant: Self.b) == [["0"]])
            #expect(try await store.rows("SELECT to_regclass('pg_temp.kelter_vectors')", tenant: Self.b) == [[nil]])

            // The plan of a prepared statement outlives the tenant it was made for.
            try await store.runScript("SET plan_cache_mode TO force_generic_plan")
            try await store.runScript("PREPARE own AS SELECT DISTINCT tenant_id FROM rag.documents")
            for tenant in [Self.a, Self.b, Self.a] {
                #expect(try await store.rows("EXECUTE own", tenant: tenant) == [["\(tenant.rowID)"]])
            }
            #expect(try await store.rows("EXECUTE own").isEmpty)
            #expect(try await store.rows("SELECT pg_backend_pid()") == session)
        }
    }
}
