import Glibc
import KelterHashing
package import KelterModel

/// The bytes of a file as far as they were kept, and their digest.
package struct FileContent: Sendable {
    package let size: Int
    package let hash: ContentHash
    /// All bytes, or `nil` when the file is larger than was to be kept.
    package let bytes: [UInt8]?
}

/// Reads and hashes a file in one pass; blocks.
///
/// - Parameters:
///   - path: The file.
///   - keepUpTo: Files of up to this many bytes are returned whole.
///   - maximum: Larger files are refused.
///   - check: Gets the size and the first piece of a file that is not returned whole, and may refuse it.
/// - Returns: Size, digest and perhaps the bytes.
/// - Throws: ``KelterError`` with ``ErrorCode/fileUnreadable``, ``ErrorCode/fileTooLarge``, or
///   ``ErrorCode/fileChanged`` when the file was written to in the meantime, and what `check` throws.
package func readFile(
    _ path: String,
    keepUpTo: Int,
    maximum: Int,
    check: (Int, UnsafeRawBufferPointer) throws(KelterError) -> Void = { _, _ in }
) throws(KelterError) -> FileContent {
    try withFile(path, maximum: maximum) { (descriptor, size) throws(KelterError) in
        var hasher = SHA256()
        var kept: [UInt8]?
        if size <= keepUpTo {
            let bytes = try readAll(descriptor, size: size, path)
            bytes.withUnsafeBytes { hasher.update($0) }
            kept = bytes
        } else {
            var isChecked = false
            try readPieces(descriptor, size: size, path) { (piece) throws(KelterError) in
                if !isChecked { try check(size, piece) }
                isChecked = true
                hasher.update(piece)
            }
        }
        return FileContent(size: size, hash: try hasher.finish(), bytes: kept)
    }
}

/// Reads a file piece by piece; blocks.
///
/// - Parameters:
///   - path: The file.
///   - maximum: Larger files are refused.
///   - body: Gets the pieces, and the size of the whole.
/// - Throws: ``KelterError`` as ``readFile(_:keepUpTo:maximum:check:)``, and what `body` throws.
func streamFile(
    _ path: String,
    maximum: Int,
    into body: (UnsafeRawBufferPointer, _ size: Int) throws(KelterError) -> Void
) throws(KelterError) {
    try withFile(path, maximum: maximum) { (descriptor, size) throws(KelterError) in
        try readPieces(descriptor, size: size, path) { (piece) throws(KelterError) in try body(piece, size) }
    }
}

/// Opens a regular file that must not change while it is read.
private func withFile<Value>(
    _ path: String,
    maximum: Int,
    _ body: (Int32, _ size: Int) throws(KelterError) -> Value
) throws(KelterError) -> Value {
    let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK)
    guard descriptor >= 0 else { throw unreadable(path, errno) }
    defer { close(descriptor) }
    let before = try status(of: descriptor, path)
    let size = Int(before.st_size)
    guard before.st_mode & S_IFMT == S_IFREG else {
        throw KelterError(.fileUnreadable, "It is not a regular file.", subject: path, fix: "Give a regular file.")
    }
    guard size <= maximum else { throw tooLarge(size, maximum, path) }
    let value = try body(descriptor, size)
    let after = try status(of: descriptor, path)
    guard after.st_size == before.st_size, after.st_mtim.tv_sec == before.st_mtim.tv_sec,
        after.st_mtim.tv_nsec == before.st_mtim.tv_nsec
    else { throw changed(path) }
    return value
}

/// Reads the beginning of a file; blocks.
///
/// - Parameters:
///   - path: The file.
///   - count: How many bytes at most.
/// - Returns: The first bytes.
/// - Throws: ``KelterError`` with ``ErrorCode/fileUnreadable``.
package func readPrefix(_ path: String, count: Int) throws(KelterError) -> [UInt8] {
    let descriptor = open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { throw unreadable(path, errno) }
    defer { close(descriptor) }
    var bytes = [UInt8](repeating: 0, count: count)
    var filled = 0
    while filled < count {
        let number = try readSome(descriptor, path, into: &bytes, from: filled)
        if number == 0 { break }
        filled += number
    }
    return Array(bytes.prefix(filled))
}

private func readAll(_ descriptor: Int32, size: Int, _ path: String) throws(KelterError) -> [UInt8] {
    // One byte more than expected, so that a file that has grown is noticed.
    var bytes = [UInt8](repeating: 0, count: size + 1)
    var filled = 0
    while true {
        let number = try readSome(descriptor, path, into: &bytes, from: filled)
        if number == 0 { break }
        filled += number
        if filled > size { break }
    }
    guard filled == size else { throw changed(path) }
    bytes.removeLast()
    return bytes
}

private func readPieces(
    _ descriptor: Int32,
    size: Int,
    _ path: String,
    into body: (UnsafeRawBufferPointer) throws(KelterError) -> Void
) throws(KelterError) {
    var slice = [UInt8](repeating: 0, count: 1 << 18)
    var total = 0
    while true {
        let number = try readSome(descriptor, path, into: &slice, from: 0)
        if number == 0 { break }
        let result: Result<Void, KelterError> = slice.withUnsafeBytes { bytes in
            do throws(KelterError) {
                return .success(try body(UnsafeRawBufferPointer(rebasing: bytes[..<number])))
            } catch {
                return .failure(error)
            }
        }
        try result.get()
        total += number
        guard total <= size else { throw changed(path) }
    }
    guard total == size else { throw changed(path) }
}

private func readSome(
    _ descriptor: Int32,
    _ path: String,
    into bytes: inout [UInt8],
    from start: Int
) throws(KelterError) -> Int {
    guard start < bytes.count else { return 0 }
    while true {
        let number = bytes.withUnsafeMutableBytes { buffer in
            buffer.baseAddress.map { read(descriptor, $0 + start, buffer.count - start) } ?? 0
        }
        if number >= 0 { return number }
        guard errno == EINTR else { throw unreadable(path, errno) }
    }
}

private func status(of descriptor: Int32, _ path: String) throws(KelterError) -> stat {
    var status = stat()
    guard fstat(descriptor, &status) == 0 else { throw unreadable(path, errno) }
    return status
}

func tooLarge(_ size: Int, _ maximum: Int, _ path: String) -> KelterError {
    KelterError(
        .fileTooLarge,
        "The file has \(size) bytes, more than the \(maximum) that are read.",
        subject: path,
        fix: "Split the file."
    )
}

func changed(_ path: String) -> KelterError {
    KelterError(
        .fileChanged,
        "The file changed while it was read.",
        subject: path,
        fix: "Ingest it again when it is complete."
    )
}
