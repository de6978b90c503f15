import KelterModel
import KelterStore
import KelterTestSupport
import Synchronization
import Testing

@Suite("Writing groups of documents")
struct WriteTests {
    private let tenant = Fixture.tenant

    /// Probes one item, writes it as the pipeline would, and returns both answers.
    private func ingest(_ item: DocumentWrite, into store: Store) async throws -> (GuardVerdict, WriteResult) {
        let verdict = try #require(try await store.probe([item.key], tenant: tenant).first)
        var item = item
        if !verdict.needsContent { item.content = nil }
        return (verdict, try #require(try await store.write([item], run: nil, tenant: tenant).first))
    }

    @Test("every outcome of one item, in every scope, leaves consistent rows", arguments: [nil, Fixture.collection(1)])
    func outcomes(scope: CollectionID?) async throws {
        try await TemporaryDatabase.with { database in
            let store = database.store
            let (first, inserted) = try await ingest(Fixture.item("a", "eins", in: scope), into: store)
            let document = try #require(inserted.document)
            #expect(first == .new)
            #expect(inserted.outcome == .inserted && inserted.chunks == 2 && inserted.embeddings == 2)

            let (again, unchanged) = try await ingest(Fixture.item("a", "eins", in: scope), into: store)
            #expect(again == .unchanged(document: document) && unchanged.outcome == .unchanged)

            let other = Fixture.item("a", "eins", metadata: "n", in: scope, title: "Titel", language: "de-DE")
            let (differs, updated) = try await ingest(other, into: store)
            #expect(differs == .updated(document: document) && updated.outcome == .updated)
            let titles = try await store.rows("SELECT DISTINCT metadata->>'title', lexical::text FROM rag.chunks")
            #expect(titles == [["Titel", "german"]])

            let (same, duplicate) = try await ingest(Fixture.item("b", "eins", in: scope), into: store)
            #expect(same == .duplicate(of: document, linked: false))
            #expect(duplicate.outcome == .duplicate && duplicate.duplicateOf == document)
            let (linked, relinked) = try await ingest(Fixture.item("b", "eins", in: scope), into: store)
            #expect(linked == .duplicate(of: document, linked: true) && relinked.outcome == .duplicate)

            // "a" leaves a document it shares with "b": "b" keeps it.
            let (shared, split) = try await ingest(Fixture.item("a", "zwei", in: scope), into: store)
            #expect(shared == .replaced(document: document) && split.outcome == .replaced)
            #expect(split.document != document)
            let names = try await store.rows("SELECT external_id, generation FROM rag.documents ORDER BY 1")
            #expect(names == [["a", "1"], ["b", "1"]])

            // Nobody shares it now: the document itself changes.
            let (alone, replaced) = try await ingest(Fixture.item("a", "drei", in: scope), into: store)
            #expect(alone == .replaced(document: try #require(split.document)) && replaced.document == split.document)
            #expect(try await store.count("SELECT generation FROM rag.documents WHERE external_id = 'a'") == 2)

            // "a" gets the bytes of "b": its own document is superseded.
            let (meets, joined) = try await ingest(Fixture.item("a", "eins", in: scope), into: store)
            #expect(meets == .duplicate(of: document, linked: false) && joined.outcome == .duplicate)
            #expect(try await store.count("SELECT count(*) FROM rag.documents") == 1)
            #expect(try await store.count("SELECT count(*) FROM rag.chunks") == 2)
            #expect(try await store.count("SELECT count(*) FROM rag.embeddings") == 2)
            #expect(try await store.violations() == [])
        }
    }

    @Test("the same bytes outside collections and in two collections are three documents")
    func scopes() async throws {
        try await TemporaryDatabase.with { database in
            let store = database.store
            let group = [nil, Fixture.collection(1), Fixture.collection(2)].map { Fixture.item("a", "eins", in: $0) }
            let results = try await store.write(group, run: nil, tenant: tenant)
            #expect(results.map(\.outcome) == [.inserted, .inserted, .inserted])
            #expect(try await store.count("SELECT count(*) FROM rag.collections") == 2)
            #expect(try await store.violations() == [])
        }
    }

    @Test("items of one group see the effects of those before them")
    func insideOneGroup() async throws {
        try await TemporaryDatabase.with { database in
            let store = database.store
            let group = [
                Fixture.item("a", "eins"), Fixture.item("b", "eins"), Fixture.item("a", "zwei"),
                Fixture.item("c", "drei"),
                Fixture.item("c", "vier"),
            ]
            let results = try await store.write(group, run: nil, tenant: tenant)
            #expect(results.map(\.outcome) == [.inserted, .duplicate, .replaced, .inserted, .replaced])
            let rows = try await store.rows(
                "SELECT d.external_id, string_agg(c.text, ',' ORDER BY c.ordinal) FROM rag.documents d "
                    + "JOIN rag.chunks c ON c.document_id = d.id GROUP BY 1 ORDER BY 1"
            )
            #expect(
                rows == [["a", "zwei eins,zwei zwei"], ["b", "eins eins,eins zwei"], ["c", "vier eins,vier zwei"]]
            )
            #expect(try await store.violations() == [])
        }
    }

    @Test("two documents that exchange their bytes in one group end right")
    func exchange() async throws {
        try await TemporaryDatabase.with { database in
            let store = database.store
            _ = try await store.write([Fixture.item("a", "1"), Fixture.item("b", "2")], run: nil, tenant: tenant)
            _ = try await store.write([Fixture.item("a", "2"), Fixture.item("b", "1")], run: nil, tenant: tenant)
            let rows = try await store.rows(
                """
                SELECT s.external_id, min(c.text) FROM rag.sources s JOIN rag.chunks c USING (document_id)
                GROUP BY 1 ORDER BY 1
                """
            )
            #expect(rows == [["a", "2 eins"], ["b", "1 eins"]])
            #expect(try await store.violations() == [])
        }
    }

    @Test("bytes that move on through a chain of names in one group end right")
    func chain() async throws {
        try await TemporaryDatabase.with { database in
            let store = database.store
            let names = ["a", "b", "c", "d"]
            _ = try await store.write(names.map { Fixture.item($0, $0) }, run: nil, tenant: tenant)
            // Each takes the bytes of its neighbour; the last one's are new.
            let shifted = zip(names, ["b", "c", "d", "new"]).reversed().map { Fixture.item($0, $1) }
            _ = try await store.write(shifted, run: nil, tenant: tenant)
            let rows = try await store.rows(
                """
                SELECT s.external_id, min(c.text) FROM rag.sources s JOIN rag.chunks c USING (document_id)
                GROUP BY 1 ORDER BY 1
                """
            )
            #expect(rows == [["a", "b eins"], ["b", "c eins"], ["c", "d eins"], ["d", "new eins"]])
            #expect(try await store.violations() == [])
        }
    }

    @Test("a new generation keeps the rows and vectors of chunks that did not change")
    func keepsChunks() async throws {
        try await TemporaryDatabase.with { database in
            let store = database.store
            let old = ["eins", "zwei", "drei"].enumerated().map { Fixture.chunk($0, $1) }
            _ = try await store.write([Fixture.item("a", "1", content: old)], run: nil, tenant: tenant)
            let before = try await store.rows("SELECT text, id FROM rag.chunks ORDER BY 1")
            let new = ["null", "drei", "eins"].enumerated().map { Fixture.chunk($0, $1, vector: Fixture.axis(7)) }
            let result = try await store.write([Fixture.item("a", "2", content: new)], run: nil, tenant: tenant)
            let after = try await store.rows("SELECT text, id FROM rag.chunks ORDER BY 1")
            #expect(result.first?.chunks == 3 && after.count == 3)
            #expect(after.contains(before[0]) && after.contains(before[1]))
            #expect(
                try await store.rows("SELECT text FROM rag.chunks ORDER BY ordinal") == [["null"], ["drei"], ["eins"]]
            )
            let vectors = try await store.vectors(
                of: new.map(\.inputHash),
                inDocument: try #require(result.first?.document),
                tenant: tenant
            )
            #expect(vectors.count == 3)
            #expect(vectors[Fixture.hash("passage: eins")] == Fixture.axis(0).values)
            #expect(vectors[Fixture.hash("passage: null")] == Fixture.axis(7).values)

            // Another model's vectors say nothing about this one's.
            var other = Fixture.item("a", "3", content: new)
            other.attributes.embeddingModel = "other"
            _ = try await store.write([other], run: nil, tenant: tenant)
            let replaced = try await store.rows("SELECT text, id FROM rag.chunks ORDER BY 1")
            #expect(replaced.allSatisfy { !after.contains($0) })
            #expect(try await store.violations() == [])
        }
    }

    @Test("a document of more chunks than are in memory at a time is written whole, and keeps what did not change")
    func manyChunks() async throws {
        try await TemporaryDatabase.with { database in
            let store = database.store
            let words = (0..<5_000).map { "w\($0)" }
            let largest = Atomic(0)
            func content(_ words: [String]) -> DocumentContent {
                let keys = words.map {
                    DocumentContent.Key(inputHash: Fixture.hash("passage: " + $0), dimension: $0 == "w4999" ? 0 : 8)
                }
                return DocumentContent(keys) { range in
                    largest.max(range.count, ordering: .relaxed)
                    return range.map { ordinal in
                        let vector = words[ordinal] == "w4999" ? UnitVector.empty : Fixture.axis(ordinal)
                        return Fixture.chunk(ordinal, words[ordinal], vector: vector)
                    }
                }
            }
            var item = Fixture.item("a", "1")
            item.content = content(words)
            let small = Fixture.item("b", "2")
            let first = try await store.write([item, small], run: nil, tenant: tenant)
            #expect(first.map(\.chunks) == [5_000, 2] && first[0].embeddings == 4_999 && first[0].embeddingsEmpty == 1)
            #expect(largest.load(ordering: .relaxed) <= 2_048)
            #expect(try await store.count("SELECT count(*) FROM rag.embeddings") == 5_001)
            let document = try #require(first[0].document)
            let ids = "SELECT text, id FROM rag.chunks WHERE document_id = '\(document)' ORDER BY 1"
            let before = try await store.rows(ids)

            // Every chunk moves by one, to a place that another one leaves later.
            var changed = Fixture.item("a", "3")
            changed.content = content(["new"] + words.dropLast(3) + words.suffix(1))
            let second = try await store.write([changed], run: nil, tenant: tenant)
            #expect(second.map(\.outcome) == [.replaced] && second[0].chunks == 4_999)
            let after = try await store.rows(ids)
            #expect(Set(after.dropFirst()).isSubset(of: Set(before)) && after[0][0] == "new" && after.count == 4_999)
            let order = try await store.rows(
                "SELECT text FROM rag.chunks WHERE document_id = '\(document)' ORDER BY ordinal"
            )
            #expect(order.map { $0[0] } == ["new"] + words.dropLast(3) + ["w4999"])
            #expect(try await store.violations() == [])
        }
    }

    @Test("a document whose chunks cannot be loaded is not written, nor is the old generation lost")
    func unloadable() async throws {
        try await TemporaryDatabase.with { database in
            let store = database.store
            _ = try await store.write([Fixture.item("a", "1")], run: nil, tenant: tenant)
            var changed = Fixture.item("a", "2")
            let keys = (0..<3_000).map { DocumentContent.Key(inputHash: Fixture.hash("\($0)"), dimension: 8) }
            changed.content = DocumentContent(keys) { (range) throws(KelterError) in
                guard range.upperBound < 3_000 else { throw KelterError(.fileUnreadable, "The disk is broken.") }
                return range.map { Fixture.chunk($0, "\($0)") }
            }
            let error = await #expect(throws: KelterError.self) {
                try await store.write([changed], run: nil, tenant: tenant)
            }
            #expect(error?.code == .fileUnreadable)
            #expect(try await store.rows("SELECT text FROM rag.chunks ORDER BY 1") == [["1 eins"], ["1 zwei"]])

            // Nor one that nobody waits for any more.
            let (parts, part) = AsyncStream.makeStream(of: Range<Int>.self)
            let content = DocumentContent(keys) { range in
                part.yield(range)
                return range.map { Fixture.chunk($0, "\($0)") }
            }
            changed.content = content
            let writing = Task { [changed] in try await store.write([changed], run: nil, tenant: tenant) }
            for await range in parts {
                #expect(range == 0..<2_048)
                content.giveUp()
                break
            }
            let interruption = await #expect(throws: KelterError.self) { _ = try await writing.value }
            #expect(interruption?.code == .interrupted)
            #expect(try await store.rows("SELECT text FROM rag.chunks ORDER BY 1") == [["1 eins"], ["1 zwei"]])
            #expect(try await store.violations() == [])
        }
    }

    @Test("an item without content that needs it writes nothing and says so")
    func lostRace() async throws {
        try await TemporaryDatabase.with { database in
            let store = database.store
            let run = RunRecord(id: Fixture.id(), kind: "ingest")
            try await store.beginRun(run, tenant: tenant)
            let group = [Fixture.item("a", "1", hasContent: false), Fixture.item("b", "2")]
            let results = try await store.write(group, run: run.id, tenant: tenant)
            #expect(results.map(\.needsContent) == [true, false])
            #expect(try await store.count("SELECT count(*) FROM rag.documents") == 1)
            #expect(try await store.count("SELECT count(*) FROM rag.run_items") == 1)
        }
    }

    @Test("a document the database refuses fails alone, and the ledger says why")
    func poisoned() async throws {
        try await TemporaryDatabase.with { database in
            let store = database.store
            let run = RunRecord(id: Fixture.id(), kind: "ingest")
            try await store.beginRun(run, tenant: tenant)
            var group = (0..<9).map { Fixture.item("good-\($0)", "bytes \($0)") }
            // A character that jsonb refuses, a name no index holds, a character that text refuses, another dimension.
            let long = (0..<200).map { Fixture.hash("\($0)").hex }.joined()
            group.insert(Fixture.item("json", "json", metadata: "\0"), at: 3)
            group.append(Fixture.item(long, "long"))
            group.append(Fixture.item("nul", "nul", content: [Fixture.chunk(0, "a\0b")]))
            group.append(Fixture.item("wide", "wide", content: [Fixture.chunk(0, "w", dimension: 9)]))
            let results = try await store.write(group, run: run.id, tenant: tenant)
            #expect(results.count { $0.outcome == .inserted } == 9)
            #expect(results[3].error?.code == .storeRejected)
            #expect(results[10].error?.code == .storeRejected)
            #expect(results[11].error?.code == .storeRejected)
            #expect(results[12].error?.code == .vectorDimensionMismatch)
            let counts = try await store.countOutcomes(ofRun: run.id, tenant: tenant)
            #expect(counts[.inserted] == 9 && counts[.failed] == 4)
            #expect(try await store.violations() == [])
        }
    }

    @Test("an empty vector leaves a chunk without an embedding, counted")
    func emptyVector() async throws {
        try await TemporaryDatabase.with { database in
            let content = [Fixture.chunk(0, "voll"), Fixture.chunk(1, "leer", vector: .empty)]
            let item = Fixture.item("a", "1", content: content)
            let result = try #require(try await database.store.write([item], run: nil, tenant: tenant).first)
            #expect(result.chunks == 2 && result.embeddings == 1 && result.embeddingsEmpty == 1)
            #expect(try await database.store.count("SELECT count(*) FROM rag.embeddings") == 1)
        }
    }

    @Test("rows of an older system, without sources, are guarded like others")
    func legacyRows() async throws {
        try await TemporaryDatabase.with { database in
            let store = database.store
            _ = try await store.write([Fixture.item("old", "1")], run: nil, tenant: tenant)
            try await store.runScript("DELETE FROM rag.sources")
            let verdicts = try await store.probe(
                [Fixture.key("old", "1"), Fixture.key("old", "2"), Fixture.key("new", "1")],
                tenant: tenant
            )
            let id = try #require(try await store.rows("SELECT id FROM rag.documents").first?.first ?? nil)
            let document = try #require(RowID(id))
            #expect(
                verdicts == [
                    .unchanged(document: document), .replaced(document: document),
                    .duplicate(of: document, linked: false),
                ]
            )
            // The duplicate's source must not look like the only one.
            _ = try await ingest(Fixture.item("new", "1"), into: store)
            #expect(try await store.violations() == [])
            #expect(try await store.count("SELECT count(*) FROM rag.sources") == 2)
        }
    }

    @Test("a group larger than one transaction takes is written in parts")
    func largeGroup() async throws {
        try await TemporaryDatabase.with { database in
            let group = (0..<600).map { Fixture.item("d\($0)", "b\($0)", content: [Fixture.chunk(0, "t\($0)")]) }
            let results = try await database.store.write(group, run: nil, tenant: tenant)
            #expect(results.count == 600 && results.allSatisfy { $0.outcome == .inserted })
            #expect(try await database.store.count("SELECT count(*) FROM rag.embeddings") == 600)
        }
    }
}
