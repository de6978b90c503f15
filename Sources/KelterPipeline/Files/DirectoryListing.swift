import Glibc
package import KelterModel

/// One name in a directory.
struct DirectoryEntry: Sendable {
    enum Kind: Sendable {
        case file, directory, symbolicLink, other
        /// The name is not UTF-8; `name` is a repaired form with the bytes behind it, so that no two are the same.
        case undecodable
    }

    let name: String
    let kind: Kind
}

/// The entries of a directory but `.` and `..`, sorted by the bytes of their names.
///
/// - Throws: ``KelterError`` with ``ErrorCode/fileUnreadable``.
func directoryEntries(_ path: String) throws(KelterError) -> [DirectoryEntry] {
    guard let stream = opendir(path) else { throw unreadable(path, errno) }
    defer { closedir(stream) }
    var entries: [DirectoryEntry] = []
    while true {
        errno = 0
        guard let entry = readdir(stream) else {
            guard errno == 0 else { throw unreadable(path, errno) }
            break
        }
        let bytes = withUnsafeBytes(of: &entry.pointee.d_name) { name in Array(name.prefix { $0 != 0 }) }
        if bytes == [UInt8(ascii: ".")] || bytes == [UInt8(ascii: "."), UInt8(ascii: ".")] { continue }
        guard let name = String(validating: bytes, as: UTF8.self) else {
            let hexadecimal = bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
            let repaired = String(decoding: bytes, as: UTF8.self) + " [\(hexadecimal)]"
            entries.append(DirectoryEntry(name: repaired, kind: .undecodable))
            continue
        }
        entries.append(DirectoryEntry(name: name, kind: kind(entry.pointee.d_type, path: path + "/" + name)))
    }
    return entries.sorted { $0.name.utf8.lexicographicallyPrecedes($1.name.utf8) }
}

private func kind(_ type: UInt8, path: String) -> DirectoryEntry.Kind {
    switch Int(type) {
    case Int(DT_REG): return .file
    case Int(DT_DIR): return .directory
    case Int(DT_LNK): return .symbolicLink
    case Int(DT_UNKNOWN):
        // Some file systems do not say; ask.
        var status = stat()
        guard lstat(path, &status) == 0 else { return .other }
        switch status.st_mode & S_IFMT {
        case S_IFREG: return .file
        case S_IFDIR: return .directory
        case S_IFLNK: return .symbolicLink
        default: return .other
        }
    default: return .other
    }
}

/// The failure of a file or directory that cannot be read, with the system's reason.
func unreadable(_ path: String, _ number: Int32) -> KelterError {
    KelterError(
        .fileUnreadable,
        "It cannot be read: \(systemMessage(number)).",
        subject: path,
        fix: "Check that it exists and that this user may read it."
    )
}

/// The system's words for an error number.
func systemMessage(_ number: Int32) -> String {
    strerror(number).map { String(cString: $0) } ?? "error \(number)"
}

/// The absolute path of an input with links resolved.
///
/// - Throws: ``KelterError`` with ``ErrorCode/missingFile`` or ``ErrorCode/fileUnreadable``.
package func resolvedPath(_ input: String) throws(KelterError) -> String {
    guard let resolved = realpath(input, nil) else {
        guard errno == ENOENT || errno == ENOTDIR else { throw unreadable(input, errno) }
        throw KelterError(.missingFile, "There is no such file or directory.", subject: input, fix: "Check the path.")
    }
    defer { free(resolved) }
    return String(cString: resolved)
}

func isDirectory(_ path: String, named input: String) throws(KelterError) -> Bool {
    var status = stat()
    guard stat(path, &status) == 0 else { throw unreadable(input, errno) }
    switch status.st_mode & S_IFMT {
    case S_IFDIR: return true
    case S_IFREG: return false
    default:
        throw KelterError(
            .missingFile,
            "It is neither a file nor a directory.",
            subject: input,
            fix: "Give a file or directory."
        )
    }
}

/// The last part of a path.
func lastComponent(_ path: String) -> String {
    path.utf8.lastIndex(of: UInt8(ascii: "/")).map { String(path[path.utf8.index(after: $0)...]) } ?? path
}

/// The directory of an absolute path.
func parentDirectory(_ path: String) -> String {
    guard let slash = path.utf8.lastIndex(of: UInt8(ascii: "/")), slash != path.utf8.startIndex else { return "/" }
    return String(path[..<slash])
}

/// The deepest directory that contains both.
func commonDirectory(_ left: String, _ right: String) -> String {
    let parts = zip(left.split(separator: "/"), right.split(separator: "/")).prefix { $0 == $1 }.map { String($0.0) }
    return "/" + parts.joined(separator: "/")
}
