package import KelterModel

/// The name of a source in its scope.
package struct SourceName: Hashable, Sendable {
    /// The collection, or `nil` outside collections.
    package let collection: CollectionID?
    package let externalID: String
}

extension Store {
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
