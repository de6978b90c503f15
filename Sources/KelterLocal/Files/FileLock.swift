import Glibc
package import KelterModel

/// An exclusive lock on a file (`flock`), held by this value and released with it, even by a crash.
package struct FileLock: ~Copyable {
    private let descriptor: Int32

    /// Takes the lock; `nil` when another process, or another holder in this one, has it.
    ///
    /// - Throws: ``KelterError`` with ``ErrorCode/serviceStartFailed`` when the file cannot be created.
    package init?(ifFree path: String) throws(KelterError) {
        let descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o644)
        guard descriptor >= 0 else { throw LocalFiles.failure("Cannot open the lock file", path, errno) }
        guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
            close(descriptor)
            return nil
        }
        self.descriptor = descriptor
    }

    /// Waits for the lock.
    ///
    /// - Parameters:
    ///   - path: The lock file; created when missing, never removed.
    ///   - patience: How long to wait; the longest start of a service, by default.
    /// - Throws: ``KelterError`` with ``ErrorCode/serviceStartFailed`` when the time is over.
    package init(_ path: String, patience: Duration = .seconds(360)) throws(KelterError) {
        let end = ContinuousClock.now + patience
        while true {
            if let lock = try FileLock(ifFree: path) {
                self = lock
                return
            }
            guard ContinuousClock.now < end else {
                throw KelterError(
                    .serviceStartFailed,
                    "Another process has been starting or stopping this service for too long.",
                    subject: path,
                    fix: "End that process and try again."
                )
            }
            usleep(20_000)
        }
    }

    /// Waits for the lock and keeps it for the time of the work.
    ///
    /// - Throws: What ``init(_:patience:)`` and the work throw.
    package static func whileHolding(
        _ path: String,
        _ work: () throws(KelterError) -> Void
    ) throws(KelterError) {
        let lock = try FileLock(path)
        try withExtendedLifetime(lock) { (_) throws(KelterError) in try work() }
    }

    /// Whether somebody holds the lock on this file; `false` when there is no such file.
    package static func isHeld(_ path: String) -> Bool {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return false }
        defer { close(descriptor) }
        // A shared lock, so that two askers do not take each other for the holder.
        return flock(descriptor, LOCK_SH | LOCK_NB) != 0
    }

    deinit {
        close(descriptor)
    }
}
