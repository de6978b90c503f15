import KelterModel
import KelterStore

/// Reads and hashes the files of a batch, or takes them for what they were where nothing about them has changed.
struct PartReader: Sendable {
    let ingestion: Ingestion
    let request: IngestRequest
    /// The batch root.
    let root: String

    private var store: Store { ingestion.stages.store }
    private var tenant: Tenant { request.caller.tenant }

    private var reader: ItemReader {
        ItemReader(
            caller: request.caller,
            routing: ingestion.catalog.routing,
            profileName: request.profile,
            naming: .relativePath(root: root),
            metadataPath: nil,
            maximumBytes: Ingestion.maximumFileBytes,
            buckets: ingestion.buckets
        )
    }

    /// Reads files, several at a time.
    ///
    /// - Returns: The items of each file in order, or why there are none.
    /// - Throws: ``KelterError`` of the database, which knows the files' stamps.
    func read(_ files: [FoundFile]) async throws(KelterError) -> [Result<[IngestItem], ItemFailure>] {
        guard !files.isEmpty else { return [] }
        let trusts = request.trustsStamps
        let known =
            trusts ? try await store.stamps(of: files.map(\.relativePath), root: root, tenant: tenant) : [:]
        let (reader, io) = (reader, ingestion.io)
        let shares = files.shares(ingestion.readers)
        let read = await withTaskGroup(of: (Int, [Result<ItemReader.ReadFile, ItemFailure>]).self) { group in
            for (index, share) in shares.enumerated() {
                group.addTask {
                    let results = await io.run {
                        share.map { reader.read($0, known: known[$0.relativePath], stamps: trusts) }
                    }
                    return (index, results)
                }
            }
            return await group.reduce(into: [:]) { $0[$1.0] = $1.1 }
        }
        let results = shares.indices.flatMap { read[$0] ?? [] }
        try await remember(results)
        return results.map { $0.map(\.items) }
    }

    /// Opens a file after all whose content is needed.
    ///
    /// - Returns: The item, with the bytes the file has now.
    /// - Throws: ``KelterError`` of the file or the database.
    func reopen(_ item: IngestItem) async throws(KelterError) -> IngestItem {
        let reader = reader
        let result = await ingestion.io.run { reader.read(item.file, stamps: true) }
        try await remember([result])
        let read: ItemReader.ReadFile
        do throws(ItemFailure) { read = try result.get() } catch { throw error.error }
        guard var again = read.items.first(where: { $0.profile.name == item.profile.name }) else {
            throw changed(item.file.path)
        }
        again.place = item.place
        return again
    }

    private func remember(_ results: [Result<ItemReader.ReadFile, ItemFailure>]) async throws(KelterError) {
        let stamps = results.compactMap { try? $0.get().stamp }
        guard !request.plan, !stamps.isEmpty else { return }
        try await store.recordStamps(stamps, root: root, tenant: tenant)
    }
}
