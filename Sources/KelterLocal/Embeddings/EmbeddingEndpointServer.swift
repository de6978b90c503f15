import Dispatch
import Glibc
package import KelterModel

/// The main program of the embedded embedding endpoint: a hidden command of `kelter`, started as a daemon by
/// ``EmbeddedEmbeddings``.
package enum EmbeddingEndpointServer {
    /// The name of the command.
    package static let commandName = "embedding-endpoint"

    /// What the command is told.
    package struct Arguments: Sendable {
        /// `--home`: where the state file and the lock are.
        package var home: String
        /// `--parts`: where the engine is.
        package var parts: String
        /// `--workers`: how many worker processes; default one on each processor this process may use.
        package var workers: Int?

        package init(home: String, parts: String, workers: Int? = nil) {
            self.home = home
            self.parts = parts
            self.workers = workers
        }

        /// The command with its options, without the program.
        package var commandLine: [String] {
            [commandName, "--home", home, "--parts", parts] + (workers.map { ["--workers", String($0)] } ?? [])
        }
    }

    /// Serves until SIGTERM or SIGINT; blocks.
    ///
    /// The port of the last time is taken again if it is free, so that an address written down somewhere stays good.
    ///
    /// - Parameters:
    ///   - arguments: The command's options.
    ///   - executable: The program the workers are started from.
    /// - Throws: ``KelterError`` with ``ErrorCode/partMissing`` or ``ErrorCode/serviceStartFailed``.
    package static func run(_ arguments: Arguments, executable: String = "/proc/self/exe") throws(KelterError) {
        let paths = LocalPaths(home: arguments.home, parts: arguments.parts)
        let state = EmbeddingEndpointState(paths: paths)
        try LocalFiles.makeDirectory(paths.runDirectory)
        guard let lock = try FileLock(ifFree: state.lockFile) else {
            throw KelterError(
                .serviceStartFailed,
                "The embedded embedding endpoint of this home runs already.",
                subject: paths.home,
                fix: "Stop it with `kelter down`."
            )
        }
        let port = state.read()?.port ?? 0
        try state.write(EmbeddingEndpointState.Record(pid: getpid(), port: port, workers: 0, isReady: false))
        let signals = TerminationSignals()
        let pool = try EmbeddingWorkerPool(
            plan: try EngineProcess.Plan(paths: paths, executable: executable),
            cores: cores(arguments.workers)
        )
        defer { pool.stop() }
        let server = try listen(preferring: port, EmbeddingRoutes(pool: pool))
        // The pool first: handlers wait for it, and the server waits for its handlers.
        defer { server.stop() }
        defer { pool.stop() }
        try state.write(
            EmbeddingEndpointState.Record(
                pid: getpid(),
                port: server.port,
                workers: pool.workers.count,
                isReady: true
            )
        )
        signals.wait()
        withExtendedLifetime(lock) {}
    }

    /// The processors for the workers; more workers than processors share them.
    private static func cores(_ workers: Int?) -> [Int] {
        let processors = HiddenLibC.processors
        guard let workers, workers > 0 else { return processors }
        return (0..<workers).map { processors[$0 % processors.count] }
    }

    private static func listen(
        preferring port: UInt16,
        _ routes: EmbeddingRoutes
    ) throws(KelterError) -> LoopbackHTTPServer {
        var limits = LoopbackHTTPServer.Limits()
        limits.connections = 256
        if port != 0, let server = try? LoopbackHTTPServer(port: port, limits: limits, handler: routes.answer) {
            return server
        }
        return try LoopbackHTTPServer(port: 0, limits: limits, handler: routes.answer)
    }
}

/// SIGTERM and SIGINT, taken from this process and waited for.
private struct TerminationSignals {
    private let arrived = DispatchSemaphore(value: 0)
    private let sources: [any DispatchSourceSignal]

    init() {
        let arrived = arrived
        sources = [SIGTERM, SIGINT].map { number in
            signal(number, SIG_IGN)
            let source = DispatchSource.makeSignalSource(signal: number, queue: .global())
            source.setEventHandler { arrived.signal() }
            source.resume()
            return source
        }
        signal(SIGHUP, SIG_IGN)
    }

    func wait() {
        withExtendedLifetime(sources) { arrived.wait() }
    }
}
