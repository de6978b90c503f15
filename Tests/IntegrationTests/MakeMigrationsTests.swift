import KelterModel
import KelterStore
import KelterTestSupport
import Testing

@Suite("Making migrations")
struct MakeMigrationsTests {
    private static let users = "CREATE TABLE users (id bigint PRIMARY KEY, name text);"

    @Test("the embedded migrations produce the declared schema", arguments: MigrationSet.Kind.allCases)
    func noChanges(kind: MigrationSet.Kind) async throws {
        try await TemporaryDatabase.with(appliesSchema: false) { database in
            let draft = try await database.store.draftMigration(
                .embedded(kind),
                app: "kelter",
                name: nil,
                allowsDestructive: true
            )
            #expect(draft == nil, "\(draft?.sql ?? "")")
            #expect(try await database.store.count("SELECT count(*) FROM pg_namespace WHERE nspname ~ '^kelter'") == 0)
            #expect(try await database.store.count("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'") == 0)
        }
    }

    /// Drafts the way from the first declaration to the second, applies it to a schema and looks for what is left.
    private func apply(
        from first: String,
        to second: String,
        allowsDestructive: Bool = false,
        checking: (Store, MigrationDraft) async throws -> Void = { _, _ in }
    ) async throws {
        let files = try MigrationFiles([("app.0001_first", first)])
        try await TemporaryDatabase.with(appliesSchema: false) { database in
            let store = database.store
            try await store.migrate(files.set(), schema: "dev")
            let draft = try #require(
                try await store.draftMigration(
                    files.set(),
                    declared: second,
                    app: "app",
                    name: nil,
                    allowsDestructive: allowsDestructive
                )
            )
            try files.directory.write(draft.sql, to: "tenant/" + draft.fileName)
            let again = try await store.draftMigration(
                files.set(),
                declared: second,
                app: "app",
                name: nil,
                allowsDestructive: true
            )
            #expect(again == nil, "\(again?.sql ?? "")")
            #expect(try await store.migrate(files.set(), schema: "dev").map(\.name) == [draft.name])
            try await checking(store, draft)
        }
    }

    @Test("a new table, column, index, check, policy and function become the next migration")
    func additions() async throws {
        let declared = """
            CREATE TABLE users (id bigint PRIMARY KEY, name text, "Größe" int NOT NULL DEFAULT 7 CHECK ("Größe" > 0));
            CREATE INDEX users_name_idx ON users (lower(name)) WHERE name IS NOT NULL;
            CREATE TABLE notes (
                id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
                tenant_id uuid NOT NULL,
                user_id bigint NOT NULL REFERENCES users ON DELETE CASCADE,
                text text NOT NULL DEFAULT '',
                words int GENERATED ALWAYS AS (length(text)) STORED,
                UNIQUE (tenant_id, text),
                CONSTRAINT "not long" CHECK (length(text) < 1000)
            );
            CREATE FUNCTION note_count(owner bigint) RETURNS bigint LANGUAGE sql
                AS $$ SELECT count(*) FROM notes WHERE user_id = owner; $$;
            ALTER TABLE notes ENABLE ROW LEVEL SECURITY;
            ALTER TABLE notes FORCE ROW LEVEL SECURITY;
            CREATE POLICY isolation ON notes USING (tenant_id = current_setting('kelter.tenant_id', true)::uuid);
            CREATE POLICY readers ON notes AS RESTRICTIVE FOR SELECT USING (words > 0);
            """
        try await apply(from: Self.users, to: declared) { store, draft in
            #expect(draft.fileName == "app.0002_alter_schema.sql")
            #expect(!draft.sql.contains("kelter_scratch"))
            try await store.runScript(
                """
                SET search_path TO dev;
                INSERT INTO users VALUES (1, 'Änne');
                INSERT INTO notes (tenant_id, user_id, text) VALUES ('\(Fixture.tenant.rowID)', 1, 'eins');
                RESET search_path;
                """
            )
            #expect(try await store.rows(#"SELECT "Größe", words FROM dev.users, dev.notes"#) == [["7", "4"]])
            #expect(try await store.count("SELECT count(*) FROM pg_policies WHERE schemaname = 'dev'") == 2)
            #expect(
                try await store.rows("SELECT indexdef FROM pg_indexes WHERE indexname = 'users_name_idx'")
                    == [["CREATE INDEX users_name_idx ON dev.users USING btree (lower(name)) WHERE (name IS NOT NULL)"]]
            )
        }
    }

    @Test(
        "what changes in a table is derived",
        arguments: [
            ("n int DEFAULT 1", "n bigint DEFAULT 2"), ("n int DEFAULT 1", "n text DEFAULT 'x'"),
            ("n int", "n int NOT NULL"),
            ("n int NOT NULL", "n int"), ("n int DEFAULT 1", "n int"), ("n int", "n int CHECK (n > 0)"),
            ("n int CHECK (n > 0)", "n int CHECK (n > 1)"), ("n int UNIQUE", "n int"),
            ("n int", "n int REFERENCES base DEFERRABLE"),
            ("n int REFERENCES base", "n int REFERENCES base ON DELETE CASCADE"),
            ("n varchar(10)", "n varchar(20)"), ("n text", #"n text COLLATE "C""#), ("n int", "n int, PRIMARY KEY (n)"),
        ]
    )
    func changes(change: (before: String, after: String)) async throws {
        let base = "CREATE TABLE base (id int PRIMARY KEY);"
        let before = "\(base) CREATE TABLE t (\(change.before));"
        try await apply(from: before, to: "\(base) CREATE TABLE t (\(change.after));") { _, draft in
            #expect(draft.name == "app.0002_alter_t")
        }
    }

    @Test("indexes, policies, protection and functions are exchanged")
    func exchanges() async throws {
        let table = "CREATE TABLE t (a int, b int);"
        let before = """
            \(table) CREATE INDEX i ON t (a); CREATE INDEX gone ON t (b);
            ALTER TABLE t ENABLE ROW LEVEL SECURITY; ALTER TABLE t FORCE ROW LEVEL SECURITY;
            CREATE POLICY p ON t USING (a = 1); CREATE POLICY gone ON t USING (true);
            CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1';
            CREATE FUNCTION gone() RETURNS int LANGUAGE sql AS 'SELECT 1';
            """
        let after = """
            \(table) CREATE INDEX i ON t (a, b); ALTER TABLE t ENABLE ROW LEVEL SECURITY;
            CREATE POLICY p ON t FOR UPDATE TO PUBLIC USING (a = 2) WITH CHECK (b = 2);
            CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 2';
            """
        try await apply(from: before, to: after) { store, _ in
            let state = try await store.rows(
                "SELECT dev.f(), relrowsecurity, relforcerowsecurity FROM pg_class WHERE oid = 'dev.t'::regclass"
            )
            #expect(state == [["2", "t", "f"]])
        }
    }

    @Test("tables and columns are dropped only when that is allowed")
    func destructive() async throws {
        let before = "\(Self.users) CREATE TABLE notes (user_id bigint REFERENCES users, id int);"
        let after = "CREATE TABLE users (id bigint PRIMARY KEY, label text);"
        let files = try MigrationFiles([("app.0001_first", before)])
        try await TemporaryDatabase.with(appliesSchema: false) { database in
            let set = try files.set()
            let error = await #expect(throws: KelterError.self) {
                try await database.store.draftMigration(
                    set,
                    declared: after,
                    app: "app",
                    name: nil,
                    allowsDestructive: false
                )
            }
            #expect(error?.code == .migrationNotDerivable)
            #expect(error?.message.contains("column users.name, table notes") == true)
            #expect(error?.fix?.contains("--allow-destructive") == true)
        }
        try await apply(from: before, to: after, allowsDestructive: true)
    }

    @Test(
        "what cannot be derived is named",
        arguments: [
            ("CREATE VIEW v AS SELECT 1 AS one;", "view v"), ("CREATE TYPE colour AS ENUM ('red');", "type colour"),
            ("CREATE SEQUENCE s;", "sequence s"),
            ("CREATE TABLE p (id int) PARTITION BY LIST (id);", "partitioning of p"),
            ("CREATE TABLE u (id serial);", "sequence u_id_seq"),
            (
                """
                CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
                CREATE TRIGGER g BEFORE INSERT ON users FOR EACH ROW EXECUTE FUNCTION f();
                """, "trigger g of users"
            ),
        ]
    )
    func notDerivable(addition: (sql: String, name: String)) async throws {
        let files = try MigrationFiles([("app.0001_first", Self.users)])
        try await TemporaryDatabase.with(appliesSchema: false) { database in
            let set = try files.set()
            let error = await #expect(throws: KelterError.self) {
                try await database.store.draftMigration(
                    set,
                    declared: Self.users + addition.sql,
                    app: "app",
                    name: nil,
                    allowsDestructive: true
                )
            }
            #expect(error?.code == .migrationNotDerivable)
            #expect(error?.message.contains(addition.name) == true, "\(error?.message ?? "")")
            #expect(try await database.store.count("SELECT count(*) FROM pg_namespace WHERE nspname ~ '^kelter'") == 0)
        }
    }

    @Test("a column that rows would lack a value for is marked")
    func marked() async throws {
        try await apply(from: "CREATE TABLE t (a int);", to: "CREATE TABLE t (a int, b int NOT NULL);") { _, draft in
            #expect(draft.sql.hasPrefix("-- Fails while t holds rows"))
        }
    }

    @Test("a declaration that cannot be built, and names that no file can have, are refused")
    func refused() async throws {
        let cases: [(declared: String, app: String, name: String?, code: ErrorCode)] = [
            ("CREATE TABLE t (id nothing);", "app", nil, .migrationInvalid),
            ("CREATE TABLE t (id int); COMMIT;", "app", nil, .migrationInvalid),
            ("", "App", nil, .usage), ("", "a.b", nil, .usage), ("", "app", "", .usage), ("", "app", "../x", .usage),
        ]
        let files = try MigrationFiles([("app.0001_first", Self.users)])
        let set = try files.set()
        try await TemporaryDatabase.with(appliesSchema: false) { database in
            for refused in cases {
                let error = await #expect(throws: KelterError.self) {
                    try await database.store.draftMigration(
                        set,
                        declared: refused.declared,
                        app: refused.app,
                        name: refused.name,
                        allowsDestructive: true
                    )
                }
                #expect(error?.code == refused.code, "\(refused)")
            }
            let named = try await database.store.draftMigration(
                set,
                declared: Self.users + "CREATE TABLE t (id int);",
                app: "other",
                name: "2_t",
                allowsDestructive: false
            )
            #expect(named?.fileName == "other.0002_2_t.sql")
            #expect(named?.sql == "CREATE TABLE t (\n    id integer\n);\n")
        }
    }
}
