import Glibc
package import KelterModel

/// One PostgreSQL data directory with its socket and logs, and the server on it.
///
/// All methods block. Callers hold the lock of the directory; see ``EmbeddedPostgres``.
///
/// ```
/// <directory>/data   the data directory      <directory>/run   the socket, mode 0700: whoever reaches it may connect
/// <directory>/log    the server's logs
/// ```
package struct PostgresCluster: Sendable {
    /// The port, which with a Unix socket is only a part of its name.
    package static let port = 5432
    /// The superuser, and the database that is there after the first start.
    package static let role = "kelter"

    private let installation: PostgresInstallation
    private let directory: String
    private let settings: PostgresSettings
    private let account = ServiceAccount.current

    /// The data directory.
    package var dataDirectory: String { directory + "/data" }
    private var socketDirectory: String { directory + "/run" }
    private var logDirectory: String { directory + "/log" }
    private var postmasterFile: String { dataDirectory + "/postmaster.pid" }

    package init(installation: PostgresInstallation, directory: String, settings: PostgresSettings) {
        self.installation = installation
        self.directory = directory
        self.settings = settings
    }

    /// The connection string of libpq for the superuser.
    package var url: String { Self.url(directory: directory) }

    static func url(directory: String) -> String {
        "postgresql:///\(role)?host=\(percentEncoded(directory + "/run"))&port=\(port)&user=\(role)"
    }

    /// The command of a server in the foreground, for a caller that keeps it as a child.
    package var serverCommand: [String] {
        account.command([installation.program("postgres"), "-D", dataDirectory])
    }

    /// The log a server in the foreground, or one that fails to start, writes to.
    package var startLog: String { logDirectory + "/start.log" }
}

// The data directory.
extension PostgresCluster {
    /// Makes the data directory, unless it is there, and writes the settings.
    ///
    /// The directory appears under its name only when it is complete, database included.
    ///
    /// - Throws: ``KelterError`` with ``ErrorCode/serviceStartFailed``.
    package func prepare() throws(KelterError) {
        try checkSocketPath()
        try LocalFiles.makeDirectory(directory)
        try account.checkReaches(directory, setting: "KELTER_HOME")
        try account.checkReaches(installation.program("postgres"), setting: "KELTER_PARTS")
        for path in [directory, socketDirectory, logDirectory] { try account.makeDirectory(path) }
        if LocalFiles.exists(dataDirectory) {
            try checkVersion()
        } else {
            try create()
        }
        try LocalFiles.write(settings.text(socketDirectory: socketDirectory), to: dataDirectory + "/kelter.conf")
    }

    private func create() throws(KelterError) {
        let unfinished = dataDirectory + ".new"
        _ = try ChildProcess.run(["rm", "-rf", unfinished])
        try run(
            [
                installation.program("initdb"), "-D", unfinished, "-U", Self.role, "-A", "trust", "-E", "UTF8",
                "--locale=C.UTF-8", "--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--no-instructions",
            ] + (settings.isDurable ? [] : ["--no-sync"]),
            "Cannot create the database directory"
        )
        // Without a server, so that no half-made directory can ever be started.
        try run(
            [installation.program("postgres"), "--single", "-D", unfinished, "postgres"],
            input: "CREATE DATABASE \(Self.role)\n",
            "Cannot create the database"
        )
        let configuration = unfinished + "/postgresql.conf"
        guard let text = LocalFiles.read(configuration), let status = LocalFiles.status(configuration) else {
            throw LocalFiles.failure("Cannot read the settings", configuration, errno)
        }
        try LocalFiles.write(text + "\ninclude_if_exists = 'kelter.conf'\n", to: configuration)
        chown(configuration, status.st_uid, status.st_gid)
        guard rename(unfinished, dataDirectory) == 0 else {
            throw LocalFiles.failure("Cannot move the database directory to its place", dataDirectory, errno)
        }
    }

    private func checkVersion() throws(KelterError) {
        let found = LocalFiles.read(dataDirectory + "/PG_VERSION").map { trimmed($0) } ?? "an unknown version"
        guard let version = installation.version, let major = version.split(separator: ".").first, found != major else {
            return
        }
        throw KelterError(
            .serviceStartFailed,
            "The data directory belongs to PostgreSQL \(found), but the embedded server is PostgreSQL \(version).",
            subject: dataDirectory,
            fix: "Move the data with pg_dump of PostgreSQL \(found), or set KELTER_HOME to a new directory."
        )
    }

    /// The path of a Unix socket has 107 bytes at most; `sockaddr_un` in unix(7).
    private func checkSocketPath() throws(KelterError) {
        let path = "\(socketDirectory)/.s.PGSQL.\(Self.port)"
        guard path.utf8.count > 107 else { return }
        throw KelterError(
            .serviceStartFailed,
            "The path of PostgreSQL's socket has \(path.utf8.count) bytes; 107 are allowed.",
            subject: path,
            fix: "Set KELTER_HOME to a directory with a path \(path.utf8.count - 107) bytes shorter."
        )
    }

    private func run(_ arguments: [String], input: String = "", _ failure: String) throws(KelterError) {
        let (status, output) = try ChildProcess.run(account.command(arguments), input: input)
        guard status != 0 else { return }
        let lines = output.split(separator: "\n")
        let line = lines.last { $0.contains("FATAL") || $0.contains("rror:") } ?? lines.last ?? "exit status \(status)"
        throw KelterError(.serviceStartFailed, "\(failure): \(line).", subject: dataDirectory)
    }
}

// The server.
extension PostgresCluster {
    /// Whether the server accepts connections.
    package var isReady: Bool { Self.isReady(directory: directory) }

    static func isReady(directory: String) -> Bool {
        let lines = postmasterLines(directory: directory)
        // The eighth line is the state; LOCK_FILE_LINE_PM_STATUS in PostgreSQL's pidfile.h.
        return lines.count >= 8 && trimmed(lines[7]) == "ready" && runningPostmaster(directory: directory) != nil
    }

    /// The process id of the server of a directory; `nil` when its pid file is stale or missing.
    static func runningPostmaster(directory: String) -> pid_t? {
        guard let line = postmasterLines(directory: directory).first, let pid = pid_t(line), pid > 0 else { return nil }
        // The id may belong to another program by now. `cmdline` can be read by every account, unlike `cwd`.
        let arguments = LocalFiles.read("/proc/\(pid)/cmdline")?.split(separator: "\0") ?? []
        return arguments.contains { $0 == directory + "/data" } ? pid : nil
    }

    private static func postmasterLines(directory: String) -> [String] {
        let text = LocalFiles.read(directory + "/data/postmaster.pid") ?? ""
        return text.split(separator: "\n", omittingEmptySubsequences: false).map { String($0) }
    }

    /// Starts the server as a daemon and waits until it accepts connections.
    ///
    /// - Throws: ``KelterError`` with ``ErrorCode/serviceStartFailed`` and the server's own reason.
    package func start() throws(KelterError) {
        try disarmStalePostmasterFiles()
        // The backends of a killed server may live on for a moment, and PostgreSQL rightly waits for their end.
        let end = ContinuousClock.now + .seconds(15)
        while true {
            unlink(startLog)
            let (status, _) = try ChildProcess.run(
                account.command([
                    installation.program("pg_ctl"), "-D", dataDirectory, "-l", startLog, "-w", "-t", "300", "-s",
                    "start",
                ])
            )
            if status == 0, isReady { return }
            let reason = startFailure
            if reason.contains("shared memory block"), ContinuousClock.now < end {
                usleep(200_000)
                continue
            }
            throw KelterError(
                .serviceStartFailed,
                "The embedded PostgreSQL does not start: \(reason).",
                subject: dataDirectory,
                fix: "Read \(startLog) and the other logs beside it."
            )
        }
    }

    /// The reason of a failed start, from the log that was written last.
    package var startFailure: String {
        let logs = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"].map { "\(logDirectory)/postgresql-\($0).log" }
        let latest = logs.compactMap { path in LocalFiles.status(path).map { (path, $0.st_mtim.tv_sec) } }
            .max { $0.1 < $1.1 }
        // The settings are read before the collector starts, the data directory after.
        let isFatal = { (line: Substring) in line.contains("FATAL:") }
        return LocalFiles.lastLine(of: startLog, where: isFatal)
            ?? latest.flatMap { LocalFiles.lastLine(of: $0.0, where: isFatal) }
            ?? LocalFiles.lastLine(of: startLog) ?? "it gave no reason"
    }

    /// Stops the server; open transactions are rolled back, connections closed.
    ///
    /// - Throws: ``KelterError`` with ``ErrorCode/serviceStartFailed`` when it does not stop within two minutes.
    package func stop() throws(KelterError) {
        guard Self.runningPostmaster(directory: directory) != nil else { return }
        try run(
            [installation.program("pg_ctl"), "-D", dataDirectory, "-m", "fast", "-w", "-t", "120", "-s", "stop"],
            "The embedded PostgreSQL does not stop"
        )
    }

    /// Makes the pid files of a dead server harmless whose id belongs to another process by now, or to a zombie nobody
    /// takes note of, as in a container without init: PostgreSQL would refuse to start.
    ///
    /// `postmaster.pid` is not removed: its other lines are PostgreSQL's guard against surviving backends.
    private func disarmStalePostmasterFiles() throws(KelterError) {
        guard Self.runningPostmaster(directory: directory) == nil else { return }
        unlink("\(socketDirectory)/.s.PGSQL.\(Self.port).lock")
        var lines = Self.postmasterLines(directory: directory)
        guard let pid = lines.first.flatMap({ pid_t($0) }), pid > 0, kill(pid, 0) == 0 || errno == EPERM,
            let status = LocalFiles.status(postmasterFile)
        else { return }
        // Larger than any process id Linux gives (2^22).
        lines[0] = "2147483646"
        try LocalFiles.write(lines.joined(separator: "\n"), to: postmasterFile, mode: 0o600)
        chown(postmasterFile, status.st_uid, status.st_gid)
    }
}

/// A text for the query of a connection string: all but unreserved characters and `/` as `%XX`; RFC 3986.
private func percentEncoded(_ text: String) -> String {
    var bytes: [UInt8] = []
    for byte in text.utf8 {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "/"), UInt8(ascii: "-"), UInt8(ascii: "."),
            UInt8(ascii: "_"), UInt8(ascii: "~"):
            bytes.append(byte)
        default:
            bytes += [UInt8(ascii: "%"), hexDigit(byte >> 4), hexDigit(byte & 0xF)]
        }
    }
    return String(decoding: bytes, as: UTF8.self)
}
