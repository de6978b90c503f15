import KelterModel

extension Searcher {
    /// Up to so many documents, all vectors are compared: about 10,000 chunks, some milliseconds.
    private static let exactDocuments = 500
    /// Up to so many chunks are compared letter by letter: 0.3 s, at 0.3 ms for a text of 1,700 characters.
    private static let comparedChunks = 1000

    /// What ``count(_:visibility:limit:on:)`` counts.
    enum Counted {
        case documents, chunks
    }

    /// How many documents or chunks the filters leave, counted up to a limit.
    func count(
        _ counted: Counted,
        visibility: SearchVisibility,
        limit: Int,
        on connection: isolated Connection
    ) throws(DatabaseFailure) -> Int {
        var statement = Statement()
        let conditions = conditions(visibility: visibility, in: &statement)
        let chunks =
            counted == .chunks
            ? "JOIN \(schema).chunks c ON c.document_id = d.id AND c.tenant_id = d.tenant_id" : ""
        let rows = try connection.query(
            """
            SELECT count(*) FROM (SELECT FROM \(schema).documents d \(chunks) WHERE \(conditions) LIMIT \(limit)) l
            """,
            statement.parameters
        )
        return rows.int(0, 0) ?? 0
    }

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

    /// The identifiers in the first column.
    private func identifiers(
        _ sql: String,
        _ statement: Statement,
        on connection: isolated Connection
    ) throws(DatabaseFailure) -> [RowID] {
        let rows = try connection.query(sql, statement.parameters)
        return (0..<rows.count).compactMap { rows.uuid($0, 0) }
    }
}

extension Searcher {
    /// The nearest chunks, nearest first.
    func vectorCandidates(
        visibility: SearchVisibility,
        on connection: isolated Connection
    ) throws(DatabaseFailure) -> [RowID] {
        guard let vector = request.vector, request.effectiveVectorLimit > 0 else { return [] }
        let limit = Self.exactDocuments + 1
        if try count(.documents, visibility: visibility, limit: limit, on: connection) == limit {
            let nearest = try nearest(to: vector, isExact: false, visibility: visibility, on: connection)
            if nearest.count >= request.topK { return nearest }
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
        let placeholder = statement.bind(.vector(vector))
        let exact = VectorIndexing.exact("e.embedding", "<=>", placeholder)
        // An expression that is not the index's own, and a tie-breaker, keep the approximate index out.
        let distance = isExact ? "(\(exact)) + 0" : exact
        let order =
            isExact ? distance + ", c.document_id, c.ordinal" : indexing.indexed("e.embedding", "<=>", placeholder)
        return try identifiers(
            """
            SELECT n.chunk_id FROM (
                SELECT e.chunk_id, c.document_id, c.ordinal, \(distance) AS distance
                FROM \(schema).embeddings e JOIN \(schema).chunks c ON c.id = e.chunk_id
                JOIN \(schema).documents d ON d.id = c.document_id
                WHERE \(conditions) AND e.tenant_id = d.tenant_id
                ORDER BY \(order)
                LIMIT \(request.effectiveVectorLimit)
            ) n ORDER BY n.distance, n.document_id, n.ordinal
            """,
            statement,
            on: connection
        )
    }
}

extension Searcher {
    /// The chunks with the question's words, best first; behind them, when there are too few, those with similar ones.
    func lexicalCandidates(
        visibility: SearchVisibility,
        words: SearchWords,
        on connection: isolated Connection
    ) throws(DatabaseFailure) -> [RowID] {
        let limit = request.effectiveLexicalLimit
        guard limit > 0, !words.isEmpty else { return [] }
        var statement = Statement()
        let conditions = conditions(visibility: visibility, in: &statement)
        let query = words.anyOf.bind(in: &statement)
        let found = try identifiers(
            """
            SELECT c.id FROM \(schema).chunks c JOIN \(schema).documents d ON d.id = c.document_id
            WHERE \(conditions) AND c.tenant_id = d.tenant_id AND \(query.condition)
            ORDER BY ts_rank_cd(c.tsv, \(query.choice)) DESC, c.document_id, c.ordinal LIMIT \(limit)
            """,
            statement,
            on: connection
        )
        guard found.count < request.topK, !words.plain.isEmpty else { return found }
        let similar = try similarCandidates(visibility: visibility, words: words, on: connection)
        return found + similar.filter { !found.contains($0) }.prefix(limit - found.count)
    }

    /// Chunks with similar letters, for misspelt and compound words, most similar first.
    ///
    /// The trigram index is of no use here: at a limit this low it lets nearly all texts through to the comparison, and
    /// under row level security PostgreSQL does not use it at all. So the texts are chosen by cheaper means: all where
    /// there are few, else those with words that begin like the question's, the longer alike the better.
    private func similarCandidates(
        visibility: SearchVisibility,
        words: SearchWords,
        on connection: isolated Connection
    ) throws(DatabaseFailure) -> [RowID] {
        let maximum = Self.comparedChunks
        let isSmall = try count(.chunks, visibility: visibility, limit: maximum + 1, on: connection) <= maximum
        var statement = Statement()
        let conditions = conditions(visibility: visibility, in: &statement)
        var choice = ""
        if !isSmall {
            let query = words.beginnings.bind(in: &statement)
            choice = """
                AND \(query.condition)
                ORDER BY ts_rank(c.tsv, \(query.choice)) DESC, c.document_id, c.ordinal LIMIT \(maximum)
                """
        }
        let (plain, limit) = (statement.bind(.text(words.plain)), statement.bind(.double(request.trigramLimit)))
        // Materialised, or the similarity would be computed again for the order.
        return try identifiers(
            """
            WITH chosen AS MATERIALIZED (
                SELECT c.id, c.document_id, c.ordinal, c.text_norm
                FROM \(schema).chunks c JOIN \(schema).documents d ON d.id = c.document_id
                WHERE \(conditions) AND c.tenant_id = d.tenant_id \(choice)
            ), compared AS MATERIALIZED (
                SELECT id, document_id, ordinal, word_similarity(\(plain), text_norm) AS letters FROM chosen
            )
            SELECT id FROM compared WHERE letters >= \(limit)
            ORDER BY letters DESC, document_id, ordinal LIMIT \(request.effectiveLexicalLimit)
            """,
            statement,
            on: connection
        )
    }
}
