import KelterModel
import KelterStore
import KelterTestSupport
import Testing

@Suite("The tables of the former workflows")
struct LegacyWorkflowTests {
    /// A tenant `dev` whose schema holds the former tables as Django left them.
    private func withLegacy(_ body: (Store, ScratchDirectory) async throws -> Void) async throws {
        let directory = try ScratchDirectory()
        try await TemporaryDatabase.with(appliesSchema: false) { database in
            let store = database.store
            try await store.applyRegistry()
            try await store.runScript(
                """
                CREATE SCHEMA dev;
                CREATE TABLE dev.workflows_workflowtemplate (
                    id bigint PRIMARY KEY, created_at timestamptz, name text, settings jsonb, payload bytea
                );
                CREATE TABLE dev.workflows_workflowstep (
                    id bigint PRIMARY KEY, template_id bigint REFERENCES dev.workflows_workflowtemplate, weight float8
                );
                CREATE TABLE dev.workflows_workflowinstance (
                    id bigint PRIMARY KEY, created_at timestamptz NOT NULL,
                    template_id bigint REFERENCES dev.workflows_workflowtemplate, note text
                );
                """
            )
            try await body(store, directory)
        }
    }

    private static let instances = """
        INSERT INTO dev.workflows_workflowinstance VALUES
            (1, '2024-03-01 12:00+01', NULL, E'Größe "groß", ja\\nzweite Zeile'),
            (2, '2024-01-01 00:00+00', NULL, NULL), (3, '2024-02-01 00:00+00', NULL, '');
        """

    private func drop(_ store: Store) async throws {
        try await store.migrate(.embedded(.tenant), schema: "dev")
    }

    private func refusal(_ store: Store) async -> KelterError? {
        await #expect(throws: KelterError.self) { try await drop(store) }
    }

    private func remaining(_ store: Store) async throws -> Int {
        try await store.legacyWorkflowCounts(schema: "dev").filter { $0.rows != nil }.count
    }

    @Test("rows without a backup are refused with table and number, and nothing is dropped")
    func refused() async throws {
        try await withLegacy { store, _ in
            try await store.runScript(Self.instances)
            let error = await refusal(store)
            #expect(error?.code == .legacyRowsWithoutBackup)
            #expect(error?.subject == "common.0001_drop_legacy_workflows")
            #expect(error?.message == "workflows_workflowinstance in dev holds 3 rows that no backup covers.")
            #expect(error?.fix == "Run `kelter legacy-workflows backup --schema dev --out DIR`.")
            #expect(try await remaining(store) == 3)
            #expect(try await store.migrationStatus(.embedded(.tenant), schema: "dev").applied == [])
            try await store.runScript("INSERT INTO dev.workflows_workflowstep VALUES (1, NULL, 0.1)")
            #expect(await refusal(store)?.message.hasPrefix("workflows_workflowstep in dev holds 1 row, work") == true)
            // The refusal stays one when the database cannot have any record yet.
            try await store.runScript("DROP TABLE public.legacy_backups")
            #expect(await refusal(store)?.code == .legacyRowsWithoutBackup)
        }
    }

    @Test("after a backup the tables go, in one migration")
    func covered() async throws {
        try await withLegacy { store, directory in
            try await store.runScript(
                """
                INSERT INTO dev.workflows_workflowtemplate VALUES (1, now(), 'a', '{"b": 1}', '\\x00ff');
                INSERT INTO dev.workflows_workflowstep VALUES (1, 1, 0.1);
                \(Self.instances)
                """
            )
            let counts = try await store.legacyWorkflowCounts(schema: "dev")
            #expect(counts.map(\.rows) == [1, 1, 3] && counts.map(\.table) == LegacyWorkflows.tables)
            let backups = try await store.backUpLegacyWorkflows(schema: "dev", to: directory.path)
            #expect(backups.map(\.table) == LegacyWorkflows.tables && backups.map(\.rows) == [1, 1, 3])
            try await drop(store)
            #expect(try await remaining(store) == 0)
            #expect(try await store.ledger(of: "dev").count == 3)
        }
    }

    @Test("the order and the place of the rows, and the session's settings, do not matter to a backup")
    func rewritten() async throws {
        try await withLegacy { store, directory in
            try await store.runScript(Self.instances)
            _ = try await store.backUpLegacyWorkflows(schema: "dev", to: directory.path)
            try await store.runScript(
                """
                UPDATE dev.workflows_workflowinstance SET note = note WHERE id = 1;
                ALTER TABLE dev.workflows_workflowinstance SET (fillfactor = 50);
                DO $$ BEGIN
                    EXECUTE format('ALTER DATABASE %I SET timezone TO ''Asia/Tokyo''', current_database());
                    EXECUTE format('ALTER DATABASE %I SET datestyle TO ''German''', current_database());
                END $$;
                """
            )
            await store.close()
            let other = try Store(configuration: store.configuration)
            try await drop(other)
            #expect(try await remaining(other) == 0)
            await other.close()
        }
    }

    @Test(
        "a row that came, went or changed after the backup makes the migration refuse again",
        arguments: [
            "INSERT INTO dev.workflows_workflowinstance VALUES (4, now(), NULL, 'neu')",
            "UPDATE dev.workflows_workflowinstance SET note = 'anders' WHERE id = 2",
            "UPDATE dev.workflows_workflowinstance SET note = NULL WHERE id = 3",
            "DELETE FROM dev.workflows_workflowinstance WHERE id = 2",
        ]
    )
    func outdated(change: String) async throws {
        try await withLegacy { store, directory in
            try await store.runScript(Self.instances)
            _ = try await store.backUpLegacyWorkflows(schema: "dev", to: directory.path)
            try await store.runScript(change)
            #expect(await refusal(store)?.code == .legacyRowsWithoutBackup)
            let error = await #expect(throws: KelterError.self) {
                try await store.backUpLegacyWorkflows(schema: "dev", to: directory.path)
            }
            #expect(error?.code == .confirmationRequired)
            #expect(error?.subject?.hasSuffix("/legacy_workflowinstance.csv") == true)
            #expect(await refusal(store)?.code == .legacyRowsWithoutBackup)
            _ = try await store.backUpLegacyWorkflows(schema: "dev", to: directory.path, isReplacing: true)
            try await drop(store)
        }
    }

    @Test("a backup of another tenant's equal rows does not count")
    func otherSchema() async throws {
        try await withLegacy { store, directory in
            try await store.runScript(
                """
                CREATE SCHEMA other;
                CREATE TABLE other.workflows_workflowinstance (LIKE dev.workflows_workflowinstance);
                \(Self.instances)
                INSERT INTO other.workflows_workflowinstance SELECT * FROM dev.workflows_workflowinstance;
                """
            )
            let backups = try await store.backUpLegacyWorkflows(schema: "other", to: directory.path)
            #expect(backups.map(\.table) == ["workflows_workflowinstance"])
            #expect(try directory.names() == ["legacy_workflowinstance.csv"])
            #expect(await refusal(store)?.code == .legacyRowsWithoutBackup)
            try await store.migrate(.embedded(.tenant), schema: "other")
        }
    }

    @Test("empty tables go without a backup, and absent ones are no matter")
    func empty() async throws {
        try await withLegacy { store, directory in
            try await store.runScript("DROP TABLE dev.workflows_workflowinstance")
            #expect(try await store.legacyWorkflowCounts(schema: "dev").map(\.rows) == [0, 0, nil])
            #expect(try await store.legacyWorkflowCounts(schema: "nowhere").map(\.rows) == [nil, nil, nil])
            #expect(try await store.backUpLegacyWorkflows(schema: "nowhere", to: directory.path) == [])
            try await drop(store)
            #expect(try await remaining(store) == 0)
        }
    }

    @Test("the files hold the rows as the runbook's statement writes them, for their owner only")
    func content() async throws {
        try await withLegacy { store, directory in
            try await store.runScript(Self.instances)
            let out = directory.path + "/out"
            let backups = try await store.backUpLegacyWorkflows(schema: "dev", to: out)
            let text = try directory.read("out/legacy_workflowinstance.csv")
            #expect(
                text == """
                    id,created_at,template_id,note
                    2,2024-01-01 00:00:00+00,,
                    3,2024-02-01 00:00:00+00,,""
                    1,2024-03-01 11:00:00+00,,"Größe ""groß"", ja
                    zweite Zeile"

                    """
            )
            #expect(try directory.read("out/legacy_workflowstep.csv") == "id,template_id,weight\n")
            let expected = ["legacy_workflowinstance.csv", "legacy_workflowstep.csv", "legacy_workflowtemplate.csv"]
            let listing = try ScratchListing(out)
            #expect(listing.names == expected && listing.modes == [0o600, 0o600, 0o600])
            let recorded = try await store.rows(
                """
                SELECT schema_name, table_name, row_count, digest, location
                FROM public.legacy_backups ORDER BY row_count DESC LIMIT 1
                """
            )
            let last = try #require(backups.last)
            #expect(recorded == [["dev", last.table, "3", last.digest, last.file]])
            #expect(last.file.hasSuffix("/out/legacy_workflowinstance.csv") && last.file.hasPrefix("/"))
            // The same rows again: the files stay as they are.
            let again = try await store.backUpLegacyWorkflows(schema: "dev", to: out)
            #expect(again == backups)
            #expect(try ScratchListing(out).inodes == listing.inodes)
        }
    }

    @Test("many rows arrive complete")
    func many() async throws {
        try await withLegacy { store, directory in
            try await store.runScript(
                """
                INSERT INTO dev.workflows_workflowinstance
                    SELECT i, '2024-01-01', NULL, repeat('ä', 200) FROM generate_series(1, 20000) i
                """
            )
            let backups = try await store.backUpLegacyWorkflows(schema: "dev", to: directory.path)
            #expect(backups.last?.rows == 20_000)
            let lines = try directory.read("legacy_workflowinstance.csv").split(separator: "\n")
            #expect(lines.count == 20_001)
            #expect(lines.last == "20000,2024-01-01 00:00:00+00,,\(String(repeating: "ä", count: 200))")
        }
    }

    @Test("a file that cannot be written leaves no record and no part of a file")
    func unwritable() async throws {
        try await withLegacy { store, directory in
            try await store.runScript(Self.instances)
            try directory.write("", to: "file")
            let error = await #expect(throws: KelterError.self) {
                try await store.backUpLegacyWorkflows(schema: "dev", to: directory.path + "/file")
            }
            #expect(
                error?.code == .backupFailed && error?.subject?.hasSuffix("/file/legacy_workflowtemplate.csv") == true
            )
            // The last of the three is in the way: the others must not appear either.
            try directory.write("x", to: "out/legacy_workflowinstance.csv")
            let conflict = await #expect(throws: KelterError.self) {
                try await store.backUpLegacyWorkflows(schema: "dev", to: directory.path + "/out")
            }
            #expect(conflict?.code == .confirmationRequired)
            #expect(try ScratchListing(directory.path + "/out").names == ["legacy_workflowinstance.csv"])
            #expect(try directory.read("out/legacy_workflowinstance.csv") == "x")
            #expect(try await store.count("SELECT count(*) FROM public.legacy_backups") == 0)
        }
    }

    @Test("without the shared migrations there is no backup")
    func pendingShared() async throws {
        try await withLegacy { store, directory in
            try await store.runScript("DROP TABLE public.legacy_backups")
            let error = await #expect(throws: KelterError.self) {
                try await store.backUpLegacyWorkflows(schema: "dev", to: directory.path)
            }
            #expect(error?.code == .migrationsPending && error?.fix?.contains("--shared") == true)
            #expect(try directory.names() == [])
        }
    }

    @Test("rows that a policy hides are neither left out of a backup nor dropped")
    func hidden() async throws {
        try await TemporaryDatabase.with { database in
            let owner = try await database.applicationStore()
            try await database.store.runScript(
                """
                GRANT CREATE ON DATABASE \(database.name) TO \(database.name)_app;
                GRANT ALL ON SCHEMA public TO \(database.name)_app;
                """
            )
            try await owner.applyRegistry()
            try await owner.runScript(
                """
                CREATE SCHEMA dev;
                CREATE TABLE dev.workflows_workflowinstance (id int PRIMARY KEY);
                INSERT INTO dev.workflows_workflowinstance VALUES (1);
                ALTER TABLE dev.workflows_workflowinstance ENABLE ROW LEVEL SECURITY;
                ALTER TABLE dev.workflows_workflowinstance FORCE ROW LEVEL SECURITY;
                """
            )
            #expect(try await owner.count("SELECT count(*) FROM dev.workflows_workflowinstance") == 0)
            let directory = try ScratchDirectory()
            await #expect(throws: KelterError.self) {
                try await owner.backUpLegacyWorkflows(schema: "dev", to: directory.path)
            }
            #expect(await refusal(owner)?.code == .migrationFailed)
            #expect(try await database.store.count("SELECT count(*) FROM dev.workflows_workflowinstance") == 1)
            await owner.close()
            try await database.dropApplicationRole()
        }
    }
}
