import KelterModel
import KelterStore
import KelterTestSupport
import Testing

// One database after the other: all at once they would make the other suites wait.
/// The keys that keep tenants apart, on tables that were made without them or that change places.
@Suite("The keys of tenants on older and on exchanged tables", .serialized)
struct IsolationUpgradeTests {
    /// The keys as they were: a reference is followed by its identifier alone.
    private static let narrowKeys = """
        ALTER TABLE rag.sources DROP CONSTRAINT sources_document_fk,
            ADD FOREIGN KEY (document_id) REFERENCES rag.documents (id) ON DELETE CASCADE;
        ALTER TABLE rag.chunks DROP CONSTRAINT chunks_document_fk, DROP CONSTRAINT chunks_document_ordinal_key,
            ADD FOREIGN KEY (document_id) REFERENCES rag.documents (id) ON DELETE CASCADE,
            ADD CONSTRAINT chunks_document_ordinal_key UNIQUE (document_id, ordinal) DEFERRABLE;
        ALTER TABLE rag.embeddings DROP CONSTRAINT embeddings_chunk_fk,
            ADD FOREIGN KEY (chunk_id) REFERENCES rag.chunks (id) ON DELETE CASCADE;
        ALTER TABLE rag.run_parts DROP CONSTRAINT run_parts_run_fk;
        ALTER TABLE rag.near_bands DROP CONSTRAINT near_bands_document_fk;
        ALTER TABLE rag.runs DROP COLUMN found_at;
        ALTER TABLE rag.run_items DROP CONSTRAINT run_items_run_fk, DROP CONSTRAINT run_items_key,
            DROP COLUMN path, DROP COLUMN part, DROP COLUMN attempts, DROP COLUMN space,
            DROP COLUMN chunks, DROP COLUMN embeddings, DROP COLUMN dropped_at,
            ADD FOREIGN KEY (run_id) REFERENCES rag.runs (id) ON DELETE CASCADE,
            ADD CONSTRAINT run_items_key UNIQUE NULLS NOT DISTINCT (run_id, external_id, collection_id);
        DROP INDEX rag.documents_tenant_id_uk, rag.chunks_tenant_id_uk, rag.runs_tenant_id_uk
        """

    private static let keys = """
        SELECT conrelid::regclass, conname, pg_get_constraintdef(oid) FROM pg_constraint
        WHERE connamespace = 'rag'::regnamespace ORDER BY 1, 2
        """

    @Test("the owner brings older tables up to date, and a row of one tenant hung on another's stops it")
    func upgrade() async throws {
        try await TemporaryDatabase.with { database in
            let (store, a, b) = (database.store, Fixture.tenant("a"), Fixture.tenant("b"))
            try await store.applyRoles()
            let present = try await store.rows(Self.keys)
            try await store.runScript(Self.narrowKeys)
            let narrow = try await store.rows(Self.keys)
            #expect(narrow != present)
            let document = try #require(
                try await store.write([Fixture.item("x", "1")], run: nil, tenant: b)[0].document
            )
            let stray = """
                INSERT INTO rag.chunks (id, document_id, tenant_id, ordinal, text)
                VALUES ('\(Fixture.id())', '\(document)', '\(a.rowID)', 9, 'stray')
                """
            _ = try await store.rows(stray, tenant: a)
            // As the owner, whom the policies show no row.
            let owner = try database.roleStore(.owner)
            let refusal = await owner.refusal { try await owner.applySchema() }
            #expect(refusal == "23503")
            #expect(try await store.rows(Self.keys) == narrow)

            try await store.runScript("DELETE FROM rag.chunks WHERE text = 'stray'")
            for _ in 0..<2 {
                try await owner.applySchema()
                #expect(try await store.rows(Self.keys) == present)
            }
            #expect(await store.refusal(stray, tenant: a) == "23503")
            #expect(
                try await store.count(
                    """
                    SELECT count(*) FROM pg_class WHERE relnamespace = 'rag'::regnamespace AND relkind = 'r'
                        AND relname <> 'vector_space' AND NOT (relrowsecurity AND relforcerowsecurity)
                    """
                ) == 0
            )
            // What belongs to a document still goes with it.
            #expect(try await store.count("SELECT count(*) FROM rag.embeddings") == 2)
            try await store.runScript("DELETE FROM rag.documents")
            for table in ["sources", "chunks", "embeddings"] {
                #expect(try await store.count("SELECT count(*) FROM rag.\(table)") == 0)
            }
            await owner.close()
        }
    }

    @Test("a space that takes the other's place is tied to its chunks in the same way")
    func exchange() async throws {
        try await IsolationWorld.with { world in
            let owner = try world.database.roleStore(.owner)
            _ = try await owner.switchSpaces(allowsMissing: false)
            try await owner.applySchema()
            let links = try await world.links()
            #expect(Set(links.map(\.child)).isSuperset(of: ["rag.embeddings", "rag_standby.embeddings"]))
            #expect(links.filter { !$0.hasTenant }.isEmpty)
            for table in world.tables {
                let sql = "SELECT count(*) FROM \(table.name)"
                #expect(try await owner.count(sql) == 0)
                let own = sql + " WHERE tenant_id = '\(IsolationWorld.attacker.rowID)'"
                let seen = try await world.app.count(sql, tenant: IsolationWorld.attacker)
                #expect(try await world.truth.count(own) == seen, "\(table.name)")
            }
            await owner.close()
        }
    }
}
