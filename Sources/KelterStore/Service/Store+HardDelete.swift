package import KelterModel

/// Who has documents removed for good, and why; kept in the audit trail.
package struct HardDeletionOrder: Sendable {
    package var documents: [RowID]
    package var reason: String
    package var ticketReference: String
    package var operatorLabel: String?
    /// What showed the caller's right, such as `internal-key` or `superuser:admin`.
    package var actor: String
    package var traceID: String?

    package init(
        documents: [RowID],
        reason: String,
        ticketReference: String,
        operatorLabel: String? = nil,
        actor: String,
        traceID: String? = nil
    ) {
        self.documents = documents
        self.reason = reason
        self.ticketReference = ticketReference
        self.operatorLabel = operatorLabel
        self.actor = actor
        self.traceID = traceID
    }
}

/// What a hard deletion removed.
package struct HardDeletion: Sendable, Equatable {
    /// The entry in the audit trail.
    package var audit: RowID
    package var documents: [RowID] = []
    package var chunks = 0
    package var embeddings = 0
    /// Where the objects of the documents lie.
    ///
    /// Their records stay until ``Store/forgetUploads(of:tenant:)``, so that a
    /// repetition finds the objects that could not be removed.
    package var uploads: [UploadRecord] = []
    /// Runs of the documents, which may have files staged.
    package var runs: [RowID] = []
    /// Identifiers that are neither a document nor an upload of the tenant.
    package var notFound: [RowID] = []
}

extension Store {
    /// Removes documents with their chunks, vectors and sources, and records that it was done.
    ///
    /// - Parameters:
    ///   - order: What is to go, on whose word.
    ///   - tenant: Whose documents they are; another tenant's count as not found.
    /// - Returns: What was removed.
    /// - Throws: ``KelterError`` with ``ErrorCode/storeConflict`` while a run that may write one of them is worked on.
    package func hardDelete(_ order: HardDeletionOrder, tenant: Tenant) async throws(KelterError) -> HardDeletion {
        let deleter = HardDeleter(schema: schema, order: order, tenant: tenant)
        return try await tenantCall(tenant) { connection throws(DatabaseFailure) in
            try deleter.delete(on: connection)
        }
    }
}

/// Carries out one hard deletion in one transaction.
private struct HardDeleter: Sendable {
    let schema: SQLIdentifier
    let order: HardDeletionOrder
    let tenant: Tenant

    func delete(on connection: isolated Connection) throws(DatabaseFailure) -> HardDeletion {
        try cancelRuns(on: connection)
        let parameters: [Parameter] = [.uuid(tenant.rowID), .uuids(order.documents)]
        let uploads = try Uploads.find(order.documents, tenant: tenant, schema: schema, on: connection)
        var known = Set(uploads.map(\.document))
        let counts = try connection.query(
            """
            SELECT count(*), count(e.chunk_id) FROM \(schema).chunks c
            LEFT JOIN \(schema).embeddings e ON e.chunk_id = c.id
            WHERE c.tenant_id = $1 AND c.document_id = ANY ($2)
            """,
            parameters
        )
        // A vector tells about its text: the copies that new documents would have been served with go as well.
        try connection.execute(
            """
            DELETE FROM \(schema).embedding_cache WHERE tenant_id = $1 AND input_hash = ANY (ARRAY(
                SELECT input_hash FROM \(schema).chunks
                WHERE tenant_id = $1 AND document_id = ANY ($2) AND input_hash IS NOT NULL
            ))
            """,
            parameters
        )
        let documents = try connection.query(
            "DELETE FROM \(schema).documents WHERE tenant_id = $1 AND id = ANY ($2) RETURNING id",
            parameters
        )
        var deletion = HardDeletion(audit: try identifier(on: connection))
        known.formUnion((0..<documents.count).compactMap { documents.uuid($0, 0) })
        deletion.uploads = uploads
        deletion.runs = try runs(on: connection)
        deletion.documents = order.documents.filter(known.contains)
        deletion.notFound = order.documents.filter { !known.contains($0) }
        deletion.chunks = counts.int(0, 0) ?? 0
        deletion.embeddings = counts.int(0, 1) ?? 0
        try record(deletion, on: connection)
        return deletion
    }

    /// Ends the queued runs that would bring one of the documents back; refuses while such a run is worked on.
    private func cancelRuns(on connection: isolated Connection) throws(DatabaseFailure) {
        let parameters: [Parameter] = [.uuid(tenant.rowID), .texts(order.documents.map(\.description))]
        try connection.execute(
            """
            UPDATE \(schema).runs SET status = 'failed', finished_at = now(), error = 'A document was deleted for good.'
            WHERE tenant_id = $1 AND status = 'queued' AND arguments->'document_ids' ?| $2
            """,
            parameters
        )
        let running = try connection.query(
            """
            SELECT FROM \(schema).runs
            WHERE tenant_id = $1 AND status = 'running' AND arguments->'document_ids' ?| $2 LIMIT 1
            """,
            parameters
        )
        guard running.count == 0 else {
            throw .finding(
                KelterError(
                    .storeConflict,
                    "A run that may write one of these documents is being worked on.",
                    fix: "Repeat the request when the run has ended."
                )
            )
        }
    }

    /// All runs that were to write one of the documents, whatever became of them.
    private func runs(on connection: isolated Connection) throws(DatabaseFailure) -> [RowID] {
        let rows = try connection.query(
            "SELECT id FROM \(schema).runs WHERE tenant_id = $1 AND arguments->'document_ids' ?| $2",
            [.uuid(tenant.rowID), .texts(order.documents.map(\.description))]
        )
        return (0..<rows.count).compactMap { rows.uuid($0, 0) }
    }

    private func identifier(on connection: isolated Connection) throws(DatabaseFailure) -> RowID {
        guard let id = try connection.query("SELECT gen_random_uuid()").uuid(0, 0) else {
            throw .connection("the server gave no identifier")
        }
        return id
    }

    private func record(_ deletion: HardDeletion, on connection: isolated Connection) throws(DatabaseFailure) {
        try connection.execute(
            """
            INSERT INTO \(schema).audit_log
                (id, tenant_id, action, actor, reason, ticket_ref, operator_label, details, trace_id)
            VALUES ($1, $2, 'hard_delete', $3, $4, $5, $6, $7, $8)
            """,
            [
                .uuid(deletion.audit), .uuid(tenant.rowID), .text(order.actor), .text(replacingNUL(order.reason)),
                .text(replacingNUL(order.ticketReference)), .text(order.operatorLabel.map(replacingNUL)),
                .json(
                    .object([
                        ("document_ids", .array(deletion.documents.map { .string($0.description) })),
                        ("not_found", .array(deletion.notFound.map { .string($0.description) })),
                        ("chunks", .int(deletion.chunks)), ("embeddings", .int(deletion.embeddings)),
                    ])
                ),
                .text(order.traceID),
            ]
        )
    }
}
