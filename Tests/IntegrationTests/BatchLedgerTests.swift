import Glibc
import KelterModel
import KelterStore
import KelterTestSupport
import Synchronization
import Testing

@Suite("The ledger of batches that several processes work on")
struct BatchLedgerTests {
    private let tenant = Fixture.tenant
    private static let lease = Duration.seconds(60)

    private func entries(_ names: [String]) -> [JSONValue] { names.map { .object([("path", .string($0))]) } }

    private func begin(_ store: Store, id: RowID = Fixture.id()) async throws -> ClaimedRun {
        let run = RunRecord(id: id, caseID: "local", kind: "ingest")
        let role = try await store.joinBatch(run, worker: "first", lease: Self.lease, tenant: tenant)
        guard case .coordinator(let claim, .new) = role else { throw KelterError(.internalError, "\(role)") }
        return claim
    }

    private func claim(_ run: RowID, _ store: Store, lease: Duration = lease) async throws -> RunPart? {
        try await store.claimPart(of: run, worker: "w", lease: lease, tenant: tenant)
    }

    /// Lets every lease of a run run out.
    private func expire(_ run: RowID, _ store: Store) async throws {
        for table in ["runs", "run_parts"] {
            try await store.runScript(
                "UPDATE rag.\(table) SET lease_until = lease_until - interval '1 day' "
                    + "WHERE \(table == "runs" ? "id" : "run_id") = '\(run)'"
            )
        }
    }

    @Test("parts are taken once each, in their order, by however many processes")
    func parts() async throws {
        try await TemporaryDatabase.with(poolSize: 8) { database in
            let store = database.store
            let batch = try await begin(store)
            let run = batch.run.id
            for start in stride(from: 0, to: 40, by: 10) {
                let first = try await store.addParts((start..<start + 10).map { entries(["\($0)"]) }, to: batch)
                #expect(first == start)
            }
            let taken = try await withThrowingTaskGroup(of: [RunPart].self) { group in
                for _ in 0..<8 {
                    group.addTask {
                        var mine: [RunPart] = []
                        while let part = try await claim(run, store) { mine.append(part) }
                        return mine
                    }
                }
                return try await group.reduce(into: [RunPart]()) { all, mine in
                    #expect(mine.map(\.lease.part) == mine.map(\.lease.part).sorted())
                    all += mine
                }
            }
            #expect(taken.map(\.lease.part).sorted() == Array(0..<40))
            #expect(taken.allSatisfy { $0.entries == entries(["\($0.lease.part)"]) && $0.attempts == 1 })
            #expect(try await store.partCounts(of: run, tenant: tenant) == PartCounts(added: 40, leased: 40))
            for part in taken {
                #expect(try await store.finishPart(part.lease, items: 2, of: run, tenant: tenant))
            }
            #expect(
                try await store.partCounts(of: run, tenant: tenant) == PartCounts(added: 40, finished: 40, items: 80)
            )
            #expect(try await claim(run, store) == nil)
        }
    }

    @Test("a part whose process fell silent is taken over, and what the late one writes is refused")
    func fencing() async throws {
        try await TemporaryDatabase.with { database in
            let store = database.store
            let batch = try await begin(store)
            let run = batch.run.id
            try await store.addParts([entries(["a", "b", "c"]), entries(["d"])], to: batch)
            let late = try #require(try await claim(run, store))
            let other = try #require(try await claim(run, store))
            func item(_ name: String, _ bytes: String, _ lease: PartLease) -> DocumentWrite {
                var item = Fixture.item(name, bytes)
                item.place = BatchPlace(path: name, lease: lease)
                return item
            }
            let first = try await store.write([item("a", "1", late.lease)], run: run, tenant: tenant)
            #expect(first.map(\.outcome) == [.inserted])
            try await expire(run, store)
            let next = try #require(try await claim(run, store))
            #expect(next.lease.part == late.lease.part && next.lease.token == late.lease.token + 1)
            #expect(next.attempts == 2 && next.recorded == ["a": 1])

            // Of one transaction, the items of the part that was lost are refused and the others stored.
            let group = [item("b", "2", late.lease), item("d", "3", next.lease), item("e", "4", late.lease)]
            let results = try await store.write(group, run: run, tenant: tenant)
            #expect(results.map { $0.error?.code } == [.leaseLost, nil, .leaseLost])
            let place = BatchPlace(path: "c", lease: late.lease)
            let words = RunItem(collection: nil, externalID: "c", outcome: .failed, place: place)
            try await store.recordItems([words], run: run, tenant: tenant)
            #expect(try await store.rows("SELECT external_id FROM rag.documents ORDER BY 1") == [["a"], ["d"]])
            #expect(try await store.rows("SELECT path FROM rag.run_items ORDER BY 1") == [["a"], ["d"]])
            #expect(try await store.finishPart(late.lease, items: 3, of: run, tenant: tenant) == false)
            let lost = try await store.renewParts(
                [late.lease, next.lease, other.lease],
                of: run,
                tenant: tenant,
                for: Self.lease
            )
            #expect(lost == [late.lease])
            #expect(try await store.partCounts(of: run, tenant: tenant) == PartCounts(added: 2, leased: 2))
            try await store.releaseParts([next.lease], of: run, tenant: tenant, countsAttempt: false)
            let again = try #require(try await claim(run, store))
            #expect(again.lease.part == 0 && again.attempts == 2 && again.recorded == ["a": 1, "d": 1])
        }
    }

    @Test("a name is one file's of the batch, whichever process works on the other")
    func names() async throws {
        try await TemporaryDatabase.with { database in
            let store = database.store
            let batch = try await begin(store)
            let run = batch.run.id
            func item(_ path: String, _ bytes: String, in collection: CollectionID? = nil) -> DocumentWrite {
                var item = Fixture.item("name", bytes, in: collection)
                item.place = BatchPlace(path: path)
                return item
            }
            let failed = RunItem(
                collection: nil,
                externalID: "name",
                outcome: .failed,
                place: BatchPlace(path: "broken")
            )
            try await store.recordItems([failed], run: run, tenant: tenant)
            #expect(try await store.write([item("a", "1")], run: run, tenant: tenant).map(\.outcome) == [.inserted])
            let elsewhere = Fixture.collection(1)
            let results = try await store.write(
                [item("b", "2"), item("a", "3"), item("b", "2", in: elsewhere)],
                run: run,
                tenant: tenant
            )
            #expect(results.map(\.outcome) == [.failed, .replaced, .inserted])
            #expect(results[0].error?.code == .sidecarInvalid && results[0].error?.subject == "b")
            let counts = try await store.countOutcomes(ofRun: run, tenant: tenant)
            #expect(counts[.failed] == 2 && counts[.replaced] == 1 && counts[.inserted] == 1)
            // In another run the name is free.
            let second = try await begin(store)
            let anew = try await store.write([item("b", "2")], run: second.run.id, tenant: tenant)
            #expect(anew.map(\.outcome) == [.replaced])
        }
    }

    @Test("while a document is being written its part's lease can be prolonged, and nobody takes the part over")
    func longWrite() async throws {
        try await TemporaryDatabase.with(poolSize: 4) { database in
            let store = database.store
            let batch = try await begin(store)
            let run = batch.run.id
            try await store.addParts([entries(["a"]), entries(["b"])], to: batch)
            let part = try #require(try await claim(run, store))
            var item = Fixture.item("a", "1")
            item.place = BatchPlace(path: "a", lease: part.lease)
            let began = Atomic(false)
            let isOver = Atomic(false)
            let key = DocumentContent.Key(inputHash: Fixture.hash("a"), dimension: 8)
            item.content = DocumentContent([key]) { _ in
                began.store(true, ordering: .sequentiallyConsistent)
                for _ in 0..<1_000 where !isOver.load(ordering: .sequentiallyConsistent) { usleep(20_000) }
                return [Fixture.chunk(0, "a")]
            }
            async let written = store.write([item], run: run, tenant: tenant)
            try await waitUntil("the transaction") { began.load(ordering: .sequentiallyConsistent) }
            let lost = try await store.renewParts([part.lease], of: run, tenant: tenant, for: Self.lease)
            #expect(lost.isEmpty)
            try await expire(run, store)
            #expect(try await claim(run, store)?.lease.part == 1)
            #expect(try await claim(run, store) == nil)
            isOver.store(true, ordering: .sequentiallyConsistent)
            #expect(try await written.map(\.outcome) == [.inserted])
            #expect(try await claim(run, store)?.lease.part == 0)
        }
    }

    @Test("a worker is led to the batches with open parts, tenant after tenant")
    func openBatches() async throws {
        try await TemporaryDatabase.with { database in
            let store = database.store
            let others = [Fixture.tenant("b"), Fixture.tenant("c")]
            #expect(try await store.openBatch(of: [tenant] + others)?.run.id == nil)
            let first = try await begin(store)
            #expect(try await store.openBatch(of: [tenant])?.run.id == nil, "nothing has been found yet")
            try await store.addParts([entries(["a"]), entries(["b"])], to: first)
            let second = try await begin(store)
            try await store.addParts([entries(["c"])], to: second)
            var foreign: [RowID] = []
            for other in others {
                let run = RunRecord(
                    id: Fixture.id(),
                    caseID: "local",
                    kind: "ingest",
                    arguments: .object([("x", .int(1))])
                )
                guard
                    case .coordinator(let claim, .new) = try await store.joinBatch(
                        run,
                        worker: "o",
                        lease: Self.lease,
                        tenant: other
                    )
                else { return }
                try await store.addParts([entries(["d"])], to: claim)
                foreign.append(run.id)
            }
            let found = try await store.openBatch(of: [tenant] + others)
            #expect(found?.run.id == first.run.id && found?.tenant == tenant && found?.run.kind == "ingest")
            let other = try await store.openBatch(of: [others[1], tenant, others[0]])
            #expect(other?.run.id == foreign[1] && other?.tenant == others[1])
            #expect(other?.run.arguments == .object([("x", .int(1))]))
            #expect(try await store.openBatch(of: [tenant] + others, except: [first.run.id])?.run.id == second.run.id)
            let left = try await store.openBatch(of: [tenant] + others, except: [first.run.id, second.run.id])
            #expect(left?.run.id == foreign[0])

            // Parts that somebody works on are not open, and come back with their lease.
            let parts = [try await claim(first.run.id, store), try await claim(first.run.id, store)].compactMap { $0 }
            #expect(try await store.openBatch(of: [tenant])?.run.id == second.run.id)
            try await store.releaseParts([parts[1].lease], of: first.run.id, tenant: tenant, countsAttempt: false)
            #expect(try await store.openBatch(of: [tenant])?.run.id == first.run.id)

            // A batch that nobody would close is left alone, and one that has ended.
            try await store.runScript("UPDATE rag.runs SET lease_until = lease_until - interval '1 day'")
            #expect(try await store.openBatch(of: [tenant] + others)?.run.id == nil)
        }
    }

    @Test("one process coordinates; another takes over when it falls silent, and goes on where it was")
    func coordination() async throws {
        try await TemporaryDatabase.with { database in
            let store = database.store
            let first = try await begin(store)
            let record = first.run
            try await store.addParts([entries(["a"])], to: first)
            guard
                case .helper(of: "first") = try await store.joinBatch(
                    record,
                    worker: "2",
                    lease: Self.lease,
                    tenant: tenant
                )
            else {
                Issue.record("two coordinators")
                return
            }
            // A worker of the queue leaves batches alone.
            try await expire(record.id, store)
            #expect(try await store.claimRun(of: [tenant], worker: "w", lease: Self.lease)?.run.id == nil)
            let role = try await store.joinBatch(record, worker: "3", lease: Self.lease, tenant: tenant)
            guard case .coordinator(let second, .partlyFound) = role else {
                Issue.record("\(role)")
                return
            }
            let refusal = await #expect(throws: KelterError.self) { try await store.addParts([[]], to: first) }
            #expect(refusal?.code == .leaseLost)
            #expect(await store.refusal { try await store.finishFinding(first) } == "LEASE_LOST")
            #expect(
                await store.refusal {
                    try await store.finish(first, status: .succeeded, totals: .object([]), error: nil)
                } == "LEASE_LOST"
            )
            #expect(try await store.addParts([entries(["b"])], to: second) == 1)
            try await store.finishFinding(second)
            try await store.finish(second, status: .interrupted, totals: .object([]), error: nil)
            guard
                case .coordinator(let third, .found) =
                    try await store.joinBatch(record, worker: "4", lease: Self.lease, tenant: tenant)
            else {
                Issue.record("not found")
                return
            }
            #expect(try await store.partCounts(of: record.id, tenant: tenant).added == 2)
            try await store.finish(third, status: .partial, totals: .object([]), error: nil)
            // What has come to its end is not worked on again; what failed as a whole begins anew.
            guard
                case .ended = try await store.joinBatch(record, worker: "5", lease: Self.lease, tenant: tenant)
            else {
                Issue.record("not ended")
                return
            }
            try await database.store.runScript("UPDATE rag.runs SET status = 'failed'")
            guard
                case .coordinator(_, .new) = try await store.joinBatch(
                    record,
                    worker: "5",
                    lease: Self.lease,
                    tenant: tenant
                )
            else {
                Issue.record("not new")
                return
            }
            #expect(try await store.partCounts(of: record.id, tenant: tenant) == PartCounts())
        }
    }

    @Test("a run that does not add up says where")
    func contradictions() async throws {
        try await TemporaryDatabase.with { database in
            let store = database.store
            let batch = try await begin(store)
            let run = batch.run.id
            try await store.addParts([entries(["a"]), entries(["b"]), entries(["c"])], to: batch)
            for number in 0..<2 {
                let part = try #require(try await claim(run, store))
                var item = Fixture.item("\(number)", "\(number)")
                item.place = BatchPlace(path: "\(number)", lease: part.lease)
                _ = try await store.write([item], run: run, tenant: tenant)
                #expect(try await store.finishPart(part.lease, items: 1, of: run, tenant: tenant))
            }
            #expect(try await store.contradictions(inRun: run, tenant: tenant) == ["part 2 is not finished"])
            let last = try #require(try await claim(run, store))
            #expect(try await store.finishPart(last.lease, items: 0, of: run, tenant: tenant))
            #expect(try await store.contradictions(inRun: run, tenant: tenant).isEmpty)
            try await store.runScript("DELETE FROM rag.run_items WHERE path = '1'")
            #expect(try await store.contradictions(inRun: run, tenant: tenant) == ["part 1 has 1 items, the ledger 0"])
            try await store.runScript(
                """
                UPDATE rag.run_parts SET items = 0 WHERE part = 1;
                INSERT INTO rag.run_items (run_id, tenant_id, external_id, outcome, path)
                VALUES ('\(run)', '\(tenant.rowID)', '0', 'replaced', 'z')
                """
            )
            #expect(try await store.contradictions(inRun: run, tenant: tenant) == ["0 and z both were \"0\""])
        }
    }
}
