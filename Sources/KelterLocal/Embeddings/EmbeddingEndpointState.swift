import Glibc
import KelterModel

/// What the running endpoint leaves for others to find it: a lock it holds as long as it lives, and a file.
///
/// The lock tells a running endpoint from a stale file, even when the process id belongs to somebody else by now.
struct EmbeddingEndpointState: Sendable {
    struct Record: Sendable, Equatable {
        var pid: pid_t
        /// Zero when it was never known.
        var port: UInt16
        var workers: Int
        /// Whether it answers; `false` while the engine is being loaded.
        var isReady: Bool
    }

    let lockFile: String
    private let file: String

    init(paths: LocalPaths) {
        lockFile = paths.runDirectory + "/embeddings.lock"
        file = paths.runDirectory + "/embeddings.json"
    }

    /// Whether an endpoint runs, or is about to.
    var isAlive: Bool { FileLock.isHeld(lockFile) }

    /// What the endpoint wrote, this one or the last; `nil` when there was none.
    func read() -> Record? {
        guard let text = LocalFiles.read(file), let value = try? JSONReader.read(text),
            let pid = value["pid"]?.int.flatMap({ pid_t(exactly: $0) }), pid > 0,
            let port = value["port"]?.int.flatMap({ UInt16(exactly: $0) }), let workers = value["workers"]?.int,
            let isReady = value["ready"]?.bool
        else { return nil }
        return Record(pid: pid, port: port, workers: workers, isReady: isReady)
    }

    func write(_ record: Record) throws(KelterError) {
        let value = JSONValue.object([
            ("pid", .int(record.pid)), ("port", .int(record.port)), ("workers", .int(record.workers)),
            ("ready", .bool(record.isReady)),
        ])
        try LocalFiles.write(value.compactText + "\n", to: file)
    }
}
