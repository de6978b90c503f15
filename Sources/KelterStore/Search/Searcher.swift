import KelterModel

/// Runs one search inside a transaction.
struct Searcher: Sendable {
    let schema: SQLIdentifier
    /// How the space's vectors are indexed.
    let indexing: VectorIndexing
    let request: SearchRequest
    let tenant: Tenant
    /// The model of the request's vector; `nil` when it is not looked at.
    let model: String?

    func search(on connection: isolated Connection) throws(DatabaseFailure) -> SearchResult {
        try prepare(connection)
        try VectorSpaceModel(schema: schema).check(model, stamps: false, on: connection)
        let words = try words(on: connection)
        var result = try matches(visibility: request.visibility, words: words, on: connection)
        if request.visibility == .active, try count(.documents, visibility: .deleted, limit: 1, on: connection) > 0 {
            result.deletedMatchesBlocked = try matches(visibility: .deleted, words: words, on: connection).matches.count
        }
        return result
    }

    /// Fixes what the search sees, and sets the index parameters.
    private func prepare(_ connection: isolated Connection) throws(DatabaseFailure) {
        // Candidates are found by one statement and scored by another: a document that is replaced in between would be
        // missing if each statement had a snapshot of its own.
        try connection.run("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        let efSearch = min(max(request.efSearch, request.effectiveVectorLimit, 1), 1000)
        try connection.setVectorScan(efSearch: efSearch, probes: min(max(request.probes, 1), 32_768))
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
        let candidates = Self.union(byVector, byWords, maximum: request.effectiveMaximumCandidates)
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

    /// The candidates of both lists in turns, beginning with the best by vector: each once, and so many at most.
    private static func union(_ byVector: [RowID], _ byWords: [RowID], maximum: Int) -> [RowID] {
        var union: [RowID] = []
        var seen: Set<RowID> = []
        for index in 0..<max(byVector.count, byWords.count) {
            for list in [byVector, byWords] where index < list.count && union.count < maximum {
                if seen.insert(list[index]).inserted { union.append(list[index]) }
            }
        }
        return union
    }
}
