import Glibc
import KelterModel

/// The account the embedded PostgreSQL runs as: the caller's, or `nobody` when the caller is root, whom it refuses.
struct ServiceAccount: Sendable, Equatable {
    /// The account of this process.
    static let current = Self(isRoot: geteuid() == 0)

    private let isRoot: Bool

    /// `nobody` and `nogroup` of Debian's base-passwd.
    private static let nobody: uid_t = 65534

    /// A command, run as this account.
    func command(_ arguments: [String]) -> [String] {
        guard isRoot else { return arguments }
        return [
            "setpriv", "--reuid=\(Self.nobody)", "--regid=\(Self.nobody)", "--clear-groups", "--inh-caps=-all",
            "--no-new-privs", "--",
        ] + arguments
    }

    /// Makes a directory that belongs to this account alone.
    func makeDirectory(_ path: String) throws(KelterError) {
        try LocalFiles.makeDirectory(path, mode: 0o700)
        guard isRoot else { return }
        guard chown(path, Self.nobody, Self.nobody) == 0 else {
            throw LocalFiles.failure("Cannot give the directory to `nobody`", path, errno)
        }
    }

    /// Checks that this account can get to a directory.
    ///
    /// - Throws: ``KelterError`` with ``ErrorCode/serviceStartFailed`` naming the directory in the way.
    func checkReaches(_ path: String, setting: String) throws(KelterError) {
        guard isRoot else { return }
        var end = path.startIndex
        while end != path.endIndex {
            end = path[path.index(after: end)...].firstIndex(of: "/") ?? path.endIndex
            let ancestor = String(path[..<end])
            guard let status = LocalFiles.status(ancestor) else { return }
            let bit =
                status.st_uid == Self.nobody ? S_IXUSR : status.st_gid == Self.nobody ? S_IXGRP : S_IXOTH
            if status.st_mode & bit == 0 {
                throw KelterError(
                    .serviceStartFailed,
                    "PostgreSQL runs as `nobody` when started by root, and that account cannot enter \(ancestor).",
                    subject: path,
                    fix:
                        "Let every account enter it (chmod o+x), or set \(setting) to a directory in /var/lib, say."
                )
            }
        }
    }
}
