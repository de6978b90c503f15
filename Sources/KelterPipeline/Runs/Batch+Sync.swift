import KelterModel
import KelterStore

extension Batch {
    /// Deletes the sources of this batch root that the walk did not find; SPEC section 11.
    ///
    /// - Throws: ``KelterError`` with ``ErrorCode/syncRefused`` when more than the allowed share is gone, or when files
    ///   that could not be identified may be among those that seem to be gone.
    func deleteMissing() async throws(KelterError) {
        let tenant = request.caller.tenant
        let known = try await ingestion.stages.store.sources(underRoot: tree.root, tenant: tenant)
        let missing = known.filter { present[$0.collection]?.contains($0.externalID) != true }
        guard !missing.isEmpty else { return }
        guard unidentified == 0 else {
            throw KelterError(
                .syncRefused,
                "\(unidentified) files could not be identified, so none of the \(missing.count) sources that seem to be "
                    + "gone was deleted.",
                subject: tree.root,
                fix: "Correct or exclude the failed files and repeat the command."
            )
        }
        guard Double(missing.count) <= Double(known.count) * request.maximumDeletedShare else {
            let allowed = Int((request.maximumDeletedShare * 100).rounded())
            throw KelterError(
                .syncRefused,
                "\(missing.count) of \(known.count) sources are gone, more than the \(allowed)% that may be deleted.",
                subject: tree.root,
                fix: "If that is right, repeat the command with a higher --max-delete."
            )
        }
        guard !request.plan else {
            progress.update { $0.outcomes[.deleted] += missing.count }
            return
        }
        for (collection, sources) in Dictionary(grouping: missing, by: \.collection) {
            let identifiers = sources.map(\.externalID)
            let removal = try await ingestion.stages.store.deleteSources(
                identifiers,
                in: collection,
                tenant: tenant,
                run: run
            )
            progress.update { $0.outcomes[.deleted] += removal.deleted + removal.unlinked }
        }
    }
}
