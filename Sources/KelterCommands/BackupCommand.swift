import ArgumentParser
import Glibc
import KelterLocal
import KelterModel
import KelterPipeline
import KelterSettings
import KelterStore

struct BackupCommand: ExecutableCommand {
    static let configuration = CommandConfiguration(
        commandName: "backup",
        abstract: "Dumps the database with pg_dump and records that it was done.",
        discussion: """
            The dump is in pg_dump's custom format, read back with pg_restore. The role must see all rows, so that row \
            level security hides none: a superuser or one with BYPASSRLS, named by RAG_BACKUP_DATABASE_URL. With --record \
            a backup made elsewhere is recorded instead, such as a snapshot.
            """
    )

    @Option(help: ArgumentHelp("Where the dump goes; default: backups below KELTER_HOME.", valueName: "directory"))
    var out: String?

    @Option(help: ArgumentHelp("Record a backup made elsewhere just now, by its name.", valueName: "name"))
    var record: String?

    @Option(
        name: .customLong("pg-dump"),
        help: ArgumentHelp(
            "The pg_dump to use; default: the embedded server's, else the one in PATH.",
            valueName: "program"
        )
    )
    var program: String?

    @OptionGroup var common: CommonOptions

    func execute(_ terminal: Terminal) async throws(KelterError) -> KelterModel.ExitCode {
        let services = try Services()
        let owner = try await services.unverifiedStore(connections: 1, role: .owner)
        if let record {
            if try await !owner.canRecordBackups() { try await owner.applyRegistry() }
            try await owner.recordBackup(kind: "external", location: record, bytes: nil, begun: 0)
            await owner.close()
            terminal.print(
                json: .object([("kind", .string("external")), ("location", .string(record)), ("recorded", .bool(true))]
                ),
                text: "The backup \(record) is recorded."
            )
            return .done
        }
        let clock = ContinuousClock()
        let start = clock.now
        let url = try await backupURL(services)
        try await requireAllRows(url, services)
        let dump = try Dump(
            directory: out ?? services.paths.home + "/backups",
            program: program ?? defaultProgram(services),
            url: url
        )
        let bytes = try await ProgressLine(terminal: terminal) { _ in "\(spoken(bytes: dump.size)) dumped" }
            .during { () throws(KelterError) in try await dump.run() }
        // The table of backups comes with a migration, which must not run before there is a backup.
        if try await !owner.canRecordBackups() { try await owner.applyRegistry() }
        let seconds = Int((clock.now - start).milliseconds / 1000) + 1
        try await owner.recordBackup(kind: "pg_dump", location: dump.path, bytes: bytes, begun: seconds)
        await owner.close()
        terminal.print(
            json: .object([
                ("kind", .string("pg_dump")), ("location", .string(dump.path)), ("bytes", .int(bytes)),
                ("duration_ms", .int((clock.now - start).milliseconds)), ("recorded", .bool(true)),
            ]),
            text: "\(dump.path): \(spoken(bytes: bytes)) in \(spoken(clock.now - start)), recorded."
        )
        return .done
    }

    private func backupURL(_ services: Services) async throws(KelterError) -> String {
        if let url = services.settings.database.backupURL { return url }
        return try await services.databaseURL(for: .owner)
    }

    /// A dump by a role that row level security binds would be empty, or refused by pg_dump half way.
    private func requireAllRows(_ url: String, _ services: Services) async throws(KelterError) {
        let store = try Store(
            configuration: StoreConfiguration(url: url, dimension: services.settings.profile.dimension, poolSize: 1)
        )
        let seesAll = try await store.seesAllRows()
        await store.close()
        guard seesAll else {
            throw KelterError(
                .backupFailed,
                "Row level security hides rows from this role; the dump would not hold them.",
                subject: "RAG_BACKUP_DATABASE_URL",
                fix: "Name a superuser or a role with BYPASSRLS there."
            )
        }
    }

    private func defaultProgram(_ services: Services) -> String {
        let embedded = try? PostgresInstallation(parts: services.paths.parts).program("pg_dump")
        guard let embedded, access(embedded, X_OK) == 0 else { return "pg_dump" }
        return embedded
    }
}

/// One run of pg_dump into a file that appears when it is whole.
private struct Dump: Sendable {
    let path: String
    private let partial: String
    private let program: String
    private let connection: String
    private let password: String?

    init(directory: String, program: String, url: String) throws(KelterError) {
        let objects = ObjectStore(root: directory)
        if let problem = objects.problem { throw problem }
        let name = "kelter-\(newRowID()).dump"
        path = directory + "/" + name
        partial = directory + "/." + name + ".partial"
        self.program = program
        (connection, password) = try Store.separatedPassword(url)
    }

    /// The bytes written so far.
    var size: Int {
        var status = stat()
        return stat(partial, &status) == 0 ? Int(status.st_size) : 0
    }

    /// Dumps, reads the table of contents back, and puts the file in its place.
    ///
    /// - Returns: The size of the file.
    /// - Throws: ``KelterError`` with ``ErrorCode/backupFailed``.
    func run() async throws(KelterError) -> Int {
        do throws(KelterError) {
            // All tenants' documents are in it: nobody else may read it, from the first byte on.
            let descriptor = open(partial, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
            guard descriptor >= 0 else { throw failure("the file cannot be made", String(cString: strerror(errno))) }
            close(descriptor)
            let dumped = try await Self.output(
                [program, "--format=custom", "--no-password", "--file=\(partial)", "--dbname=\(connection)"],
                password: password
            )
            guard dumped.status == 0 else { throw failure("pg_dump ended with \(dumped.status)", dumped.output) }
            let restore = program.hasSuffix("pg_dump") ? program.dropLast("pg_dump".count) + "pg_restore" : "pg_restore"
            let listed = try await Self.output([restore, "--list", partial], password: nil)
            guard listed.status == 0, listed.output.contains("Archive created") else {
                throw failure("the dump cannot be read back", listed.output)
            }
            let bytes = size
            try persist()
            return bytes
        } catch {
            unlink(partial)
            throw error
        }
    }

    private func persist() throws(KelterError) {
        let descriptor = open(partial, O_RDONLY | O_CLOEXEC)
        defer { close(descriptor) }
        guard descriptor >= 0, fsync(descriptor) == 0, rename(partial, path) == 0 else {
            throw failure("the file cannot be put in its place", String(cString: strerror(errno)))
        }
    }

    private func failure(_ what: String, _ output: String) -> KelterError {
        let line = output.split(separator: "\n").first.map(String.init) ?? ""
        return KelterError(
            .backupFailed,
            "The backup failed, \(what): \(shortened(line)).",
            subject: path,
            fix: "Correct the address, or name a pg_dump that is not older than the server with --pg-dump."
        )
    }

    /// Runs a program without blocking the cooperative pool; cancelling the task ends it.
    private static func output(
        _ arguments: [String],
        password: String?
    ) async throws(KelterError) -> (status: Int32, output: String) {
        // What libpq reads from this process's environment counts for the address as well.
        let inherited = currentEnvironment().filter {
            $0.key.hasPrefix("PG") && (password == nil || $0.key != "PGPASSWORD") || $0.key == "HOME"
        }
        let environment =
            ChildProcess.cleanEnvironment.filter { !$0.hasPrefix("HOME=") }
            + inherited.map { "\($0.key)=\($0.value)" } + (password.map { ["PGPASSWORD=\($0)"] } ?? [])
        let pipe = try ChildProcess.makePipe()
        let null = open("/dev/null", O_RDONLY | O_CLOEXEC)
        defer {
            close(pipe.reader)
            close(null)
        }
        let pid: pid_t
        do throws(KelterError) {
            pid = try ChildProcess.spawn(
                arguments,
                environment: environment,
                input: null,
                output: pipe.writer,
                error: pipe.writer
            )
        } catch {
            close(pipe.writer)
            throw KelterError(
                .backupFailed,
                error.message,
                subject: arguments[0],
                fix: "Install PostgreSQL's client programs."
            )
        }
        close(pipe.writer)
        _ = fcntl(pipe.reader, F_SETFL, O_NONBLOCK)
        var output: [UInt8] = []
        while true {
            let status = ChildProcess.endedStatus(of: pid)
            var buffer = [UInt8](repeating: 0, count: 16 << 10)
            while case let count = read(pipe.reader, &buffer, buffer.count), count > 0 {
                output.append(contentsOf: buffer[..<count])
            }
            if let status { return (status, String(decoding: output, as: UTF8.self)) }
            if (try? await Task.sleep(for: .milliseconds(20))) == nil {
                kill(pid, SIGTERM)
                ChildProcess.wait(for: pid)
                throw KelterError(.interrupted, "The backup was interrupted.", fix: "Repeat the command.")
            }
        }
    }
}
