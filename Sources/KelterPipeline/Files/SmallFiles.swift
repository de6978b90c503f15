import Glibc
package import KelterModel

/// Reads a whole text file of at most 1 MiB.
///
/// - Throws: ``KelterError`` with ``ErrorCode/fileUnreadable`` or ``ErrorCode/fileTooLarge``.
package func readSmallFile(_ path: String) throws(KelterError) -> String {
    let limit = 1 << 20
    return String(decoding: try readFile(path, keepUpTo: limit, maximum: limit).bytes ?? [], as: UTF8.self)
}

/// Writes a text file that must not be there yet.
///
/// - Returns: The path.
/// - Throws: ``KelterError`` with ``ErrorCode/usage`` for a file that is there or cannot be made.
package func writeNewFile(_ text: String, to path: String) throws(KelterError) -> String {
    let descriptor = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o644)
    guard descriptor >= 0 else {
        throw KelterError(
            .usage,
            "The file cannot be made: \(systemMessage(errno)).",
            subject: path,
            fix: "Name an existing directory in which there is no such file."
        )
    }
    defer { close(descriptor) }
    let bytes = Array(text.utf8)
    guard ObjectStore(root: "").writeAll(bytes[...], to: descriptor), fsync(descriptor) == 0 else {
        throw KelterError(
            .usage,
            "The file cannot be written: \(systemMessage(errno)).",
            subject: path,
            fix: "Make room for it."
        )
    }
    return path
}
