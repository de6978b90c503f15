import KelterModel
import KelterStore
import KelterTestSupport
import Testing

@Suite("Migrations")
struct MigrationTests {
    private static let two = [
        (name: "app.0001_first", sql: "CREATE TABLE first (id int);"),
        (name: "app.0002_second", sql: "CREATE TABLE second (id int);"),
    ]

    @Test("the embedded migrations are those of the directory", arguments: MigrationSet.Kind.allCases)
    func embedded(kind: MigrationSet.Kind) throws {
        let root = #filePath.split(separator: "/").dropLast(3).joined(separator: "/")
        let directory = "/\(root)/Sources/KelterStore/Migrations/SQL"
        let files = try MigrationSet(directory: directory, kind: kind)
        #expect(files == MigrationSet.embedded(kind))
        #expect(!files.migrations.isEmpty)
    }

    @Test("a registry without a ledger is adopted with its rows")
    func adoption() async throws {
        try await TemporaryDatabase.with(appliesSchema: false) { database in
            let store = database.store
            try await store.runScript(RegistryFixture.unnumbered)
            let before = try await store.relations(of: "public")
            try await store.applyRegistry()
            let kept = try await store.relations(of: "public").filter { row in before.contains { $0[0] == row[0] } }
            #expect(kept == before)
            #expect(try await store.ledger(of: "public") == ["customers.0001_registry", "kelter.0002_backups"])
            #expect(try await store.count("SELECT count(*) FROM pg_policies WHERE tablename = 'api_keys'") == 1)
            let record = try #require(try await store.tenant(domain: "old.localhost"))
            #expect(try await store.createTenant(record))
            #expect(try await store.user("anna", of: record)?.isSuperuser == true)
            #expect(try await store.ledger(of: "old").contains("users.0001_users"))
        }
    }

    @Test("a second run does nothing, and a schema that is up to date needs no privileges")
    func twice() async throws {
        try await TemporaryDatabase.with { database in
            try await database.store.applyRegistry()
            let first = try await database.store.migrate(.embedded(.tenant), schema: "dev")
            #expect(
                first.map(\.name) == [
                    "common.0001_drop_legacy_workflows", "users.0001_users", "users.0002_tenant_isolation",
                ]
            )
            let before = try await database.store.rows("SELECT xmin::text, * FROM dev.kelter_migrations ORDER BY name")
            #expect(try await database.store.migrate(.embedded(.tenant), schema: "dev") == [])
            let after = try await database.store.rows("SELECT xmin::text, * FROM dev.kelter_migrations ORDER BY name")
            #expect(after == before)
            #expect(try await database.store.migrationStatus(.embedded(.tenant), schema: "dev").applied == first)

            let application = try await database.applicationStore()
            try await database.store.runScript(
                "GRANT USAGE ON SCHEMA dev TO \(database.name)_app; "
                    + "GRANT SELECT ON dev.kelter_migrations TO \(database.name)_app"
            )
            #expect(try await application.migrate(.embedded(.tenant), schema: "dev") == [])
            await application.close()
            try await database.dropApplicationRole()
        }
    }

    @Test("ten runs at once end as one")
    func concurrent() async throws {
        let files = try MigrationFiles([
            ("app.0001_a", "CREATE TABLE a (id int); SELECT pg_sleep(0.05);"),
            ("app.0002_b", "CREATE TABLE b (id int); INSERT INTO a VALUES (1);"),
            ("app.0003_c", "INSERT INTO a VALUES (2);"),
        ])
        let set = try files.set()
        try await TemporaryDatabase.with(poolSize: 10) { database in
            let store = database.store
            let applied = try await withThrowingTaskGroup(of: [String].self) { group in
                for _ in 0..<10 {
                    group.addTask {
                        try await store.applyRegistry()
                        return try await store.migrate(set, schema: "dev").map(\.name)
                    }
                }
                return try await group.reduce(into: []) { $0 += $1 }
            }
            #expect(applied.sorted() == ["app.0001_a", "app.0002_b", "app.0003_c"])
            #expect(try await store.count("SELECT count(*) FROM dev.a") == 2)
            #expect(try await store.ledger(of: "dev").count == 3)
            #expect(try await store.ledger(of: "public").count == 2)
        }
    }

    @Test("a changed file is refused by name, by the plan and by the run")
    func changed() async throws {
        let files = try MigrationFiles(Self.two)
        try await TemporaryDatabase.with { database in
            try await database.store.migrate(files.set(), schema: "dev")
            try files.write("app.0001_first", Self.two[0].sql + " ")
            try files.write("app.0003_third", "CREATE TABLE third (id int)")
            let set = try files.set()
            let plan = await #expect(throws: KelterError.self) {
                try await database.store.migrationStatus(set, schema: "dev")
            }
            let run = await #expect(throws: KelterError.self) { try await database.store.migrate(set, schema: "dev") }
            #expect(plan == run)
            #expect(run?.code == .migrationChanged && run?.subject == "app.0001_first")
            #expect(run?.message.contains("app.0001_first") == true)
            #expect(try await database.store.ledger(of: "dev") == Self.two.map(\.name))
        }
    }

    @Test("one that fails leaves nothing, those before it stay, and the corrected one goes on")
    func failing() async throws {
        let files = try MigrationFiles(Self.two)
        try files.write("app.0002_second", "CREATE TABLE second (id int); SELECT 1 / 0;")
        try await TemporaryDatabase.with { database in
            let store = database.store
            let broken = try files.set()
            let error = await #expect(throws: KelterError.self) { try await store.migrate(broken, schema: "dev") }
            #expect(error?.code == .migrationFailed && error?.subject == "app.0002_second")
            for part in ["app.0002_second", "dev", "22012", "division by zero"] {
                #expect(error?.message.contains(part) == true)
            }
            #expect(try await store.ledger(of: "dev") == ["app.0001_first"])
            let names = try await store.relations(of: "dev").map { $0[0] }
            #expect(names.contains("first") && !names.contains("second"))
            try files.write("app.0002_second", Self.two[1].sql)
            #expect(try await store.migrate(files.set(), schema: "dev").map(\.name) == ["app.0002_second"])
        }
    }

    @Test("a deferred constraint that breaks at the end leaves nothing either")
    func deferred() async throws {
        let files = try MigrationFiles([
            (
                "app.0001_late",
                """
                CREATE TABLE late (id int PRIMARY KEY, other int REFERENCES late DEFERRABLE INITIALLY DEFERRED);
                INSERT INTO late VALUES (1, 2);
                """
            )
        ])
        try await TemporaryDatabase.with { database in
            let set = try files.set()
            let error = await #expect(throws: KelterError.self) { try await database.store.migrate(set, schema: "dev") }
            #expect(error?.code == .migrationFailed && error?.subject == "app.0001_late")
            #expect(try await database.store.relations(of: "dev") == [])
        }
    }

    @Test("a run that is interrupted leaves nothing of the migration under way")
    func interrupted() async throws {
        let files = try MigrationFiles([("app.0001_slow", "CREATE TABLE slow (id int); SELECT pg_sleep(60);")])
        let set = try files.set()
        try await TemporaryDatabase.with { database in
            let store = database.store
            let run = Task { try await store.migrate(set, schema: "dev") }
            try await waitUntil("the migration runs") {
                try await store.count("SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'CREATE TABLE slow%'")
                    != 0
            }
            run.cancel()
            let error = await #expect(throws: KelterError.self) { try await run.value }
            #expect(error?.code == .interrupted)
            #expect(try await store.relations(of: "dev") == [])
        }
    }

    @Test("one that sorts before an applied one, and one that has no file, are refused by name")
    func order() async throws {
        let files = try MigrationFiles(Self.two)
        try await TemporaryDatabase.with { database in
            let store = database.store
            try await store.migrate(files.set(), schema: "dev")
            try files.write("aaa.0002_between", "CREATE TABLE between_them (id int)")
            let early = try files.set()
            let outOfOrder = await #expect(throws: KelterError.self) { try await store.migrate(early, schema: "dev") }
            #expect(outOfOrder?.code == .migrationOutOfOrder && outOfOrder?.subject == "aaa.0002_between")
            files.remove("aaa.0002_between")
            files.remove("app.0002_second")
            let fewer = try files.set()
            let unknown = await #expect(throws: KelterError.self) { try await store.migrate(fewer, schema: "dev") }
            #expect(unknown?.code == .migrationUnknown && unknown?.subject == "app.0002_second")
            #expect(try await store.ledger(of: "dev") == Self.two.map(\.name))
        }
    }

    @Test("the plan names what would run and changes nothing")
    func plan() async throws {
        let files = try MigrationFiles(Self.two)
        try await TemporaryDatabase.with { database in
            let store = database.store
            let plan = try await store.migrationStatus(files.set(), schema: "dev")
            #expect(plan.applied == [] && plan.pending == Self.two.map(\.name))
            #expect(try await store.count("SELECT count(*) FROM pg_namespace WHERE nspname = 'dev'") == 0)
            let shared = try await store.migrationStatus(.embedded(.shared), schema: "public")
            #expect(shared.pending.count == 2)
            #expect(try await store.count("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'") == 0)
        }
    }

    @Test("what a migration sets in its session reaches no later call")
    func session() async throws {
        let files = try MigrationFiles([("app.0001_set", "SET search_path TO nowhere; SET statement_timeout TO 20000;")]
        )
        try await TemporaryDatabase.with(poolSize: 1) { database in
            let before = try await database.store.rows("SHOW search_path")
            try await database.store.migrate(files.set(), schema: "dev")
            #expect(try await database.store.rows("SHOW search_path") == before)
            #expect(try await database.store.rows("SHOW statement_timeout") == [["2min"]])
        }
    }

    @Test("a new tenant has its tables, also when it is created again")
    func tenant() async throws {
        try await TemporaryDatabase.with { database in
            let store = database.store
            try await store.applyRegistry()
            let record = TenantRecord(tenant: Fixture.tenant, schema: "dev", name: "Dev", domains: ["dev.localhost"])
            #expect(try await store.createTenant(record))
            #expect(try await store.createTenant(record) == false)
            #expect(try await store.saveSuperuser("anna", email: "a@example.com", password: "x", of: record))
            try await store.runScript("DROP SCHEMA dev CASCADE")
            #expect(try await store.createTenant(record))
            #expect(try await store.user("anna", of: record) == nil)
        }
    }
}
