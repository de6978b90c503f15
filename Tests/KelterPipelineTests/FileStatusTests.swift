import Foundation
import Glibc
import Testing

@testable import KelterPipeline

@Suite struct FileStatusTests {
    private func touch(_ path: String, secondsAgo seconds: Int) {
        let past = timespec(tv_sec: FileStatus.now / 1_000_000_000 - seconds, tv_nsec: 7)
        #expect(utimensat(AT_FDCWD, path, [past, past], 0) == 0)
    }

    @Test func `A change that leaves size and time as they were does not go unnoticed`() throws {
        let directory = try TemporaryDirectory()
        let path = try directory.write("a.txt", "eins")
        touch(path, secondsAgo: 100)
        let before = try #require(FileStatus(path))
        let same = try #require(FileStatus(path))
        #expect(same.text == before.text)
        try directory.write("b.txt", "zwei")
        // In place, and by another file under the same name.
        let handle = try FileHandle(forWritingTo: URL(filePath: path))
        try handle.write(contentsOf: Data("drei".utf8))
        try handle.close()
        touch(path, secondsAgo: 100)
        let after = try #require(FileStatus(path))
        #expect(after.text != before.text)
        touch(directory.path + "/b.txt", secondsAgo: 100)
        #expect(rename(directory.path + "/b.txt", path) == 0)
        let moved = try #require(FileStatus(path))
        #expect(moved.text != after.text)
    }

    @Test func `A file that has just changed is not trusted yet`() throws {
        let directory = try TemporaryDirectory()
        let path = try directory.write("a.txt")
        let status = try #require(FileStatus(path))
        #expect(!status.isSettled(at: FileStatus.now))
        #expect(status.isSettled(at: FileStatus.now + 3_000_000_000))
        // The content is old, the file is not.
        touch(path, secondsAgo: 100)
        let touched = try #require(FileStatus(path))
        #expect(!touched.isSettled(at: FileStatus.now))
        #expect(FileStatus(directory.path) == nil && FileStatus(directory.path + "/none") == nil)
    }

    @Test func `Network file systems and those of user processes are not local`() {
        let mounts = MountedFileSystems(
            """
            1 0 8:1 / / rw shared:1 - ext4 /dev/sda1 rw
            2 1 0:40 / /mnt/share rw - nfs4 server:/x rw
            3 1 0:41 / /mnt/with\\040space rw shared:2 master:1 - fuse.sshfs x rw
            4 2 0:42 / /mnt/share/local rw - xfs /dev/sdb rw
            5 1 0:43 / /over rw - nfs a rw
            6 1 0:44 / /over rw - tmpfs b rw
            """
        )
        #expect(mounts.isLocal("/home/a") && mounts.isLocal("/mnt/shared") && mounts.isLocal("/mnt/share/local/x"))
        #expect(!mounts.isLocal("/mnt/share/a") && !mounts.isLocal("/mnt/share"))
        #expect(!mounts.isLocal("/mnt/with space/a") && mounts.isLocal("/mnt/with"))
        #expect(mounts.isLocal("/over/a") && !MountedFileSystems("").isLocal("/a"))
        #expect(isLocalFileSystem("/proc") && isLocalFileSystem("/nowhere/**/x"))
    }
}
