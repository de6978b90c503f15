package import KelterModel

extension Store {
    /// Removes entries from a tenant's part of the embedding cache, those that were not used for the longest time first.
    ///
    /// An entry goes when one of the three conditions is against it. Each transaction removes at most 10,000 entries and
    /// passes over what others have locked, so that nobody waits; entries that come meanwhile may stay.
    ///
    /// - Parameters:
    ///   - age: Entries that were not used for so long go; their use is known to the day. `nil`: whatever their age.
    ///   - maximumBytes: So much may stay, as ``cacheFigures(tenant:)`` counts it; `nil`: any size.
    ///   - fingerprint: Entries of other models go; `nil`: entries of all models may stay.
    ///   - tenant: Whose entries.
    /// - Returns: What was removed.
    /// - Throws: ``KelterError`` of the database; what was removed before stays removed.
    package func pruneCache(
        unusedFor age: Duration? = nil,
        maximumBytes: Int? = nil,
        keeping fingerprint: String? = nil,
        tenant: Tenant
    ) async throws(KelterError) -> CachePruning {
        let pruner = CachePruner(schema: schema, tenant: tenant)
        var removed = CachePruning()
        if let fingerprint {
            try await prune(pruner, where: "fingerprint <> $4", .text(fingerprint), &removed)
        }
        if let age {
            let seconds = Double(age.components.seconds) + Double(age.components.attoseconds) / 1e18
            try await prune(pruner, where: "used_at < now() - make_interval(secs => $4)", .double(seconds), &removed)
        }
        if let maximumBytes {
            let present = try await tenantCall(tenant) { connection throws(DatabaseFailure) in
                try pruner.bytes(on: connection)
            }
            let excess = present - max(maximumBytes, 0)
            if excess > 0 { try await prune(pruner, where: "$4::boolean", .bool(true), excess: excess, &removed) }
        }
        return removed
    }

    private func prune(
        _ pruner: CachePruner,
        where condition: String,
        _ parameter: Parameter,
        excess: Int = .max,
        _ removed: inout CachePruning
    ) async throws(KelterError) {
        var (excess, position) = (excess, "-infinity")
        while excess > 0 {
            let (left, start) = (excess, position)
            let batch = try await tenantCall(pruner.tenant) { connection throws(DatabaseFailure) in
                try pruner.removeBatch(where: condition, parameter, excess: left, from: start, on: connection)
            }
            guard batch.removed.entries > 0 else { return }
            removed.entries += batch.removed.entries
            removed.bytes += batch.removed.bytes
            excess -= batch.removed.bytes
            position = batch.position ?? position
        }
    }
}

/// Removes a tenant's entries in batches.
private struct CachePruner: Sendable {
    let schema: SQLIdentifier
    let tenant: Tenant

    /// So many entries at most in one statement.
    private static let batch = 10_000

    func bytes(on connection: isolated Connection) throws(DatabaseFailure) -> Int {
        try connection.run("SET LOCAL statement_timeout TO 0")
        return try connection.query(
            "SELECT coalesce(sum(\(EmbeddingCache.size)), 0)::bigint FROM \(schema).embedding_cache WHERE tenant_id = $1",
            [.uuid(tenant.rowID)]
        ).int(0, 0) ?? 0
    }

    /// Removes the next entries by their use, as long as those before them were less than the excess.
    ///
    /// - Parameters:
    ///   - condition: Which entries, with the parameter as `$4`.
    ///   - parameter: What the condition is about.
    ///   - excess: How many bytes are to go.
    ///   - position: The last use of the last entry removed: those before are not looked at again.
    ///   - connection: In a transaction of the tenant.
    /// - Returns: What was removed, and the new position.
    /// - Throws: ``DatabaseFailure``.
    func removeBatch(
        where condition: String,
        _ parameter: Parameter,
        excess: Int,
        from position: String,
        on connection: isolated Connection
    ) throws(DatabaseFailure) -> (removed: CachePruning, position: String?) {
        try connection.run("SET LOCAL statement_timeout TO 0; SET LOCAL synchronous_commit TO off")
        let rows = try connection.query(
            """
            WITH oldest AS MATERIALIZED (
                SELECT place, sum(bytes) OVER (ORDER BY used_at, place ROWS UNBOUNDED PRECEDING) - bytes AS before
                FROM (
                    SELECT ctid AS place, used_at, \(EmbeddingCache.size) AS bytes FROM \(schema).embedding_cache
                    WHERE tenant_id = $1 AND used_at >= $2::text::timestamptz AND \(condition)
                    ORDER BY used_at LIMIT \(Self.batch) FOR UPDATE SKIP LOCKED
                ) c
            ), gone AS (
                DELETE FROM \(schema).embedding_cache WHERE tenant_id = $1
                    AND ctid = ANY (ARRAY(SELECT place FROM oldest WHERE before < $3))
                RETURNING used_at, \(EmbeddingCache.size) AS bytes
            )
            SELECT count(*), coalesce(sum(bytes), 0)::bigint, max(used_at)::text FROM gone
            """,
            [.uuid(tenant.rowID), .text(position), .int(excess), parameter]
        )
        let removed = CachePruning(entries: rows.int(0, 0) ?? 0, bytes: rows.int(0, 1) ?? 0)
        return (removed, rows.text(0, 2))
    }
}
