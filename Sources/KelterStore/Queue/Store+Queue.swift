package import KelterModel

extension Store {
    /// Puts a run into the queue, together with its uploads and the answer to the request that asked for it.
    ///
    /// - Parameters:
    ///   - submission: The run.
    ///   - reply: The answer to be repeated under an idempotency key; `nil` without one.
    ///   - tenant: Whose run it is.
    /// - Returns: When it was queued, RFC 3339 in UTC.
    /// - Throws: ``KelterError`` with ``ErrorCode/idempotencyInProgress`` when the key is held by another request by now.
    @discardableResult
    package func enqueue(
        _ submission: RunSubmission,
        completing reply: IdempotentReply? = nil,
        tenant: Tenant
    ) async throws(KelterError) -> String {
        let schema = schema
        return try await tenantCall(tenant) { connection throws(DatabaseFailure) in
            let run = submission.run
            let rows = try connection.query(
                """
                INSERT INTO \(schema).runs
                    (id, tenant_id, case_id, kind, status, arguments, priority, trace_id, started_at)
                VALUES ($1, $2, $3, $4, 'queued', $5, $6::bigint::int, $7, NULL)
                RETURNING \(Self.timestamp("queued_at")), pg_current_xact_id()::text
                """,
                [
                    .uuid(run.id), .uuid(tenant.rowID), .text(run.caseID), .text(run.kind), .json(run.arguments),
                    .int(submission.priority), .text(submission.traceID),
                ]
            )
            // A connection that breaks during COMMIT must not leave it open whether the run has been accepted.
            connection.transactionID = rows.text(0, 1)
            try Uploads.save(submission.uploads, tenant: tenant, schema: schema, on: connection)
            if let reply { try Idempotency.finish(reply, tenant: tenant, schema: schema, on: connection) }
            return rows.text(0, 0) ?? ""
        }
    }

    /// Takes the next run that waits, or one whose worker has fallen silent.
    ///
    /// - Parameters:
    ///   - tenants: Whose runs may be taken, in the order in which they are looked at; callers rotate it to be fair.
    ///   - worker: Who works it, for people to read.
    ///   - lease: For how long it is this worker's unless ``renewLease(of:for:)`` prolongs that.
    /// - Returns: The run, or `nil` when there is nothing to do.
    /// - Throws: ``KelterError`` of the database.
    package func claimRun(
        of tenants: [Tenant],
        worker: String,
        lease: Duration
    ) async throws(KelterError) -> ClaimedRun? {
        let schema = schema
        let byRow = Dictionary(tenants.map { ($0.rowID, $0) }) { first, _ in first }
        return try await reporting { () async throws(DatabaseFailure) in
            try await registryTransaction { connection throws(DatabaseFailure) -> ClaimedRun? in
                let claim = try connection.query(
                    "SELECT * FROM \(schema).claim_run($1, $2, $3::text::interval)",
                    [.uuids(tenants.map(\.rowID)), .text(worker), .text(Self.interval(lease))]
                )
                guard claim.count == 1, let id = claim.uuid(0, 0), let tenant = claim.uuid(0, 1).flatMap({ byRow[$0] }),
                    let token = claim.int(0, 2)
                else { return nil }
                // The function has left the transaction in the run's tenant.
                let rows = try connection.query(
                    "SELECT \(RunRecord.columns), attempts FROM \(schema).runs WHERE id = $1",
                    [.uuid(id)]
                )
                guard let run = RunRecord(rows, 0) else { return nil }
                return ClaimedRun(
                    run: run,
                    tenant: tenant,
                    token: token,
                    attempts: rows.int(0, RunRecord.columnCount) ?? 1
                )
            }
        }
    }

    /// Prolongs a lease; the worker's heartbeat.
    ///
    /// - Returns: `false` when the run is another worker's by now, or has ended.
    package func renewLease(of claim: ClaimedRun, for lease: Duration) async throws(KelterError) -> Bool {
        try await change(claim, "lease_until = clock_timestamp() + $4::text::interval", [.text(Self.interval(lease))])
    }

    /// Gives a run back to the queue.
    ///
    /// - Parameters:
    ///   - claim: The run.
    ///   - delay: For how long nobody is to take it.
    ///   - countsAttempt: Whether this attempt counts: an outage or a shutdown is not the run's fault.
    ///   - reason: Why, for people to read.
    /// - Returns: `false` when the run is another worker's by now.
    /// - Throws: ``KelterError`` of the database.
    package func requeue(
        _ claim: ClaimedRun,
        after delay: Duration,
        countsAttempt: Bool,
        reason: String?
    ) async throws(KelterError) -> Bool {
        try await change(
            claim,
            """
            status = 'queued', lease_until = NULL, lease_owner = NULL, error = $5,
            not_before = clock_timestamp() + $4::text::interval, attempts = attempts - \(countsAttempt ? 0 : 1)
            """,
            [.text(Self.interval(delay)), .text(reason.map(replacingNUL))]
        )
    }

    /// Closes a run that was taken from the queue.
    ///
    /// - Throws: ``KelterError`` with ``ErrorCode/leaseLost`` when the run is another worker's by now.
    package func finish(
        _ claim: ClaimedRun,
        status: RunStatus,
        totals: JSONValue,
        error: String?
    ) async throws(KelterError) {
        let isOurs = try await change(
            claim,
            "status = $4, totals = $5, error = $6, finished_at = clock_timestamp(), lease_until = NULL",
            [.text(status.rawValue), .json(totals), .text(error.map(replacingNUL))]
        )
        guard isOurs else { throw claim.lost }
    }

    /// Changes a run on condition that the claim is the latest.
    func change(
        _ claim: ClaimedRun,
        _ assignments: String,
        _ parameters: [Parameter]
    ) async throws(KelterError) -> Bool {
        let schema = ledgerSchema
        return try await tenantCall(claim.tenant) { connection throws(DatabaseFailure) in
            try connection.execute(
                """
                UPDATE \(schema).runs SET \(assignments)
                WHERE id = $1 AND tenant_id = $2 AND lease_token = $3 AND status = 'running'
                """,
                [.uuid(claim.run.id), .uuid(claim.tenant.rowID), .int(claim.token)] + parameters
            ) == 1
        }
    }

    /// How many runs of these tenants wait and are worked on.
    package func queueDepth(of tenants: [Tenant]) async throws(KelterError) -> QueueDepth {
        let schema = schema
        var total = QueueDepth()
        for tenant in tenants {
            let depth = try await tenantCall(tenant) { connection throws(DatabaseFailure) in
                let rows = try connection.query(
                    """
                    SELECT count(*) FILTER (WHERE status = 'queued'),
                        count(*) FILTER (WHERE status = 'running' AND lease_until IS NOT NULL)
                    FROM \(schema).runs WHERE tenant_id = $1 AND status IN ('queued', 'running')
                    """,
                    [.uuid(tenant.rowID)]
                )
                return QueueDepth(queued: rows.int(0, 0) ?? 0, running: rows.int(0, 1) ?? 0)
            }
            total.queued += depth.queued
            total.running += depth.running
        }
        return total
    }

    static func interval(_ duration: Duration) -> String {
        let parts = duration.components
        return "\(parts.seconds * 1000 + parts.attoseconds / 1_000_000_000_000_000) milliseconds"
    }
}
