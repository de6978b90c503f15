package import KelterModel

/// How the removal of sources ended.
package struct SourceRemoval: Sendable, Equatable {
    /// Sources whose document lives on, because others link it.
    package var unlinked = 0
    /// Documents marked as deleted with their last source.
    package var deleted = 0
    /// Names that no source bears.
    package var missing = 0
}

extension Store {
    /// Removes sources; a document is marked as deleted when no other source links it.
    ///
    /// A marked document keeps its chunks and vectors, out of sight of active searches, and is revived when its bytes
    /// come back.
    ///
    /// - Parameters:
    ///   - names: The external identifiers.
    ///   - scope: The collection, or `nil` for sources outside collections.
    ///   - tenant: Whose sources they are.
    ///   - run: The run in whose ledger each removed source is recorded as ``Outcome/deleted``; `nil` for none.
    /// - Returns: How many names were unlinked, deleted with their document, or unknown.
    /// - Throws: ``KelterError`` with ``ErrorCode/databaseUnavailable``, ``ErrorCode/schemaMissing`` and others.
    package func deleteSources(
        _ names: [String],
        in scope: CollectionID?,
        tenant: Tenant,
        run: RowID?
    ) async throws(KelterError) -> SourceRemoval {
        var total = SourceRemoval()
        for start in stride(from: 0, to: names.count, by: 256) {
            let part = Array(names[start..<min(start + 256, names.count)]).filter { !containsNUL($0) }
            let remover = SourceRemover(
                schema: schema,
                ledgerSchema: ledgerSchema,
                names: part,
                scope: scope,
                tenant: tenant,
                run: run
            )
            let removal = try await reporting { () async throws(DatabaseFailure) in
                try await transaction(tenant: tenant) { connection throws(DatabaseFailure) in
                    try remover.remove(on: connection)
                }
            }
            total.unlinked += removal.unlinked
            total.deleted += removal.deleted
            total.missing += removal.missing
        }
        return total
    }
}

/// Removes one group of sources in one transaction.
private struct SourceRemover: Sendable {
    let schema: SQLIdentifier
    let ledgerSchema: SQLIdentifier
    let names: [String]
    let scope: CollectionID?
    let tenant: Tenant
    let run: RowID?

    func remove(on connection: isolated Connection) throws(DatabaseFailure) -> SourceRemoval {
        let before = try GuardQuery.lockedState(connection, schema: schema, names: names, scope: scope, tenant: tenant)
        var after = before
        var removal = SourceRemoval()
        var items: [RunItem] = []
        for name in names {
            let document: RowID
            switch after.remove(GuardState.Scoped(scope: scope, value: name)) {
            case .missing:
                removal.missing += 1
                continue
            case .unlinked(let id):
                removal.unlinked += 1
                document = id
            case .deleted(let id):
                removal.deleted += 1
                document = id
            }
            items.append(RunItem(collection: scope, externalID: name, outcome: .deleted, document: document))
        }
        guard !items.isEmpty else { return removal }
        try connection.execute(
            """
            DELETE FROM \(schema).sources WHERE tenant_id = $1 AND external_id = ANY ($2)
                AND \(scope == nil ? "collection_id IS NULL AND $3::uuid IS NULL" : "collection_id = $3")
            """,
            [.uuid(tenant.rowID), .texts(items.map(\.externalID)), .uuid(scope)]
        )
        let deleted = after.documents.values.filter(\.isDeleted).map(\.id)
        try connection.execute(
            """
            UPDATE \(schema).documents SET deleted_at = now(), updated_at = now()
            WHERE id = ANY ($1) AND deleted_at IS NULL
            """,
            [.uuids(deleted)]
        )
        try after.writeNames(changedFrom: before, schema: schema, on: connection)
        if let run { try Ledger(run: run, tenant: tenant, schema: ledgerSchema).record(items, on: connection) }
        return removal
    }
}
