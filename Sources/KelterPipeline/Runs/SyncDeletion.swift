import KelterModel
import KelterStore

/// The deletion of the sources of a batch root that the batch has not found; SPEC section 11.
///
/// A source that the rules route to another vector space than before is gone from the space it was in.
struct SyncDeletion: Sendable {
    let ingestion: Ingestion
    let request: IngestRequest
    let root: String

    /// Deletes what a run that is recorded to its end has not found.
    ///
    /// - Throws: ``KelterError`` with ``ErrorCode/syncRefused`` when more than the allowed share is gone, or when files
    ///   that could not be identified may be among those that seem to be gone.
    func delete(run: RowID) async throws(KelterError) {
        let tenant = request.caller.tenant
        var known = 0
        var missing: [(store: Store, sources: [MissingSource])] = []
        // Of a plan, what it names and nothing else.
        let planned = try request.apply.map { (path) throws(KelterError) in try PlanWalk(path).deletions() }
        for stages in try await ingestion.catalog.allSpaces() {
            let found = try await stages.store.missingSources(
                underRoot: root,
                run: run,
                space: stages.profile.vectorSpace,
                tenant: tenant
            )
            known += found.known
            missing.append((stages.store, found.missing.filter { planned?.contains($0.name) != false }))
        }
        let count = missing.reduce(0) { $0 + $1.sources.count }
        guard count > 0 else { return }
        let unidentified = try await ingestion.stages.store.unidentifiedItems(ofRun: run, tenant: tenant)
        try check(missing: count, known: known, unidentified: unidentified)
        for (store, sources) in missing {
            let groups = Dictionary(grouping: sources) { Group(scope: $0.name.collection, hasMoved: $0.hasMoved) }
            for (group, sources) in groups {
                _ = try await store.deleteSources(
                    sources.map(\.name.externalID),
                    in: group.scope,
                    tenant: tenant,
                    // What has moved has its outcome already.
                    run: group.hasMoved ? nil : run
                )
            }
        }
    }

    /// The sources that a plan would delete.
    ///
    /// - Parameters:
    ///   - present: What the plan has found, by vector space.
    ///   - unidentified: How many files could not be identified.
    /// - Returns: Their names, without those that move to another space.
    /// - Throws: ``KelterError`` as ``delete(run:)``.
    func planned(
        present: [String: Set<SourceName>],
        unidentified: Int
    ) async throws(KelterError) -> [SourceName] {
        var (known, missing) = (0, 0)
        var names: [SourceName] = []
        for stages in try await ingestion.catalog.allSpaces() {
            let sources = try await stages.store.sources(underRoot: root, tenant: request.caller.tenant)
            known += sources.count
            for source in sources where present[stages.profile.vectorSpace]?.contains(source) != true {
                missing += 1
                if !present.values.contains(where: { $0.contains(source) }) { names.append(source) }
            }
        }
        guard missing > 0 else { return [] }
        try check(missing: missing, known: known, unidentified: unidentified)
        return names
    }

    private func check(missing: Int, known: Int, unidentified: Int) throws(KelterError) {
        guard unidentified == 0 else {
            throw KelterError(
                .syncRefused,
                "\(unidentified) files could not be identified, so none of the \(missing) sources that seem to be "
                    + "gone was deleted.",
                subject: root,
                fix: "Correct or exclude the failed files and repeat the command."
            )
        }
        guard Double(missing) <= Double(known) * request.maximumDeletedShare else {
            let allowed = Int((request.maximumDeletedShare * 100).rounded())
            throw KelterError(
                .syncRefused,
                "\(missing) of \(known) sources are gone, more than the \(allowed)% that may be deleted.",
                subject: root,
                fix: "If that is right, repeat the command with a higher --max-delete."
            )
        }
    }

    private struct Group: Hashable {
        let scope: CollectionID?
        let hasMoved: Bool
    }
}
