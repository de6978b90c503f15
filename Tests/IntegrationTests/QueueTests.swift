import KelterModel
import KelterStore
import KelterTestSupport
import Testing

/// The queue of runs as workers of several processes see it, under row level security.
@Suite("The queue of runs")
struct QueueTests {
    /// A database whose registry has two tenants, seen by a role that owns nothing.
    private func withQueue(_ body: (TemporaryDatabase, Store, [Tenant]) async throws -> Void) async throws {
        try await TemporaryDatabase.with { database in
            try await database.store.applyRegistry()
            var tenants: [Tenant] = []
            for name in ["a", "b"] {
                let tenant = try Tenant("tenant-\(name)")
                let record = TenantRecord(tenant: tenant, schema: "schema_\(name)", name: name, domains: [])
                #expect(try await database.store.createTenant(record))
                tenants.append(tenant)
            }
            let store = try await database.applicationStore()
            try await body(database, store, tenants)
            await store.close()
            try await database.dropApplicationRole()
        }
    }

    private func enqueue(_ store: Store, _ tenant: Tenant, priority: Int = 0) async throws -> RowID {
        let run = RunRecord(id: Fixture.id(), caseID: "local", kind: "upload", status: .queued)
        try await store.enqueue(RunSubmission(run: run, priority: priority, traceID: "t"), tenant: tenant)
        return run.id
    }

    private func claim(_ store: Store, _ tenants: [Tenant], lease: Duration = .seconds(30)) async throws -> ClaimedRun?
    {
        try await store.claimRun(of: tenants, worker: "test", lease: lease)
    }

    @Test("urgent runs go first, then the oldest; the order of the tenants decides between tenants")
    func order() async throws {
        try await withQueue { _, store, tenants in
            let first = try await enqueue(store, tenants[0])
            let second = try await enqueue(store, tenants[0])
            let urgent = try await enqueue(store, tenants[0], priority: 5)
            let other = try await enqueue(store, tenants[1])
            #expect(try await store.queueDepth(of: tenants) == QueueDepth(queued: 4, running: 0))
            let claimed = try #require(try await claim(store, tenants))
            #expect(claimed.run.id == urgent)
            #expect(claimed.tenant == tenants[0])
            #expect(claimed.run.traceID == "t")
            #expect(try await claim(store, tenants.reversed())?.run.id == other)
            #expect(try await claim(store, tenants)?.run.id == first)
            #expect(try await claim(store, tenants)?.run.id == second)
            #expect(try await claim(store, tenants)?.run.id == nil)
            #expect(try await store.queueDepth(of: tenants) == QueueDepth(queued: 0, running: 4))
            #expect(try await claim(store, [])?.run.id == nil)
        }
    }

    @Test("many workers at once take each run exactly once")
    func concurrency() async throws {
        try await withQueue { database, _, tenants in
            let store = database.store
            var runs: Set<RowID> = []
            for index in 0..<40 { runs.insert(try await enqueue(store, tenants[index % 2])) }
            let taken = try await withThrowingTaskGroup(of: [RowID].self) { group in
                for _ in 0..<4 {
                    group.addTask {
                        var mine: [RowID] = []
                        while let claim = try await store.claimRun(of: tenants, worker: "w", lease: .seconds(30)) {
                            mine.append(claim.run.id)
                        }
                        return mine
                    }
                }
                return try await group.reduce(into: []) { $0 += $1 }
            }
            #expect(taken.count == 40)
            #expect(Set(taken) == runs)
        }
    }

    @Test("an expired lease is taken over, and its first holder can neither prolong, give back nor finish the run")
    func fencing() async throws {
        try await withQueue { _, store, tenants in
            let run = try await enqueue(store, tenants[0])
            let late = try #require(try await claim(store, tenants, lease: .milliseconds(1)))
            #expect(late.attempts == 1)
            try await Task.sleep(for: .milliseconds(20))
            let next = try #require(try await claim(store, tenants))
            #expect(next.run.id == run)
            #expect(next.attempts == 2)
            #expect(next.token > late.token)
            #expect(try await !store.renewLease(of: late, for: .seconds(30)))
            #expect(try await !store.requeue(late, after: .zero, countsAttempt: true, reason: nil))
            let refusal = await #expect(throws: KelterError.self) {
                try await store.finish(late, status: .failed, totals: .object([]), error: "late")
            }
            #expect(refusal?.code == .leaseLost)
            #expect(try await store.renewLease(of: next, for: .seconds(30)))
            try await store.finish(next, status: .succeeded, totals: .object([("n", .int(1))]), error: nil)
            let record = try await store.run(run, tenant: tenants[0])
            #expect(record.status == .succeeded)
            #expect(record.error == nil)
            #expect(try await claim(store, tenants)?.run.id == nil)
        }
    }

    @Test("a run that was given back waits, and an attempt that was not its fault does not count")
    func requeue() async throws {
        try await withQueue { _, store, tenants in
            _ = try await enqueue(store, tenants[0])
            let first = try #require(try await claim(store, tenants))
            #expect(try await store.requeue(first, after: .zero, countsAttempt: false, reason: "outage"))
            #expect(try await store.run(first.run.id, tenant: tenants[0]).error == "outage")
            let second = try #require(try await claim(store, tenants))
            #expect(second.attempts == 1)
            #expect(try await store.requeue(second, after: .seconds(60), countsAttempt: true, reason: nil))
            #expect(try await claim(store, tenants)?.run.id == nil, "it is not to be taken for a minute")
        }
    }

    @Test("a run of the command line, which has no lease, is never taken")
    func commandLineRuns() async throws {
        try await withQueue { _, store, tenants in
            try await store.beginRun(RunRecord(id: Fixture.id(), kind: "ingest"), tenant: tenants[0])
            #expect(try await claim(store, tenants)?.run.id == nil)
        }
    }

    @Test("keys, uploads, audit and idempotency rows of one tenant are nobody else's")
    func isolation() async throws {
        try await withQueue { database, store, tenants in
            try await database.store.runScript(
                "GRANT SELECT, INSERT, UPDATE, DELETE ON public.api_keys TO \(database.name)_app;"
                    + "GRANT SELECT ON public.tenants, public.domains TO \(database.name)_app"
            )
            let digest = try #require(ContentHash(hex: String(repeating: "ab", count: 32)))
            let key = Fixture.id()
            try await store.insertAPIKey(key, digest: digest, label: "l", lifetimeDays: 1, tenant: tenants[0])
            #expect(try await store.apiKeyDigest(key, tenant: tenants[0]) == digest)
            #expect(try await store.apiKeyDigest(key, tenant: tenants[1]) == nil)
            #expect(try await !store.revokeAPIKey(key, tenant: tenants[1]))
            #expect(try await store.apiKeys(of: tenants[1]).isEmpty)
            #expect(try await store.hasAnyAPIKey())
            #expect(try await store.revokeAPIKey(key, tenant: tenants[0]))
            #expect(try await store.apiKeyDigest(key, tenant: tenants[0]) == nil)

            let claim = IdempotencyClaim(route: "r", key: "k", requestHash: digest, owner: Fixture.id())
            #expect(try await store.claimIdempotencyKey(claim, for: .seconds(60), tenant: tenants[0]) == .claimed)
            #expect(try await store.claimIdempotencyKey(claim, for: .seconds(60), tenant: tenants[0]) == .inProgress)
            #expect(try await store.claimIdempotencyKey(claim, for: .seconds(60), tenant: tenants[1]) == .claimed)
            let reply = IdempotentReply(claim: claim, status: 202, body: [1, 2])
            try await store.finishIdempotencyKey(reply, tenant: tenants[0])
            #expect(
                try await store.claimIdempotencyKey(claim, for: .seconds(60), tenant: tenants[0])
                    == .finished(status: 202, body: [1, 2])
            )
            for table in ["runs", "idempotency_keys", "uploads", "audit_log"] {
                let rows = try await store.rows("SELECT count(*) FROM rag.\(table)")
                #expect(rows == [["0"]], "without a tenant \(table) is empty")
            }
        }
    }
}
