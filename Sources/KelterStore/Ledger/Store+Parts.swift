package import KelterModel

extension Store {
    /// Adds parts to a batch, to be worked on in their order by whoever takes them.
    ///
    /// - Parameters:
    ///   - parts: The inputs of each, objects whose meaning is the caller's.
    ///   - coordinator: Who finds the inputs of the run; the only one who may add any.
    /// - Returns: The number of the first.
    /// - Throws: ``KelterError`` with ``ErrorCode/leaseLost`` when the run is another coordinator's by now, and others of
    ///   the database.
    @discardableResult
    package func addParts(_ parts: [[JSONValue]], to coordinator: ClaimedRun) async throws(KelterError) -> Int {
        let (schema, run, tenant) = (ledgerSchema, coordinator.run.id, coordinator.tenant)
        return try await tenantCall(tenant) { connection throws(DatabaseFailure) in
            guard try coordinator.isValid(schema, on: connection) else { throw .finding(coordinator.lost) }
            let rows = try connection.query(
                """
                WITH last AS (
                    SELECT coalesce(max(part), -1) AS part FROM \(schema).run_parts WHERE run_id = $1 AND tenant_id = $2
                ), added AS (
                    INSERT INTO \(schema).run_parts (run_id, tenant_id, part, entries)
                    SELECT $1, $2, last.part + p.place, p.entries
                    FROM last, unnest($3::jsonb[]) WITH ORDINALITY AS p (entries, place)
                )
                SELECT part + 1, pg_current_xact_id()::text FROM last
                """,
                [.uuid(run), .uuid(tenant.rowID), .jsons(parts.map { .array($0) })]
            )
            // Added twice, the inputs would be worked on twice.
            connection.transactionID = rows.text(0, 1)
            return rows.int(0, 0) ?? 0
        }
    }

    /// Takes the first part of a batch that nobody works on, or whose process has fallen silent.
    ///
    /// - Parameters:
    ///   - run: The batch.
    ///   - worker: Who works on it, for people to read.
    ///   - lease: For how long it is this process's, unless ``renewParts(_:of:tenant:for:)`` prolongs that.
    ///   - tenant: Whose batch it is.
    /// - Returns: The part; `nil` when there is none to take at present.
    /// - Throws: ``KelterError`` of the database.
    package func claimPart(
        of run: RowID,
        worker: String,
        lease: Duration,
        tenant: Tenant
    ) async throws(KelterError) -> RunPart? {
        let schema = ledgerSchema
        return try await tenantCall(tenant) { connection throws(DatabaseFailure) in
            let rows = try connection.query(
                """
                UPDATE \(schema).run_parts SET attempts = attempts + 1, lease_token = lease_token + 1, lease_owner = $3,
                    lease_until = clock_timestamp() + $4::text::interval
                WHERE run_id = $1 AND tenant_id = $2 AND part = (
                    SELECT part FROM \(schema).run_parts
                    WHERE run_id = $1 AND tenant_id = $2 AND finished_at IS NULL
                        AND coalesce(lease_until < clock_timestamp(), true)
                    -- A part into whose documents its former process is still writing is locked.
                    ORDER BY part LIMIT 1 FOR UPDATE SKIP LOCKED
                )
                RETURNING part, lease_token, attempts, entries
                """,
                [.uuid(run), .uuid(tenant.rowID), .text(worker), .text(Self.interval(lease))]
            )
            guard let part = rows.int(0, 0), let token = rows.int(0, 1) else { return nil }
            return RunPart(
                lease: PartLease(part: part, token: token),
                entries: rows.json(0, 3)?.array ?? [],
                attempts: rows.int(0, 2) ?? 1,
                recorded: token > 1 ? try Self.recorded(part, run, tenant, schema, on: connection) : [:]
            )
        }
    }

    private static func recorded(
        _ part: Int,
        _ run: RowID,
        _ tenant: Tenant,
        _ schema: SQLIdentifier,
        on connection: isolated Connection
    ) throws(DatabaseFailure) -> [String: Int] {
        let rows = try connection.query(
            """
            SELECT path, count(*) FROM \(schema).run_items WHERE run_id = $1 AND tenant_id = $2 AND part = $3
            GROUP BY path
            """,
            [.uuid(run), .uuid(tenant.rowID), .int(part)]
        )
        var recorded: [String: Int] = [:]
        for row in 0..<rows.count { recorded[rows.text(row, 0) ?? ""] = rows.int(row, 1) ?? 0 }
        return recorded
    }

    /// Prolongs leases; the heartbeat of a process.
    ///
    /// - Returns: Those that have been lost: another process has taken the part over, or the run is gone.
    package func renewParts(
        _ leases: [PartLease],
        of run: RowID,
        tenant: Tenant,
        for lease: Duration
    ) async throws(KelterError) -> Set<PartLease> {
        let held = try await changeParts(
            leases,
            of: run,
            tenant: tenant,
            "lease_until = clock_timestamp() + $5::text::interval",
            [.text(Self.interval(lease))]
        )
        return Set(leases).subtracting(held)
    }

    /// Gives parts back that are not finished: another process may take them up at once.
    ///
    /// - Parameters:
    ///   - leases: The parts.
    ///   - run: Their batch.
    ///   - tenant: Whose batch it is.
    ///   - countsAttempt: Whether this attempt counts: an interruption or an outage is no fault of the inputs.
    /// - Throws: ``KelterError`` of the database.
    package func releaseParts(
        _ leases: [PartLease],
        of run: RowID,
        tenant: Tenant,
        countsAttempt: Bool
    ) async throws(KelterError) {
        _ = try await changeParts(
            leases,
            of: run,
            tenant: tenant,
            "lease_until = NULL, lease_owner = NULL" + (countsAttempt ? "" : ", attempts = attempts - 1"),
            []
        )
    }

    /// Closes a part all of whose inputs have their outcome.
    ///
    /// - Parameters:
    ///   - lease: The part.
    ///   - items: How many items its inputs are, counted once per scope: what the ledger must hold for it.
    ///   - run: Its batch.
    ///   - tenant: Whose batch it is.
    /// - Returns: `false` when the part is another process's by now.
    /// - Throws: ``KelterError`` of the database.
    package func finishPart(
        _ lease: PartLease,
        items: Int,
        of run: RowID,
        tenant: Tenant
    ) async throws(KelterError) -> Bool {
        try await changeParts(
            [lease],
            of: run,
            tenant: tenant,
            "finished_at = clock_timestamp(), lease_until = NULL, items = $5::bigint::int",
            [.int(items)]
        ) == [lease]
    }

    /// Changes parts on condition that their leases are the latest.
    ///
    /// - Returns: Those that were changed.
    private func changeParts(
        _ leases: [PartLease],
        of run: RowID,
        tenant: Tenant,
        _ assignments: String,
        _ parameters: [Parameter]
    ) async throws(KelterError) -> Set<PartLease> {
        let schema = ledgerSchema
        return try await tenantCall(tenant) { connection throws(DatabaseFailure) in
            // Locked in the order in which the writers of items lock them.
            let rows = try connection.query(
                """
                WITH held AS (
                    SELECT p.part FROM \(schema).run_parts p
                    JOIN unnest($3::bigint[], $4::bigint[]) AS l (part, token)
                        ON p.part = l.part AND p.lease_token = l.token
                    WHERE p.run_id = $1 AND p.tenant_id = $2 AND p.finished_at IS NULL
                    ORDER BY p.part FOR NO KEY UPDATE OF p
                )
                UPDATE \(schema).run_parts p SET \(assignments) FROM held
                WHERE p.run_id = $1 AND p.tenant_id = $2 AND p.part = held.part
                RETURNING p.part, p.lease_token
                """,
                [.uuid(run), .uuid(tenant.rowID), .ints(leases.map(\.part)), .ints(leases.map(\.token))] + parameters
            )
            return Set(
                (0..<rows.count).compactMap { row in
                    guard let part = rows.int(row, 0), let token = rows.int(row, 1) else { return nil }
                    return PartLease(part: part, token: token)
                }
            )
        }
    }

    /// The `path` of every input that has been added to a batch.
    package func addedPaths(to run: RowID, tenant: Tenant) async throws(KelterError) -> Set<String> {
        let schema = ledgerSchema
        return try await tenantCall(tenant) { connection throws(DatabaseFailure) in
            let rows = try connection.query(
                """
                SELECT e ->> 'path' FROM \(schema).run_parts, jsonb_array_elements(entries) e
                WHERE run_id = $1 AND tenant_id = $2
                """,
                [.uuid(run), .uuid(tenant.rowID)]
            )
            return Set((0..<rows.count).compactMap { rows.text($0, 0) })
        }
    }

    /// How many inputs have been added to a batch.
    package func addedInputs(to run: RowID, tenant: Tenant) async throws(KelterError) -> Int {
        let schema = ledgerSchema
        return try await tenantCall(tenant) { connection throws(DatabaseFailure) in
            try connection.query(
                """
                SELECT coalesce(sum(jsonb_array_length(entries)), 0)::bigint FROM \(schema).run_parts
                WHERE run_id = $1 AND tenant_id = $2
                """,
                [.uuid(run), .uuid(tenant.rowID)]
            ).int(0, 0) ?? 0
        }
    }

    /// How far a batch has come.
    package func partCounts(of run: RowID, tenant: Tenant) async throws(KelterError) -> PartCounts {
        let schema = ledgerSchema
        return try await tenantCall(tenant) { connection throws(DatabaseFailure) in
            let rows = try connection.query(
                """
                SELECT count(*), count(finished_at), count(*) FILTER (WHERE lease_until >= clock_timestamp()),
                    coalesce(sum(items), 0)::bigint,
                    coalesce((SELECT found_at IS NOT NULL FROM \(schema).runs WHERE id = $1 AND tenant_id = $2), false)
                FROM \(schema).run_parts WHERE run_id = $1 AND tenant_id = $2
                """,
                [.uuid(run), .uuid(tenant.rowID)]
            )
            return PartCounts(
                added: rows.int(0, 0) ?? 0,
                finished: rows.int(0, 1) ?? 0,
                leased: rows.int(0, 2) ?? 0,
                items: rows.int(0, 3) ?? 0,
                isFound: rows.bool(0, 4) == true
            )
        }
    }
}

extension ClaimedRun {
    /// Whether the run is still this process's; until the end of the transaction nobody takes it over then.
    func isValid(_ schema: SQLIdentifier, on connection: isolated Connection) throws(DatabaseFailure) -> Bool {
        try connection.query(
            """
            SELECT FROM \(schema).runs WHERE id = $1 AND tenant_id = $2 AND lease_token = $3 AND status = 'running'
            FOR SHARE
            """,
            [.uuid(run.id), .uuid(tenant.rowID), .int(token)]
        ).count == 1
    }

    /// What to say when it is not.
    package var lost: KelterError {
        KelterError(
            .leaseLost,
            "The run \(run.id) was taken over by another process.",
            fix: "Nothing needs to be done: the other process completes it."
        )
    }
}
