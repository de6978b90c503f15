import KelterHashing
package import KelterModel
import KelterStore

/// One input, read and identified: everything the guards need and nothing they don't.
package struct IngestItem: Sendable {
    package let externalID: String
    /// The file's path and name.
    package let file: FoundFile
    /// The batch root, or `nil` for a single upload.
    package let root: String?
    package let sidecar: Sidecar
    package let scope: CollectionScope
    package let caseID: CaseID
    package let content: FileContent
    /// SHA-256 of the metadata as stored: tells `updated` from `unchanged`.
    package let metadataHash: ContentHash
    /// The identifiers promised to documents that may have to be made, by scope; `nil` and an empty list leave the choice
    /// to the write.
    package var documentIDs: [RowID?] = []

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

    let caller: Caller
    let naming: Naming
    /// A sidecar that takes the place of the file's own.
    let metadataPath: String?
    let maximumBytes: Int

    func read(_ file: FoundFile) -> Result<IngestItem, ItemFailure> {
        do throws(KelterError) {
            return .success(try item(file))
        } catch {
            return .failure(ItemFailure(externalID: file.relativePath, error: error.about(file.relativePath)))
        }
    }

    private func item(_ file: FoundFile) throws(KelterError) -> IngestItem {
        let sidecar = try sidecar(of: file)
        let scope = try CollectionScope.resolve(caller.inputs(with: sidecar))
        let content = try readFile(file.path, keepUpTo: Self.keepUpTo, maximum: maximumBytes)
        let caseID = sidecar.caseID ?? caller.caseID
        return IngestItem(
            externalID: try externalID(file, sidecar, size: content.size),
            file: file,
            root: root,
            sidecar: sidecar,
            scope: scope,
            caseID: caseID,
            content: content,
            metadataHash: try IngestItem.metadataHash(sidecar, caseID)
        )
    }

    private var root: String? {
        guard case .relativePath(let root) = naming else { return nil }
        return root
    }

    private func sidecar(of file: FoundFile) throws(KelterError) -> Sidecar {
        guard let path = metadataPath ?? file.sidecarPath else { return Sidecar() }
        let limit = 1 << 20
        let content = try readFile(path, keepUpTo: limit, maximum: limit)
        do throws(KelterError) {
            return try Sidecar(bytes: content.bytes ?? [], tenant: caller.tenant)
        } catch {
            let subject = [path, error.subject].compactMap { $0 }.joined(separator: ", ")
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
