import Glibc
package import KelterLocal
import KelterModel

/// The embedded PostgreSQL of this test process: started on first use, gone with the process, whatever ends it.
package enum TestServer {
    /// The parts directory of this machine, filled by `make deps`.
    package static var partsDirectory: String { paths.parts }

    /// The paths of this machine's parts with a home that no test shares.
    package static var paths: LocalPaths {
        LocalPaths(
            environment: ["KELTER_PARTS", "XDG_DATA_HOME", "HOME"].reduce(into: [:]) { environment, name in
                environment[name] = getenv(name).map { String(cString: $0) }
            }
        )
    }

    /// The superuser's connection string for the database `kelter`; make a database of your own from it.
    ///
    /// - Throws: ``KelterError`` with ``ErrorCode/partMissing`` before `make deps`, or
    ///   ``ErrorCode/serviceStartFailed``.
    package static func postgresURL() async throws -> String {
        try await server.value
    }

    private static let server = Task { try await start() }

    /// A shell script that runs the server until the end of its own input, which is the end of this process.
    ///
    /// Then it stops the server and removes the directory. An exit handler would miss a crash or a kill.
    private static let guardian = """
        directory=$1; log=$2; shift 2
        "$@" >"$log" 2>&1 &
        server=$!
        read -r _
        kill -INT "$server"
        wait "$server"
        cd / && rm -rf "$directory"
        """

    @concurrent private static func start() async throws -> String {
        let directory = try makeTemporaryDirectory()
        let cluster = PostgresCluster(
            installation: try PostgresInstallation(parts: partsDirectory),
            directory: directory,
            settings: .forTests
        )
        do {
            try cluster.prepare()
        } catch {
            _ = try ChildProcess.run(["rm", "-rf", directory])
            throw error
        }
        let pipe = try ChildProcess.makePipe()
        // The writing end stays open as long as this process lives.
        let null = open("/dev/null", O_RDWR | O_CLOEXEC)
        let pid = try ChildProcess.spawn(
            ["sh", "-c", guardian, "sh", directory, cluster.startLog] + cluster.serverCommand,
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
        return cluster.url
    }

    private static func makeTemporaryDirectory() throws -> String {
        var template = Array("/tmp/kelter-test-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else {
            throw KelterError(.serviceStartFailed, "Cannot make a directory in /tmp.")
        }
        // PostgreSQL's account must get through; its own directories below are closed to others.
        chmod(template, 0o755)
        return template.withUnsafeBufferPointer {
            String(decoding: $0.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        }
    }
}
