import Glibc
import KelterModel
import KelterParsing
import Synchronization

/// The archives that are open: a compressed one is unpacked once for all of its files.
final class ArchiveShelf: Sendable {
    static let shared = ArchiveShelf()

    /// A batch reads one archive after the other; some parts of it lie in two.
    private static let capacity = 4

    private struct Entry {
        let path: String
        let status: String
        let archive: Archive
    }

    private let entries = Mutex<[Entry]>([])

    /// The archive at a path as it is now, open.
    ///
    /// - Throws: ``KelterError`` of the archive.
    func archive(_ path: String) throws(KelterError) -> Archive {
        guard let status = FileStatus(path)?.text, let format = ArchiveFormat(fileName: path) else {
            throw unreadable(path, ENOENT)
        }
        // Held while an archive is unpacked, so that nobody else unpacks it too.
        let result: Result<Archive, KelterError> = entries.withLock { entries in
            if let index = entries.firstIndex(where: { $0.path == path && $0.status == status }) {
                entries.append(entries.remove(at: index))
                return .success(entries[entries.count - 1].archive)
            }
            do throws(KelterError) {
                let archive = try Archive(path: path, format: format)
                entries.removeAll { $0.path == path }
                if entries.count >= Self.capacity { entries.removeFirst() }
                entries.append(Entry(path: path, status: status, archive: archive))
                return .success(archive)
            } catch {
                return .failure(error)
            }
        }
        return try result.get()
    }
}
