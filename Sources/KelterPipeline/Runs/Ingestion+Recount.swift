import KelterModel
import KelterStore

/// An item of a run, by its name in a scope.
struct ItemName: Hashable {
    let externalID: String
    let collection: CollectionID?
}

extension Ingestion {
    /// Counts the items of a run without parts again in the ledger.
    ///
    /// - Parameters:
    ///   - run: The run.
    ///   - expected: The outcomes that this process knows of; of two items with one name the ledger has the last.
    ///   - tenant: Whose run it is.
    /// - Returns: Where the ledger says something else; `nil` when everything is accounted for.
    /// - Throws: ``KelterError`` of the database.
    func recount(
        _ run: RowID,
        expecting expected: [ItemName: Set<Outcome>],
        tenant: Tenant
    ) async throws(KelterError) -> KelterError? {
        let items = try await stages.store.items(ofRun: run, outcomes: Outcome.allCases, tenant: tenant)
        var missing = expected
        var contradictions: [String] = []
        for item in items {
            let name = ItemName(externalID: item.externalID, collection: item.collection)
            let outcomes = missing.removeValue(forKey: name) ?? []
            guard !outcomes.contains(item.outcome) else { continue }
            let known = outcomes.isEmpty ? "nothing" : outcomes.map(\.rawValue).sorted().joined(separator: " or ")
            contradictions.append("\(item.externalID) is \(item.outcome.rawValue) in the ledger, here \(known)")
        }
        contradictions += missing.keys.map { "\($0.externalID) is not in the ledger" }.sorted()
        return contradictions.isEmpty ? nil : .unbalanced(run, Array(contradictions.prefix(20)))
    }
}
