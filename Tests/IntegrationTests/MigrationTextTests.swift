import KelterModel
import KelterStore
import Testing

/// What is refused before any of it reaches a database.
@Suite("The files of migrations")
struct MigrationTextTests {
    @Test(
        "names that are no migration's are refused, about the file",
        arguments: [
            "0001_name.sql", "app.001_name.sql", "app.0001.sql", "app.0001_.sql", "App.0001_name.sql",
            "app.0001_Name.sql", "app.0001-name.sql", "app.0001_name.SQL", "app.0001_name.sql~", "app.x.0001_name.sql",
            "README.md", "1app.0001_name.sql", "app.00001_name.sql",
        ]
    )
    func names(file: String) throws {
        let directory = try ScratchDirectory()
        try directory.write("SELECT 1", to: "tenant/\(file)")
        let error = #expect(throws: KelterError.self) { try MigrationSet(directory: directory.path, kind: .tenant) }
        #expect(error?.code == .migrationInvalid && error?.subject == directory.path + "/tenant/" + file)
    }

    @Test("hidden files are skipped; a directory that is missing is named")
    func directory() throws {
        let directory = try ScratchDirectory()
        try directory.write("x", to: "tenant/.app.0001_name.sql.swp")
        #expect(try MigrationSet(directory: directory.path, kind: .tenant).migrations.isEmpty)
        let error = #expect(throws: KelterError.self) { try MigrationSet(directory: directory.path, kind: .shared) }
        #expect(error?.code == .migrationInvalid && error?.subject == directory.path + "/shared")
    }

    @Test("they run by number, then by app; a number is taken once in an app")
    func order() throws {
        let files = try MigrationFiles([
            ("b.0001_x", ""), ("a.0010_x", ""), ("a.0002_x", ""), ("b.0002_x", ""), ("z.0001_x", ""),
        ])
        #expect(
            try files.set().migrations.map(\.name) == ["b.0001_x", "z.0001_x", "a.0002_x", "b.0002_x", "a.0010_x"]
        )
        try files.write("a.0002_y", "")
        let error = #expect(throws: KelterError.self) { try files.set() }
        #expect(error?.code == .migrationInvalid && error?.message.contains("a.0002_x and a.0002_y") == true)
    }

    @Test(
        "transaction control and streams are refused",
        arguments: [
            "BEGIN; SELECT 1", "SELECT 1; commit", "SELECT ';'; ROLLBACK;", "-- x\nstart transaction;", "END",
            "/* a /* b */ c */ COMMIT", "DO $$ BEGIN END $$; COMMIT", "SELECT E'\\''; COMMIT; SELECT ''",
            "PREPARE TRANSACTION 'x'", "COPY t FROM STDIN", "copy t to stdout", "SELECT $1; COMMIT; SELECT $1", "ABORT",
            "CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT CASE WHEN true THEN 1 END; END; COMMIT",
        ]
    )
    func refused(sql: String) throws {
        let error = #expect(throws: KelterError.self) { try Migration(name: "app.0001_x", sql: sql) }
        #expect(error?.code == .migrationInvalid && error?.subject == "app.0001_x")
    }

    @Test(
        "the same words elsewhere are not",
        arguments: [
            "DO $$ BEGIN NULL; END $$;", "DO $a$ BEGIN; $b$; COMMIT; $$; END $a$", "SELECT 'x; COMMIT; '",
            "SELECT \"; COMMIT; \"", "-- ; COMMIT;\nSELECT 1", "/* ; /* COMMIT; */ ; COMMIT; */ SELECT 1",
            "SELECT E'\\'; COMMIT; '", "SELECT 'it''s; COMMIT;'", "SELECT 1 AS begin_; SELECT commit FROM t",
            "CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT CASE WHEN true THEN 1 END; SELECT 2; END; SELECT 1",
            "PREPARE x AS SELECT 1", "COPY t TO PROGRAM 'true'", "",
        ]
    )
    func accepted(sql: String) throws {
        #expect(try Migration(name: "app.0001_x", sql: sql).number == 1)
    }

    @Test("a file that is not UTF-8 is refused")
    func encoding() throws {
        let directory = try ScratchDirectory()
        try directory.write("SELECT 1", to: "tenant/app.0001_x.sql")
        try directory.append([0xE4], to: "tenant/app.0001_x.sql")
        let error = #expect(throws: KelterError.self) { try MigrationSet(directory: directory.path, kind: .tenant) }
        #expect(error?.code == .migrationInvalid && error?.message.contains("UTF-8") == true)
    }
}
