import KelterModel
import KelterParsing

/// A walk over the files of an archive, as if it were a directory with the archive's name.
struct ArchiveWalk: Sendable {
    private let path: String
    private let relativePath: String
    private let sidecar: String?
    private let filter: GlobFilter
    private var found: [FoundEntry] = []
    private var position = 0
    /// The places in use: an archive can hold the same name twice.
    private var places: Set<String> = []

    /// Opens an archive and lists it.
    ///
    /// - Parameters:
    ///   - path: The archive.
    ///   - relativePath: Its path relative to the batch root.
    ///   - sidecar: The metadata file whose scope the files inherit that have none of their own; `nil` for none.
    ///   - filter: Which files belong to the batch.
    init(path: String, relativePath: String, sidecar: String? = nil, filter: GlobFilter) {
        self.path = path
        self.relativePath = relativePath
        self.sidecar = sidecar
        self.filter = filter
        do throws(KelterError) {
            list(try ArchiveShelf.shared.archive(path).entries())
        } catch {
            // A message has a place of its own beside what is attached to it.
            let isDocument = ArchiveFormat(fileName: path)?.isDocument ?? false
            found = [.failed(relativePath: isDocument ? relativePath + "/attachments" : relativePath, error)]
        }
    }

    /// The next files; none at the end.
    mutating func next(_ count: Int) -> [FoundEntry] {
        let entries = Array(found[position..<min(position + count, found.count)])
        position += entries.count
        return entries
    }

    private mutating func list(_ entries: [ArchiveEntry]) {
        var sidecars: [String: ArchiveMember] = [:]
        for case .member(let member) in entries where SidecarName.isSidecar(lastComponent(member.name)) {
            sidecars[member.name] = member
        }
        var used: Set<String> = []
        for entry in entries {
            switch entry {
            case .member(let member):
                guard sidecars[member.name] == nil else { continue }
                add(member, sidecars, &used)
            case .link(let name): found.append(.skipped(relativePath: place(name), reason: .symbolicLink))
            case .special(let name): found.append(.skipped(relativePath: place(name), reason: .notARegularFile))
            case .superseded(let name): found.append(.skipped(relativePath: place(name), reason: .superseded))
            case .failed(let name, let error): found.append(.failed(relativePath: place(name), error))
            }
        }
        for name in Set(sidecars.keys).subtracting(used).sorted() where filter.include.isEmpty {
            found.append(.skipped(relativePath: place(name), reason: .orphanSidecar))
        }
    }

    private mutating func add(_ member: ArchiveMember, _ sidecars: [String: ArchiveMember], _ used: inout Set<String>) {
        let isHidden = member.name.split(separator: "/").contains { $0.utf8.first == UInt8(ascii: ".") }
        guard !isHidden else {
            found.append(.skipped(relativePath: place(member.name), reason: .hidden))
            return
        }
        let name = lastComponent(member.name)
        // By bytes: a name that begins with an accent is one character with the slash before it.
        let directory = String(Substring(member.name.utf8.dropLast(name.utf8.count)))
        let candidates = SidecarName.candidates(for: name).map { directory + $0 }
        used.formUnion(candidates)
        guard filter.admits(path: relativePath + "/" + member.name, name: name) else { return }
        let sidecar = candidates.lazy.compactMap { sidecars[$0] }.first
        let file = FoundFile(
            location: .member(member, of: path),
            relativePath: place(member.name),
            sidecar: sidecar.map { .member($0, of: path) } ?? self.sidecar.map { .file($0) },
            name: name
        )
        found.append(.file(file))
    }

    /// A place of its own for a name.
    private mutating func place(_ name: String) -> String {
        let place = name.isEmpty ? relativePath : relativePath + "/" + name
        guard !places.insert(place).inserted else { return place }
        var number = 2
        while !places.insert("\(place) [\(number)]").inserted { number += 1 }
        return "\(place) [\(number)]"
    }
}
