import Glibc
import KelterModel
import KelterTestSupport
import Testing

@testable import KelterLocal

@Suite("The embedded PostgreSQL")
struct EmbeddedPostgresTests {
    @Test("it starts, is found running, is started again without effect, and stops")
    func startAndStop() async throws {
        let home = try TemporaryHome()
        let postgres = EmbeddedPostgres(paths: home.paths)
        #expect(!postgres.status().running)

        let started = try await postgres.start()
        #expect(started.running)
        #expect(started.version?.hasPrefix("18.") == true)
        let since = try query("SELECT pg_postmaster_start_time()", at: started.url)
        #expect(try query("SELECT current_database() || ' ' || current_user", at: started.url) == "kelter kelter")
        #expect(try query("SELECT lower('ÄÖÜ')", at: started.url) == "äöü")
        #expect(try query("SHOW jit", at: started.url) == "off")
        #expect(try query("SHOW synchronous_commit", at: started.url) == "on")
        #expect(try query("SHOW listen_addresses", at: started.url) == "")

        #expect(try await postgres.start() == started)
        #expect(try query("SELECT pg_postmaster_start_time()", at: started.url) == since)

        try await postgres.stop()
        #expect(!postgres.status().running)
        try await postgres.stop()
    }

    @Test("several callers at once start one server")
    func concurrentStart() async throws {
        let home = try TemporaryHome()
        let paths = home.paths
        let urls = try await withThrowingTaskGroup(of: String.self) { group in
            for _ in 0..<4 {
                // Values of their own, as in processes of their own: only the lock file is shared.
                group.addTask { try await EmbeddedPostgres(paths: paths, settings: .forTests).start().url }
            }
            return try await group.reduce(into: Set()) { $0.insert($1) }
        }
        #expect(urls.count == 1)
        let postgres = EmbeddedPostgres(paths: paths)
        #expect(try query("SELECT 1", at: postgres.status().url) == "1")
        try await postgres.stop()
    }

    @Test("after a crash it starts again with its data, even when the stale process id belongs to another program")
    func crash() async throws {
        let home = try TemporaryHome()
        let postgres = EmbeddedPostgres(paths: home.paths)
        let url = try await postgres.start().url
        _ = try query("CREATE TABLE kept AS SELECT 42 AS answer", at: url)

        let pid = try #require(PostgresCluster.runningPostmaster(directory: home.paths.postgresDirectory))
        #expect(kill(pid, SIGKILL) == 0)
        try await waitUntil("the server has ended") {
            PostgresCluster.runningPostmaster(directory: home.paths.postgresDirectory) == nil
        }
        #expect(!postgres.status().running)

        // The worst stale file: its id is that of a process that lives, here this one.
        let file = postgres.status().dataDirectory + "/postmaster.pid"
        let text = try #require(LocalFiles.read(file))
        let status = try #require(LocalFiles.status(file))
        try LocalFiles.write("\(getpid())" + text.drop { $0 != "\n" }, to: file, mode: 0o600)
        chown(file, status.st_uid, status.st_gid)
        #expect(!postgres.status().running)

        #expect(try await postgres.start().running)
        #expect(try query("SELECT answer FROM kept", at: url) == "42")
        try await postgres.stop()
    }

    @Test("without the part the error names the fix")
    func partMissing() async throws {
        let home = try TemporaryHome(parts: "/nonexistent")
        let error = await #expect(throws: KelterError.self) {
            try await EmbeddedPostgres(paths: home.paths).start()
        }
        #expect(error?.code == .partMissing)
        #expect(error?.fix?.contains("make deps") == true)
        #expect(!EmbeddedPostgres(paths: home.paths).status().running)
        #expect(EmbeddedPostgres(paths: home.paths).status().version == nil)
    }

    @Test("a home whose socket path is too long is refused with the number of bytes")
    func longPath() async throws {
        let home = try TemporaryHome()
        let paths = LocalPaths(home: home.path + "/" + String(repeating: "x", count: 100), parts: home.paths.parts)
        let error = await #expect(throws: KelterError.self) { try await EmbeddedPostgres(paths: paths).start() }
        #expect(error?.code == .serviceStartFailed)
        #expect(error?.message.contains("107 are allowed") == true)
        #expect(error?.fix?.contains("KELTER_HOME") == true)
    }

    @Test("a data directory of another major version is refused and left alone")
    func otherVersion() async throws {
        let home = try TemporaryHome()
        let data = home.paths.postgresDirectory + "/data"
        try LocalFiles.makeDirectory(data)
        try LocalFiles.write("15\n", to: data + "/PG_VERSION")
        let error = await #expect(throws: KelterError.self) { try await EmbeddedPostgres(paths: home.paths).start() }
        #expect(error?.code == .serviceStartFailed)
        #expect(error?.message.contains("PostgreSQL 15") == true)
        #expect(LocalFiles.names(in: data).filter { $0 != "." && $0 != ".." } == ["PG_VERSION"])
    }

    @Test("a home that `nobody` cannot enter is refused when root starts it", .enabled(if: geteuid() == 0))
    func closedHome() async throws {
        let home = try TemporaryHome()
        #expect(chmod(home.path, 0o700) == 0)
        let error = await #expect(throws: KelterError.self) { try await EmbeddedPostgres(paths: home.paths).start() }
        #expect(error?.code == .serviceStartFailed)
        #expect(error?.message.contains("cannot enter \(home.path)") == true)
    }

    @Test("a server that cannot start tells its own reason")
    func startFailure() async throws {
        let home = try TemporaryHome()
        let postgres = EmbeddedPostgres(paths: home.paths, settings: .forTests)
        try await postgres.start()
        try await postgres.stop()
        let file = postgres.status().dataDirectory + "/postgresql.conf"
        let status = try #require(LocalFiles.status(file))
        try LocalFiles.write("nonsense = 1\n", to: file, mode: 0o600)
        chown(file, status.st_uid, status.st_gid)
        let error = await #expect(throws: KelterError.self) { try await postgres.start() }
        #expect(error?.code == .serviceStartFailed)
        #expect(error?.message.contains("FATAL") == true, "\(String(describing: error))")
    }
}
