import KelterModel
import KelterStore
import KelterTestSupport
import Testing

@Suite("The ledger of runs")
struct LedgerTests {
    private let tenant = Fixture.tenant

    @Test("a run is counted from its items, an item recorded twice counts once")
    func recount() async throws {
        try await TemporaryDatabase.with { database in
            let store = database.store
            let run = RunRecord(
                id: Fixture.id(),
                caseID: "local",
                kind: "ingest",
                arguments: .object([("paths", .array([.string("a")]))])
            )
            try await store.beginRun(run, tenant: tenant)
            let group = [
                Fixture.item("a", "1"), Fixture.item("b", "1"), Fixture.item("a", "1", in: Fixture.collection(1)),
            ]
            _ = try await store.write(group, run: run.id, tenant: tenant)
            let items = [
                RunItem(collection: nil, externalID: "c", outcome: .failed, code: .parserFailed, detail: "Broken."),
                RunItem(collection: nil, externalID: "d", outcome: .skipped, detail: "empty\0"),
                RunItem(collection: nil, externalID: "a", outcome: .unchanged),
            ]
            try await store.recordItems(items, run: run.id, tenant: tenant)
            let counts = try await store.countOutcomes(ofRun: run.id, tenant: tenant)
            var expected = OutcomeCounts()
            (expected[.inserted], expected[.duplicate], expected[.unchanged]) = (1, 1, 1)
            (expected[.failed], expected[.skipped]) = (1, 1)
            #expect(counts == expected)
            let failed = try await store.items(ofRun: run.id, outcomes: [.failed], tenant: tenant)
            #expect(failed.map(\.externalID) == ["c"] && failed.first?.code == .parserFailed)

            try await store.finishRun(
                run.id,
                status: .partial,
                totals: counts.json,
                error: "one failed",
                tenant: tenant
            )
            let stored = try await store.run(run.id, tenant: tenant)
            #expect(stored.status == .partial && stored.totals == counts.json && stored.error == "one failed")
            #expect(stored.arguments == run.arguments && stored.caseID == "local")
            #expect(stored.finishedAt != nil)

            try await store.beginRun(run, tenant: tenant)
            #expect(try await store.run(run.id, tenant: tenant).status == .running)
            #expect(try await store.latestRuns(tenant: tenant).map(\.id) == [run.id])
        }
    }

    @Test("an unknown run is named")
    func unknown() async throws {
        try await TemporaryDatabase.with { database in
            let id = Fixture.id()
            let error = await #expect(throws: KelterError.self) {
                try await database.store.finishRun(id, status: .failed, totals: .object([]), tenant: tenant)
            }
            #expect(error?.code == .runNotFound && error?.detail.contains(id.description) == true)
        }
    }
}
