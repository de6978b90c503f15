import Glibc
import KelterModel

/// A worker process, seen from the endpoint.
final class EngineProcess {
    /// What a worker is started from.
    struct Plan: Sendable {
        /// The program with the command ``EmbeddingEngineWorker/commandName``.
        var executable: String
        var weights: String
        /// The engines to try, the fastest first.
        var engines: [String]

        /// The plan for a parts directory.
        ///
        /// - Throws: ``KelterError`` with ``ErrorCode/partMissing``.
        init(paths: LocalPaths, executable: String) throws(KelterError) {
            self.executable = executable
            weights = paths.engineDirectory + "/e5-small-q4.bin"
            let names = LocalFiles.names(in: paths.engineDirectory)
            engines = (["libe5-native.so"] + names.filter { $0.hasPrefix("_engine") && $0.hasSuffix(".so") })
                .filter { names.contains($0) }.map { paths.engineDirectory + "/" + $0 }
            guard LocalFiles.exists(weights), !engines.isEmpty else {
                throw KelterError(
                    .partMissing,
                    "The embedded embedding engine is not installed.",
                    subject: paths.engineDirectory,
                    fix: "Run `make deps`, or set LITELLM_BASE_URL to an endpoint of your own."
                )
            }
        }
    }

    let pid: pid_t
    private let channel: EngineChannel

    /// Starts a worker, which then loads the engine.
    ///
    /// - Throws: ``KelterError`` with ``ErrorCode/serviceStartFailed`` when it cannot be started at all.
    init(_ plan: Plan, engine: String, core: Int) throws(KelterError) {
        var ends: [Int32] = [-1, -1]
        let kind = Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue)
        guard socketpair(AF_UNIX, kind, 0, &ends) == 0 else {
            throw KelterError(.serviceStartFailed, "Cannot open a socket: \(String(cString: strerror(errno))).")
        }
        // Far beyond what one text takes: a worker that needs longer hangs.
        var limit = timeval(tv_sec: 60, tv_usec: 0)
        setsockopt(ends[0], SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
        channel = EngineChannel(descriptor: ends[0])
        let arguments = EmbeddingEngineWorker.Arguments(weights: plan.weights, engine: engine, core: core)
        do throws(KelterError) {
            // Nothing but answers may reach the socket, so output goes where messages go.
            pid = try ChildProcess.spawn(
                [plan.executable] + arguments.commandLine,
                input: ends[1],
                output: STDERR_FILENO,
                error: STDERR_FILENO
            )
        } catch {
            for end in ends { close(end) }
            throw error
        }
        close(ends[1])
    }

    /// Waits until the engine is loaded; `false` when the worker dies of it.
    func becomesReady() -> Bool {
        channel.receive() != nil
    }

    deinit {
        close(channel.descriptor)
        // It may be in the middle of a text; nobody waits for that any more.
        kill(pid, SIGKILL)
        ChildProcess.wait(for: pid)
    }

    /// What a worker says to a question.
    enum Reply {
        case payload([UInt8])
        /// The engine could not do it.
        case failed
        /// The worker is gone; this value is of no more use.
        case dead
    }

    func ask(_ operation: EngineChannel.Operation, _ text: EngineText) -> Reply {
        guard channel.send(operation.rawValue, text.kind.rawValue, payload: text.bytes), let reply = channel.receive()
        else { return .dead }
        return reply.first == 0 ? .payload(reply.payload) : .failed
    }
}
