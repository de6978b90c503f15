import Glibc
import KelterModel

extension GroupWriter {
    /// What makes a stored chunk stand for a new one.
    struct StoredKey: Hashable {
        let document: RowID
        let inputHash: ContentHash
        let hasVector: Bool
    }

    /// A chunk on its way into the tables.
    private struct Row {
        let id: RowID
        let document: RowID
        let scope: CollectionID?
        let lexical: String
        let chunk: StoredChunk
        /// The chunk is stored already, with its vector; only what surrounds its text may have changed.
        let isKept: Bool
    }

    /// So many rows pass through the staging table at a time: they are in memory here, and twice on the server.
    private static let rowsAtATime = 2_048
    /// So many stored chunks at most are looked through for those that stay; what is beyond them is written anew.
    private static let maximumKept = 50_000

    /// The stored chunks that new content may keep: of documents in ``DocumentWrite/content``, made by the same model.
    ///
    /// Read before the documents change, because their rows say which model their vectors are from.
    func keepableChunks(
        from before: GuardState,
        to after: GuardState,
        on connection: isolated Connection
    ) throws(DatabaseFailure) -> [StoredKey: [RowID]] {
        let documents = replaced(from: before, to: after)
        guard !documents.isEmpty else { return [:] }
        let attributes = documents.map { group[$0.contentItem ?? 0].attributes }
        let rows = try connection.query(
            """
            SELECT c.id, c.document_id, c.input_hash, e.chunk_id IS NOT NULL
            FROM unnest($1::uuid[], $2::text[], $3::text[]) k(id, model, profile)
            JOIN \(schema).documents d ON d.id = k.id AND d.embedding_model IS NOT DISTINCT FROM k.model
                AND d.embedding_profile IS NOT DISTINCT FROM k.profile
            JOIN \(schema).chunks c ON c.document_id = d.id
            LEFT JOIN \(schema).embeddings e ON e.chunk_id = c.id
            WHERE c.input_hash IS NOT NULL
            ORDER BY c.ordinal
            LIMIT \(Self.maximumKept)
            """,
            [
                .uuids(documents.map(\.id)), .texts(attributes.map(\.embeddingModel)),
                .texts(attributes.map(\.embeddingProfile)),
            ]
        )
        var kept: [StoredKey: [RowID]] = [:]
        // The last of each list is taken first.
        for row in (0..<rows.count).reversed() {
            guard let id = rows.uuid(row, 0), let document = rows.uuid(row, 1), let hash = rows.hash(row, 2) else {
                continue
            }
            let key = StoredKey(document: document, inputHash: hash, hasVector: rows.bool(row, 3) ?? false)
            kept[key, default: []].append(id)
        }
        return kept
    }

    private func replaced(from before: GuardState, to after: GuardState) -> [GuardState.Document] {
        after.documents.values.filter { $0.contentItem != nil && before.documents[$0.id] != nil }
    }

    /// Replaces the chunks and embeddings of the documents that get new content.
    ///
    /// Chunks whose embedded text is the same keep their row and their vector: nothing enters the vector index anew.
    func writeContent(
        from before: GuardState,
        to after: GuardState,
        keeping keepable: [StoredKey: [RowID]],
        on connection: isolated Connection
    ) throws(DatabaseFailure) {
        var keepable = keepable
        let documents = after.documents.values.sorted { $0.id < $1.id }.compactMap { document in
            document.contentItem.flatMap { item in group[item].content.map { (document, item, $0) } }
        }
        // All that stays must be known before anything goes.
        var kept: [[Int: RowID]] = []
        for (document, _, content) in documents {
            kept.append(try Self.kept(of: content, document.id, from: &keepable))
        }
        let replaced = replaced(from: before, to: after)
        if !replaced.isEmpty {
            try connection.execute(
                "DELETE FROM \(schema).chunks WHERE document_id = ANY ($1) AND id <> ALL ($2)",
                [.uuids(replaced.map(\.id)), .uuids(kept.flatMap(\.values))]
            )
            // Of chunks that move, one may stand for a while where another that stays has not gone yet.
            if documents.reduce(0, { $0 + $1.2.count }) > Self.rowsAtATime {
                try connection.run("SET CONSTRAINTS \(schema).chunks_document_ordinal_key DEFERRED")
            }
        }
        var rows: [Row] = []
        var isFirst = true
        for ((document, item, content), kept) in zip(documents, kept) {
            var next = 0
            while next < content.count {
                let range = next..<min(next + Self.rowsAtATime - rows.count, content.count)
                rows += try self.rows(content, range, of: document, item, keeping: kept)
                next = range.upperBound
                guard rows.count == Self.rowsAtATime else { continue }
                try write(rows, isFirst: isFirst, on: connection)
                rows.removeAll(keepingCapacity: true)
                isFirst = false
            }
        }
        if !rows.isEmpty { try write(rows, isFirst: isFirst, on: connection) }
    }

    /// The rows that chunks of a document keep, by ordinal; they are taken out of `keepable`.
    private static func kept(
        of content: DocumentContent,
        _ document: RowID,
        from keepable: inout [StoredKey: [RowID]]
    ) throws(DatabaseFailure) -> [Int: RowID] {
        var kept: [Int: RowID] = [:]
        for start in stride(from: 0, to: keepable.isEmpty ? 0 : content.count, by: rowsAtATime) {
            let range = start..<min(start + rowsAtATime, content.count)
            let keys: [DocumentContent.Key]
            do throws(KelterError) { keys = try content.keys(range) } catch { throw .finding(error) }
            for (ordinal, key) in zip(range, keys) {
                let key = StoredKey(document: document, inputHash: key.inputHash, hasVector: key.dimension > 0)
                kept[ordinal] = keepable[key]?.popLast()
            }
        }
        return kept
    }

    private func rows(
        _ content: DocumentContent,
        _ range: Range<Int>,
        of document: GuardState.Document,
        _ item: Int,
        keeping kept: [Int: RowID]
    ) throws(DatabaseFailure) -> [Row] {
        let milliseconds = Self.millisecondsSince1970()
        let lexical = TextSearchConfiguration(language: group[item].attributes.language).rawValue
        let chunks: [StoredChunk]
        do throws(KelterError) { chunks = try content.chunks(range) } catch { throw .finding(error) }
        return zip(range, chunks).map { ordinal, chunk in
            Row(
                id: kept[ordinal] ?? .version7(milliseconds: milliseconds),
                document: document.id,
                scope: document.scope,
                lexical: lexical,
                chunk: chunk,
                isKept: kept[ordinal] != nil
            )
        }
    }

    /// Brings rows into the tables by way of the staging table.
    private func write(_ rows: [Row], isFirst: Bool, on connection: isolated Connection) throws(DatabaseFailure) {
        if !isFirst { try connection.run("TRUNCATE pg_temp.kelter_staging") }
        try stage(rows, on: connection)
        let kept = rows.count(where: \.isKept)
        if kept > 0 { try connection.execute(updateStatement) }
        if kept < rows.count {
            try connection.execute(chunkStatement, [.uuid(tenant.rowID)])
            try connection.execute(embeddingStatement, [.uuid(tenant.rowID)])
        }
    }

    private static func millisecondsSince1970() -> UInt64 {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return UInt64(time.tv_sec) * 1000 + UInt64(time.tv_nsec) / 1_000_000
    }
}

extension GroupWriter {
    /// COPY into a table with row level security is refused to ordinary roles, and COPY cannot skip or update: so the
    /// rows go to a temporary table of the session, and from there by `INSERT … SELECT`.
    static func prepareStaging(dimension: Int, on connection: isolated Connection) throws(DatabaseFailure) {
        guard !connection.hasStagingTable else { return }
        try connection.run(
            """
            CREATE TEMPORARY TABLE kelter_staging (
                id uuid, document_id uuid, collection_id uuid, ordinal int, text text, lexical text, tokens int,
                input_hash bytea, metadata jsonb, is_kept boolean, embedding public.vector(\(dimension))
            ) ON COMMIT DELETE ROWS
            """
        )
        connection.hasStagingTable = true
    }

    private func stage(_ rows: [Row], on connection: isolated Connection) throws(DatabaseFailure) {
        try connection.copy("COPY pg_temp.kelter_staging FROM STDIN (FORMAT binary)", count: rows.count) {
            index,
            buffer in
            if index == rows.count / 2 { FailPoint.chunksCopied.pass() }
            let row = rows[index]
            buffer.append(Int16(11))
            buffer.appendField { $0.append(row.id) }
            buffer.appendField { $0.append(row.document) }
            if let scope = row.scope {
                buffer.appendField { $0.append(scope) }
            } else {
                buffer.appendNull()
            }
            buffer.appendField { $0.append(Int32(truncatingIfNeeded: row.chunk.ordinal)) }
            buffer.appendField { $0.append(row.chunk.text) }
            buffer.appendField { $0.append(row.lexical) }
            buffer.appendField { $0.append(Int32(truncatingIfNeeded: row.chunk.tokens)) }
            buffer.appendField { $0.append(row.chunk.inputHash.bytes) }
            buffer.appendField { $0.append(json: row.chunk.metadata) }
            buffer.appendField { $0.append(UInt8(row.isKept ? 1 : 0)) }
            if let vector = row.chunk.vector.values, !row.isKept {
                buffer.appendField { $0.append(vector: vector) }
            } else {
                buffer.appendNull()
            }
        }
    }

    /// Renumbers the kept chunks and refreshes what surrounds their text; rows that stay the same are not touched.
    private var updateStatement: String {
        let lexical = TextSearchConfiguration.expression("s.lexical")
        return """
            UPDATE \(schema).chunks c SET ordinal = s.ordinal, text = s.text, lexical = \(lexical), tokens = s.tokens,
                metadata = s.metadata
            FROM pg_temp.kelter_staging s
            WHERE s.is_kept AND c.id = s.id
                AND (c.ordinal, c.text, c.lexical, c.tokens, c.metadata)
                    IS DISTINCT FROM (s.ordinal, s.text, \(lexical), s.tokens, s.metadata)
            """
    }

    private var chunkStatement: String {
        """
        INSERT INTO \(schema).chunks
            (id, document_id, tenant_id, collection_id, ordinal, text, lexical, tokens, input_hash, metadata)
        SELECT s.id, s.document_id, $1, s.collection_id, s.ordinal, s.text,
            \(TextSearchConfiguration.expression("s.lexical")), s.tokens, s.input_hash, s.metadata
        FROM pg_temp.kelter_staging s WHERE NOT s.is_kept
        """
    }

    private var embeddingStatement: String {
        """
        INSERT INTO \(schema).embeddings (chunk_id, tenant_id, collection_id, embedding)
        SELECT s.id, $1, s.collection_id, s.embedding
        FROM pg_temp.kelter_staging s WHERE s.embedding IS NOT NULL
        """
    }
}
