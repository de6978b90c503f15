import KelterModel

extension Searcher {
    /// The rank at which words count half: three single hits.
    private static let halfRank = 0.3

    /// The question's words as queries.
    func words(on connection: isolated Connection) throws(DatabaseFailure) -> SearchWords {
        let rows = try connection.query(SearchWords.sql, [.text(SearchWords.cleaned(request.text))])
        return SearchWords(rows)
    }

    /// Gives each candidate both scores.
    func score(
        _ candidates: [RowID],
        words: SearchWords,
        on connection: isolated Connection
    ) throws(DatabaseFailure) -> [SearchMatch] {
        var statement = Statement()
        let ids = statement.bind(.uuids(candidates))
        let query = words.anyOf.bind(in: &statement)
        let plain = statement.bind(.text(words.plain))
        let similarity =
            request.vector.map {
                "1 - (" + VectorIndexing.exact("e.embedding", "<=>", statement.bind(.vector($0))) + ")"
            } ?? "0"
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
