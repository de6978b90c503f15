import Glibc
package import KelterModel

/// A file without a name, which goes with the value: for what is too large for memory.
///
/// It lies in `TMPDIR`, or else in `/var/tmp`, where there is one: `/tmp` is memory on many machines. One thread writes;
/// any number read what is written.
package final class ScratchFile: Sendable {
    let descriptor: Int32
    private let directory: String

    /// Makes an empty file.
    ///
    /// - Throws: ``KelterError`` with ``ErrorCode/fileUnreadable``, naming the directory.
    package init() throws(KelterError) {
        let usual = access("/var/tmp", W_OK | X_OK) == 0 ? "/var/tmp" : "/tmp"
        directory = getenv("TMPDIR").map { String(cString: $0) } ?? usual
        var name = Array((directory + "/kelter-XXXXXX").utf8CString)
        descriptor = mkstemp(&name)
        guard descriptor >= 0, fcntl(descriptor, F_SETFD, FD_CLOEXEC) == 0 else {
            throw Self.failure(directory, errno)
        }
        unlink(name)
    }

    deinit {
        close(descriptor)
    }

    /// Writes bytes at a place.
    ///
    /// - Throws: ``KelterError`` with ``ErrorCode/fileUnreadable`` when there is no room.
    package func write(_ bytes: UnsafeRawBufferPointer, at offset: Int) throws(KelterError) {
        var written = 0
        while written < bytes.count {
            let rest = UnsafeRawBufferPointer(rebasing: bytes[written...])
            let number = pwrite(descriptor, rest.baseAddress, rest.count, offset + written)
            if number < 0, errno == EINTR { continue }
            guard number > 0 else { throw Self.failure(directory, errno) }
            written += number
        }
    }

    /// Reads bytes that were written.
    ///
    /// - Throws: ``KelterError`` with ``ErrorCode/fileUnreadable`` when they cannot be read.
    package func read(at offset: Int, count: Int) throws(KelterError) -> [UInt8] {
        guard let bytes = readBytes(descriptor, at: offset, count: count), bytes.count == count else {
            throw Self.failure(directory, errno)
        }
        return bytes
    }

    private static func failure(_ directory: String, _ number: Int32) -> KelterError {
        let reason = strerror(number).map { String(cString: $0) } ?? "error \(number)"
        return KelterError(
            .fileUnreadable,
            "What is too large for memory cannot be kept in a temporary file: \(reason).",
            subject: directory,
            fix: "Make room, or name another directory with TMPDIR."
        )
    }
}

/// The bytes at a place of a file, fewer at its end; `nil` when they cannot be read, as `errno` says.
func readBytes(_ descriptor: Int32, at offset: Int, count: Int) -> [UInt8]? {
    var hasFailed = false
    let bytes = [UInt8](unsafeUninitializedCapacity: count) { buffer, filled in
        while filled < count, let base = buffer.baseAddress {
            let number = pread(descriptor, base + filled, count - filled, offset + filled)
            if number < 0, errno == EINTR { continue }
            hasFailed = number < 0
            guard number > 0 else { return }
            filled += number
        }
    }
    return hasFailed ? nil : bytes
}
