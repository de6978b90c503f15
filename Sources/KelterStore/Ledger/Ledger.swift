import KelterModel

/// The statements of one run's ledger.
struct Ledger: Sendable {
    let run: RowID
    let tenant: Tenant
    let schema: SQLIdentifier

    /// Records the last outcome of items; an item recorded before, by an interrupted attempt, is overwritten.
    ///
    /// Items of a part that is another process's by now are left out: it records them itself. Of items with the same name,
    /// scope and path the last one stands.
    func record(_ items: [RunItem], on connection: isolated Connection) throws(DatabaseFailure) {
        let lost = try lostLeases(items.compactMap(\.place.lease), on: connection)
        var latest: [Key: RunItem] = [:]
        for item in items where item.place.lease.map({ !lost.contains($0) }) ?? true {
            latest[Key(scope: item.collection, name: item.externalID, path: item.place.path)] = item
        }
        let items = Array(latest.values)
        guard !items.isEmpty else { return }
        try connection.execute(
            """
            INSERT INTO \(schema).run_items AS i
                (run_id, tenant_id, collection_id, external_id, outcome, code, detail, document_id, bytes, path, part, space,
                chunks, embeddings, attempts)
            SELECT $1, $2, k.*
            FROM unnest(
                $3::uuid[], $4::text[], $5::text[], $6::text[], $7::text[], $8::uuid[], $9::bigint[], $10::text[],
                $11::bigint[], $12::text[], $13::bigint[], $14::bigint[],
                $15::bigint[]
            ) AS k(
                collection_id, external_id, outcome, code, detail, document_id, bytes, path, part, space, chunks, embeddings,
                attempts
            )
            ON CONFLICT ON CONSTRAINT run_items_key DO UPDATE SET outcome = excluded.outcome, code = excluded.code,
                detail = excluded.detail, document_id = excluded.document_id, bytes = excluded.bytes,
                part = excluded.part, space = excluded.space, chunks = excluded.chunks,
                embeddings = excluded.embeddings, attempts = i.attempts + 1, dropped_at = NULL, finished_at = now()
            """,
            [
                .uuid(run), .uuid(tenant.rowID), .uuids(items.map(\.collection)), .texts(items.map(\.externalID)),
                .texts(items.map(\.outcome.rawValue)), .texts(items.map { $0.code?.rawValue }),
                .texts(items.map(\.detail)), .uuids(items.map(\.document)), .ints(items.map(\.bytes)),
                .texts(items.map(\.place.path)), .ints(items.map(\.place.lease?.part)),
                .texts(items.map(\.place.space)),
                .ints(items.map(\.chunks)), .ints(items.map(\.embeddings)), .ints(items.map(\.place.attempts)),
            ]
        )
    }

    /// Which of these leases have ended.
    ///
    /// Until the end of the transaction nobody can take over those that have not. They can be prolonged, which is why it
    /// is a key lock: a transaction may be longer than a lease.
    func lostLeases(_ leases: [PartLease], on connection: isolated Connection) throws(DatabaseFailure) -> Set<PartLease>
    {
        let leases = Set(leases)
        guard !leases.isEmpty else { return [] }
        let rows = try connection.query(
            """
            SELECT part, lease_token FROM \(schema).run_parts
            WHERE run_id = $1 AND tenant_id = $2 AND part = ANY ($3) AND finished_at IS NULL
            ORDER BY part FOR KEY SHARE
            """,
            [.uuid(run), .uuid(tenant.rowID), .ints(leases.map(\.part))]
        )
        var lost = leases
        for row in 0..<rows.count {
            guard let part = rows.int(row, 0), let token = rows.int(row, 1) else { continue }
            lost.remove(PartLease(part: part, token: token))
        }
        return lost
    }

    /// Which of these items bear a name that another file of the batch has already.
    ///
    /// Two files with one name would replace each other for ever. Of files that failed nothing is stored, so they take no
    /// name away.
    func takenNames(_ keys: [Key], on connection: isolated Connection) throws(DatabaseFailure) -> Set<Key> {
        let keys = keys.filter { !$0.path.isEmpty }
        guard !keys.isEmpty else { return [] }
        let rows = try connection.query(
            """
            SELECT k.place FROM unnest($3::uuid[], $4::text[], $5::text[]) WITH ORDINALITY
                AS k(collection_id, external_id, path, place)
            WHERE EXISTS (
                SELECT FROM \(schema).run_items i
                WHERE i.run_id = $1 AND i.tenant_id = $2 AND i.external_id = k.external_id
                    AND i.collection_id IS NOT DISTINCT FROM k.collection_id AND i.path NOT IN (k.path, '')
                    AND i.outcome <> 'failed'
            )
            """,
            [
                .uuid(run), .uuid(tenant.rowID), .uuids(keys.map(\.scope)), .texts(keys.map(\.name)),
                .texts(keys.map(\.path)),
            ]
        )
        return Set((0..<rows.count).compactMap { rows.int($0, 0) }.map { keys[$0 - 1] })
    }

    /// What makes an item one row.
    struct Key: Hashable {
        let scope: CollectionID?
        let name: String
        let path: String
    }
}
