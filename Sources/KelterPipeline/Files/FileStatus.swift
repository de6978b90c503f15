import Glibc
import KelterModel
import KelterParsing

/// What the file system says about a file without opening it.
struct FileStatus: Sendable {
    /// Size, times of the last change of content and of the file itself in nanoseconds, and number: a file with the same
    /// has the same content.
    ///
    /// The time of the last change of the file itself is set by the system alone: a tool that restores the other one
    /// does not go unnoticed.
    let text: String
    /// The later of the two times, in nanoseconds since 1970.
    let changed: Int

    /// Files that changed less than this before they were looked at may change again without a new time: that of some
    /// file systems is as coarse as two seconds.
    private static let margin = 2_000_000_000

    /// Looks at a file; `nil` when there is none or it is none.
    init?(_ path: String) {
        var status = stat()
        guard lstat(path, &status) == 0, status.st_mode & S_IFMT == S_IFREG else { return nil }
        let content = status.st_mtim.tv_sec * 1_000_000_000 + status.st_mtim.tv_nsec
        let file = status.st_ctim.tv_sec * 1_000_000_000 + status.st_ctim.tv_nsec
        text = "\(status.st_size):\(content):\(file):\(status.st_ino)"
        changed = max(content, file)
    }

    /// Whether the file had been left alone long enough at a time, in nanoseconds since 1970, for its stamp to be trusted.
    func isSettled(at now: Int) -> Bool { changed < now - Self.margin }

    /// Nanoseconds since 1970.
    static var now: Int {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return time.tv_sec * 1_000_000_000 + time.tv_nsec
    }
}

extension FoundFile {
    /// What stands for the content of the file and of its sidecar, and whether it may be remembered; `nil` for what cannot
    /// be looked at.
    func stamp(at now: Int) -> (text: String, isSettled: Bool)? {
        guard let own = location.stamp(at: now) else { return nil }
        guard let sidecar else { return own }
        guard let other = sidecar.stamp(at: now) else { return nil }
        return (own.text + " " + other.text, own.isSettled && other.isSettled)
    }
}

extension ContentLocation {
    fileprivate func stamp(at now: Int) -> (text: String, isSettled: Bool)? {
        // A listing says of each object what it is; nothing of it is older than that.
        if case .object(let object, _) = self { return ("\(object.size):\(object.etag)", true) }
        guard let status = FileStatus(path) else { return nil }
        let isSettled = status.isSettled(at: now)
        switch self {
        case .file, .object: return (status.text, isSettled)
        case .member(let member, _): return ("\(status.text)@\(member.offset)+\(member.packedSize)", isSettled)
        case .record(let line, _): return ("\(status.text)@\(line.offset)+\(line.length)", isSettled)
        }
    }
}

/// Whether something lies on a file system of this machine, whose times and file numbers can be trusted.
///
/// Network file systems and those of user processes may keep old times in a cache and give numbers again.
package func isLocalFileSystem(_ path: String) -> Bool {
    guard let bytes = try? readToEnd("/proc/self/mountinfo") else { return false }
    return MountedFileSystems(String(decoding: bytes, as: UTF8.self)).isLocal(path)
}

/// The file systems that are mounted, as `/proc/self/mountinfo` tells them: proc_pid_mountinfo(5).
struct MountedFileSystems {
    private let types: [(place: String, type: Substring)]

    private static let remote: Set<Substring> = [
        "nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "afs", "ceph", "coda", "gfs2", "ocfs2", "lustre", "virtiofs",
    ]

    init(_ text: String) {
        types = text.split(separator: "\n").compactMap { line in
            let fields = line.split(separator: " ")
            guard fields.count > 4, let dash = fields.firstIndex(of: "-"), dash + 1 < fields.count else { return nil }
            return (Self.unescaped(fields[4]), fields[dash + 1])
        }
    }

    /// Whether the file system that a path lies on is one of this machine; no when there is none.
    func isLocal(_ path: String) -> Bool {
        // Of mounts at the same place the last one lies on top.
        let mount = types.indices.filter { index in
            let place = types[index].place
            return place == "/" || path == place || path.hasPrefix(place + "/")
        }.max { (types[$0].place.utf8.count, $0) < (types[$1].place.utf8.count, $1) }
        guard let mount else { return false }
        return !Self.remote.contains(types[mount].type) && !types[mount].type.hasPrefix("fuse")
    }

    /// Space, tab, line feed and backslash are written as three octal digits.
    private static func unescaped(_ text: Substring) -> String {
        var bytes: [UInt8] = []
        var rest = Array(text.utf8)[...]
        while let byte = rest.popFirst() {
            if byte == UInt8(ascii: "\\"), rest.count >= 3,
                let value = UInt8(String(decoding: rest.prefix(3), as: UTF8.self), radix: 8)
            {
                bytes.append(value)
                rest = rest.dropFirst(3)
            } else {
                bytes.append(byte)
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}
