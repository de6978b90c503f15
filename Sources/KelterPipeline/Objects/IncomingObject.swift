import Glibc
import KelterHashing
package import KelterModel
import Synchronization

/// The bytes of an upload while they arrive: written to a file, hashed on the way, never held in memory.
///
/// The file lies in the object store's `.incoming` directory and goes with this object unless ``keep(as:)`` named it.
/// All calls block, and one must follow the other.
package final class IncomingObject: Sendable {
    /// What has been received.
    package struct Content: Sendable, Equatable {
        package let size: Int
        package let hash: ContentHash
        /// The first 64 KiB.
        package let beginning: [UInt8]
    }

    private struct State: ~Copyable {
        var descriptor: Int32
        var hasher: SHA256? = SHA256()
        var size = 0
        var beginning: [UInt8] = []
        var isKept = false
    }

    private let objects: ObjectStore
    private let path: String
    private let state: Mutex<State>

    /// Creates the file.
    ///
    /// - Throws: ``KelterError`` with ``ErrorCode/objectStoreFailed``.
    package init(in objects: ObjectStore) throws(KelterError) {
        self.objects = objects
        let directory = objects.root + "/" + ObjectStore.incoming
        try objects.makeDirectories(directory)
        path = "\(ObjectStore.incoming)/\(getpid())-\(UInt64.random(in: .min ... .max)).part"
        let descriptor = open(objects.root + "/" + path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o640)
        guard descriptor >= 0 else { throw objects.failure(directory, errno) }
        state = Mutex(State(descriptor: descriptor))
    }

    deinit {
        let isKept = state.withLock { state in
            close(state.descriptor)
            return state.isKept
        }
        if !isKept { unlink(objects.root + "/" + path) }
    }

    /// Adds the next bytes.
    ///
    /// - Throws: ``KelterError`` with ``ErrorCode/objectStoreFailed``.
    package func append(_ bytes: [UInt8]) throws(KelterError) {
        try state.withLock { (state) throws(KelterError) in
            guard objects.writeAll(bytes[...], to: state.descriptor) else { throw objects.failure(path, errno) }
            bytes.withUnsafeBytes { state.hasher?.update($0) }
            state.size += bytes.count
            let missing = uploadIdentifierPrefix - state.beginning.count
            if missing > 0 { state.beginning.append(contentsOf: bytes.prefix(missing)) }
        }
    }

    /// Ends the reception and makes the bytes durable.
    ///
    /// - Throws: ``KelterError`` with ``ErrorCode/objectStoreFailed`` or ``ErrorCode/internalError``.
    package func finish() throws(KelterError) -> Content {
        try state.withLock { (state) throws(KelterError) in
            guard fsync(state.descriptor) == 0 else { throw objects.failure(path, errno) }
            guard let hasher = state.hasher.take() else {
                throw KelterError(.internalError, "An upload was finished twice.")
            }
            return Content(size: state.size, hash: try hasher.finish(), beginning: state.beginning)
        }
    }

    /// Names the file for the run that will work on it and puts the metadata beside it; both are durable afterwards.
    ///
    /// - Throws: ``KelterError`` with ``ErrorCode/objectStoreFailed``.
    package func keep(for run: RowID, metadata: JSONValue) throws(KelterError) {
        let staged = StagedUpload(run: run)
        try objects.write(metadata, to: staged.metadata)
        guard try objects.move(path, to: staged.content) else { throw objects.failure(path, ENOENT) }
        state.withLock { $0.isKept = true }
    }
}

/// Where the objects of a run lie between their reception and the commit of the run.
///
/// The run's row is the truth and the names follow it: a kill before the commit leaves files that no run knows, which
/// ``ObjectStore/abandonedRuns(olderThan:)`` finds; a kill after it leaves files that the worker puts in their
/// places itself.
package struct StagedUpload: Sendable {
    let run: RowID

    package init(run: RowID) {
        self.run = run
    }

    package var content: String { "\(ObjectStore.incoming)/\(run).content" }
    package var metadata: String { "\(ObjectStore.incoming)/\(run).meta.json" }
}

extension ObjectStore {
    /// The directory of what is being received.
    static let incoming = ".incoming"

    /// Puts the objects of a committed run in their places, unless they are there already.
    ///
    /// - Throws: ``KelterError`` with ``ErrorCode/objectStoreFailed``.
    package func settle(run: RowID, content: String, metadata: String) throws(KelterError) {
        let staged = StagedUpload(run: run)
        // The metadata last: where it stands, the raw bytes stand beside it.
        if content != staged.content { _ = try move(staged.content, to: content) }
        if metadata != staged.metadata { _ = try move(staged.metadata, to: metadata) }
    }

    /// Forgets what was staged for a run that was not committed.
    package func discard(run: RowID) {
        let staged = StagedUpload(run: run)
        // What cannot be removed now is found by the next sweep.
        try? remove(staged.content)
        try? remove(staged.metadata)
    }

    /// Removes files whose reception was cut off by a kill, and names the runs whose staged files are old; blocks.
    ///
    /// - Parameter seconds: Younger files are left alone: another process may be receiving them.
    /// - Returns: Runs with staged files. Those that are not in the ledger were never committed.
    package func abandonedRuns(olderThan seconds: Int) -> [RowID] {
        let directory = root + "/" + Self.incoming
        guard let entries = try? directoryEntries(directory) else { return [] }
        var now = timespec()
        clock_gettime(CLOCK_REALTIME, &now)
        var runs: Set<RowID> = []
        for entry in entries where entry.kind == .file {
            var status = stat()
            guard stat("\(directory)/\(entry.name)", &status) == 0, now.tv_sec - status.st_mtim.tv_sec > seconds else {
                continue
            }
            if entry.name.hasSuffix(".part") || entry.name.hasSuffix(".tmp") {
                unlink("\(directory)/\(entry.name)")
            } else if let run = entry.name.split(separator: ".").first.flatMap({ RowID($0) }) {
                runs.insert(run)
            }
        }
        return runs.sorted()
    }
}
