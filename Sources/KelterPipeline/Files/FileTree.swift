import Glibc
package import KelterModel
import KelterParsing

/// A walk over files and directories that holds one directory's names in memory at a time.
///
/// The order is that of the names' bytes, so that two walks over the same tree find the same. A value: whoever holds it
/// asks for the next entries, on a thread that may block.
package struct FileTree: InputWalk {
    /// The deepest common directory of the inputs; external identifiers are relative to it.
    package let root: String
    private let filter: GlobFilter
    private let opensContainers: Bool
    /// What is still to be opened; taken from the end.
    private var pending: [Pending] = []
    private var ready: [FoundEntry] = []

    /// Something that holds inputs.
    private enum Pending: Sendable {
        case directory(String, PathPattern?)
        case records(RecordScanner)
        /// With the metadata that what it holds inherits.
        case archive(String, sidecar: String?)
        case members(ArchiveWalk)
    }

    /// Prepares a walk.
    ///
    /// - Parameters:
    ///   - inputs: Paths of files and directories, and patterns of paths.
    ///   - listed: Paths of a list; one that leads to nothing fails by itself.
    ///   - filter: Which files belong to the batch.
    ///   - opensContainers: Whether files that hold several documents are taken apart: archives, and JSON Lines that are
    ///     named themselves. Default `true`.
    ///   - root: The root that an earlier walk over the inputs had, of which some may be gone by now. Default `nil`: the
    ///     deepest directory that the inputs have in common.
    /// - Throws: ``KelterError`` with ``ErrorCode/missingFile`` for an input that does not exist, or not below `root`, and
    ///   ``ErrorCode/fileUnreadable`` for one that cannot be looked at.
    package init(
        inputs: [String],
        listed: [String] = [],
        filter: GlobFilter = GlobFilter(),
        opensContainers: Bool = true,
        root: String? = nil
    ) throws(KelterError) {
        let paths = try InputPaths(inputs: inputs, listed: listed)
        if let root, !paths.lie(below: root) {
            throw KelterError(
                .missingFile,
                "The inputs do not lie in this directory any more, where the run found them.",
                subject: root,
                fix: "Start a new run."
            )
        }
        self.root = root ?? paths.root
        self.filter = filter
        self.opensContainers = opensContainers
        for (path, error) in paths.failed { ready.append(.failed(relativePath: path, error)) }
        // Both are taken from the end.
        pending = paths.directories.reversed().map { .directory($0.path, $0.pattern) }
        // A shell's `*` names sidecars too: they go with their files.
        let sidecars = Set(paths.files.filter { SidecarName.isSidecar(lastComponent($0)) })
        var used: Set<String> = []
        for path in Set(paths.files).subtracting(sidecars).sorted(by: >) {
            let candidates = SidecarName.candidates(for: lastComponent(path)).map { parentDirectory(path) + "/" + $0 }
            used.formUnion(candidates)
            if opensContainers, RecordScanner.isRecordFile(path) {
                pending.append(.records(RecordScanner(path: path, relativePath: relative(path))))
                continue
            }
            let sidecar = candidates.first { access($0, F_OK) == 0 }
            let format = opensContainers ? ArchiveFormat(fileName: path) : nil
            if let format { pending.append(.archive(path, sidecar: format.passesMetadata ? sidecar : nil)) }
            if format?.isDocument ?? true {
                ready.append(.file(FoundFile(path: path, relativePath: relative(path), sidecarPath: sidecar)))
            }
        }
        for path in sidecars.subtracting(used).sorted() {
            ready.append(.skipped(relativePath: relative(path), reason: .orphanSidecar))
        }
    }

    /// The next entries; an empty array means that the walk is over.
    ///
    /// - Parameter count: How many at most.
    /// - Returns: Between one entry and `count`, or none at the end.
    package mutating func next(_ count: Int) -> [FoundEntry] {
        while ready.isEmpty, let next = pending.popLast() {
            switch next {
            case .directory(let directory, let pattern):
                list(directory, pattern)
            case .records(var scanner):
                let entries = scanner.next(count)
                guard !entries.isEmpty else { continue }
                pending.append(.records(scanner))
                return entries
            case .archive(let path, let sidecar):
                let walk = ArchiveWalk(path: path, relativePath: relative(path), sidecar: sidecar, filter: filter)
                pending.append(.members(walk))
            case .members(var walk):
                let entries = walk.next(count)
                guard !entries.isEmpty else { continue }
                pending.append(.members(walk))
                return entries
            }
        }
        let entries = ready.suffix(count)
        ready.removeLast(entries.count)
        return entries.reversed()
    }

    /// Reads one directory; its entries are put in `ready` in reverse, to be taken from the end.
    private mutating func list(_ directory: String, _ pattern: PathPattern?) {
        let listing: [DirectoryEntry]
        do throws(KelterError) {
            listing = try directoryEntries(directory)
        } catch {
            ready.append(.failed(relativePath: relative(directory), error))
            return
        }
        let sidecars = Set(listing.lazy.filter { $0.kind == .file && SidecarName.isSidecar($0.name) }.map(\.name))
        var used: Set<String> = []
        var subdirectories: [String] = []
        var archives: [Pending] = []
        var found: [FoundEntry] = []
        for entry in listing {
            let path = directory == "/" ? "/" + entry.name : directory + "/" + entry.name
            let relativePath = relative(path)
            switch entry.kind {
            case _ where entry.name.utf8.first == UInt8(ascii: "."):
                found.append(.skipped(relativePath: relativePath, reason: .hidden))
            case .undecodable:
                let error = KelterError(
                    .fileNameNotUTF8,
                    "The file name is not valid UTF-8.",
                    subject: relativePath,
                    fix: "Rename the file."
                )
                found.append(.failed(relativePath: relativePath, error))
            case .directory:
                if pattern?.mayMatch(below: path) != false { subdirectories.append(path) }
            case .symbolicLink:
                found.append(.skipped(relativePath: relativePath, reason: .symbolicLink))
            case .other:
                found.append(.skipped(relativePath: relativePath, reason: .notARegularFile))
            case .file where sidecars.contains(entry.name):
                continue
            case .file where pattern?.matches(path) == false:
                used.formUnion(SidecarName.candidates(for: entry.name).filter(sidecars.contains))
            case .file:
                let candidates = SidecarName.candidates(for: entry.name).filter(sidecars.contains)
                used.formUnion(candidates)
                let sidecar = candidates.first.map { directory + "/" + $0 }
                if opensContainers, let format = ArchiveFormat(fileName: entry.name) {
                    // What it holds is chosen file by file.
                    let isExcluded = !GlobFilter(exclude: filter.exclude).admits(path: relativePath, name: entry.name)
                    if !isExcluded { archives.append(.archive(path, sidecar: format.passesMetadata ? sidecar : nil)) }
                    guard format.isDocument else { continue }
                }
                guard filter.admits(path: relativePath, name: entry.name) else { continue }
                found.append(.file(FoundFile(path: path, relativePath: relativePath, sidecarPath: sidecar)))
            }
        }
        for name in sidecars.subtracting(used).sorted() where filter.include.isEmpty && pattern == nil {
            found.append(.skipped(relativePath: relative(directory + "/" + name), reason: .orphanSidecar))
        }
        ready = found.reversed()
        pending.append(contentsOf: subdirectories.reversed().map { .directory($0, pattern) })
        pending.append(contentsOf: archives.reversed())
    }

    private func relative(_ path: String) -> String { KelterPipeline.relative(path, to: root) }
}
