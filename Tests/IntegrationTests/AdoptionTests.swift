import KelterModel
import KelterStore
import KelterTestSupport
import Testing

@Suite("Tables of the older system")
struct AdoptionTests {
    @Test("they get the present columns and keep every row")
    func adoption() async throws {
        try await TemporaryDatabase.with(appliesSchema: false) { database in
            let (a, b) = (Fixture.tenant("a"), Fixture.tenant("b"))
            let store = database.store
            try await store.runScript(LegacySchema.script(dimension: 8, tenants: [a, b], count: 30))
            let before = try await content(store, ordinal: "ord - 1")
            try await store.applySchema()
            #expect(try await content(store, ordinal: "ordinal") == before)
            #expect(before.count == 120)
            let listing = "SELECT oid, relname FROM pg_class WHERE relnamespace = 'rag'::regnamespace ORDER BY 1"
            let objects = try await store.rows(listing)
            try await store.applySchema()
            #expect(try await store.rows(listing) == objects)

            for table in ["documents", "chunks", "embeddings"] {
                #expect(
                    try await store.rows("SELECT count(*) FROM rag.\(table) WHERE tenant_id IS NULL") == [["0"]]
                )
            }
            #expect(
                try await store.rows(
                    """
                    SELECT count(*) FROM rag.documents d JOIN rag.chunks c ON c.document_id = d.id
                    JOIN rag.embeddings e ON e.chunk_id = c.id
                    WHERE c.tenant_id <> d.tenant_id OR e.tenant_id <> d.tenant_id
                        OR c.collection_id IS DISTINCT FROM d.collection_id
                        OR e.collection_id IS DISTINCT FROM d.collection_id
                    """
                ) == [["0"]]
            )
            #expect(try await store.rows("SELECT count(*) FROM rag.sources") == [["60"]])
            #expect(
                try await store.rows(
                    """
                    SELECT conrelid::regclass::text FROM pg_constraint
                    WHERE confrelid = 'rag.collections'::regclass ORDER BY 1
                    """
                ) == [["rag.chunks"], ["rag.documents"], ["rag.embeddings"]]
            )
            // The index in L2 is left to rebuild-rag-index: building the right one here would lock the table.
            #expect(
                try await store.rows(
                    "SELECT count(*) FROM pg_indexes WHERE schemaname = 'rag' AND indexdef LIKE '%hnsw%'"
                ) == [["1"]]
            )
        }
    }

    @Test("an application works with the adopted tables, and the guards know the older rows")
    func writing() async throws {
        try await TemporaryDatabase.with(appliesSchema: false) { database in
            let tenant = Fixture.tenant("a")
            try await database.store.runScript(LegacySchema.script(dimension: 8, tenants: [tenant], count: 30))
            try await database.store.applySchema()
            let store = try await database.applicationStore()
            let found = try await store.search(
                SearchRequest(vector: nil, text: "Titel 7"),
                tenant: tenant
            )
            #expect(found.matches.first?.text.contains("Titel 7") == true)
            let results = try await store.write(
                [
                    Fixture.item("alt-1", "neu", content: [Fixture.chunk(0, "neuer Text")]),
                    Fixture.item("alt-1", "neu", in: Fixture.collection(1), content: [Fixture.chunk(0, "neuer Text")]),
                    Fixture.item("neu-2", "neu 2", content: [Fixture.chunk(0, "noch einer")]),
                ],
                run: nil,
                tenant: tenant
            )
            #expect(results.map(\.outcome) == [.replaced, .inserted, .inserted])
            await store.close()
            try await database.dropApplicationRole()
        }
    }

    @Test("rows that the guards forbid are refused by name, and nothing is changed")
    func duplicates() async throws {
        try await TemporaryDatabase.with(appliesSchema: false) { database in
            let script = LegacySchema.script(dimension: 8, tenants: [Fixture.tenant], count: 4)
            try await database.store.runScript(script)
            try await database.store.runScript(
                "UPDATE rag.documents SET hash = (SELECT min(hash) FROM rag.documents) WHERE collection_id IS NULL"
            )
            let error = await #expect(throws: KelterError.self) { try await database.store.applySchema() }
            #expect(error?.code == .legacyDuplicates && error?.message.contains("documents.hash") == true)
            #expect(
                try await database.store.rows(
                    "SELECT count(*) FROM pg_attribute WHERE attrelid = 'rag.chunks'::regclass AND attname = 'ord'"
                ) == [["1"]]
            )
        }
    }

    /// Every row of the three levels, in an order of its own.
    private func content(_ store: Store, ordinal: String) async throws -> [[String?]] {
        try await store.rows(
            """
            SELECT d.id, d.tenant_id, d.collection_id, d.hash, d.metadata, c.id, c.\(ordinal), c.text, e.embedding
            FROM rag.documents d JOIN rag.chunks c ON c.document_id = d.id JOIN rag.embeddings e ON e.chunk_id = c.id
            ORDER BY d.id, c.id
            """
        )
    }
}
