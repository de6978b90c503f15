package import KelterModel

extension Store {
    /// So many documents at most in one transaction: each takes two entries of the server's shared lock table.
    private static let largestGroup = 256

    /// The longest external identifier: with its scope it must fit into a third of an index page, 2,704 bytes.
    static let longestName = 2_048

    /// Writes items with their documents, chunks, vectors, sources and ledger entries.
    ///
    /// One transaction for up to 256 items; groups of 50 documents or 1,000 chunks reach the best rate. Each item is
    /// decided by the rules of SPEC section 4 in the order given, with the effects of those before it. An item that
    /// the database refuses fails alone; the others are stored.
    ///
    /// Unchanged items may be passed as well, without content: their source is marked as seen by the run.
    ///
    /// - Parameters:
    ///   - group: The items, embedded already where the probe said that content is needed.
    ///   - run: The run in whose ledger the outcomes are recorded, in the same transaction; `nil` for none.
    ///   - tenant: Whose documents they are.
    /// - Returns: One result for each item, in order.
    /// - Throws: ``KelterError`` when nothing can be said about single items: ``ErrorCode/databaseUnavailable``,
    ///   ``ErrorCode/schemaMissing``, ``ErrorCode/schemaDimensionMismatch``, ``ErrorCode/interrupted`` and others.
    ///   Transactions of the group that were committed before stay.
    package func write(
        _ group: [DocumentWrite],
        run: RowID?,
        tenant: Tenant
    ) async throws(KelterError) -> [WriteResult] {
        guard !group.isEmpty else { return [] }
        try await verifySchemaOnce()
        var results = group.map { item in refusal(of: item).map { WriteResult.failed($0) } }
        let accepted = group.indices.filter { results[$0] == nil }
        var position = 0
        while position < accepted.count {
            let part = accepted[position..<min(position + Self.largestGroup, accepted.count)]
            let written = try await reporting { () async throws(DatabaseFailure) in
                try await writeOrDivide(part.map { group[$0] }, run: run, tenant: tenant)
            }
            for (index, result) in zip(part, written) { results[index] = result }
            position += Self.largestGroup
        }
        let final = results.compactMap { $0 }
        try await recordFailures(zip(group, final), run: run, tenant: tenant)
        return final
    }

    /// What can be seen to be wrong with an item without asking the database.
    private func refusal(of item: DocumentWrite) -> KelterError? {
        if let width = item.content?.otherDimension(than: configuration.dimension) {
            return KelterError(
                .vectorDimensionMismatch,
                "A vector has \(width) dimensions where schema \(schema.name) holds \(configuration.dimension).",
                subject: "EMBEDDINGS_DIM",
                fix: "Use the model of that vector space, or another schema with RAG_VECTOR_SCHEMA."
            )
        }
        guard item.key.externalID.utf8.count <= Self.longestName else {
            return KelterError(
                .storeRejected,
                "The external identifier is longer than \(Self.longestName) bytes, which no index can hold.",
                fix: "Set a shorter external_id in the metadata."
            )
        }
        let texts = [item.key.externalID, item.root] + item.attributes.texts
        guard item.content?.hasNUL == true || texts.contains(where: { $0.map(containsNUL) ?? false }) else {
            return nil
        }
        return KelterError(
            .storeRejected,
            "The text contains the character NUL, which PostgreSQL cannot hold.",
            fix: "Remove the character from the document or its metadata."
        )
    }

    /// Writes the group, and when the database refuses its data, its halves: down to the items at fault.
    private func writeOrDivide(
        _ group: [DocumentWrite],
        run: RowID?,
        tenant: Tenant,
        isRepeated: Bool = false
    ) async throws(DatabaseFailure) -> [WriteResult] {
        let writer = GroupWriter(
            schema: schema,
            ledgerSchema: ledgerSchema,
            group: group,
            run: run,
            tenant: tenant,
            dimension: configuration.dimension,
            model: configuration.model,
            fingerprint: fingerprint,
            statementTimeoutMilliseconds: configuration.statementTimeoutMilliseconds
        )
        do throws(DatabaseFailure) {
            let results = try await transaction(
                tenant: tenant,
                preparing: { connection throws(DatabaseFailure) in
                    try GroupWriter.prepareStaging(dimension: writer.dimension, on: connection)
                }
            ) { connection throws(DatabaseFailure) in
                try writer.write(on: connection)
            }
            FailPoint.groupCommitted.pass()
            return results
        } catch {
            // A writer that takes no part in the locks was first: the next look at the state sees its row.
            if error.isUniqueViolation, !isRepeated {
                return try await writeOrDivide(group, run: run, tenant: tenant, isRepeated: true)
            }
            guard error.isDataRejection else { throw error }
            guard group.count > 1 else { return [.failed(error.error(place: place))] }
        }
        let middle = group.count / 2
        let first = try await writeOrDivide(Array(group[..<middle]), run: run, tenant: tenant)
        return first + (try await writeOrDivide(Array(group[middle...]), run: run, tenant: tenant))
    }

    private func recordFailures(
        _ items: Zip2Sequence<[DocumentWrite], [WriteResult]>,
        run: RowID?,
        tenant: Tenant
    ) async throws(KelterError) {
        guard let run else { return }
        let failed = items.compactMap { item, result -> RunItem? in
            // What another process works on it records itself.
            guard let error = result.error, error.code != .leaseLost else { return nil }
            return RunItem(
                collection: item.key.collection,
                externalID: item.key.externalID,
                outcome: .failed,
                code: error.code,
                detail: error.detail,
                bytes: item.bytes,
                place: item.place
            )
        }
        if !failed.isEmpty { try await recordItems(failed, run: run, tenant: tenant) }
    }

    /// The unit vectors stored for a document, by the hash of the text they were made from.
    ///
    /// - Parameters:
    ///   - hashes: The texts in question.
    ///   - document: The document.
    ///   - tenant: Its owner.
    /// - Returns: What a new generation of the document need not have embedded again, when its model is the same.
    /// - Throws: ``KelterError`` with ``ErrorCode/databaseUnavailable``, ``ErrorCode/schemaMissing`` and others.
    package func vectors(
        of hashes: [ContentHash],
        inDocument document: RowID,
        tenant: Tenant
    ) async throws(KelterError) -> [ContentHash: [Float]] {
        let schema = schema
        return try await reporting { () async throws(DatabaseFailure) in
            try await transaction(tenant: tenant) { connection throws(DatabaseFailure) in
                let rows = try connection.query(
                    """
                    SELECT c.input_hash, e.embedding
                    FROM \(schema).chunks c JOIN \(schema).embeddings e ON e.chunk_id = c.id
                    WHERE c.tenant_id = $1 AND c.document_id = $2 AND c.input_hash = ANY ($3)
                    """,
                    [.uuid(tenant.rowID), .uuid(document), .hashes(hashes)]
                )
                var vectors: [ContentHash: [Float]] = [:]
                for row in 0..<rows.count {
                    if let hash = rows.hash(row, 0), let vector = rows.vector(row, 1) { vectors[hash] = vector }
                }
                return vectors
            }
        }
    }
}

extension Store {
    /// Which of these documents there are, deleted ones among them.
    package func existingDocuments(_ documents: [RowID], tenant: Tenant) async throws(KelterError) -> Set<RowID> {
        let schema = schema
        return try await tenantCall(tenant) { connection throws(DatabaseFailure) in
            let rows = try connection.query(
                "SELECT id FROM \(schema).documents WHERE tenant_id = $1 AND id = ANY ($2)",
                [.uuid(tenant.rowID), .uuids(documents)]
            )
            return Set((0..<rows.count).compactMap { rows.uuid($0, 0) })
        }
    }

    /// The collections of documents, as far as there are any.
    package func documentCollections(
        _ documents: [RowID],
        tenant: Tenant
    ) async throws(KelterError) -> [RowID: CollectionID?] {
        let schema = schema
        return try await tenantCall(tenant) { connection throws(DatabaseFailure) in
            let rows = try connection.query(
                "SELECT id, collection_id FROM \(schema).documents WHERE tenant_id = $1 AND id = ANY ($2)",
                [.uuid(tenant.rowID), .uuids(documents)]
            )
            var collections: [RowID: CollectionID?] = [:]
            for row in 0..<rows.count {
                if let id = rows.uuid(row, 0) { collections.updateValue(rows.uuid(row, 1), forKey: id) }
            }
            return collections
        }
    }

    /// How many chunks a document has.
    package func chunkCount(of document: RowID, tenant: Tenant) async throws(KelterError) -> Int {
        let schema = schema
        return try await tenantCall(tenant) { connection throws(DatabaseFailure) in
            try connection.query(
                "SELECT count(*) FROM \(schema).chunks WHERE tenant_id = $1 AND document_id = $2",
                [.uuid(tenant.rowID), .uuid(document)]
            ).int(0, 0) ?? 0
        }
    }
}

/// Whether a text holds the one character that PostgreSQL's `text` does not.
func containsNUL(_ text: String) -> Bool {
    text.utf8.contains(0)
}
