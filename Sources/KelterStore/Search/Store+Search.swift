package import KelterModel

extension Store {
    /// Searches by vector and words.
    ///
    /// Candidates come from the vector index and from the lexical indexes:
    /// - by vector, the nearest ``SearchRequest/vectorLimit`` chunks;
    /// - by words, the best ``SearchRequest/lexicalLimit`` chunks by `ts_rank_cd`; when they are fewer than
    ///   ``SearchRequest/topK``, behind them those with the highest trigram word similarity, at least
    ///   ``SearchRequest/trigramLimit``, to the question's words. Up to 1,000 chunks are compared for that: all where the
    ///   filters leave no more, else the best by `ts_rank` over the first 4, 6, 8, 10 and 12 letters of the question's
    ///   words, so that a misspelt word needs its first four letters right;
    /// - of both lists in turns, beginning with the nearest, ``SearchRequest/effectiveMaximumCandidates`` are kept.
    ///
    /// Each candidate gets both scores:
    /// - `vector` = max(0, 1 − cosine distance);
    /// - `lexical` = max(r / (r + 0.3), (w − t) / (1 − t)), where r is `ts_rank_cd` over the question's words joined
    ///   by OR, in the text search configuration of the chunk (a single hit counts 0.1), w is the trigram word
    ///   similarity of the question's words, and t the trigram limit;
    /// - `score` = alpha · vector + (1 − alpha) · lexical; without a vector, `score` = lexical.
    ///
    /// A match needs a vector or lexical score of at least ``SearchRequest/minSimilarity``. The order is that of the
    /// scores, then of the documents' identifiers and the chunks' positions, and so the same every time. Of chunks
    /// equally near at the end of the candidates by vector, an index of many documents gives some, always the same.
    ///
    /// A search that is limited to 500 documents or fewer compares all their vectors; a larger one goes through the
    /// vector index until enough rows match, and compares all vectors when the index ends early: as many matches are
    /// returned as there are, up to ``SearchRequest/topK``. All of it sees the database at one point in time.
    ///
    /// Formulas: a weighted sum of scores that are both on a scale from 0 to 1 (a convex combination; Bruch, Gai and
    /// Ingber, "An Analysis of Fusion Functions for Hybrid Retrieval", 2023, doi 10.1145/3596512), with r / (r + k) as
    /// in PostgreSQL's rank normalisation 32, but k = 0.3 instead of 1, so that three hits count half.
    ///
    /// - Throws: ``KelterError`` with ``ErrorCode/vectorDimensionMismatch`` for a vector of another width,
    ///   ``ErrorCode/databaseUnavailable`` and others.
    package func search(_ request: SearchRequest, tenant: Tenant) async throws(KelterError) -> SearchResult {
        if let width = request.vector?.count, width != configuration.dimension {
            throw KelterError(
                .vectorDimensionMismatch,
                "The question's vector has \(width) dimensions, schema \(schema.name) \(configuration.dimension).",
                subject: "EMBEDDINGS_DIM",
                fix: "Use the model of that vector space."
            )
        }
        let searcher = Searcher(
            schema: schema,
            indexing: VectorIndexing(dimension: configuration.dimension),
            request: request,
            tenant: tenant,
            model: request.vector == nil ? nil : configuration.model
        )
        return try await reporting { () async throws(DatabaseFailure) in
            try await transaction(tenant: tenant) { connection throws(DatabaseFailure) in
                try searcher.search(on: connection)
            }
        }
    }
}
