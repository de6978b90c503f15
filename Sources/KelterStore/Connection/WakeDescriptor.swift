import Glibc

/// A pipe that lets one thread interrupt another thread's `read` or `poll`.
///
/// Any thread may call ``wake()``; one thread waits. The descriptors close with the last reference.
final class WakeDescriptor: Sendable {
    /// The end to poll or read.
    let readEnd: CInt
    private let writeEnd: CInt

    /// Opens the pipe.
    ///
    /// - Throws: ``DatabaseFailure`` when the process is out of file descriptors.
    init() throws(DatabaseFailure) {
        var ends: [CInt] = [-1, -1]
        guard pipe(&ends) == 0 else { throw .connection("no file descriptors are left for a connection") }
        for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        // A full pipe already wakes its reader; the writer must never wait for it.
        _ = fcntl(ends[1], F_SETFL, O_NONBLOCK)
        (readEnd, writeEnd) = (ends[0], ends[1])
    }

    deinit {
        close(readEnd)
        close(writeEnd)
    }

    /// Makes the read end readable.
    func wake() {
        var byte: UInt8 = 1
        while write(writeEnd, &byte, 1) < 0, errno == EINTR {}
    }

    /// Blocks until there was a ``wake()``, and consumes what has piled up.
    func wait() {
        withUnsafeTemporaryAllocation(byteCount: 256, alignment: 1) { buffer in
            while read(readEnd, buffer.baseAddress, buffer.count) < 0, errno == EINTR {}
        }
    }
}
