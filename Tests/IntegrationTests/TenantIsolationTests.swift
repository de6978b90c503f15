import KelterModel
import KelterStore
import KelterTestSupport
import Testing

@Suite("Tenants")
struct TenantIsolationTests {
    @Test("every call works for a role that owns nothing, and no tenant sees another's rows")
    func rowLevelSecurity() async throws {
        try await TemporaryDatabase.with { database in
            let (a, b) = (Fixture.tenant("a"), Fixture.tenant("b"))
            let store = try await database.applicationStore()
            let run = RunRecord(id: Fixture.id(), kind: "ingest")
            try await store.beginRun(run, tenant: a)
            let group = [
                Fixture.item("x", "1", root: "r"), Fixture.item("y", "2", in: Fixture.collection(1), root: "r"),
                Fixture.item("z", "1", root: "r"),
            ]
            let results = try await store.write(group, run: run.id, tenant: a)
            #expect(results.map(\.outcome) == [.inserted, .inserted, .duplicate])
            let again = try await store.write(
                [Fixture.item("x", "3"), Fixture.item("y", "4", in: Fixture.collection(1))],
                run: run.id,
                tenant: a
            )
            #expect(again.map(\.outcome) == [.replaced, .replaced])
            let document = try #require(again[1].document)
            let hashes = try await database.store.inputHashes()
            #expect(try await store.vectors(of: hashes, inDocument: document, tenant: a).count == 2)
            let sources = try await store.sources(underRoot: "r", tenant: a)
            #expect(sources.filter { $0.collection == nil }.map(\.externalID).sorted() == ["x", "z"])
            try await store.finishRun(run.id, status: .succeeded, totals: .object([]), tenant: a)
            #expect(
                try await store.search(SearchRequest(vector: Fixture.axis(0).values, text: "eins"), tenant: a).matches
                    .count > 0
            )

            #expect(try await store.probe([Fixture.key("x", "3")], tenant: b) == [.new])
            #expect(try await store.vectors(of: hashes, inDocument: document, tenant: b).isEmpty)
            #expect(
                try await store.search(SearchRequest(vector: Fixture.axis(0).values, text: "eins"), tenant: b).matches
                    .isEmpty
            )
            #expect(try await store.countOutcomes(ofRun: run.id, tenant: b).accounted == 0)
            let error = await #expect(throws: KelterError.self) { try await store.run(run.id, tenant: b) }
            #expect(error?.code == .runNotFound)
            for table in ["collections", "documents", "sources", "chunks", "embeddings", "runs", "run_items"] {
                #expect(try await store.count("SELECT count(*) FROM rag.\(table)", tenant: a) != 0)
                #expect(try await store.count("SELECT count(*) FROM rag.\(table)", tenant: b) == 0)
                #expect(try await store.count("SELECT count(*) FROM rag.\(table)") == 0, "\(table) without a tenant")
            }
            #expect(try await store.deleteSources(["x"], in: nil, tenant: b, run: nil).missing == 1)
            #expect(try await store.deleteSources(["x", "z"], in: nil, tenant: a, run: nil).deleted == 2)

            // The same bytes and names are new for another tenant, and a row of one cannot be written as the other.
            let other = try await store.write([Fixture.item("x", "3")], run: nil, tenant: b)
            #expect(other.map(\.outcome) == [.inserted])
            await #expect(throws: KelterError.self) {
                try await store.rows("UPDATE rag.documents SET tenant_id = '\(b.rowID)'", tenant: a)
            }
            await store.close()
            try await database.dropApplicationRole()
        }
    }

    @Test("tenants do not see each other's rows through the superuser's store either")
    func superuser() async throws {
        try await TemporaryDatabase.with { database in
            let (a, b) = (Fixture.tenant("a"), Fixture.tenant("b"))
            let written = try await database.store.write([Fixture.item("x", "1", root: "r")], run: nil, tenant: a)
            let document = try #require(written.first?.document)
            let hashes = try await database.store.inputHashes()
            #expect(try await database.store.probe([Fixture.key("x", "1")], tenant: b) == [.new])
            #expect(try await database.store.vectors(of: hashes, inDocument: document, tenant: b).isEmpty)
            #expect(try await database.store.sources(underRoot: "r", tenant: b).isEmpty)
            #expect(try await database.store.deleteSources(["x"], in: nil, tenant: b, run: nil).missing == 1)
            let result = try await database.store.search(
                SearchRequest(vector: Fixture.axis(0).values, text: "eins"),
                tenant: b
            )
            #expect(result.matches.isEmpty && result.vectorCandidates == 0 && result.lexicalCandidates == 0)
        }
    }
}
