package import KelterModel

/// What a process is to a batch that it takes part in.
package enum BatchRole: Sendable {
    /// It finds the inputs, works on parts and closes the run.
    case coordinator(ClaimedRun, BatchState)
    /// Another process does that, by its name; this one works on parts.
    case helper(of: String)
    /// It has ended with nothing left to do.
    case ended
}

/// Where a batch stood when its coordinator took it up.
package enum BatchState: Sendable, Equatable {
    /// Nothing has been found.
    case new
    /// Some inputs have been found.
    case partlyFound
    /// All inputs have been found.
    case found
}

extension Store {
    /// Enters a batch, or takes part in one.
    ///
    /// Of a batch that broke off, outcomes and parts stay as they are. One that failed as a whole begins anew.
    ///
    /// - Parameters:
    ///   - run: The batch.
    ///   - worker: Who works on it, for people to read.
    ///   - lease: For how long this process is its coordinator unless ``renewLease(of:for:)`` prolongs that.
    ///   - goesOn: Whether a batch that has ended is taken up where it was, too.
    ///   - tenant: Whose batch it is.
    /// - Returns: What this process is to it.
    /// - Throws: ``KelterError`` with ``ErrorCode/runNotFound`` when the identifier is that of another tenant's run.
    package func joinBatch(
        _ run: RunRecord,
        worker: String,
        lease: Duration,
        goesOn: Bool = false,
        tenant: Tenant
    ) async throws(KelterError) -> BatchRole {
        let schema = ledgerSchema
        return try await tenantCall(tenant) { connection throws(DatabaseFailure) in
            let before = try connection.query(
                """
                SELECT status IN ('running', 'interrupted'), found_at IS NOT NULL,
                    status = 'running' AND coalesce(lease_until >= clock_timestamp(), false), lease_owner,
                    status IN ('succeeded', 'partial')
                FROM \(schema).runs WHERE id = $1 AND tenant_id = $2 FOR UPDATE
                """,
                [.uuid(run.id), .uuid(tenant.rowID)]
            )
            if before.bool(0, 2) == true { return .helper(of: before.text(0, 3) ?? "") }
            if before.bool(0, 4) == true, !goesOn { return .ended }
            let goesOn = before.bool(0, 0) == true || goesOn && before.count == 1
            let rows = try connection.query(
                """
                INSERT INTO \(schema).runs AS r
                    (id, tenant_id, case_id, kind, status, arguments, lease_token, lease_owner, lease_until)
                VALUES ($1, $2, $3, $4, 'running', $5, 1, $6, clock_timestamp() + $7::text::interval)
                ON CONFLICT (id) DO UPDATE SET status = 'running', finished_at = NULL, error = NULL,
                    lease_token = r.lease_token + 1, lease_owner = $6,
                    lease_until = clock_timestamp() + $7::text::interval,
                    found_at = CASE WHEN $8 THEN r.found_at END
                WHERE r.tenant_id = excluded.tenant_id
                RETURNING lease_token
                """,
                [
                    .uuid(run.id), .uuid(tenant.rowID), .text(run.caseID), .text(run.kind), .json(run.arguments),
                    .text(worker), .text(Self.interval(lease)), .bool(goesOn),
                ]
            )
            guard let token = rows.int(0, 0) else { throw .finding(Self.runNotFound(run.id)) }
            if !goesOn {
                for table in ["run_items", "run_parts"] {
                    try connection.execute(
                        "DELETE FROM \(schema).\(table) WHERE run_id = $1 AND tenant_id = $2",
                        [.uuid(run.id), .uuid(tenant.rowID)]
                    )
                }
            }
            let state: BatchState = !goesOn ? .new : before.bool(0, 1) == true ? .found : .partlyFound
            return .coordinator(ClaimedRun(run: run, tenant: tenant, token: token, attempts: token), state)
        }
    }

    /// A running batch that has parts nobody works on.
    ///
    /// - Parameters:
    ///   - tenants: Whose batches are looked at, one tenant after the other.
    ///   - runs: Batches that are not meant.
    /// - Returns: The oldest batch of the first tenant that has one.
    /// - Throws: ``KelterError`` of the database.
    package func openBatch(
        of tenants: [Tenant],
        except runs: [RowID] = []
    ) async throws(KelterError) -> (run: RunRecord, tenant: Tenant)? {
        let schema = ledgerSchema
        let byRow = Dictionary(tenants.map { ($0.rowID, $0) }) { first, _ in first }
        return try await reporting { () async throws(DatabaseFailure) in
            try await registryTransaction { connection throws(DatabaseFailure) -> (run: RunRecord, tenant: Tenant)? in
                let found = try connection.query(
                    "SELECT * FROM \(schema).open_batch($1, $2)",
                    [.uuids(tenants.map(\.rowID)), .uuids(runs)]
                )
                guard let id = found.uuid(0, 0), let tenant = found.uuid(0, 1).flatMap({ byRow[$0] }) else {
                    return nil
                }
                // The function has left the transaction in the run's tenant.
                let rows = try connection.query(
                    "SELECT \(RunRecord.columns) FROM \(schema).runs WHERE id = $1",
                    [.uuid(id)]
                )
                return RunRecord(rows, 0).map { ($0, tenant) }
            }
        }
    }

    /// Notes that all inputs of a batch have been found.
    ///
    /// - Throws: ``KelterError`` with ``ErrorCode/leaseLost`` when the run is another coordinator's by now.
    package func finishFinding(_ coordinator: ClaimedRun) async throws(KelterError) {
        guard try await change(coordinator, "found_at = clock_timestamp()", []) else { throw coordinator.lost }
    }

    /// Ends the leases of a process that is known to be dead, so that nobody has to wait for them to run out.
    package func endLeases(of owner: String, run: RowID, tenant: Tenant) async throws(KelterError) {
        let schema = ledgerSchema
        try await tenantCall(tenant) { connection throws(DatabaseFailure) in
            for (table, key) in [("run_parts", "run_id"), ("runs", "id")] {
                try connection.execute(
                    """
                    UPDATE \(schema).\(table) SET lease_until = clock_timestamp() - interval '1 second'
                    WHERE \(key) = $1 AND tenant_id = $2 AND lease_owner = $3 AND lease_until >= clock_timestamp()
                    """,
                    [.uuid(run), .uuid(tenant.rowID), .text(owner)]
                )
            }
        }
    }

    /// Who holds parts of a batch.
    package func leaseOwners(of run: RowID, tenant: Tenant) async throws(KelterError) -> [String] {
        let schema = ledgerSchema
        return try await tenantCall(tenant) { connection throws(DatabaseFailure) in
            let rows = try connection.query(
                """
                SELECT DISTINCT lease_owner FROM \(schema).run_parts
                WHERE run_id = $1 AND tenant_id = $2 AND finished_at IS NULL AND lease_until >= clock_timestamp()
                """,
                [.uuid(run), .uuid(tenant.rowID)]
            )
            return (0..<rows.count).compactMap { rows.text($0, 0) }
        }
    }

    /// Whether a coordinator of a batch is alive.
    package func isCoordinated(_ run: RowID, tenant: Tenant) async throws(KelterError) -> Bool {
        let schema = ledgerSchema
        return try await tenantCall(tenant) { connection throws(DatabaseFailure) in
            try connection.query(
                "SELECT lease_until >= clock_timestamp() FROM \(schema).runs WHERE id = $1 AND tenant_id = $2",
                [.uuid(run), .uuid(tenant.rowID)]
            ).bool(0, 0) == true
        }
    }

    /// How many inputs of a batch failed before it was known which items they are.
    package func unidentifiedItems(ofRun run: RowID, tenant: Tenant) async throws(KelterError) -> Int {
        let schema = ledgerSchema
        return try await tenantCall(tenant) { connection throws(DatabaseFailure) in
            try connection.query(
                """
                SELECT count(*) FROM \(schema).run_items
                WHERE run_id = $1 AND tenant_id = $2 AND outcome = 'failed' AND space IS NULL
                """,
                [.uuid(run), .uuid(tenant.rowID)]
            ).int(0, 0) ?? 0
        }
    }

    /// Where a batch's parts and its items contradict each other; empty when everything is accounted for once.
    ///
    /// - Parameters:
    ///   - run: The batch.
    ///   - isComplete: Whether all of its parts should be finished.
    ///   - tenant: Whose batch it is.
    ///   - limit: How many contradictions to name at most.
    /// - Returns: Each in words, by the part or the name it is about.
    /// - Throws: ``KelterError`` of the database.
    package func contradictions(
        inRun run: RowID,
        isComplete: Bool = true,
        tenant: Tenant,
        limit: Int = 20
    ) async throws(KelterError) -> [String] {
        let schema = ledgerSchema
        return try await tenantCall(tenant) { connection throws(DatabaseFailure) in
            let parts = try connection.query(
                """
                SELECT p.part, p.finished_at IS NOT NULL, p.items, coalesce(i.recorded, 0)
                FROM \(schema).run_parts p LEFT JOIN (
                    SELECT part, count(*) AS recorded FROM \(schema).run_items WHERE run_id = $1 AND tenant_id = $2
                    GROUP BY part
                ) i USING (part)
                WHERE p.run_id = $1 AND p.tenant_id = $2
                    AND CASE WHEN p.finished_at IS NULL THEN $4 ELSE p.items <> coalesce(i.recorded, 0) END
                ORDER BY p.part LIMIT $3
                """,
                [.uuid(run), .uuid(tenant.rowID), .int(limit), .bool(isComplete)]
            )
            var found = (0..<parts.count).map { row in
                let part = parts.int(row, 0) ?? 0
                return parts.bool(row, 1) == true
                    ? "part \(part) has \(parts.int(row, 2) ?? 0) items, the ledger \(parts.int(row, 3) ?? 0)"
                    : "part \(part) is not finished"
            }
            let names = try connection.query(
                """
                SELECT external_id, min(path), max(path) FROM \(schema).run_items
                WHERE run_id = $1 AND tenant_id = $2 AND outcome <> 'failed' AND path <> ''
                GROUP BY external_id, collection_id HAVING count(*) > 1 ORDER BY 1 LIMIT $3
                """,
                [.uuid(run), .uuid(tenant.rowID), .int(limit)]
            )
            found += (0..<names.count).map { row in
                let (name, first, last) = (names.text(row, 0) ?? "", names.text(row, 1) ?? "", names.text(row, 2) ?? "")
                return "\(first) and \(last) both were \"\(name)\""
            }
            return Array(found.prefix(limit))
        }
    }
}
