import Glibc
package import KelterModel
import KelterStore
import Synchronization

/// What a plan has found out about a file.
package struct PlannedState: Equatable, Sendable {
    let hash: ContentHash
    let metadataHash: ContentHash
    /// The outcome in each scope, by its collection.
    let outcomes: [CollectionID?: Outcome]

    var json: JSONValue {
        .object([
            ("hash", .string(hash.hex)), ("metadata", .string(metadataHash.hex)),
            (
                "outcomes",
                .object(
                    outcomes.map { ($0.key?.description ?? "", JSONValue.string($0.value.rawValue)) }
                        .sorted { $0.0 < $1.0 }.map { (name: $0.0, value: $0.1) }
                )
            ),
        ])
    }

    init(hash: ContentHash, metadataHash: ContentHash, outcomes: [CollectionID?: Outcome]) {
        self.hash = hash
        self.metadataHash = metadataHash
        self.outcomes = outcomes
    }

    init?(_ json: JSONValue) {
        guard let hash = json["hash"]?.string.flatMap({ ContentHash(hex: $0) }),
            let metadataHash = json["metadata"]?.string.flatMap({ ContentHash(hex: $0) }),
            let members = json["outcomes"]?.members
        else { return nil }
        var outcomes: [CollectionID?: Outcome] = [:]
        for (name, value) in members {
            guard let outcome = value.string.flatMap({ Outcome(rawValue: $0) }) else { return nil }
            if name.isEmpty {
                outcomes.updateValue(outcome, forKey: nil)
            } else if let collection = CollectionID(name) {
                outcomes.updateValue(outcome, forKey: collection)
            } else {
                return nil
            }
        }
        self.init(hash: hash, metadataHash: metadataHash, outcomes: outcomes)
    }

    /// Why an item is not what was planned; `nil` when it is.
    ///
    /// That a copy of it was stored before or after it is no difference.
    func refusal(of item: IngestItem, verdicts: [GuardVerdict]) -> KelterError? {
        let what: String
        if item.content.hash != hash {
            what = "content"
        } else if item.metadataHash != metadataHash {
            what = "metadata"
        } else if zip(item.scope.targets, verdicts).contains(where: { !isPlanned($1.outcome, in: $0) }) {
            what = "stored document"
        } else {
            return nil
        }
        return KelterError(
            .planChanged,
            "Its \(what) has changed since the plan was made.",
            subject: item.file.relativePath,
            fix: "Make a new plan."
        )
    }

    private func isPlanned(_ outcome: Outcome, in scope: CollectionID?) -> Bool {
        guard let planned = outcomes[scope] else { return false }
        let copies: Set<Outcome> = [.inserted, .duplicate]
        return planned == outcome || copies.contains(planned) && copies.contains(outcome)
            || planned == .duplicate && outcome == .replaced
    }
}

/// A plan on its way into a file: JSON Lines, of which the first says what was asked for, each of the others a file
/// with something to do (``FoundEntry``, with ``PlannedState`` as `expect`) or one source to be deleted.
package final class PlanWriter: Sendable {
    private let path: String
    private let descriptor: Int32
    private let buffer = Mutex<[UInt8]>([])

    /// Begins a file beside the one it will replace.
    ///
    /// - Throws: ``KelterError`` with ``ErrorCode/usage`` when it cannot be made.
    package init(_ path: String) throws(KelterError) {
        self.path = path
        descriptor = open(path + ".part", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
        guard descriptor >= 0 else { throw Self.failure(path) }
    }

    deinit {
        close(descriptor)
    }

    func begin(_ arguments: JSONValue, root: String) throws(KelterError) {
        try add(.object([("kelter_plan", .int(1)), ("root", .string(root)), ("arguments", arguments)]))
    }

    func add(_ file: FoundFile, _ state: PlannedState, root: String) throws(KelterError) {
        var file = file
        file.expected = state
        try add(FoundEntry.file(file).json(root: root))
    }

    func add(deleted name: SourceName) throws(KelterError) {
        try add(
            .object([
                ("deleted", .string(name.externalID)), ("collection_id", .optional(name.collection?.description)),
            ])
        )
    }

    /// Ends the file, on the disk.
    func finish() throws(KelterError) {
        try flush(above: 0)
        guard fsync(descriptor) == 0, rename(path + ".part", path) == 0 else { throw Self.failure(path) }
    }

    private func add(_ line: JSONValue) throws(KelterError) {
        buffer.withLock { $0 += line.bytes(indented: false) + [UInt8(ascii: "\n")] }
        try flush(above: 1 << 16)
    }

    private func flush(above count: Int) throws(KelterError) {
        let isWritten = buffer.withLock { buffer in
            guard buffer.count > count else { return true }
            defer { buffer = [] }
            return ObjectStore(root: "").writeAll(buffer[...], to: descriptor)
        }
        guard isWritten else { throw Self.failure(path) }
    }

    private static func failure(_ path: String) -> KelterError {
        KelterError(
            .usage,
            "The plan cannot be written: \(systemMessage(errno)).",
            subject: path,
            fix: "Name a file in a directory that can be written to."
        )
    }
}

/// A plan in a file, as a walk over the files it names.
package struct PlanWalk: InputWalk {
    /// The batch root of the plan.
    package let root: String
    /// What was asked for.
    package let arguments: JSONValue
    private let path: String
    private var lines: RecordScanner

    /// Opens a plan.
    ///
    /// - Throws: ``KelterError`` with ``ErrorCode/planInvalid`` for a file that is none, or ``ErrorCode/fileUnreadable``.
    package init(_ path: String) throws(KelterError) {
        self.path = path
        lines = RecordScanner(path: path, relativePath: path)
        guard let first = try Self.next(&lines, 1, path).first, first["kelter_plan"]?.int == 1,
            let root = first["root"]?.string, let arguments = first["arguments"]
        else { throw Self.invalid(path) }
        self.root = root
        self.arguments = arguments
    }

    package mutating func next(_ count: Int) -> [FoundEntry] {
        do throws(KelterError) {
            while true {
                let lines = try Self.next(&lines, count, path)
                guard !lines.isEmpty else { return [] }
                let entries = try lines.filter { $0["deleted"] == nil }.map { (line) throws(KelterError) in
                    guard let entry = FoundEntry(line, root: root) else { throw Self.invalid(path) }
                    return withPresentSidecar(entry)
                }
                if !entries.isEmpty { return entries }
            }
        } catch {
            lines.end()
            return [.failed(relativePath: path, error)]
        }
    }

    /// The entry with the sidecar that its file has now: one that has come since is a change as well.
    private func withPresentSidecar(_ entry: FoundEntry) -> FoundEntry {
        guard case .file(let file) = entry, case .file(let path) = file.location else { return entry }
        let directory = parentDirectory(path)
        let sidecar = SidecarName.candidates(for: lastComponent(path)).map { directory + "/" + $0 }.first {
            access($0, F_OK) == 0
        }
        var present = FoundFile(
            location: file.location,
            relativePath: file.relativePath,
            sidecar: sidecar.map { .file($0) },
            name: file.name
        )
        present.expected = file.expected
        return .file(present)
    }

    /// The sources that the plan deletes.
    ///
    /// - Throws: ``KelterError`` with ``ErrorCode/planInvalid``.
    func deletions() throws(KelterError) -> Set<SourceName> {
        var names: Set<SourceName> = []
        var lines = RecordScanner(path: path, relativePath: path)
        while true {
            let next = try Self.next(&lines, entriesPerPart, path)
            guard !next.isEmpty else { return names }
            for line in next {
                guard let name = line["deleted"]?.string else { continue }
                let collection = line["collection_id"]?.string.flatMap { CollectionID($0) }
                names.insert(SourceName(collection: collection, externalID: name))
            }
        }
    }

    private static func next(_ lines: inout RecordScanner, _ count: Int, _ path: String) throws(KelterError)
        -> [JSONValue]
    {
        var values: [JSONValue] = []
        for entry in lines.next(count) {
            if case .failed(_, let error) = entry { throw error }
            guard case .file(let file) = entry, case .record(let line, let path) = file.location else { continue }
            guard let value = try? JSONReader.read(line.bytes(of: path)) else { throw invalid(path) }
            values.append(value)
        }
        return values
    }

    private static func invalid(_ path: String) -> KelterError {
        KelterError(
            .planInvalid,
            "It is no plan.",
            subject: path,
            fix: "Give a file that 'kelter ingest --plan -o' wrote."
        )
    }
}
