import Glibc
import KelterHashing
package import KelterModel
import KelterParsing
package import KelterStore

/// One input, read and identified: everything the guards need and nothing they don't.
package struct IngestItem: Sendable {
    package let externalID: String
    /// The file's path and name.
    package let file: FoundFile
    /// The batch root, or `nil` for a single upload.
    package let root: String?
    package let sidecar: Sidecar
    /// The scopes that share the item's profile.
    package let scope: CollectionScope
    package let profile: EmbeddingProfile
    package let caseID: CaseID
    package let content: FileContent
    /// SHA-256 of the metadata as stored: tells `updated` from `unchanged`.
    package let metadataHash: ContentHash
    /// The identifiers promised to documents that may have to be made, by scope; `nil` and an empty list leave the choice
    /// to the write.
    package var documentIDs: [RowID?] = []
    /// Whether the file was not opened, because nothing about it has changed since it was last read.
    package var isRemembered = false
    /// Where it stands in its batch.
    package var place = BatchPlace()

    /// Divides an item by the profiles of its scopes, most often into one part.
    ///
    /// - Parameters:
    ///   - scope: All its scopes.
    ///   - profile: The profile of a scope.
    ///   - item: Makes the part of one profile.
    /// - Returns: The parts in the order of their first scopes.
    /// - Throws: What `profile` throws.
    static func parts(
        of scope: CollectionScope,
        profile: (CollectionID?) throws(KelterError) -> EmbeddingProfile,
        item: (CollectionScope, EmbeddingProfile) -> IngestItem
    ) throws(KelterError) -> [IngestItem] {
        var parts: [(profile: EmbeddingProfile, targets: [CollectionID?])] = []
        for target in scope.targets {
            let profile = try profile(target)
            if let index = parts.firstIndex(where: { $0.profile.name == profile.name }) {
                parts[index].targets.append(target)
            } else {
                parts.append((profile, [target]))
            }
        }
        return parts.map { item(scope.only($0.targets), $0.profile) }
    }

    /// The digest that tells `updated` from `unchanged`.
    ///
    /// - Throws: ``KelterError`` with ``ErrorCode/internalError`` when libcrypto refuses.
    static func metadataHash(_ sidecar: Sidecar, _ caseID: CaseID) throws(KelterError) -> ContentHash {
        try SHA256.hash(sidecar.attributes.compactText + "\n" + caseID.description)
    }

    /// The guards' questions, one per scope.
    var keys: [GuardKey] {
        scope.targets.map {
            GuardKey(collection: $0, externalID: externalID, hash: content.hash, metadataHash: metadataHash)
        }
    }
}

/// Why an item could not even be identified, and for how many scopes that counts.
struct ItemFailure: Error {
    let externalID: String
    let error: KelterError
    /// Whether the file was found and has gone since.
    let isGone: Bool
}

/// Turns found files into items: sidecar, scope, size and digest.
///
/// Blocks; runs on ``IOThreads``.
struct ItemReader: Sendable {
    /// How an item without `external_id` in its metadata is named.
    enum Naming: Sendable {
        /// By its path relative to the batch root.
        case relativePath(root: String)
        /// By the given text, or else by a digest of name, size and beginning; SPEC section 4.
        case upload(externalID: String?)
    }

    /// Files up to this size stay in memory between hashing and parsing; larger ones are read twice.
    static let keepUpTo = 1 << 16
    /// Files with larger metadata are always read.
    private static let largestStampedSidecar = 1 << 13

    let caller: Caller
    let routing: Routing
    /// The profile that the caller names, which beats that of the metadata and the rules.
    let profileName: String?
    let naming: Naming
    /// A sidecar that takes the place of the file's own.
    let metadataPath: String?
    let maximumBytes: Int
    /// Who reads objects of buckets.
    var buckets: S3Client?

    /// A file that has been read.
    struct ReadFile: Sendable {
        /// One item for each profile that its scopes are routed to.
        let items: [IngestItem]
        /// What to remember it by; `nil` when it changed too shortly before.
        let stamp: FileStamp?
    }

    /// Reads a file, unless it is as it was when it was last read.
    ///
    /// - Parameters:
    ///   - file: The file.
    ///   - known: What was remembered of it.
    ///   - stamps: Whether it is to be remembered. Default `false`.
    /// - Returns: The file's items, or why there are none.
    func read(_ file: FoundFile, known: FileStamp? = nil, stamps: Bool = false) -> Result<ReadFile, ItemFailure> {
        let result = readAsFound(file, known: known, stamps: stamps)
        guard case .failure(let failure) = result, failure.error.code == .objectChanged, let buckets else {
            return result
        }
        // As of a file, what counts is what an object is when it is its turn, not when it was found.
        do throws(KelterError) {
            return readAsFound(try file.listedAgain(by: buckets), known: known, stamps: stamps)
        } catch {
            return .failure(failed(file, error))
        }
    }

    private func readAsFound(_ file: FoundFile, known: FileStamp?, stamps: Bool) -> Result<ReadFile, ItemFailure> {
        // Before the file is opened: a change in between makes the stamp one that never comes again.
        let now = stamps ? file.stamp(at: FileStatus.now) : nil
        do throws(KelterError) {
            if let known, known.stamp == now?.text {
                let content = FileContent(size: known.bytes, hash: known.hash, bytes: nil)
                var items = try items(file, content, try sidecar(known.sidecar, of: file))
                for index in items.indices { items[index].isRemembered = true }
                return .success(ReadFile(items: items, stamp: nil))
            }
            let (metadata, read) = try metadata(of: file)
            let sidecar = try sidecar(metadata, of: file)
            // Before the content, which may be large: a scope that is wrong costs no reading.
            _ = try CollectionScope.resolve(caller.inputs(with: sidecar))
            let content =
                if let read { read } else {
                    try file.location.read(keepUpTo: Self.keepUpTo, maximum: maximumBytes, buckets: buckets) {
                        (size, piece) throws(KelterError) in
                        try DocumentParser().checkSize(
                            size,
                            beginning: Array(piece),
                            name: file.name,
                            mediaType: sidecar.mediaType
                        )
                    }
                }
            let items = try items(file, content, sidecar)
            return .success(ReadFile(items: items, stamp: stamp(now, file, content, metadata)))
        } catch {
            return .failure(failed(file, error))
        }
    }

    private func failed(_ file: FoundFile, _ error: KelterError) -> ItemFailure {
        let isGone = file.location.isGone(error)
        return ItemFailure(externalID: file.relativePath, error: error.about(file.relativePath), isGone: isGone)
    }

    private func stamp(
        _ stamp: (text: String, isSettled: Bool)?,
        _ file: FoundFile,
        _ content: FileContent,
        _ metadata: JSONValue?
    ) -> FileStamp? {
        guard let stamp, stamp.isSettled,
            metadata.map({ $0.compactText.utf8.count <= Self.largestStampedSidecar }) ?? true
        else { return nil }
        return FileStamp(
            path: file.relativePath,
            stamp: stamp.text,
            hash: content.hash,
            bytes: content.size,
            sidecar: metadata
        )
    }

    private func items(_ file: FoundFile, _ content: FileContent, _ sidecar: Sidecar) throws(KelterError)
        -> [IngestItem]
    {
        let scope = try CollectionScope.resolve(caller.inputs(with: sidecar))
        let caseID = sidecar.caseID ?? caller.caseID
        let externalID = try externalID(file, sidecar, size: content.size)
        let metadataHash = try IngestItem.metadataHash(sidecar, caseID)
        return try IngestItem.parts(
            of: scope,
            profile: { (collection) throws(KelterError) in
                try routing.profile(
                    for: RouteKeys(tenant: caller.tenant, collection: collection, sidecar: sidecar),
                    named: profileName ?? sidecar.embeddingProfile
                )
            },
            item: { scope, profile in
                IngestItem(
                    externalID: externalID,
                    file: file,
                    root: root,
                    sidecar: sidecar,
                    scope: scope,
                    profile: profile,
                    caseID: caseID,
                    content: content,
                    metadataHash: metadataHash
                )
            }
        )
    }

    private var root: String? {
        guard case .relativePath(let root) = naming else { return nil }
        return root
    }

    /// The metadata object of a document, if it has one, and its content where that comes along.
    private func metadata(of file: FoundFile) throws(KelterError) -> (JSONValue?, FileContent?) {
        if case .record(let line, let path) = file.location {
            let record = try line.read(from: path, maximum: min(maximumBytes, ParsingLimits().maximumBytes))
            return (record.metadata, try FileContent(record.text, keepUpTo: Self.keepUpTo))
        }
        let attachedTo = file.attachedTo(root: root)
        guard let location = sidecarLocation(of: file) else {
            return (attachedTo.map { .object([("attached_to", .string($0))]) }, nil)
        }
        let limit = 1 << 20
        let bytes = try location.read(keepUpTo: limit, maximum: limit, buckets: buckets).bytes ?? []
        do throws(JSONReader.Failure) {
            let metadata = try JSONReader.read(bytes)
            return (file.inheritsMetadata ? Self.inherited(metadata, attachedTo: attachedTo) : metadata, nil)
        } catch {
            throw Sidecar.notJSON(error).about(location.path)
        }
    }

    /// The metadata of a mail message as its attachments have it: where they belong, but not what the message is.
    private static func inherited(_ metadata: JSONValue, attachedTo: String?) -> JSONValue {
        guard case .object(let members) = metadata else { return metadata }
        let own: Set = ["external_id", "title", "language", "media_type", "attached_to"]
        return .object(
            members.filter { !own.contains($0.name) } + (attachedTo.map { [("attached_to", .string($0))] } ?? [])
        )
    }

    private func sidecarLocation(of file: FoundFile) -> ContentLocation? {
        metadataPath.map { .file($0) } ?? file.sidecar
    }

    private func sidecar(_ metadata: JSONValue?, of file: FoundFile) throws(KelterError) -> Sidecar {
        guard let metadata else { return Sidecar() }
        do throws(KelterError) {
            return try Sidecar(metadata, tenant: caller.tenant)
        } catch {
            let place = sidecarLocation(of: file)?.path ?? file.relativePath
            let subject = [place, error.subject].compactMap { $0 }.joined(separator: ", ")
            throw KelterError(error.code, error.message, subject: subject, fix: error.fix)
        }
    }

    private func externalID(_ file: FoundFile, _ sidecar: Sidecar, size: Int) throws(KelterError) -> String {
        if case .upload(let given?) = naming { return given }
        if let named = sidecar.externalID { return named }
        guard case .upload = naming else { return file.relativePath }
        return try uploadIdentifier(
            fileName: file.name,
            size: size,
            beginning: try readPrefix(file.path, count: uploadIdentifierPrefix)
        )
    }
}

/// How much of an upload's beginning takes part in its identifier: 64 KiB.
let uploadIdentifierPrefix = 1 << 16

/// The external identifier of an upload whose metadata has none: SHA-256 over file name, decimal size and the first
/// 64 KiB; SPEC section 4.
///
/// - Throws: ``KelterError`` with ``ErrorCode/internalError`` when libcrypto refuses.
func uploadIdentifier(fileName: String, size: Int, beginning: [UInt8]) throws(KelterError) -> String {
    var hasher = SHA256()
    for part in [Array(fileName.utf8), Array(String(size).utf8), beginning] {
        part.withUnsafeBytes { hasher.update($0) }
    }
    return try hasher.finish().hex
}
