import KelterModel

/// The statements of the ledger.
enum Ledger {
    /// Records the last outcome of items; an item recorded before, by an interrupted attempt, is overwritten.
    ///
    /// Of items with the same name and scope the last one stands: the key of the ledger has room for one.
    static func record(
        _ items: [RunItem],
        run: RowID,
        tenant: Tenant,
        schema: SQLIdentifier,
        on connection: isolated Connection
    ) throws(DatabaseFailure) {
        var latest: [GuardState.Scoped: RunItem] = [:]
        for item in items { latest[GuardState.Scoped(scope: item.collection, value: item.externalID)] = item }
        let items = Array(latest.values)
        guard !items.isEmpty else { return }
        try connection.execute(
            """
            INSERT INTO \(schema).run_items
                (run_id, tenant_id, collection_id, external_id, outcome, code, detail, document_id, bytes)
            SELECT $1, $2, k.*
            FROM unnest($3::uuid[], $4::text[], $5::text[], $6::text[], $7::text[], $8::uuid[], $9::bigint[])
                AS k(collection_id, external_id, outcome, code, detail, document_id, bytes)
            ON CONFLICT ON CONSTRAINT run_items_key DO UPDATE SET outcome = excluded.outcome, code = excluded.code,
                detail = excluded.detail, document_id = excluded.document_id, bytes = excluded.bytes,
                finished_at = now()
            """,
            [
                .uuid(run), .uuid(tenant.rowID), .uuids(items.map(\.collection)), .texts(items.map(\.externalID)),
                .texts(items.map(\.outcome.rawValue)), .texts(items.map { $0.code?.rawValue }),
                .texts(items.map(\.detail)), .uuids(items.map(\.document)), .ints(items.map(\.bytes)),
            ]
        )
    }
}
