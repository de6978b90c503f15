import KelterModel

/// Runs one search inside a transaction.
struct Searcher: Sendable {
    /// Up to so many documents, all vectors are compared: about 10,000 chunks, some milliseconds.
    private static let exactDocuments = 500
    /// The rank at which words count half: three single hits.
    private static let halfRank = 0.3

    let schema: SQLIdentifier
    let request: SearchRequest
    let tenant: Tenant

    func search(on connection: isolated Connection) throws(DatabaseFailure) -> SearchResult {
        try prepare(connection)
        let words = try words(on: connection)
        var result = SearchResult()
        let found = try matches(visibility: request.visibility, words: words, on: connection)
        result.vectorCandidates = found.vectorCandidates
        result.lexicalCandidates = found.lexicalCandidates
        result.matches = found.matches
        if request.visibility == .active, try documentCount(visibility: .deleted, limit: 1, on: connection) > 0 {
            result.deletedMatchesBlocked = try matches(visibility: .deleted, words: words, on: connection).matches.count
        }
        return result
    }

    /// Sets the index parameters for this transaction; older versions of pgvector cannot go on after the first scan.
    private func prepare(_ connection: isolated Connection) throws(DatabaseFailure) {
        let efSearch = min(max(request.efSearch, request.vectorLimit, 1), 1000)
        _ = try connection.query(
            """
            SELECT set_config('hnsw.ef_search', $1, true), set_config('pg_trgm.word_similarity_threshold', $2, true),
                CASE WHEN (
                    SELECT string_to_array(substring(extversion FROM '^[0-9]+\\.[0-9]+'), '.')::int[] >= ARRAY[0, 8]
                    FROM pg_extension WHERE extname = 'vector'
                )
                THEN set_config('hnsw.iterative_scan', 'strict_order', true) END
            """,
            [.text(String(efSearch)), .text(String(min(max(request.trigramLimit, 0), 1)))]
        )
    }

    private func matches(
        visibility: SearchVisibility,
        words: SearchWords,
        on connection: isolated Connection
    ) throws(DatabaseFailure) -> SearchResult {
        var result = SearchResult()
        let byVector = try vectorCandidates(visibility: visibility, on: connection)
        let byWords = try lexicalCandidates(visibility: visibility, words: words, on: connection)
        result.vectorCandidates = byVector.count
        result.lexicalCandidates = byWords.count
        let candidates = Array(Set(byVector + byWords))
        guard !candidates.isEmpty else { return result }
        let scored = try score(candidates, words: words, on: connection)
        let sufficient = scored.filter { max($0.vectorScore, $0.lexicalScore) >= request.minSimilarity }
        let ordered = sufficient.sorted { left, right in
            if left.score != right.score { return left.score > right.score }
            return (left.documentID, left.ordinal) < (right.documentID, right.ordinal)
        }
        result.matches = Array(ordered.prefix(max(request.topK, 0)))
        return result
    }
}

extension Searcher {
    /// The conditions on documents `d`.
    private func conditions(visibility: SearchVisibility, in statement: inout Statement) -> String {
        var conditions = ["d.tenant_id = \(statement.bind(.uuid(tenant.rowID)))"]
        switch visibility {
        case .active: conditions.append("d.deleted_at IS NULL")
        case .deleted: conditions.append("d.deleted_at IS NOT NULL")
        case .all: break
        }
        let filters = request.filters
        var union: [String] = []
        if let caseID = filters.caseID { union.append("d.case_id = \(statement.bind(.text(caseID)))") }
        if !filters.collections.isEmpty {
            union.append("d.collection_id = ANY (\(statement.bind(.uuids(filters.collections))))")
        }
        if !union.isEmpty { conditions.append("(" + union.joined(separator: " OR ") + ")") }
        let equal: [(String, Parameter?)] = [
            ("source", filters.source.map { .text($0) }), ("doc_class", filters.docClass.map { .text($0) }),
            ("external_id", filters.externalID.map { .text($0) }), ("id", filters.documentID.map { .uuid($0) }),
            ("hash", filters.hash.map { .text($0.hex) }),
        ]
        for (column, value) in equal {
            if let value { conditions.append("d.\(column) = \(statement.bind(value))") }
        }
        return conditions.joined(separator: " AND ")
    }

    /// How many documents the filters leave, counted up to a limit.
    private func documentCount(
        visibility: SearchVisibility,
        limit: Int,
        on connection: isolated Connection
    ) throws(DatabaseFailure) -> Int {
        var statement = Statement()
        let conditions = conditions(visibility: visibility, in: &statement)
        let sql = "SELECT count(*) FROM (SELECT FROM \(schema).documents d WHERE \(conditions) LIMIT \(limit)) l"
        return try connection.query(sql, statement.parameters).int(0, 0) ?? 0
    }

    private func vectorCandidates(
        visibility: SearchVisibility,
        on connection: isolated Connection
    ) throws(DatabaseFailure) -> [RowID] {
        guard let vector = request.vector, request.vectorLimit > 0 else { return [] }
        let limit = Self.exactDocuments + 1
        let isSmall = try documentCount(visibility: visibility, limit: limit, on: connection) < limit
        if !isSmall {
            let nearest = try nearest(to: vector, isExact: false, visibility: visibility, on: connection)
            if nearest.count >= min(request.topK, request.vectorLimit) { return nearest }
        }
        return try nearest(to: vector, isExact: true, visibility: visibility, on: connection)
    }

    private func nearest(
        to vector: [Float],
        isExact: Bool,
        visibility: SearchVisibility,
        on connection: isolated Connection
    ) throws(DatabaseFailure) -> [RowID] {
        var statement = Statement()
        let conditions = conditions(visibility: visibility, in: &statement)
        let distance = "e.embedding <=> \(statement.bind(.vector(vector)))::public.vector"
        // An expression that is not the index's own, and a tie-breaker, keep the approximate index out.
        let order = isExact ? "(\(distance)) + 0, c.document_id, c.ordinal" : distance
        let rows = try connection.query(
            """
            SELECT e.chunk_id FROM \(schema).embeddings e JOIN \(schema).chunks c ON c.id = e.chunk_id
            JOIN \(schema).documents d ON d.id = c.document_id
            WHERE \(conditions) AND e.tenant_id = d.tenant_id
            ORDER BY \(order) LIMIT \(request.vectorLimit)
            """,
            statement.parameters
        )
        return (0..<rows.count).compactMap { rows.uuid($0, 0) }
    }
}

extension Searcher {
    /// The question's words as queries: `tsquery` texts for the three configurations, and plain for trigrams.
    private func words(on connection: isolated Connection) throws(DatabaseFailure) -> SearchWords {
        let text =
            containsNUL(request.text)
            ? String(request.text.split(separator: "\0").joined(separator: " ")) : request.text
        // Words that either language ignores say nothing in an unstemmed text either.
        let rows = try connection.query(
            """
            SELECT websearch_to_tsquery('pg_catalog.german', $1)::text,
                websearch_to_tsquery('pg_catalog.english', $1)::text,
                websearch_to_tsquery('pg_catalog.simple', w.words)::text, coalesce(w.words, lower($1))
            FROM (SELECT string_agg(lexeme, ' ') AS words FROM unnest(to_tsvector('pg_catalog.simple', $1))
                WHERE to_tsvector('pg_catalog.german', lexeme) <> ''::tsvector
                    AND to_tsvector('pg_catalog.english', lexeme) <> ''::tsvector) w
            """,
            [.text(text)]
        )
        return SearchWords(
            german: SearchWords.anyOf(rows.text(0, 0) ?? ""),
            english: SearchWords.anyOf(rows.text(0, 1) ?? ""),
            simple: SearchWords.anyOf(rows.text(0, 2) ?? ""),
            plain: rows.text(0, 3) ?? ""
        )
    }

    private func lexicalCandidates(
        visibility: SearchVisibility,
        words: SearchWords,
        on connection: isolated Connection
    ) throws(DatabaseFailure) -> [RowID] {
        guard request.lexicalLimit > 0, !words.plain.isEmpty else { return [] }
        var statement = Statement()
        let conditions = conditions(visibility: visibility, in: &statement)
        let query = words.bind(in: &statement)
        let rows = try connection.query(
            """
            SELECT c.id FROM \(schema).chunks c JOIN \(schema).documents d ON d.id = c.document_id
            WHERE \(conditions) AND c.tenant_id = d.tenant_id AND \(query.condition)
            ORDER BY ts_rank_cd(c.tsv, \(query.choice)) DESC, c.document_id, c.ordinal LIMIT \(request.lexicalLimit)
            """,
            statement.parameters
        )
        let found = (0..<rows.count).compactMap { rows.uuid($0, 0) }
        guard found.count < request.topK else { return found }
        let similar = try trigramCandidates(visibility: visibility, words: words, on: connection)
        return found + similar.filter { !found.contains($0) }.prefix(request.lexicalLimit - found.count)
    }

    /// Chunks with similar letters, for misspelt and compound words: looked for only when words find too few.
    private func trigramCandidates(
        visibility: SearchVisibility,
        words: SearchWords,
        on connection: isolated Connection
    ) throws(DatabaseFailure) -> [RowID] {
        var statement = Statement()
        let conditions = conditions(visibility: visibility, in: &statement)
        let plain = statement.bind(.text(words.plain))
        // A low threshold lets most texts pass; 2,000 of them are compared at most.
        let rows = try connection.query(
            """
            SELECT s.id FROM (
                SELECT c.id, c.text_norm, c.document_id, c.ordinal
                FROM \(schema).chunks c JOIN \(schema).documents d ON d.id = c.document_id
                WHERE \(conditions) AND c.tenant_id = d.tenant_id AND \(plain) <% c.text_norm LIMIT 2000
            ) s ORDER BY word_similarity(\(plain), s.text_norm) DESC, s.document_id, s.ordinal
            LIMIT \(request.lexicalLimit)
            """,
            statement.parameters
        )
        return (0..<rows.count).compactMap { rows.uuid($0, 0) }
    }

    private func score(
        _ candidates: [RowID],
        words: SearchWords,
        on connection: isolated Connection
    ) throws(DatabaseFailure) -> [SearchMatch] {
        var statement = Statement()
        let ids = statement.bind(.uuids(candidates))
        let query = words.bind(in: &statement)
        let plain = statement.bind(.text(words.plain))
        let similarity =
            request.vector.map { "1 - (e.embedding <=> \(statement.bind(.vector($0)))::public.vector)" } ?? "0"
        let rows = try connection.query(
            """
            SELECT c.id, d.id, c.text, d.source, d.hash, d.external_id, d.collection_id, c.ordinal, d.title, c.metadata,
                (\(similarity))::float8, ts_rank_cd(c.tsv, \(query.choice)), word_similarity(\(plain), c.text_norm)
            FROM \(schema).chunks c JOIN \(schema).documents d ON d.id = c.document_id
            LEFT JOIN \(schema).embeddings e ON e.chunk_id = c.id
            WHERE c.id = ANY (\(ids))
            """,
            statement.parameters
        )
        return (0..<rows.count).compactMap { match(rows, $0) }
    }

    private func match(_ rows: borrowing Rows, _ row: Int) -> SearchMatch? {
        guard let chunk = rows.uuid(row, 0), let document = rows.uuid(row, 1), let text = rows.text(row, 2) else {
            return nil
        }
        let vectorScore = max(0, rows.double(row, 10) ?? 0)
        let rank = rows.double(row, 11) ?? 0
        let limit = min(max(request.trigramLimit, 0), 0.99)
        let letters = ((rows.double(row, 12) ?? 0) - limit) / (1 - limit)
        let lexicalScore = max(rank / (rank + Self.halfRank), letters, 0)
        let score =
            request.vector == nil ? lexicalScore : request.alpha * vectorScore + (1 - request.alpha) * lexicalScore
        return SearchMatch(
            chunkID: chunk,
            documentID: document,
            text: text,
            score: score,
            vectorScore: vectorScore,
            lexicalScore: lexicalScore,
            source: rows.text(row, 3),
            hash: rows.text(row, 4) ?? "",
            externalID: rows.text(row, 5) ?? "",
            collection: rows.uuid(row, 6),
            ordinal: rows.int(row, 7) ?? 0,
            title: rows.text(row, 8),
            metadata: rows.json(row, 9) ?? .object([])
        )
    }
}
