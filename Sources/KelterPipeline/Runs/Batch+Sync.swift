import KelterModel
import KelterStore

extension Batch {
    /// Deletes the sources of this batch root that the walk did not find; SPEC section 11.
    ///
    /// A source that the rules route to another vector space than before is gone from the space it was in.
    ///
    /// - Throws: ``KelterError`` with ``ErrorCode/syncRefused`` when more than the allowed share is gone, or when files
    ///   that could not be identified may be among those that seem to be gone.
    func deleteMissing() async throws(KelterError) {
        let tenant = request.caller.tenant
        var known = 0
        var missing: [Missing] = []
        for stages in try await ingestion.catalog.allSpaces() {
            let sources = try await stages.store.sources(underRoot: tree.root, tenant: tenant)
            known += sources.count
            for source in sources {
                let place = Place(space: stages.profile.vectorSpace, collection: source.collection)
                guard present[place]?.contains(source.externalID) != true else { continue }
                func isIn(_ places: [Place: Set<String>]) -> Bool {
                    places.contains {
                        $0.key.collection == source.collection && $0.value.contains(source.externalID)
                    }
                }
                let hasMoved = isIn(present)
                // Nothing goes before its replacement is there.
                if hasMoved, !request.plan, !isIn(stored) { continue }
                missing.append(
                    Missing(
                        store: stages.store,
                        collection: source.collection,
                        externalID: source.externalID,
                        hasMoved: hasMoved
                    )
                )
            }
        }
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
        guard Double(missing.count) <= Double(known) * request.maximumDeletedShare else {
            let allowed = Int((request.maximumDeletedShare * 100).rounded())
            throw KelterError(
                .syncRefused,
                "\(missing.count) of \(known) sources are gone, more than the \(allowed)% that may be deleted.",
                subject: tree.root,
                fix: "If that is right, repeat the command with a higher --max-delete."
            )
        }
        guard !request.plan else {
            progress.update { $0.outcomes[.deleted] += missing.count { !$0.hasMoved } }
            return
        }
        for sources in Dictionary(grouping: missing, by: \.place).values {
            let removal = try await sources[0].store.deleteSources(
                sources.map(\.externalID),
                in: sources[0].collection,
                tenant: tenant,
                // What has moved has its outcome already.
                run: sources[0].hasMoved ? nil : run
            )
            guard !sources[0].hasMoved else { continue }
            progress.update { $0.outcomes[.deleted] += removal.deleted + removal.unlinked }
        }
    }
}

/// A source that is to be deleted.
private struct Missing {
    struct Place: Hashable {
        let store: ObjectIdentifier
        let collection: CollectionID?
        let hasMoved: Bool
    }

    let store: Store
    let collection: CollectionID?
    let externalID: String
    /// Whether it is in another vector space now.
    let hasMoved: Bool

    var place: Place { Place(store: ObjectIdentifier(store), collection: collection, hasMoved: hasMoved) }
}
