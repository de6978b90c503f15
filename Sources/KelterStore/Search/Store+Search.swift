package import KelterModel

extension Store {
    /// Searches by vector and words.
    ///
    /// Candidates come from the vector index and from the lexical indexes; each candidate gets both scores:
    /// - `vector` = max(0, 1 − cosine distance);
    /// - `lexical` = max(r / (r + 0.3), (w − t) / (1 − t)), where r is `ts_rank_cd` over the question's words joined
    ///   by OR, in the text search configuration of the chunk (a single hit counts 0.1), w is the trigram word
    ///   similarity of the question's words, and t the trigram limit;
    /// - `score` = alpha · vector + (1 − alpha) · lexical; without a vector, `score` = lexical.
    ///
    /// A match needs a vector or lexical score of at least ``SearchRequest/minSimilarity``. The order is that of the
    /// scores, then of the documents' identifiers and the chunks' positions, and so the same every time.
    ///
    /// A search that is limited to few documents compares all their vectors; a larger one goes through the vector index
    /// until enough rows match, and compares all vectors when the index ends early: as many matches are returned as
    /// there are, up to ``SearchRequest/topK``.
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
        let searcher = Searcher(schema: schema, request: request, tenant: tenant)
        return try await reporting { () async throws(DatabaseFailure) in
            try await transaction(tenant: tenant) { connection throws(DatabaseFailure) in
                try searcher.search(on: connection)
            }
        }
    }
}
