import Glibc
import Testing

/// The files of a directory with their modes and inodes.
struct ScratchListing {
    var names: [String] = []
    var modes: [UInt32] = []
    var inodes: [UInt] = []

    init(_ path: String) throws {
        let stream = try #require(opendir(path))
        defer { closedir(stream) }
        while let entry = readdir(stream) {
            names.append(
                withUnsafeBytes(of: &entry.pointee.d_name) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
            )
        }
        names = names.filter { $0 != "." && $0 != ".." }.sorted()
        for name in names {
            var status = stat()
            try #require(stat(path + "/" + name, &status) == 0)
            modes.append(status.st_mode & 0o777)
            inodes.append(status.st_ino)
        }
    }
}
