import Glibc
import KelterModel

/// A file that gets its name only when it is complete and durable; left unpublished, it is removed.
final class BackupFile {
    /// The absolute path under which it is published.
    let path: String
    private let directory: String
    private let temporaryPath: String
    private let descriptor: CInt
    private var buffer: [UInt8] = []
    private var isIdentical = false

    /// Begins the file.
    ///
    /// - Parameters:
    ///   - directory: Where it goes; created when it is missing.
    ///   - name: Its name there.
    /// - Throws: ``DatabaseFailure`` with ``ErrorCode/backupFailed``.
    init(directory: String, name: String) throws(DatabaseFailure) {
        guard mkdir(directory, 0o700) == 0 || errno == EEXIST, let resolved = realpath(directory, nil) else {
            throw Self.failure(directory, errno)
        }
        defer { free(resolved) }
        self.directory = String(cString: resolved)
        path = self.directory + "/" + name
        temporaryPath = self.directory + "/." + name + "." + RowID.version7(milliseconds: 0).description
        // Only its owner may read it: what is backed up is the tenant's.
        descriptor = open(temporaryPath, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw Self.failure(path, errno) }
    }

    deinit {
        close(descriptor)
        // After the rename there is no such file any more.
        unlink(temporaryPath)
    }

    func append(_ bytes: UnsafeRawBufferPointer) throws(DatabaseFailure) {
        buffer.append(contentsOf: bytes)
        if buffer.count >= 256 << 10 { try flush() }
    }

    private func flush() throws(DatabaseFailure) {
        var written = 0
        while written < buffer.count {
            let count = buffer[written...].withUnsafeBytes { write(descriptor, $0.baseAddress, $0.count) }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { throw Self.failure(path, errno) }
            written += count
        }
        buffer.removeAll(keepingCapacity: true)
    }

    /// Makes the content durable and looks at what has the name already.
    ///
    /// - Throws: ``DatabaseFailure`` with ``ErrorCode/confirmationRequired`` when a file with other content may not be
    ///   replaced.
    func finish(isReplacing: Bool) throws(DatabaseFailure) {
        try flush()
        guard fsync(descriptor) == 0 else { throw Self.failure(path, errno) }
        guard access(path, F_OK) == 0 else { return }
        isIdentical = try hasContentOfExisting()
        guard isIdentical || isReplacing else {
            throw .finding(
                KelterError(
                    .confirmationRequired,
                    "The file exists already with other content.",
                    subject: path,
                    fix: "Give another directory with --out, or overwrite it with --replace."
                )
            )
        }
    }

    private func hasContentOfExisting() throws(DatabaseFailure) -> Bool {
        guard let left = fopen(path, "re") else { throw Self.failure(path, errno) }
        defer { fclose(left) }
        guard let right = fopen(temporaryPath, "re") else { throw Self.failure(path, errno) }
        defer { fclose(right) }
        var (leftBytes, rightBytes) = ([UInt8](repeating: 0, count: 64 << 10), [UInt8](repeating: 0, count: 64 << 10))
        while true {
            let count = fread(&leftBytes, 1, leftBytes.count, left)
            let otherCount = fread(&rightBytes, 1, rightBytes.count, right)
            guard ferror(left) == 0, ferror(right) == 0 else { throw Self.failure(path, EIO) }
            guard count == otherCount, leftBytes[..<count] == rightBytes[..<count] else { return false }
            if count == 0 { return true }
        }
    }

    /// Gives the file its name and makes the name durable; an identical file that is there stays.
    func publish() throws(DatabaseFailure) {
        guard !isIdentical else { return }
        guard rename(temporaryPath, path) == 0 else { throw Self.failure(path, errno) }
        let descriptor = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard descriptor >= 0 else { throw Self.failure(directory, errno) }
        defer { close(descriptor) }
        guard fsync(descriptor) == 0 else { throw Self.failure(directory, errno) }
    }

    private static func failure(_ path: String, _ number: CInt) -> DatabaseFailure {
        .finding(
            KelterError(
                .backupFailed,
                "The backup cannot be written: \(String(cString: strerror(number))).",
                subject: path,
                fix: "Make the directory writable and free space there, or give another one with --out."
            )
        )
    }
}
