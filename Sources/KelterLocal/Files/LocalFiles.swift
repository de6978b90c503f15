import Glibc
import KelterModel

/// The few file operations the embedded services need, on plain system calls.
enum LocalFiles {
    /// The bytes of a small file as text; `nil` when it cannot be read.
    static func read(_ path: String) -> String? {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        var bytes: [UInt8] = []
        while true {
            let count = withUnsafeTemporaryAllocation(byteCount: 16 << 10, alignment: 1) { buffer in
                let count = Glibc.read(descriptor, buffer.baseAddress, buffer.count)
                if count > 0 { bytes.append(contentsOf: buffer[..<count]) }
                return count
            }
            if count == 0 { return String(decoding: bytes, as: UTF8.self) }
            if count < 0, errno != EINTR { return nil }
        }
    }

    /// Replaces a file at once: readers see the old text or the new one.
    static func write(_ text: String, to path: String, mode: mode_t = 0o644) throws(KelterError) {
        let temporary = path + ".new"
        let descriptor = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode)
        guard descriptor >= 0 else { throw failure("Cannot write the file", path, errno) }
        let bytes = Array(text.utf8)
        var written = 0
        while written < bytes.count {
            let count = bytes[written...].withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else {
                let code = errno
                close(descriptor)
                unlink(temporary)
                throw failure("Cannot write the file", path, code)
            }
            written += count
        }
        fsync(descriptor)
        close(descriptor)
        guard rename(temporary, path) == 0 else { throw failure("Cannot write the file", path, errno) }
    }

    /// Makes a directory and those above it; one that is there is left as it is.
    static func makeDirectory(_ path: String, mode: mode_t = 0o755) throws(KelterError) {
        if isDirectory(path) { return }
        if let slash = path.lastIndex(of: "/"), slash != path.startIndex {
            try makeDirectory(String(path[..<slash]))
        }
        guard mkdir(path, mode) == 0 || errno == EEXIST && isDirectory(path) else {
            throw failure("Cannot create the directory", path, errno)
        }
    }

    static func exists(_ path: String) -> Bool { access(path, F_OK) == 0 }

    static func isDirectory(_ path: String) -> Bool {
        status(path).map { $0.st_mode & S_IFMT == S_IFDIR } ?? false
    }

    static func status(_ path: String) -> stat? {
        var status = stat()
        return stat(path, &status) == 0 ? status : nil
    }

    /// The names of the files in a directory; empty when it cannot be read.
    static func names(in directory: String) -> [String] {
        guard let stream = opendir(directory) else { return [] }
        defer { closedir(stream) }
        var names: [String] = []
        while let entry = readdir(stream) {
            names.append(
                withUnsafeBytes(of: &entry.pointee.d_name) { name in
                    String(decoding: name.prefix { $0 != 0 }, as: UTF8.self)
                }
            )
        }
        return names.sorted()
    }

    /// The last line of a log that is not empty, at most 300 bytes of it; `nil` when there is none.
    static func lastLine(of path: String, where isWanted: (Substring) -> Bool = { _ in true }) -> String? {
        guard let text = read(path), let line = text.split(separator: "\n").last(where: isWanted) else { return nil }
        return String(decoding: line.utf8.prefix(300), as: UTF8.self)
    }

    static func failure(_ what: String, _ path: String, _ code: Int32) -> KelterError {
        KelterError(
            .serviceStartFailed,
            "\(what): \(String(cString: strerror(code))).",
            subject: path,
            fix: "Make its directory writable, or set KELTER_HOME to another one."
        )
    }
}
