package import KelterModel

/// What was done about vectors that are not unit vectors.
package struct NormalisationReport: Sendable, Equatable {
    /// Vectors brought to length 1.
    package var normalised = 0
    /// Vectors without direction, which were removed; their chunks stay.
    package var removed = 0

    package init() {}
}

extension Store {
    /// Brings a tenant's next vectors to length 1 where they are, without asking any model.
    ///
    /// Each call is one transaction: an interrupted run begins again and finds only what is left.
    ///
    /// - Parameters:
    ///   - position: The last chunk seen; `nil` at the beginning.
    ///   - limit: How many vectors at most.
    ///   - tenant: Whose vectors.
    /// - Returns: What was done, and the last chunk seen; `nil` when there are no more.
    /// - Throws: ``KelterError`` of the database.
    package func normaliseVectors(
        after position: RowID?,
        limit: Int = 1000,
        tenant: Tenant
    ) async throws(KelterError) -> (report: NormalisationReport, last: RowID?) {
        let schema = schema
        let dimension = configuration.dimension
        return try await tenantCall(tenant) { connection throws(DatabaseFailure) in
            // The next vectors may lie behind any number of good ones, and each goes through the index.
            try connection.run("SET LOCAL statement_timeout TO 0")
            // Locked, because an ingestion may replace a row at the same time.
            let rows = try connection.query(
                """
                SELECT chunk_id, embedding FROM \(schema).embeddings
                WHERE tenant_id = $1 AND chunk_id > coalesce($2, '00000000-0000-0000-0000-000000000000'::uuid)
                    AND abs(public.vector_norm(embedding) - 1) > 1e-6
                ORDER BY chunk_id LIMIT \(limit) FOR UPDATE
                """,
                [.uuid(tenant.rowID), .uuid(position)]
            )
            var vectors: [VectorStaging.Row] = []
            for row in 0..<rows.count {
                guard let chunk = rows.uuid(row, 0), let vector = rows.vector(row, 1) else { continue }
                do throws(KelterError) {
                    let unit = try UnitVector(normalising: vector, dimension: dimension)
                    vectors.append(VectorStaging.Row(chunk: chunk, vector: unit))
                } catch {
                    throw .finding(error)
                }
            }
            guard let last = vectors.last?.chunk else { return (NormalisationReport(), nil) }
            try VectorStaging.stage(vectors, dimension: dimension, on: connection)
            var report = NormalisationReport()
            report.normalised = try connection.execute(
                """
                UPDATE \(schema).embeddings e SET embedding = v.embedding
                FROM pg_temp.kelter_vectors v WHERE v.chunk_id = e.chunk_id AND v.embedding IS NOT NULL
                """
            )
            report.removed = try VectorStaging.deleteEmpty(from: schema, tenant: tenant, on: connection)
            return (report, last)
        }
    }
}
