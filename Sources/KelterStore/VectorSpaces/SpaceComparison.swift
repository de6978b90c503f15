package import KelterModel

/// How alike the neighbours of the same chunks are in two spaces.
package struct SpaceComparison: Sendable, Equatable {
    /// Chunks whose neighbours were compared.
    package var samples = 0
    /// The neighbours that both spaces have in common, summed over the samples.
    package var shared = 0
    /// The neighbours looked at, summed over the samples.
    package var neighbours = 0

    package init() {}

    /// The mean overlap, 0 to 1; `nil` without samples.
    package var overlap: Double? { neighbours == 0 ? nil : Double(shared) / Double(neighbours) }
}

extension Store {
    /// Compares the space that is searched with the one that stands by, for one tenant.
    ///
    /// Each of some random chunks is a question: its `neighbours` nearest other chunks are found exactly in both spaces,
    /// and counted where they are the same.
    ///
    /// - Parameters:
    ///   - samples: How many chunks.
    ///   - neighbours: How many neighbours of each.
    ///   - tenant: Whose chunks.
    /// - Returns: The counts.
    /// - Throws: ``KelterError`` with ``ErrorCode/vectorSpaceMissing`` and others.
    package func compareSpaces(
        samples: Int,
        neighbours: Int = 10,
        tenant: Tenant
    ) async throws(KelterError) -> SpaceComparison {
        guard try await standbySpace() != nil else { throw try Self.standbyMissing(standbySchema) }
        let (schema, standby) = (schema, try standbySchema)
        return try await tenantCall(tenant) { connection throws(DatabaseFailure) in
            try connection.run("SET LOCAL statement_timeout TO 0")
            let rows = try connection.query(
                """
                WITH sample AS MATERIALIZED (
                    SELECT s.chunk_id, s.embedding AS new, e.embedding AS old
                    FROM \(standby).embeddings s JOIN \(schema).embeddings e USING (chunk_id)
                    WHERE s.tenant_id = $1 AND e.tenant_id = $1 ORDER BY random() LIMIT \(samples)
                )
                SELECT count(*), coalesce(sum(n.shared), 0)::bigint, coalesce(sum(n.looked), 0)::bigint FROM sample p,
                LATERAL (
                    SELECT count(*) FILTER (WHERE a.chunk_id = ANY (b.ids)) AS shared, count(*) AS looked
                    FROM (
                        SELECT e.chunk_id FROM \(schema).embeddings e
                        WHERE e.tenant_id = $1 AND e.chunk_id <> p.chunk_id
                        ORDER BY (e.embedding <=> p.old) + 0, e.chunk_id LIMIT \(neighbours)
                    ) a,
                    (
                        SELECT array_agg(x.chunk_id) AS ids FROM (
                            SELECT s.chunk_id FROM \(standby).embeddings s
                            WHERE s.tenant_id = $1 AND s.chunk_id <> p.chunk_id
                            ORDER BY (s.embedding <=> p.new) + 0, s.chunk_id LIMIT \(neighbours)
                        ) x
                    ) b
                ) n
                """,
                [.uuid(tenant.rowID)]
            )
            var comparison = SpaceComparison()
            comparison.samples = rows.int(0, 0) ?? 0
            comparison.shared = rows.int(0, 1) ?? 0
            comparison.neighbours = rows.int(0, 2) ?? 0
            return comparison
        }
    }
}
