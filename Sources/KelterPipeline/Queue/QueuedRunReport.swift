package import KelterModel

/// Files and upload records that are of no use once a run has ended.
package struct QueuedRunLeftovers: Sendable, Equatable {
    /// Identifiers that were accepted but did not become documents.
    var documents: [RowID] = []
    /// Paths relative to the object store.
    var paths: [String] = []
}

/// What a queued run did, as its totals in the ledger and the status route tell it; SPEC section 8.
package struct QueuedRunReport: Sendable, Equatable {
    /// What became of one document of the run.
    package struct Document: Sendable, Equatable {
        /// The document the item belongs to; the accepted identifier when it was not stored.
        package var id: RowID
        package var externalID: String
        package var collection: CollectionID?
        package var outcome: Outcome
        package var duplicateOf: RowID?
        /// Path of the stored metadata relative to the object store.
        package var metadataPath: String?
        package var code: String?
        package var detail: String?
    }

    package var documents: [Document] = []
    package var chunks = 0
    package var embeddings = 0
    package var embeddingsEmpty = 0
    /// Chunks whose vectors were taken from the database.
    package var cacheHits = 0
    /// Where the ledger says something else.
    package var contradiction: KelterError?
    /// What is to be removed once the run has ended.
    package var leftovers = QueuedRunLeftovers()

    package init() {}

    /// Succeeded, partial or failed, by the documents' outcomes.
    package var status: RunStatus {
        guard contradiction == nil else { return .failed }
        let failed = documents.count { $0.outcome == .failed }
        if failed == 0 { return .succeeded }
        return failed == documents.count ? .failed : .partial
    }

    /// The failures in one sentence; `nil` when there are none.
    package var error: String? {
        if let contradiction { return contradiction.description }
        let failed = documents.filter { $0.outcome == .failed }
        guard let first = failed.first else { return nil }
        let reason = "\(first.code ?? "INTERNAL"): \(first.detail ?? "")"
        return failed.count == 1 ? reason : "\(failed.count) documents failed; the first: \(reason)"
    }

    /// What the ledger must hold.
    var outcomes: [ItemName: Set<Outcome>] {
        documents.reduce(into: [:]) { outcomes, document in
            let name = ItemName(externalID: document.externalID, collection: document.collection)
            outcomes[name, default: []].insert(document.outcome)
        }
    }

    private func count(_ outcomes: Outcome...) -> JSONValue {
        .int(documents.count { outcomes.contains($0.outcome) })
    }

    /// The totals as JSON.
    package var json: JSONValue {
        .object([
            ("document_ids", .array(documents.map { .string($0.id.description) })),
            ("inserted_documents", count(.inserted)),
            ("replaced_documents", count(.replaced)),
            ("skipped_documents", count(.unchanged, .updated, .duplicate, .skipped)),
            ("failed_documents", count(.failed)),
            ("inserted_chunks", .int(chunks)),
            ("embeddings", .int(embeddings)),
            ("embeddings_empty", .int(embeddingsEmpty)),
            ("cache_hits", .int(cacheHits)),
            ("documents", .array(documents.map(\.json))),
        ])
    }
}

extension QueuedRunReport.Document {
    fileprivate var json: JSONValue {
        var members: [(name: String, value: JSONValue)] = [
            ("document_id", .string(id.description)),
            ("external_id", .string(externalID)),
            ("collection_id", .optional(collection?.description)),
            ("outcome", .string(outcome.rawValue)),
        ]
        if let duplicateOf { members.append(("duplicate_of", .string(duplicateOf.description))) }
        if let metadataPath { members.append(("meta_json", .string(metadataPath))) }
        if let code { members.append(("code", .string(code))) }
        if let detail { members.append(("detail", .string(detail))) }
        return .object(members)
    }
}
