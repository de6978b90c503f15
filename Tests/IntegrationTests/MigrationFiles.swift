import Glibc
import KelterStore
import Testing

/// A directory for one test, removed with the value's last reference.
final class ScratchDirectory {
    let path: String

    init() throws {
        var template = Array("/tmp/kelter-test-XXXXXX".utf8CString)
        try #require(mkdtemp(&template) != nil)
        path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    deinit {
        _ = system("rm -rf '\(path)'")
    }

    func write(_ text: String, to name: String) throws {
        let parts = name.split(separator: "/")
        if parts.count > 1 { mkdir(path + "/" + parts[0], 0o755) }
        let file = try #require(fopen(path + "/" + name, "w"))
        defer { fclose(file) }
        #expect(fputs(text, file) >= 0)
    }

    func append(_ bytes: [UInt8], to name: String) throws {
        let file = try #require(fopen(path + "/" + name, "a"))
        defer { fclose(file) }
        #expect(fwrite(bytes, 1, bytes.count, file) == bytes.count)
    }

    func read(_ name: String) throws -> String {
        let file = try #require(fopen(path + "/" + name, "r"), "\(name) is there")
        defer { fclose(file) }
        var bytes: [UInt8] = []
        while true {
            let byte = fgetc(file)
            if byte == EOF { return String(decoding: bytes, as: UTF8.self) }
            bytes.append(UInt8(truncatingIfNeeded: byte))
        }
    }

    /// The names of all files, hidden ones among them.
    func names() throws -> [String] {
        let stream = try #require(opendir(path))
        defer { closedir(stream) }
        var names: [String] = []
        while let entry = readdir(stream) {
            names.append(
                withUnsafeBytes(of: &entry.pointee.d_name) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
            )
        }
        return names.filter { $0 != "." && $0 != ".." }.sorted()
    }
}

/// Migrations of tenants' schemas in files of their own.
struct MigrationFiles {
    let directory: ScratchDirectory

    init(_ files: [(name: String, sql: String)]) throws {
        directory = try ScratchDirectory()
        for file in files { try write(file.name, file.sql) }
    }

    func write(_ name: String, _ sql: String) throws {
        try directory.write(sql, to: "tenant/\(name).sql")
    }

    func remove(_ name: String) {
        unlink(directory.path + "/tenant/\(name).sql")
    }

    /// The set as the files are now.
    func set() throws -> MigrationSet {
        try MigrationSet(directory: directory.path, kind: .tenant)
    }
}

extension Store {
    /// The relations of a schema by name, with their object identifiers.
    func relations(of schema: String) async throws -> [[String?]] {
        try await rows(
            """
            SELECT c.relname, c.oid::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
            WHERE n.nspname = '\(schema)' ORDER BY 1
            """
        )
    }

    /// The names in a schema's ledger.
    func ledger(of schema: String) async throws -> [String] {
        try await rows("SELECT name FROM \(schema).kelter_migrations ORDER BY name").compactMap { $0[0] }
    }
}
