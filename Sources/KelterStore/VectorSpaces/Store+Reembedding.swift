package import KelterModel

/// Which documents a maintenance run is about.
package struct DocumentSelection: Sendable, Equatable {
    /// Of one collection; `nil` for all and for none.
    package var collection: CollectionID?
    /// Stored with this embedding profile, or with none; `nil` for all.
    package var profile: String?

    package init(collection: CollectionID? = nil, profile: String? = nil) {
        self.collection = collection
        self.profile = profile
    }
}

extension Store {
    /// Takes up the newest unfinished run of this kind with the same arguments, or enters a new one.
    ///
    /// The items of the run that is taken up stay: they say what is done.
    ///
    /// - Parameters:
    ///   - run: The run to enter.
    ///   - restarts: Whether it is entered in any case.
    ///   - tenant: Whose run.
    /// - Returns: The run's identifier, and whether it had been begun before.
    /// - Throws: ``KelterError`` of the database.
    package func beginOrResume(
        _ run: RunRecord,
        restarts: Bool = false,
        tenant: Tenant
    ) async throws(KelterError) -> (id: RowID, isResumed: Bool) {
        let schema = schema
        return try await tenantCall(tenant) { connection throws(DatabaseFailure) in
            let rows = try connection.query(
                """
                UPDATE \(schema).runs SET status = 'running', finished_at = NULL, error = NULL
                WHERE id = (
                    SELECT id FROM \(schema).runs
                    WHERE tenant_id = $1 AND kind = $2 AND arguments = $3 AND NOT $4
                        -- A run that got to its end, with failures or without, is not taken up again.
                        AND status IN ('running', 'interrupted', 'failed')
                    ORDER BY queued_at DESC LIMIT 1
                )
                RETURNING id
                """,
                [.uuid(tenant.rowID), .text(run.kind), .json(run.arguments), .bool(restarts)]
            )
            if rows.count > 0, let id = rows.uuid(0, 0) { return (id, true) }
            try connection.execute(
                "INSERT INTO \(schema).runs (id, tenant_id, kind, status, arguments) VALUES ($1, $2, $3, 'running', $4)",
                [.uuid(run.id), .uuid(tenant.rowID), .text(run.kind), .json(run.arguments)]
            )
            return (run.id, false)
        }
    }

    /// The next documents whose vectors a run has not recomputed, with their chunks.
    ///
    /// For the current space these are the active documents; for a space that stands by, all documents with a chunk that
    /// it lacks, so that a deleted document can be revived after the switch.
    ///
    /// - Parameters:
    ///   - selection: Which documents.
    ///   - target: Where the vectors go.
    ///   - run: The run; a document that it has recorded as updated is left out.
    ///   - position: The last document seen; `nil` at the beginning.
    ///   - limit: How many documents at most; fewer when they have more than 2,048 chunks together.
    ///   - tenant: Whose documents.
    /// - Returns: Documents in the order of their identifiers.
    /// - Throws: ``KelterError`` of the database.
    package func documentsToEmbed(
        _ selection: DocumentSelection,
        target: EmbeddingTarget,
        run: RowID,
        after position: RowID?,
        limit: Int,
        tenant: Tenant
    ) async throws(KelterError) -> [StoredDocument] {
        let schema = schema
        let condition = try condition(selection, target: target)
        return try await tenantCall(tenant) { connection throws(DatabaseFailure) in
            try connection.run("SET LOCAL statement_timeout TO 0")
            let rows = try connection.query(
                """
                SELECT d.id, d.generation, d.external_id, d.collection_id, d.title,
                    (SELECT count(*) FROM \(schema).chunks c WHERE c.document_id = d.id)
                FROM \(schema).documents d
                WHERE \(condition) AND d.id > coalesce($4, '00000000-0000-0000-0000-000000000000'::uuid)
                    AND NOT EXISTS (
                        SELECT FROM \(schema).run_items i
                        WHERE i.run_id = $5 AND i.document_id = d.id AND i.outcome = 'updated'
                    )
                ORDER BY d.id LIMIT \(limit)
                """,
                [
                    .uuid(tenant.rowID), .uuid(selection.collection), .text(selection.profile), .uuid(position),
                    .uuid(run),
                ]
            )
            var documents: [StoredDocument] = []
            var chunks = 0
            for row in 0..<rows.count {
                guard let id = rows.uuid(row, 0), let name = rows.text(row, 2) else { continue }
                chunks += rows.int(row, 5) ?? 0
                if !documents.isEmpty, chunks > Self.chunksPerGroup { break }
                documents.append(
                    StoredDocument(
                        id: id,
                        generation: rows.int(row, 1) ?? 0,
                        externalID: name,
                        collection: rows.uuid(row, 3),
                        title: rows.text(row, 4)
                    )
                )
            }
            try connection.readChunks(of: &documents, schema: schema, tenant: tenant)
            return documents
        }
    }

    /// What is embedded and stored together is bounded by this, whatever the size of the documents.
    private static let chunksPerGroup = 2048

    /// How many documents a run has yet to recompute, and their chunks.
    package func countToEmbed(
        _ selection: DocumentSelection,
        target: EmbeddingTarget,
        run: RowID,
        tenant: Tenant
    ) async throws(KelterError) -> (documents: Int, chunks: Int) {
        let schema = schema
        let condition = try condition(selection, target: target)
        return try await tenantCall(tenant) { connection throws(DatabaseFailure) in
            try connection.run("SET LOCAL statement_timeout TO 0")
            let rows = try connection.query(
                """
                SELECT count(DISTINCT d.id), count(c.id) FROM \(schema).documents d
                LEFT JOIN \(schema).chunks c ON c.document_id = d.id
                WHERE \(condition) AND NOT EXISTS (
                    SELECT FROM \(schema).run_items i
                    WHERE i.run_id = $4 AND i.document_id = d.id AND i.outcome = 'updated'
                )
                """,
                [.uuid(tenant.rowID), .uuid(selection.collection), .text(selection.profile), .uuid(run)]
            )
            return (rows.int(0, 0) ?? 0, rows.int(0, 1) ?? 0)
        }
    }

    /// The conditions on documents `d`, with tenant, collection and profile as `$1` to `$3`.
    private func condition(_ selection: DocumentSelection, target: EmbeddingTarget) throws(KelterError) -> String {
        var conditions = [
            "d.tenant_id = $1", "($2::uuid IS NULL OR d.collection_id = $2)",
            "($3::text IS NULL OR coalesce(d.embedding_profile, $3) = $3)",
        ]
        switch target {
        case .current: conditions.append("d.deleted_at IS NULL")
        case .standby:
            conditions.append(
                """
                EXISTS (
                    SELECT FROM \(schema).chunks c WHERE c.document_id = d.id
                        AND NOT EXISTS (SELECT FROM \(try standbySchema).embeddings e WHERE e.chunk_id = c.id)
                )
                """
            )
        }
        return conditions.joined(separator: " AND ")
    }

    /// Stores recomputed vectors, each document's in whole, and records the documents in the run's ledger.
    ///
    /// - Parameters:
    ///   - documents: The documents with a vector for each of their chunks.
    ///   - target: Where the vectors go.
    ///   - run: The run.
    ///   - tenant: Whose documents.
    /// - Returns: The documents that were left alone, because they have changed since they were read: their new chunks
    ///   got vectors of their own.
    /// - Throws: ``KelterError`` of the database; then none of the documents is changed.
    package func storeVectors(
        _ documents: [RecomputedDocument],
        target: EmbeddingTarget,
        run: RowID,
        tenant: Tenant
    ) async throws(KelterError) -> Set<RowID> {
        let writer = try VectorWriter(store: self, target: target)
        return try await tenantCall(tenant) { connection throws(DatabaseFailure) in
            try writer.write(documents, run: run, tenant: tenant, on: connection)
        }
    }
}

extension Connection {
    fileprivate func readChunks(
        of documents: inout [StoredDocument],
        schema: SQLIdentifier,
        tenant: Tenant
    ) throws(DatabaseFailure) {
        let rows = try query(
            """
            SELECT document_id, id, text, metadata -> 'section_path', metadata ->> 'title', input_hash,
                metadata ->> 'table_header'
            FROM \(schema).chunks WHERE tenant_id = $1 AND document_id = ANY ($2) ORDER BY document_id, ordinal
            """,
            [.uuid(tenant.rowID), .uuids(documents.map(\.id))]
        )
        var chunks: [RowID: [StoredDocument.Chunk]] = [:]
        for row in 0..<rows.count {
            guard let document = rows.uuid(row, 0), let id = rows.uuid(row, 1) else { continue }
            chunks[document, default: []].append(
                StoredDocument.Chunk(
                    id: id,
                    text: rows.text(row, 2) ?? "",
                    section: rows.json(row, 3)?.array?.compactMap(\.string) ?? [],
                    title: rows.text(row, 4),
                    inputHash: rows.hash(row, 5),
                    tableHeader: rows.text(row, 6)
                )
            )
        }
        for index in documents.indices { documents[index].chunks = chunks[documents[index].id] ?? [] }
    }
}
