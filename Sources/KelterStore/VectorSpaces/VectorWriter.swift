import KelterModel

/// Writes recomputed vectors inside a transaction of the tenant.
struct VectorWriter: Sendable {
    let schema: SQLIdentifier
    /// Where the vectors go: ``schema`` or the one that stands by.
    let targetSchema: SQLIdentifier
    let dimension: Int
    let model: String?
    /// How long one statement may take, apart from the time for its rows.
    let statementTimeoutMilliseconds: Int64

    init(store: Store, target: EmbeddingTarget) throws(KelterError) {
        schema = store.schema
        model = store.configuration.model
        statementTimeoutMilliseconds = store.configuration.statementTimeoutMilliseconds
        (targetSchema, dimension) = try store.place(of: target)
    }

    private var isCurrent: Bool { targetSchema == schema }

    func write(
        _ documents: [RecomputedDocument],
        run: RowID,
        tenant: Tenant,
        on connection: isolated Connection
    ) throws(DatabaseFailure) -> Set<RowID> {
        let chunks = documents.reduce(0) { $0 + $1.vectors.count }
        try connection.run(
            "SET LOCAL statement_timeout TO "
                + "\(statementTimeoutMilliseconds + Int64(chunks) * VectorStaging.millisecondsPerVector)"
        )
        try VectorSpaceModel(schema: targetSchema).check(model, stamps: isCurrent, on: connection)
        let unchanged = try unchanged(documents, tenant: tenant, on: connection)
        let written = documents.filter { unchanged.contains($0.document.id) }
        let rows = written.flatMap { document in
            zip(document.document.chunks, zip(document.inputHashes, document.vectors)).map { chunk, new in
                VectorStaging.Row(chunk: chunk.id, inputHash: new.0, vector: new.1)
            }
        }
        try VectorStaging.stage(rows, dimension: dimension, on: connection)
        try connection.execute(
            """
            INSERT INTO \(targetSchema).embeddings (chunk_id, tenant_id, collection_id, embedding)
            SELECT v.chunk_id, $1, c.collection_id, v.embedding
            FROM pg_temp.kelter_vectors v JOIN \(schema).chunks c ON c.id = v.chunk_id AND c.tenant_id = $1
            WHERE v.embedding IS NOT NULL
            ON CONFLICT (chunk_id) DO UPDATE SET embedding = excluded.embedding, collection_id = excluded.collection_id
            """,
            [.uuid(tenant.rowID)]
        )
        _ = try VectorStaging.deleteEmpty(from: targetSchema, tenant: tenant, on: connection)
        if isCurrent { try refreshRows(written, tenant: tenant, on: connection) }
        let items = written.map {
            RunItem(
                collection: $0.document.collection,
                externalID: $0.document.externalID,
                outcome: .updated,
                document: $0.document.id
            )
        }
        try Ledger(run: run, tenant: tenant, schema: schema).record(items, on: connection)
        return Set(documents.map(\.document.id)).subtracting(unchanged)
    }

    /// The documents that are as they were read; the others have newer content, which nobody may overwrite.
    private func unchanged(
        _ documents: [RecomputedDocument],
        tenant: Tenant,
        on connection: isolated Connection
    ) throws(DatabaseFailure) -> Set<RowID> {
        // In the order of their identifiers, as the writers of documents take the same locks.
        let rows = try connection.query(
            """
            SELECT d.id FROM \(schema).documents d
            JOIN unnest($2::uuid[], $3::bigint[]) k(id, generation) ON k.id = d.id AND k.generation = d.generation
            WHERE d.tenant_id = $1 ORDER BY d.id FOR UPDATE OF d
            """,
            [
                .uuid(tenant.rowID), .uuids(documents.map(\.document.id)), .ints(documents.map(\.document.generation)),
            ]
        )
        return Set((0..<rows.count).compactMap { rows.uuid($0, 0) })
    }

    /// Notes what the vectors are of, so that a later ingestion recognises texts that did not change.
    private func refreshRows(
        _ documents: [RecomputedDocument],
        tenant: Tenant,
        on connection: isolated Connection
    ) throws(DatabaseFailure) {
        try connection.execute(
            """
            UPDATE \(schema).chunks c SET input_hash = v.input_hash
            FROM pg_temp.kelter_vectors v
            WHERE c.id = v.chunk_id AND c.tenant_id = $1 AND c.input_hash IS DISTINCT FROM v.input_hash
            """,
            [.uuid(tenant.rowID)]
        )
        try connection.execute(
            """
            UPDATE \(schema).documents SET embedding_model = $3
            WHERE tenant_id = $1 AND id = ANY ($2) AND embedding_model IS DISTINCT FROM $3 AND $3 IS NOT NULL
            """,
            [.uuid(tenant.rowID), .uuids(documents.map(\.document.id)), .text(model)]
        )
    }
}
