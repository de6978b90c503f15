import KelterModel

extension GroupWriter {
    /// Writes the rows of collections and documents; purged ones take their chunks, embeddings and sources along.
    func writeDocuments(
        from before: GuardState,
        to after: GuardState,
        on connection: isolated Connection
    ) throws(DatabaseFailure) {
        try writeCollections(after, on: connection)
        let purged = before.documents.keys.filter { after.documents[$0] == nil }.sorted()
        if !purged.isEmpty {
            try connection.execute("DELETE FROM \(schema).documents WHERE id = ANY ($1)", [.uuids(purged)])
        }
        try after.writeNames(changedFrom: before, schema: schema, on: connection)
        let written = after.documents.values.filter { $0.attributesItem != nil }.sorted { $0.id < $1.id }
        let (changed, new) = (
            written.filter { before.documents[$0.id] != nil }, written.filter { before.documents[$0.id] == nil }
        )
        if !changed.isEmpty {
            try connection.execute(updateStatement, parameters(changed))
            try updateChunks(changed.filter { $0.contentItem == nil }, on: connection)
        }
        if !new.isEmpty { try connection.execute(insertStatement, parameters(new)) }
    }

    private func writeCollections(_ after: GuardState, on connection: isolated Connection) throws(DatabaseFailure) {
        let scopes = Set(after.documents.values.filter { $0.contentItem != nil }.compactMap(\.scope))
        guard !scopes.isEmpty else { return }
        try connection.execute(
            """
            INSERT INTO \(schema).collections (tenant_id, id) SELECT $1, k FROM unnest($2::uuid[]) k
            ON CONFLICT DO NOTHING
            """,
            [.uuid(tenant.rowID), .uuids(scopes.sorted())]
        )
    }

    /// The parameters of both statements: one array for each column, after the tenant.
    private func parameters(_ documents: [GuardState.Document]) -> [Parameter] {
        let items = documents.map { group[$0.attributesItem ?? 0] }
        let texts = items.map(\.attributes.texts)
        return [
            .uuid(tenant.rowID), .uuids(documents.map(\.id)), .uuids(documents.map(\.scope)),
            .texts(documents.map(\.externalID)), .texts(documents.map(\.hash)), .texts(documents.map(\.metadataHash)),
            .jsons(items.map(\.attributes.metadata)), .ints(items.map(\.bytes)),
            .bools(documents.map { $0.contentItem != nil }),
        ] + DocumentAttributes.columns.indices.map { column in .texts(texts.map { $0[column] }) }
    }

    /// The parameters as a table `k`.
    private var rows: String {
        let first = 10
        let types = DocumentAttributes.columns.indices.map { "$\(first + $0)::text[]" }.joined(separator: ", ")
        return """
            unnest($2::uuid[], $3::uuid[], $4::text[], $5::text[], $6::text[], $7::jsonb[], $8::bigint[], $9::boolean[],
                \(types))
                AS k(id, collection_id, external_id, hash, metadata_hash, metadata, bytes, has_content,
                    \(DocumentAttributes.columns.joined(separator: ", ")))
            """
    }

    private var insertStatement: String {
        let columns = DocumentAttributes.columns
        return """
            INSERT INTO \(schema).documents (tenant_id, id, collection_id, external_id, hash, metadata_hash,
                metadata, bytes, \(columns.joined(separator: ", ")))
            SELECT $1, k.id, k.collection_id, k.external_id, k.hash, k.metadata_hash, k.metadata, k.bytes,
                \(columns.map { "k." + $0 }.joined(separator: ", "))
            FROM \(rows)
            """
    }

    /// Without content an item tells only what its sidecar says: what was found in the document stays, and so does
    /// what its vectors were made with.
    private var updateStatement: String {
        let repairs = Repair.metadataName
        let assignments = DocumentAttributes.columns.map { column in
            switch column {
            case "embedding_profile", "embedding_model", "vector_space_id":
                "\(column) = CASE WHEN k.has_content THEN k.\(column) ELSE d.\(column) END"
            case "title", "language", "media_type":
                "\(column) = CASE WHEN k.has_content THEN k.\(column) ELSE coalesce(k.\(column), d.\(column)) END"
            default: "\(column) = k.\(column)"
            }
        }
        return """
            UPDATE \(schema).documents d SET hash = k.hash, metadata_hash = k.metadata_hash,
                metadata = k.metadata || CASE WHEN NOT k.has_content AND d.metadata ? '\(repairs)'
                    THEN jsonb_build_object('\(repairs)', d.metadata -> '\(repairs)') ELSE '{}' END,
                bytes = k.bytes, generation = d.generation + k.has_content::int, updated_at = now(), deleted_at = NULL,
                \(assignments.joined(separator: ", "))
            FROM \(rows)
            WHERE d.id = k.id AND d.tenant_id = $1
            """
    }

    /// Brings the copies of attributes in the chunks up to date, where they differ.
    private func updateChunks(
        _ documents: [GuardState.Document],
        on connection: isolated Connection
    ) throws(DatabaseFailure) {
        guard !documents.isEmpty else { return }
        let attributes = documents.map { group[$0.attributesItem ?? 0].attributes }
        // Only what is known: an item without content does not know a title or language found in the document.
        try connection.execute(
            """
            UPDATE \(schema).chunks c SET metadata = n.metadata, lexical = n.lexical
            FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[]) AS k(id, title, case_id, lexical),
                LATERAL (SELECT id, CASE WHEN k.lexical IS NULL THEN o.lexical ELSE \(
                    TextSearchConfiguration.expression("k.lexical")) END AS lexical,
                    CASE WHEN k.case_id IS NULL THEN o.metadata - 'case_id' ELSE o.metadata END
                        || jsonb_strip_nulls(jsonb_build_object('title', k.title, 'case_id', k.case_id)) AS metadata
                    FROM \(schema).chunks o WHERE o.document_id = k.id) n
            WHERE c.id = n.id AND (c.metadata IS DISTINCT FROM n.metadata OR c.lexical <> n.lexical)
            """,
            [
                .uuids(documents.map(\.id)), .texts(attributes.map(\.title)), .texts(attributes.map(\.caseID)),
                .texts(attributes.map { $0.language.map { TextSearchConfiguration(language: $0).rawValue } }),
            ]
        )
    }

    /// Links the sources that were named or confirmed.
    func writeSources(_ state: GuardState, on connection: isolated Connection) throws(DatabaseFailure) {
        let links = state.touchedSources.sorted { ($0.value, $0.key.value) < ($1.value, $1.key.value) }
        guard !links.isEmpty else { return }
        try connection.execute(
            """
            INSERT INTO \(schema).sources (tenant_id, collection_id, external_id, document_id, root, last_run, content_hash)
            SELECT $1, k.collection_id, k.external_id, k.document_id, k.root, $2, k.content_hash
            FROM unnest($3::uuid[], $4::text[], $5::uuid[], $6::text[], $7::text[])
                AS k(collection_id, external_id, document_id, root, content_hash)
            ON CONFLICT ON CONSTRAINT sources_key DO UPDATE SET document_id = excluded.document_id,
                root = coalesce(excluded.root, sources.root), last_run = excluded.last_run, seen_at = now(),
                content_hash = excluded.content_hash
            """,
            [
                .uuid(tenant.rowID), .uuid(run), .uuids(links.map(\.key.scope)), .texts(links.map(\.key.value)),
                .uuids(links.map { state.sources[$0.key] }),
                .texts(links.map { group[$0.value].key.externalID == $0.key.value ? group[$0.value].root : nil }),
                .texts(links.map { state.sourceHashes[$0.key] }),
            ]
        )
    }
}

extension GuardState {
    /// Gives documents that lost the source they are named after the name of another of theirs.
    ///
    /// One statement each: a name may be free only after the statement before. It is rare.
    func writeNames(
        changedFrom before: GuardState,
        schema: SQLIdentifier,
        on connection: isolated Connection
    ) throws(DatabaseFailure) {
        for (id, document) in documents {
            guard let old = before.documents[id], old.externalID != document.externalID else { continue }
            try connection.execute(
                "UPDATE \(schema).documents SET external_id = $2, updated_at = now() WHERE id = $1",
                [.uuid(id), .text(document.externalID)]
            )
        }
    }
}
