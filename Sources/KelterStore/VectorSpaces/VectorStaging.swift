import KelterModel

/// The temporary table `kelter_vectors`, from which one statement overwrites any number of vectors.
enum VectorStaging {
    /// What one insertion into a large HNSW index may take on a slow disk.
    static let millisecondsPerVector: Int64 = 100

    struct Row: Sendable {
        let chunk: RowID
        var inputHash: ContentHash?
        let vector: UnitVector
    }

    /// Fills the table for the rest of the transaction; ``UnitVector/empty`` is a NULL in it.
    static func stage(
        _ rows: [Row],
        dimension: Int,
        on connection: isolated Connection
    ) throws(DatabaseFailure) {
        try connection.run(
            """
            CREATE TEMPORARY TABLE kelter_vectors (
                chunk_id uuid, input_hash bytea, embedding public.vector(\(dimension))
            ) ON COMMIT DROP
            """
        )
        try connection.copy("COPY pg_temp.kelter_vectors FROM STDIN (FORMAT binary)", count: rows.count) {
            index,
            buffer in
            let row = rows[index]
            buffer.append(Int16(3))
            buffer.appendField { $0.append(row.chunk) }
            if let hash = row.inputHash {
                buffer.appendField { $0.append(hash.bytes) }
            } else {
                buffer.appendNull()
            }
            if let values = row.vector.values {
                buffer.appendField { $0.append(vector: values) }
            } else {
                buffer.appendNull()
            }
        }
    }

    /// Removes the vectors of chunks that have none any more.
    static func deleteEmpty(
        from schema: SQLIdentifier,
        tenant: Tenant,
        on connection: isolated Connection
    ) throws(DatabaseFailure) -> Int {
        try connection.execute(
            """
            DELETE FROM \(schema).embeddings e USING pg_temp.kelter_vectors v
            WHERE e.chunk_id = v.chunk_id AND e.tenant_id = $1 AND v.embedding IS NULL
            """,
            [.uuid(tenant.rowID)]
        )
    }
}
