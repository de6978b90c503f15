import Glibc
package import KelterLocal
import KelterModel

/// A PostgreSQL of a test process, which does not outlive it, whatever ends it.
package struct GuardedServer: Sendable {
    /// The superuser's connection string for the database `kelter`.
    package let url: String
    private let guardian: pid_t
    private let pipe: Int32

    /// A shell script that runs the server until the end of its own input, which is the end of this process.
    ///
    /// Then it stops the server and removes the directory. An exit handler would miss a crash or a kill.
    private static let script = """
        directory=$1; log=$2; shift 2
        "$@" >"$log" 2>&1 &
        server=$!
        read -r _
        kill -INT "$server"
        wait "$server"
        cd / && [ -z "$directory" ] || rm -rf "$directory"
        """

    /// Makes what is missing in a directory, starts the server and waits until it can be used.
    ///
    /// - Parameters:
    ///   - directory: Where its files lie, or will lie.
    ///   - removesDirectory: Whether the directory goes with the server.
    ///   - settings: Its settings; default: those that lose something in a crash for speed.
    /// - Returns: The server.
    /// - Throws: ``KelterError`` with ``ErrorCode/partMissing`` before `make deps`, or ``ErrorCode/serviceStartFailed``.
    @concurrent package static func start(
        in directory: String,
        removesDirectory: Bool,
        settings: PostgresSettings = .forTests
    ) async throws -> GuardedServer {
        let cluster = PostgresCluster(
            installation: try PostgresInstallation(parts: TestServer.partsDirectory),
            directory: directory,
            settings: settings
        )
        do {
            try cluster.prepare()
        } catch {
            if removesDirectory { _ = try ChildProcess.run(["rm", "-rf", directory]) }
            throw error
        }
        let pipe = try ChildProcess.makePipe()
        // The writing end stays open as long as this process lives.
        let null = open("/dev/null", O_RDWR | O_CLOEXEC)
        let pid = try ChildProcess.spawn(
            ["sh", "-c", script, "sh", removesDirectory ? directory : "", cluster.startLog] + cluster.serverCommand,
            input: pipe.reader,
            output: null,
            error: null,
            newSession: true
        )
        close(null)
        close(pipe.reader)
        let end = ContinuousClock.now + .seconds(60)
        while !cluster.isReady {
            guard ContinuousClock.now < end, ChildProcess.endedStatus(of: pid) == nil else {
                throw KelterError(
                    .serviceStartFailed,
                    "The tests' PostgreSQL does not start: \(cluster.startFailure)."
                )
            }
            try await Task.sleep(for: .milliseconds(5))
        }
        return GuardedServer(url: cluster.url, guardian: pid, pipe: pipe.writer)
    }

    /// Stops the server at once, cutting its sessions off, and waits for its end.
    package func stop() async throws {
        close(pipe)
        try await waitUntil("the end of the server") { ChildProcess.endedStatus(of: guardian) != nil }
    }
}
