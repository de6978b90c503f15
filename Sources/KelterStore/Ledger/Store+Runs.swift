package import KelterModel

extension Store {
    /// Enters a run, or takes up again one that was interrupted.
    ///
    /// A run that is taken up again accounts for everything anew: what it has stored already it finds unchanged.
    ///
    /// - Throws: ``KelterError`` with ``ErrorCode/runNotFound`` when the identifier is that of another tenant's run.
    package func beginRun(_ run: RunRecord, tenant: Tenant) async throws(KelterError) {
        let schema = ledgerSchema
        try await tenantCall(tenant) { connection throws(DatabaseFailure) in
            let changed = try connection.execute(
                """
                INSERT INTO \(schema).runs AS r (id, tenant_id, case_id, kind, status, arguments)
                VALUES ($1, $2, $3, $4, $5, $6)
                ON CONFLICT (id) DO UPDATE SET status = excluded.status, finished_at = NULL, error = NULL
                WHERE r.tenant_id = excluded.tenant_id
                """,
                [
                    .uuid(run.id), .uuid(tenant.rowID), .text(run.caseID), .text(run.kind), .text(run.status.rawValue),
                    .json(run.arguments),
                ]
            )
            guard changed == 1 else { throw .finding(Self.runNotFound(run.id)) }
            for table in ["run_items", "run_parts"] {
                _ = try connection.execute(
                    "DELETE FROM \(schema).\(table) WHERE run_id = $1 AND tenant_id = $2",
                    [.uuid(run.id), .uuid(tenant.rowID)]
                )
            }
        }
    }

    /// Records outcomes of items that do not go through ``write(_:run:tenant:)``.
    package func recordItems(_ items: [RunItem], run: RowID, tenant: Tenant) async throws(KelterError) {
        let ledger = Ledger(run: run, tenant: tenant, schema: ledgerSchema)
        let items = items.map { item in
            var item = item
            item.externalID = Self.recordableName(item.externalID)
            item.place.path = Self.recordableName(item.place.path)
            item.detail = item.detail.map(replacingNUL)
            return item
        }
        try await tenantCall(tenant) { connection throws(DatabaseFailure) in
            try ledger.record(items, on: connection)
        }
    }

    /// The name under which an item is recorded: a name that the database cannot hold must not lose the outcome.
    private static func recordableName(_ name: String) -> String {
        let name = replacingNUL(name)
        guard name.utf8.count > longestName else { return name }
        var hash = FNV1a()
        hash.mix(name.utf8)
        // The bytes of a character cut in two become U+FFFD, at most three of them: nine bytes.
        return String(decoding: name.utf8.prefix(longestName - 64), as: UTF8.self) + "…#"
            + String(hash.value, radix: 16)
    }

    /// How many tokens a second the last batches of a tenant brought into the database, from their beginning to their end.
    ///
    /// - Returns: The rate of the last five that sent at least fifty texts; `nil` when there is none.
    /// - Throws: ``KelterError`` of the database.
    package func tokensPerSecond(tenant: Tenant) async throws(KelterError) -> Double? {
        let schema = ledgerSchema
        return try await tenantCall(tenant) { connection throws(DatabaseFailure) in
            try connection.query(
                """
                SELECT (sum(tokens) * 1000 / nullif(sum(milliseconds), 0))::float8
                FROM (
                    SELECT (totals ->> 'duration_ms')::numeric AS milliseconds,
                        (SELECT sum(coalesce(e ->> 'tokens_counted', e ->> 'tokens')::numeric) FROM jsonb_array_elements(totals -> 'endpoint') e) AS tokens
                    FROM \(schema).runs
                    WHERE tenant_id = $1 AND kind = 'ingest' AND status IN ('succeeded', 'partial')
                        AND (totals ->> 'embedding_inputs')::numeric >= 50
                    ORDER BY finished_at DESC LIMIT 5
                ) r WHERE tokens > 0
                """,
                [.uuid(tenant.rowID)]
            ).double(0, 0)
        }
    }

    /// Closes a run with its totals.
    ///
    /// - Throws: ``KelterError`` with ``ErrorCode/runNotFound`` when the tenant has no such run.
    package func finishRun(
        _ run: RowID,
        status: RunStatus,
        totals: JSONValue,
        error: String? = nil,
        tenant: Tenant
    ) async throws(KelterError) {
        let schema = ledgerSchema
        let changed = try await tenantCall(tenant) { connection throws(DatabaseFailure) in
            try connection.execute(
                """
                UPDATE \(schema).runs SET status = $3, totals = $4, error = $5, finished_at = now()
                WHERE id = $1 AND tenant_id = $2
                """,
                [
                    .uuid(run), .uuid(tenant.rowID), .text(status.rawValue), .json(totals),
                    .text(error.map(replacingNUL)),
                ]
            )
        }
        guard changed == 1 else { throw Self.runNotFound(run) }
    }

    /// Counts the outcomes that the database holds for a run: the check of the run's own counters.
    package func countOutcomes(ofRun run: RowID, tenant: Tenant) async throws(KelterError) -> OutcomeCounts {
        let schema = ledgerSchema
        return try await tenantCall(tenant) { connection throws(DatabaseFailure) in
            let rows = try connection.query(
                """
                SELECT outcome, count(*) FROM \(schema).run_items WHERE run_id = $1 AND tenant_id = $2 GROUP BY outcome
                """,
                [.uuid(run), .uuid(tenant.rowID)]
            )
            var counts = OutcomeCounts()
            for row in 0..<rows.count {
                guard let outcome = rows.text(row, 0).flatMap(Outcome.init) else { continue }
                counts[outcome] = rows.int(row, 1) ?? 0
            }
            return counts
        }
    }

    /// What the database holds for a batch.
    package func totals(ofRun run: RowID, tenant: Tenant) async throws(KelterError) -> RunTotals {
        let schema = ledgerSchema
        let outcomes = try await countOutcomes(ofRun: run, tenant: tenant)
        return try await tenantCall(tenant) { connection throws(DatabaseFailure) in
            let rows = try connection.query(
                """
                SELECT coalesce(sum(chunks), 0)::bigint, coalesce(sum(embeddings), 0)::bigint,
                    coalesce(sum(bytes), 0)::bigint
                FROM (
                    SELECT sum(chunks) AS chunks, sum(embeddings) AS embeddings, max(bytes) AS bytes
                    FROM \(schema).run_items WHERE run_id = $1 AND tenant_id = $2 GROUP BY path
                ) files
                """,
                [.uuid(run), .uuid(tenant.rowID)]
            )
            return RunTotals(
                outcomes: outcomes,
                chunks: rows.int(0, 0) ?? 0,
                embeddings: rows.int(0, 1) ?? 0,
                bytes: rows.int(0, 2) ?? 0
            )
        }
    }

    /// The items of a run that ended in one of these outcomes, by name.
    package func items(
        ofRun run: RowID,
        outcomes: [Outcome],
        orCode code: ErrorCode? = nil,
        tenant: Tenant
    ) async throws(KelterError) -> [RunItem] {
        let schema = ledgerSchema
        return try await tenantCall(tenant) { connection throws(DatabaseFailure) in
            let rows = try connection.query(
                """
                SELECT collection_id, external_id, outcome, code, detail, document_id, bytes, path,
                    attempts, dropped_at IS NOT NULL
                FROM \(schema).run_items
                WHERE run_id = $1 AND tenant_id = $2 AND (outcome = ANY ($3) OR code = $4)
                ORDER BY external_id, collection_id, path
                """,
                [.uuid(run), .uuid(tenant.rowID), .texts(outcomes.map(\.rawValue)), .text(code?.rawValue)]
            )
            return (0..<rows.count).compactMap { row in
                guard let name = rows.text(row, 1), let outcome = rows.text(row, 2).flatMap(Outcome.init) else {
                    return nil
                }
                var item = RunItem(
                    collection: rows.uuid(row, 0),
                    externalID: name,
                    outcome: outcome,
                    code: rows.text(row, 3).map { ErrorCode($0) },
                    detail: rows.text(row, 4),
                    document: rows.uuid(row, 5),
                    bytes: rows.int(row, 6),
                    place: BatchPlace(path: rows.text(row, 7) ?? "", attempts: rows.int(row, 8) ?? 1)
                )
                item.isDropped = rows.bool(row, 9) == true
                return item
            }
        }
    }

    /// One run of the tenant.
    ///
    /// - Throws: ``KelterError`` with ``ErrorCode/runNotFound``.
    package func run(_ id: RowID, tenant: Tenant) async throws(KelterError) -> RunRecord {
        guard let run = try await runs("tenant_id = $1 AND id = $2", [.uuid(id)], tenant: tenant).first else {
            throw Self.runNotFound(id)
        }
        return run
    }

    /// The tenant's newest runs, newest first.
    package func latestRuns(limit: Int = 20, tenant: Tenant) async throws(KelterError) -> [RunRecord] {
        try await runs(
            "tenant_id = $1 ORDER BY runs.queued_at DESC, id DESC LIMIT $2",
            [.int(limit)],
            tenant: tenant
        )
    }

    /// The newest run of a tenant's case; `nil` when there is none.
    package func latestRun(ofCase caseID: CaseID, tenant: Tenant) async throws(KelterError) -> RunRecord? {
        try await runs(
            "tenant_id = $1 AND case_id = $3 ORDER BY runs.queued_at DESC, id DESC LIMIT $2",
            [.int(1), .text(caseID.description)],
            tenant: tenant
        ).first
    }

    private func runs(_ condition: String, _ parameters: [Parameter], tenant: Tenant) async throws(KelterError)
        -> [RunRecord]
    {
        let schema = ledgerSchema
        return try await tenantCall(tenant) { connection throws(DatabaseFailure) in
            let rows = try connection.query(
                "SELECT \(RunRecord.columns) FROM \(schema).runs WHERE \(condition)",
                [.uuid(tenant.rowID)] + parameters
            )
            return (0..<rows.count).compactMap { RunRecord(rows, $0) }
        }
    }

    static func runNotFound(_ run: RowID) -> KelterError {
        KelterError(
            .runNotFound,
            "There is no run \(run) of this tenant.",
            fix: "List the runs with 'kelter runs list'."
        )
    }
}

func replacingNUL(_ text: String) -> String {
    guard containsNUL(text) else { return text }
    return String(String.UnicodeScalarView(text.unicodeScalars.map { $0 == "\0" ? "\u{FFFD}" : $0 }))
}
