import KelterModel
import KelterStore
import KelterTestSupport
import Testing

@Suite("The locks of writers")
struct AdvisoryLockTests {
    @Test("a writer of the same name waits until the first is done, a writer of another does not")
    func waits() async throws {
        try await TemporaryDatabase.with(poolSize: 3) { database in
            let (store, tenant) = (database.store, Fixture.tenant)
            // A row of another session that the first writer runs into, inside its transaction and with its locks.
            let blocker = try database.store()
            let collection = Fixture.collection(1)
            let blocking = Task {
                try await blocker.runScript(
                    """
                    SET statement_timeout TO 0; BEGIN;
                    INSERT INTO rag.collections (tenant_id, id) VALUES ('\(tenant.rowID)', '\(collection)');
                    SELECT pg_sleep(600)
                    """
                )
            }
            try await waitUntil("PgSleep", in: store)
            let first = Task {
                try await store.write([Fixture.item("a", "1", in: collection)], run: nil, tenant: tenant)
            }
            try await waitUntil("transactionid", in: store)
            let second = Task {
                try await store.write([Fixture.item("a", "2", in: collection)], run: nil, tenant: tenant)
            }
            try await waitUntil("advisory", in: store)

            let other = try await store.write([Fixture.item("b", "3")], run: nil, tenant: tenant)
            #expect(other.map(\.outcome) == [.inserted])
            blocking.cancel()
            _ = await blocking.result
            #expect(try await first.value.map(\.outcome) == [.inserted])
            #expect(try await second.value.map(\.outcome) == [.replaced])
            await blocker.close()
        }
    }

    /// Returns when a session of the database waits for this event of `pg_stat_activity`.
    private func waitUntil(_ event: String, in store: Store) async throws {
        try await store.waitUntil("SELECT count(*) FROM pg_stat_activity WHERE wait_event = '\(event)'")
    }
}
