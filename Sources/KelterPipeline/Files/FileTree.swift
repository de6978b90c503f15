import Glibc
package import KelterModel

/// A file found for ingestion.
package struct FoundFile: Equatable, Sendable {
    /// The path to open.
    package let path: String
    /// The path relative to the batch root: the item's external identifier unless its sidecar names another.
    package let relativePath: String
    /// The path of its sidecar, where there is one.
    package let sidecarPath: String?
    /// The file's own name: the last part of its path, or the name under which it was uploaded.
    package let name: String

    package init(path: String, relativePath: String, sidecarPath: String?, name: String? = nil) {
        self.path = path
        self.relativePath = relativePath
        self.sidecarPath = sidecarPath
        self.name = name ?? lastComponent(path)
    }
}

/// What a walk over the inputs of a batch comes across.
package enum FoundEntry: Equatable, Sendable {
    case file(FoundFile)
    /// Deliberately not ingested.
    case skipped(relativePath: String, reason: SkipReason)
    /// Could not even be looked at.
    case failed(relativePath: String, KelterError)
}

/// Why something found was deliberately not ingested.
package enum SkipReason: String, Sendable, CaseIterable {
    /// The name begins with a dot; a hidden directory counts once.
    case hidden
    /// Symbolic links are not followed: their targets are found where they are.
    case symbolicLink = "symbolic_link"
    /// A device, socket or pipe.
    case notARegularFile = "not_a_regular_file"
    /// A `.meta.json` without its file.
    case orphanSidecar = "orphan_sidecar"
    /// There is no text in the file.
    case noText = "no_text"
    /// The file went away after it was found.
    case gone
    /// The run was interrupted before the item was done.
    case interrupted
    /// The run ended early because a service was unavailable.
    case runEnded = "run_ended"
}

/// A walk over files and directories that holds one directory's names in memory at a time.
///
/// The order is that of the names' bytes, so that two walks over the same tree find the same. A value: whoever holds it
/// asks for the next entries, on a thread that may block.
package struct FileTree: Sendable {
    /// The deepest common directory of the inputs; external identifiers are relative to it.
    package let root: String
    private let filter: GlobFilter
    private var directories: [String]
    private var ready: [FoundEntry] = []

    /// Prepares a walk.
    ///
    /// - Parameters:
    ///   - inputs: Paths of files and directories.
    ///   - filter: Which files belong to the batch.
    /// - Throws: ``KelterError`` with ``ErrorCode/missingFile`` for a path that does not exist and
    ///   ``ErrorCode/fileUnreadable`` for one that cannot be looked at.
    package init(inputs: [String], filter: GlobFilter = GlobFilter()) throws(KelterError) {
        var files: [String] = []
        var directories: [String] = []
        for input in inputs {
            let path = try resolvedPath(input)
            if try isDirectory(path, named: input) { directories.append(path) } else { files.append(path) }
        }
        let parents = directories + files.map(parentDirectory)
        root = parents.dropFirst().reduce(parents.first ?? "/", commonDirectory)
        self.filter = filter
        // Taken from the end.
        self.directories = Set(directories).sorted(by: >)
        // A shell's `*` names sidecars too: they go with their files.
        let sidecars = Set(files.filter { SidecarName.isSidecar(lastComponent($0)) })
        var used: Set<String> = []
        for path in Set(files).subtracting(sidecars).sorted(by: >) {
            let candidates = SidecarName.candidates(for: lastComponent(path)).map { parentDirectory(path) + "/" + $0 }
            used.formUnion(candidates)
            let sidecar = candidates.first { access($0, F_OK) == 0 }
            ready.append(.file(FoundFile(path: path, relativePath: relative(path), sidecarPath: sidecar)))
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
        while ready.isEmpty, let directory = directories.popLast() { list(directory) }
        let entries = ready.suffix(count)
        ready.removeLast(entries.count)
        return entries.reversed()
    }

    /// Reads one directory; its entries are put in `ready` in reverse, to be taken from the end.
    private mutating func list(_ directory: String) {
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
                subdirectories.append(path)
            case .symbolicLink:
                found.append(.skipped(relativePath: relativePath, reason: .symbolicLink))
            case .other:
                found.append(.skipped(relativePath: relativePath, reason: .notARegularFile))
            case .file where sidecars.contains(entry.name):
                continue
            case .file:
                let candidates = SidecarName.candidates(for: entry.name).filter(sidecars.contains)
                used.formUnion(candidates)
                guard filter.admits(path: relativePath, name: entry.name) else { continue }
                let sidecar = candidates.first.map { directory + "/" + $0 }
                found.append(.file(FoundFile(path: path, relativePath: relativePath, sidecarPath: sidecar)))
            }
        }
        for name in sidecars.subtracting(used).sorted() where filter.include.isEmpty {
            found.append(.skipped(relativePath: relative(directory + "/" + name), reason: .orphanSidecar))
        }
        ready = found.reversed()
        directories.append(contentsOf: subdirectories.reversed())
    }

    private func relative(_ path: String) -> String { KelterPipeline.relative(path, to: root) }
}
