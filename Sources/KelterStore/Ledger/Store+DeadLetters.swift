package import KelterModel

// The failed items of a run are its dead letters until they are retried or dropped.
extension Store {
    /// Puts the failed inputs of a batch into new parts, and takes their items out of the ledger.
    ///
    /// An input with several scopes is worked on in all of them again. What was no file, such as a directory that could not
    /// be read, is found anew by a repetition of the batch only.
    ///
    /// - Parameters:
    ///   - names: Only dead letters of these names; `nil` for all that were not dropped.
    ///   - coordinator: The run, taken up where it was.
    /// - Returns: How many inputs will be worked on again.
    /// - Throws: ``KelterError`` with ``ErrorCode/leaseLost`` when the run is another coordinator's by now, and others of
    ///   the database.
    package func reopenFailed(_ names: [String]?, of coordinator: ClaimedRun) async throws(KelterError) -> Int {
        let (schema, run, tenant) = (ledgerSchema, coordinator.run.id, coordinator.tenant)
        return try await tenantCall(tenant) { connection throws(DatabaseFailure) in
            guard try coordinator.isValid(schema, on: connection) else { throw .finding(coordinator.lost) }
            let keys: [Parameter] = [.uuid(run), .uuid(tenant.rowID)]
            try connection.run("DROP TABLE IF EXISTS pg_temp.kelter_retried")
            try connection.execute(
                """
                CREATE TEMPORARY TABLE kelter_retried ON COMMIT DROP AS
                SELECT p.part, e.entry, e.place, f.path, f.attempts
                FROM (
                    SELECT part, path, max(attempts) AS attempts FROM \(schema).run_items
                    WHERE run_id = $1 AND tenant_id = $2 AND outcome = 'failed' AND part IS NOT NULL
                        AND CASE WHEN $3 THEN dropped_at IS NULL ELSE external_id = ANY ($4) END
                    GROUP BY part, path
                ) f
                JOIN \(schema).run_parts p ON p.run_id = $1 AND p.tenant_id = $2 AND p.part = f.part
                    AND p.finished_at IS NOT NULL
                CROSS JOIN LATERAL jsonb_array_elements(p.entries) WITH ORDINALITY AS e (entry, place)
                WHERE e.entry ->> 'path' = f.path AND NOT e.entry ? 'failed'
                """,
                keys + [.bool(names == nil), .texts(names ?? [])]
            )
            try connection.execute(
                """
                UPDATE \(schema).run_parts p SET
                    items = p.items - (
                        SELECT count(*) FROM \(schema).run_items i JOIN kelter_retried r USING (part, path)
                        WHERE i.run_id = $1 AND i.tenant_id = $2 AND i.part = p.part
                    ),
                    entries = (
                        SELECT coalesce(jsonb_agg(e.entry ORDER BY e.place), '[]')
                        FROM jsonb_array_elements(p.entries) WITH ORDINALITY AS e (entry, place)
                        WHERE e.entry ->> 'path' NOT IN (SELECT path FROM kelter_retried r WHERE r.part = p.part)
                    )
                WHERE p.run_id = $1 AND p.tenant_id = $2 AND p.part IN (SELECT part FROM kelter_retried)
                """,
                keys
            )
            try connection.execute(
                """
                DELETE FROM \(schema).run_items i USING kelter_retried r
                WHERE i.run_id = $1 AND i.tenant_id = $2 AND i.part = r.part AND i.path = r.path
                """,
                keys
            )
            let rows = try connection.query(
                """
                WITH last AS (
                    SELECT max(part) + 1 AS part FROM \(schema).run_parts WHERE run_id = $1 AND tenant_id = $2
                ), numbered AS (
                    SELECT entry || jsonb_build_object('attempts', attempts + 1) AS entry,
                        row_number() OVER (ORDER BY part, place) - 1 AS number
                    FROM kelter_retried
                ), added AS (
                    INSERT INTO \(schema).run_parts (run_id, tenant_id, part, entries)
                    SELECT $1, $2, last.part + number / \(Self.retriedPerPart), jsonb_agg(entry ORDER BY number)
                    FROM numbered, last GROUP BY last.part, number / \(Self.retriedPerPart)
                )
                SELECT count(*), pg_current_xact_id()::text FROM kelter_retried
                """,
                keys
            )
            connection.transactionID = rows.text(0, 1)
            return rows.int(0, 0) ?? 0
        }
    }

    /// How many dead letters make a part.
    private static let retriedPerPart = 256

    /// Puts a run of the queue whose documents failed back into it.
    ///
    /// - Returns: Whether it was one; what is stored already is recognised when it is worked on.
    package func requeueFailed(_ run: RowID, tenant: Tenant) async throws(KelterError) -> Bool {
        let schema = ledgerSchema
        return try await tenantCall(tenant) { connection throws(DatabaseFailure) in
            try connection.execute(
                """
                UPDATE \(schema).runs SET status = 'queued', attempts = 0, finished_at = NULL, error = NULL,
                    not_before = NULL, lease_until = NULL, lease_owner = NULL
                WHERE id = $1 AND tenant_id = $2 AND status IN ('failed', 'partial') AND kind <> 'ingest'
                    AND lease_token > 0
                """,
                [.uuid(run), .uuid(tenant.rowID)]
            ) == 1
        }
    }

    /// Drops dead letters: they stay in the ledger as failed and are not retried unless by name.
    ///
    /// - Parameters:
    ///   - names: Their names; `nil` for all.
    ///   - run: The run.
    ///   - tenant: Whose run it is.
    /// - Returns: How many were dropped.
    /// - Throws: ``KelterError`` with ``ErrorCode/runNotFound``, and others of the database.
    package func dropDeadLetters(
        _ names: [String]?,
        of run: RowID,
        tenant: Tenant
    ) async throws(KelterError) -> Int {
        let schema = ledgerSchema
        _ = try await self.run(run, tenant: tenant)
        return try await tenantCall(tenant) { connection throws(DatabaseFailure) in
            try connection.execute(
                """
                UPDATE \(schema).run_items SET dropped_at = now()
                WHERE run_id = $1 AND tenant_id = $2 AND outcome = 'failed' AND dropped_at IS NULL
                    AND ($3 OR external_id = ANY ($4))
                """,
                [.uuid(run), .uuid(tenant.rowID), .bool(names == nil), .texts(names ?? [])]
            )
        }
    }

    /// How many dead letters runs have.
    ///
    /// - Parameters:
    ///   - runs: The runs.
    ///   - tenant: Whose runs they are.
    /// - Returns: The number of each that has any.
    /// - Throws: ``KelterError`` of the database.
    package func deadLetters(of runs: [RowID], tenant: Tenant) async throws(KelterError) -> [RowID: Int] {
        let schema = ledgerSchema
        return try await tenantCall(tenant) { connection throws(DatabaseFailure) in
            let rows = try connection.query(
                """
                SELECT run_id, count(*) FROM \(schema).run_items
                WHERE tenant_id = $1 AND run_id = ANY ($2) AND outcome = 'failed' AND dropped_at IS NULL
                GROUP BY run_id
                """,
                [.uuid(tenant.rowID), .uuids(runs)]
            )
            var counts: [RowID: Int] = [:]
            for row in 0..<rows.count {
                if let run = rows.uuid(row, 0) { counts[run] = rows.int(row, 1) ?? 0 }
            }
            return counts
        }
    }
}
