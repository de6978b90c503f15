import KelterModel

/// The statements that read what the guards decide on, for many items at once.
///
/// Items inside and outside collections are looked up apart: only so do the partial guard indexes apply.
enum GuardQuery {
    /// The identifiers of all documents that a key's source, name or hash leads to.
    ///
    /// Parameters: $1 tenant, $2 names and $3 hashes outside collections, $4 collections, $5 names and $6 hashes
    /// inside.
    static func candidates(_ schema: SQLIdentifier) -> String {
        """
        SELECT s.document_id FROM unnest($2::text[]) k(name)
            JOIN \(schema).sources s ON s.tenant_id = $1 AND s.collection_id IS NULL AND s.external_id = k.name
        UNION
        SELECT d.id FROM unnest($2::text[]) k(name)
            JOIN \(schema).documents d ON d.tenant_id = $1 AND d.collection_id IS NULL AND d.external_id = k.name
        UNION
        SELECT d.id FROM unnest($3::text[]) k(hash)
            JOIN \(schema).documents d ON d.tenant_id = $1 AND d.collection_id IS NULL AND d.hash = k.hash
        UNION
        SELECT s.document_id FROM unnest($4::uuid[], $5::text[]) k(collection, name)
            JOIN \(schema).sources s
                ON s.tenant_id = $1 AND s.collection_id = k.collection AND s.external_id = k.name
        UNION
        SELECT d.id FROM unnest($4::uuid[], $5::text[]) k(collection, name)
            JOIN \(schema).documents d
                ON d.tenant_id = $1 AND d.collection_id = k.collection AND d.external_id = k.name
        UNION
        SELECT d.id FROM unnest($4::uuid[], $6::text[]) k(collection, hash)
            JOIN \(schema).documents d ON d.tenant_id = $1 AND d.collection_id = k.collection AND d.hash = k.hash
        """
    }

    /// The parameters of ``candidates(_:)``.
    static func parameters(_ keys: [GuardKey], tenant: Tenant) -> [Parameter] {
        let outside = keys.filter { $0.collection == nil }
        let inside = keys.filter { $0.collection != nil }
        return [
            .uuid(tenant.rowID), .texts(outside.map(\.externalID)), .texts(outside.map(\.hash.hex)),
            .uuids(inside.map(\.collection)), .texts(inside.map(\.externalID)), .texts(inside.map(\.hash.hex)),
        ]
    }

    /// The documents and their sources: one row per source, at least one per document.
    ///
    /// Of a document with very many sources only so many are read that one is left when every key leaves it, besides
    /// those the keys name.
    ///
    /// Parameters: $1 document identifiers, $2 the names of the keys, $3 how many sources at most.
    private static func state(_ schema: SQLIdentifier) -> String {
        """
        SELECT d.id, d.collection_id, d.external_id, d.hash, d.metadata_hash, d.deleted_at IS NOT NULL, s.external_id,
            s.content_hash
        FROM \(schema).documents d
        LEFT JOIN LATERAL (
            (SELECT external_id, content_hash FROM \(schema).sources WHERE document_id = d.id ORDER BY external_id
             LIMIT $3)
            UNION
            SELECT external_id, content_hash FROM \(schema).sources WHERE document_id = d.id AND external_id = ANY ($2)
        ) s ON true
        WHERE d.id = ANY ($1)
        """
    }

    /// Locks the documents the keys lead to, so that other writers cannot take sources from them, and reads them.
    static func lockedState(
        _ connection: isolated Connection,
        schema: SQLIdentifier,
        keys: [GuardKey],
        documents: [RowID] = [],
        tenant: Tenant
    ) throws(DatabaseFailure) -> GuardState {
        try lockedState(
            connection,
            schema: schema,
            parameters: parameters(keys, tenant: tenant),
            documents: documents,
            names: keys.map(\.externalID)
        )
    }

    /// Locks and reads the documents that sources of these names link.
    static func lockedState(
        _ connection: isolated Connection,
        schema: SQLIdentifier,
        names: [String],
        scope: CollectionID?,
        tenant: Tenant
    ) throws(DatabaseFailure) -> GuardState {
        let parameters: [Parameter] =
            scope == nil
            ? [.uuid(tenant.rowID), .texts(names), .texts([]), .uuids([]), .texts([]), .texts([])]
            : [
                .uuid(tenant.rowID), .texts([]), .texts([]), .uuids(names.map { _ in scope }), .texts(names),
                .texts([]),
            ]
        return try lockedState(connection, schema: schema, parameters: parameters, names: names)
    }

    private static func lockedState(
        _ connection: isolated Connection,
        schema: SQLIdentifier,
        parameters: [Parameter],
        documents: [RowID] = [],
        names: [String]
    ) throws(DatabaseFailure) -> GuardState {
        let rows = try connection.query(
            """
            SELECT id FROM \(schema).documents
            WHERE id IN (\(candidates(schema)) UNION SELECT unnest($7::uuid[])) AND tenant_id = $1
            ORDER BY id FOR UPDATE
            """,
            parameters + [.uuids(documents)]
        )
        let documents = (0..<rows.count).compactMap { rows.uuid($0, 0) }
        return try readState(connection, schema: schema, documents: documents, names: names)
    }

    /// Reads the state of these documents, with the sources of these names.
    static func readState(
        _ connection: isolated Connection,
        schema: SQLIdentifier,
        documents: [RowID],
        names: [String]
    ) throws(DatabaseFailure) -> GuardState {
        guard !documents.isEmpty else { return GuardState(documents: [], sources: []) }
        let rows = try connection.query(
            state(schema),
            [.uuids(documents), .texts(names), .int(names.count + 1)]
        )
        var found: [RowID: GuardState.Document] = [:]
        var sources: [(GuardState.Scoped, RowID)] = []
        var hashes: [GuardState.Scoped: String] = [:]
        for row in 0..<rows.count {
            guard let id = rows.uuid(row, 0), let name = rows.text(row, 2), let hash = rows.text(row, 3) else {
                continue
            }
            let scope = rows.uuid(row, 1)
            if found[id] == nil {
                found[id] = GuardState.Document(
                    id: id,
                    scope: scope,
                    externalID: name,
                    hash: hash,
                    metadataHash: rows.text(row, 4) ?? "",
                    isDeleted: rows.bool(row, 5) ?? false
                )
            }
            guard let source = rows.text(row, 6) else { continue }
            sources.append((GuardState.Scoped(scope: scope, value: source), id))
            if let hash = rows.text(row, 7) { hashes[GuardState.Scoped(scope: scope, value: source)] = hash }
        }
        return GuardState(documents: Array(found.values), sources: sources, hashes: hashes)
    }
}
