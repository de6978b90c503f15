package import KelterModel

extension Store {
    /// Says for each item what the database has to say about it, before any of it is parsed or embedded.
    ///
    /// The items are judged independently of each other: of two new items with the same bytes both are
    /// ``GuardVerdict/new``. The answer is a forecast; ``write(_:run:tenant:)`` decides again, inside its transaction.
    ///
    /// - Parameters:
    ///   - keys: Any number of items; a few hundred at a time are efficient.
    ///   - tenant: Whose documents are looked at.
    /// - Returns: One verdict for each key, in order.
    /// - Throws: ``KelterError`` with ``ErrorCode/databaseUnavailable``, ``ErrorCode/schemaMissing`` and others.
    package func probe(_ keys: [GuardKey], tenant: Tenant) async throws(KelterError) -> [GuardVerdict] {
        guard !keys.isEmpty else { return [] }
        let schema = schema
        return try await reporting { () async throws(DatabaseFailure) in
            try await transaction(tenant: tenant) { connection throws(DatabaseFailure) in
                let rows = try connection.query(
                    GuardQuery.candidates(schema),
                    GuardQuery.parameters(keys, tenant: tenant)
                )
                let documents = (0..<rows.count).compactMap { rows.uuid($0, 0) }
                let state = try GuardQuery.readState(
                    connection,
                    schema: schema,
                    documents: documents,
                    names: keys.map(\.externalID)
                )
                return keys.map { state.decision(for: $0).verdict }
            }
        }
    }
}
