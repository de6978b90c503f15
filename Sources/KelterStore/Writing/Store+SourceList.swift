package import KelterModel

/// The name of a source in its scope.
package struct SourceName: Hashable, Sendable {
    /// The collection, or `nil` outside collections.
    package let collection: CollectionID?
    package let externalID: String

    package init(collection: CollectionID?, externalID: String) {
        self.collection = collection
        self.externalID = externalID
    }
}

/// A source that a batch has not found in its vector space.
package struct MissingSource: Sendable {
    package let name: SourceName
    /// Whether the batch has it in another vector space.
    package let hasMoved: Bool
}

extension Store {
    /// The sources of a batch root that a batch has not found in this vector space: what a sync deletes.
    ///
    /// One that was found in another space is among them only when it has been stored there: nothing goes before its
    /// replacement is there.
    ///
    /// - Parameters:
    ///   - root: The batch root.
    ///   - run: The batch, all of whose inputs are recorded.
    ///   - space: The name of this vector space.
    ///   - tenant: Whose sources they are.
    /// - Returns: How many sources the root has here, and those that are missing, by name.
    /// - Throws: ``KelterError`` of the database.
    package func missingSources(
        underRoot root: String,
        run: RowID,
        space: String,
        tenant: Tenant
    ) async throws(KelterError) -> (known: Int, missing: [MissingSource]) {
        let (schema, ledger) = (schema, ledgerSchema)
        let parameters: [Parameter] = [.uuid(tenant.rowID), .text(root)]
        return try await tenantCall(tenant) { connection throws(DatabaseFailure) in
            let known = try connection.query(
                "SELECT count(*) FROM \(schema).sources WHERE tenant_id = $1 AND root = $2",
                parameters
            )
            let rows = try connection.query(
                """
                SELECT s.collection_id, s.external_id, i.is_elsewhere IS NOT NULL
                FROM \(schema).sources s
                LEFT JOIN (
                    SELECT collection_id, external_id, coalesce(bool_or(space = $4), false) AS is_here,
                        true AS is_elsewhere, bool_or(outcome NOT IN ('failed', 'skipped')) AS is_stored
                    FROM \(ledger).run_items
                    WHERE run_id = $3 AND tenant_id = $1 AND path <> '' GROUP BY collection_id, external_id
                ) i ON i.external_id = s.external_id AND i.collection_id IS NOT DISTINCT FROM s.collection_id
                WHERE s.tenant_id = $1 AND s.root = $2 AND coalesce(NOT i.is_here AND i.is_stored, true)
                ORDER BY s.external_id, s.collection_id
                """,
                parameters + [.uuid(run), .text(space)]
            )
            let missing = (0..<rows.count).map { row in
                MissingSource(
                    name: SourceName(collection: rows.uuid(row, 0), externalID: rows.text(row, 1) ?? ""),
                    hasMoved: rows.bool(row, 2) == true
                )
            }
            return (known.int(0, 0) ?? 0, missing)
        }
    }

    /// The sources of a batch root in all scopes: what a sync compares with the files.
    package func sources(underRoot root: String, tenant: Tenant) async throws(KelterError) -> [SourceName] {
        let schema = schema
        return try await reporting { () async throws(DatabaseFailure) in
            try await transaction(tenant: tenant) { connection throws(DatabaseFailure) in
                let rows = try connection.query(
                    "SELECT collection_id, external_id FROM \(schema).sources WHERE tenant_id = $1 AND root = $2",
                    [.uuid(tenant.rowID), .text(root)]
                )
                return (0..<rows.count).map { row in
                    SourceName(collection: rows.uuid(row, 0), externalID: rows.text(row, 1) ?? "")
                }
            }
        }
    }
}
