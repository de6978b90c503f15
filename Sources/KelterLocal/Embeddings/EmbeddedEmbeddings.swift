import Glibc
package import KelterModel

/// What is known of the embedded embedding endpoint.
package struct EmbeddingsStatus: Sendable, Equatable {
    /// Whether it answers.
    package var running: Bool
    /// The base of its routes, such as `http://127.0.0.1:41234/v1`.
    ///
    /// Of a stopped endpoint, the one it will take again if the port is free; `nil` when it never ran.
    package var baseURL: String?
    package var model = EmbeddingModel.name
    package var dimension = EmbeddingModel.dimension
    /// Worker processes; 0 when it is stopped.
    package var workers: Int
}

/// The embedded embedding endpoint of a Kelter home: a daemon that survives the command that started it.
package struct EmbeddedEmbeddings: Sendable {
    private let paths: LocalPaths
    private let executable: String
    private let workers: Int?
    private let state: EmbeddingEndpointState

    /// - Parameters:
    ///   - paths: Its home and the parts.
    ///   - executable: The program with the hidden commands; default this one.
    ///   - workers: Worker processes; default one on each processor.
    package init(paths: LocalPaths, executable: String = "/proc/self/exe", workers: Int? = nil) {
        self.paths = paths
        self.executable = executable
        self.workers = workers
        state = EmbeddingEndpointState(paths: paths)
    }

    private var log: String { paths.logDirectory + "/embeddings.log" }

    /// Starts the endpoint, unless it runs, and waits until its workers are ready.
    ///
    /// Several processes may call it at once; one starts, the others wait for it.
    ///
    /// - Throws: ``KelterError`` with ``ErrorCode/partMissing`` or ``ErrorCode/serviceStartFailed``.
    @discardableResult
    package func start() async throws(KelterError) -> EmbeddingsStatus {
        try await OwnedThread.run { () throws(KelterError) in
            if !status().running {
                try withLock { () throws(KelterError) in
                    // Somebody may have started it while we waited, or was killed while it was starting.
                    if state.isAlive { try waitUntilReady(nil) } else { try startDaemon() }
                }
            }
            return status()
        }
    }

    /// Stops the endpoint, if it runs, and waits for its end.
    ///
    /// - Throws: ``KelterError`` with ``ErrorCode/serviceStartFailed`` when it does not end even when killed.
    package func stop() async throws(KelterError) {
        guard state.isAlive else { return }
        try await OwnedThread.run { () throws(KelterError) in
            try withLock { () throws(KelterError) in try stopDaemon() }
        }
    }

    /// Whether the endpoint runs, and where.
    package func status() -> EmbeddingsStatus {
        // The lock before the record: the endpoint writes the record as soon as it has the lock.
        let isAlive = state.isAlive
        let record = state.read()
        let running = isAlive && record?.isReady ?? false
        return EmbeddingsStatus(
            running: running,
            baseURL: record.flatMap { $0.port == 0 ? nil : "http://127.0.0.1:\($0.port)/v1" },
            workers: running ? record?.workers ?? 0 : 0
        )
    }

    private func startDaemon() throws(KelterError) {
        _ = try EngineProcess.Plan(paths: paths, executable: executable)
        try LocalFiles.makeDirectory(paths.logDirectory)
        if let status = LocalFiles.status(log), status.st_size > 10 << 20 { rename(log, log + ".1") }
        let output = open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o644)
        guard output >= 0 else { throw LocalFiles.failure("Cannot write the log", log, errno) }
        defer { close(output) }
        let null = open("/dev/null", O_RDONLY | O_CLOEXEC)
        defer { close(null) }
        let arguments = EmbeddingEndpointServer.Arguments(home: paths.home, parts: paths.parts, workers: workers)
        let pid = try ChildProcess.spawn(
            [executable] + arguments.commandLine,
            input: null,
            output: output,
            error: output,
            newSession: true
        )
        try waitUntilReady(pid)
    }

    /// Waits for the record of the endpoint that holds the lock, or of our child.
    private func waitUntilReady(_ child: pid_t?) throws(KelterError) {
        let end = ContinuousClock.now + .seconds(90)
        while ContinuousClock.now < end {
            if let record = state.read(), record.pid == child ?? record.pid, status().running { return }
            if let child, let status = ChildProcess.endedStatus(of: child) {
                throw failure("The embedded embedding endpoint ended with status \(status) while starting")
            }
            if child == nil, !state.isAlive { throw failure("The embedded embedding endpoint ended while starting") }
            usleep(10_000)
        }
        throw failure("The embedded embedding endpoint does not get ready")
    }

    private func failure(_ message: String) -> KelterError {
        let reason = LocalFiles.lastLine(of: log).map { ": \($0)." } ?? "."
        return KelterError(.serviceStartFailed, message + reason, subject: log, fix: "Read this log.")
    }

    private func stopDaemon() throws(KelterError) {
        for (signal, patience) in [(SIGTERM, Duration.seconds(30)), (SIGKILL, .seconds(10))] {
            guard state.isAlive, let record = state.read() else { return }
            kill(record.pid, signal)
            let end = ContinuousClock.now + patience
            while state.isAlive, ContinuousClock.now < end {
                usleep(5_000)
                // When it is our own child, its end must be taken note of.
                _ = ChildProcess.endedStatus(of: record.pid)
            }
            _ = ChildProcess.endedStatus(of: record.pid)
        }
        if state.isAlive {
            throw KelterError(.serviceStartFailed, "The embedded embedding endpoint does not end.", subject: paths.home)
        }
    }

    private func withLock(_ body: () throws(KelterError) -> Void) throws(KelterError) {
        try LocalFiles.makeDirectory(paths.runDirectory)
        try FileLock.whileHolding(paths.runDirectory + "/embeddings-start.lock", body)
    }
}
