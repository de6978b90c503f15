import KelterModel
import KelterStore

/// The search written down a second time: all chunks of a tenant with their raw numbers, read without any index, and the
/// rules of `Store.search` in plain Swift.
struct SearchReference {
    /// One chunk with what a question makes of it.
    struct Row {
        let chunk: RowID
        let document: RowID
        let ordinal: Int
        let collection: CollectionID?
        let caseID: String?
        let source: String?
        let docClass: String?
        let externalID: String
        let hash: String
        let isDeleted: Bool
        /// The cosine distance; `nil` without embedding or vector.
        let distance: Double?
        let hasWord: Bool
        let rank: Double
        let letters: Double
    }

    /// What the search must give.
    struct Result: Equatable {
        var chunks: [RowID] = []
        var scores: [Double] = []
        var vectorCandidates = 0
        var lexicalCandidates = 0
        var deletedMatchesBlocked = 0
    }

    let rows: [Row]
    /// Whether the question has words whose letters can be compared.
    private let hasLetters: Bool

    /// Reads all chunks of the tenant, compared with a vector and a text.
    init(_ store: Store, tenant: Tenant, vector: [Float]?, text: String) async throws {
        let literal = "'" + text.split(separator: "'", omittingEmptySubsequences: false).joined(separator: "''") + "'"
        let quoted = "regexp_replace(\(literal), '(^|\\s)-+(?=\\s|$)', ' ', 'g')"
        let distance = vector.map { "(e.embedding <=> '[\($0.map { "\($0)" }.joined(separator: ","))]')::float8" }
        // A word that one of both languages leaves out says nothing in a text without language; a negative number is no
        // exclusion.
        let words = """
            (SELECT string_agg(regexp_replace(lexeme, '^-.*$', '"\\&"'), ' ') FROM unnest(to_tsvector('simple', \(quoted)))
            WHERE length(to_tsvector('german', lexeme)) > 0 AND length(to_tsvector('english', lexeme)) > 0)
            """
        func any(_ configuration: String, _ text: String) -> String {
            """
            (SELECT CASE WHEN q LIKE '%!%' THEN q ELSE replace(q, ' & ', ' | ') END::tsquery
            FROM (SELECT websearch_to_tsquery('\(configuration)', \(text))::text AS q))
            """
        }
        let answer = try await store.rows(
            """
            WITH queries AS MATERIALIZED (
                SELECT 'german'::regconfig AS configuration, \(any("german", quoted)) AS query
                UNION ALL SELECT 'english', \(any("english", quoted))
                UNION ALL SELECT 'simple', \(any("simple", words))
            ), plain AS MATERIALIZED (
                SELECT CASE WHEN EXISTS (SELECT FROM queries WHERE query::text LIKE '%!%') THEN ''
                    ELSE coalesce(\(words), lower(\(quoted))) END AS text
            )
            SELECT c.id, d.id, c.ordinal, d.collection_id, d.case_id, d.source, d.doc_class, d.external_id, d.hash,
                d.deleted_at IS NOT NULL, \(distance ?? "NULL"), coalesce(to_tsvector(configuration, c.text) @@ query, false),
                coalesce(ts_rank_cd(to_tsvector(configuration, c.text), query), 0),
                word_similarity(plain.text, lower(c.text)), plain.text <> ''
            FROM rag.documents d JOIN rag.chunks c ON c.document_id = d.id LEFT JOIN rag.embeddings e ON e.chunk_id = c.id
            CROSS JOIN plain JOIN queries ON configuration =
                CASE d.language WHEN 'de' THEN 'german' WHEN 'en' THEN 'english' ELSE 'simple' END::regconfig
            WHERE d.tenant_id = '\(tenant.rowID)'
            """
        )
        rows = answer.compactMap { Row($0) }
        hasLetters = answer.first?[14] == "t"
    }

    /// The result for a request with the vector and the text these rows were compared with.
    func result(_ request: SearchRequest) -> Result {
        var result = result(request, visibility: request.visibility)
        if request.visibility == .active {
            result.deletedMatchesBlocked = self.result(request, visibility: .deleted).chunks.count
        }
        return result
    }

    private func result(_ request: SearchRequest, visibility: SearchVisibility) -> Result {
        let visible = rows.filter { $0.passes(request.filters, visibility) }
        let vectorLimit = request.vectorLimit == 0 ? 0 : max(request.vectorLimit, request.topK)
        let lexicalLimit = request.lexicalLimit == 0 ? 0 : max(request.lexicalLimit, request.topK)

        let near = visible.filter { $0.distance != nil }
            .sorted { ($0.distance ?? 0, $0.document, $0.ordinal) < ($1.distance ?? 0, $1.document, $1.ordinal) }
            .prefix(request.vector == nil ? 0 : vectorLimit)
        let ranked = visible.filter(\.hasWord)
            .sorted { (-$0.rank, $0.document, $0.ordinal) < (-$1.rank, $1.document, $1.ordinal) }
            .prefix(lexicalLimit)
        var lexical = ranked.map(\.chunk)
        if lexical.count < request.topK, hasLetters {
            let similar = visible.filter { $0.letters >= request.trigramLimit && !lexical.contains($0.chunk) }
                .sorted { (-$0.letters, $0.document, $0.ordinal) < (-$1.letters, $1.document, $1.ordinal) }
            lexical += similar.prefix(lexicalLimit - lexical.count).map(\.chunk)
        }

        var candidates: [RowID] = []
        let maximum = max(request.topK, request.maximumCandidates ?? .max)
        for place in 0..<max(near.count, lexical.count) {
            let pair = [near.map(\.chunk), lexical].compactMap { place < $0.count ? $0[place] : nil }
            for chunk in pair where !candidates.contains(chunk) && candidates.count < maximum {
                candidates.append(chunk)
            }
        }
        let matches = visible.filter { candidates.contains($0.chunk) }
            .compactMap { row in Self.score(row, request).map { (row, $0) } }
            .sorted { (-$0.1, $0.0.document, $0.0.ordinal) < (-$1.1, $1.0.document, $1.0.ordinal) }
            .prefix(request.topK)
        return Result(
            chunks: matches.map(\.0.chunk),
            scores: matches.map(\.1),
            vectorCandidates: near.count,
            lexicalCandidates: lexical.count
        )
    }

    /// The fused score; `nil` below the threshold.
    private static func score(_ row: Row, _ request: SearchRequest) -> Double? {
        let limit = min(request.trigramLimit, 0.99)
        let byVector = request.vector == nil ? 0 : max(0, 1 - (row.distance ?? 1))
        let byWords = max(row.rank / (row.rank + 0.3), (row.letters - limit) / (1 - limit), 0)
        guard max(byVector, byWords) >= request.minSimilarity else { return nil }
        return request.vector == nil ? byWords : request.alpha * byVector + (1 - request.alpha) * byWords
    }
}

extension SearchReference.Row {
    fileprivate init?(_ columns: [String?]) {
        guard let chunk = columns[0].flatMap({ RowID($0) }), let document = columns[1].flatMap({ RowID($0) }),
            let ordinal = columns[2].flatMap({ Int($0) }), let externalID = columns[7], let hash = columns[8],
            let rank = columns[12].flatMap({ Float($0) }), let letters = columns[13].flatMap({ Float($0) })
        else { return nil }
        self.chunk = chunk
        self.document = document
        self.ordinal = ordinal
        collection = columns[3].flatMap { RowID($0) }
        caseID = columns[4]
        source = columns[5]
        docClass = columns[6]
        self.externalID = externalID
        self.hash = hash
        isDeleted = columns[9] == "t"
        distance = columns[10].flatMap { Double($0) }
        hasWord = columns[11] == "t"
        self.rank = Double(rank)
        self.letters = Double(letters)
    }

    fileprivate func passes(_ filters: SearchFilters, _ visibility: SearchVisibility) -> Bool {
        guard visibility == .all || isDeleted == (visibility == .deleted) else { return false }
        if filters.caseID != nil || !filters.collections.isEmpty {
            let inCase = filters.caseID.map { $0 == caseID } ?? false
            let inCollection = collection.map { filters.collections.contains($0) } ?? false
            guard inCase || inCollection else { return false }
        }
        return filters.source.map { $0 == source } ?? true
            && filters.docClass.map { $0 == docClass } ?? true
            && filters.externalID.map { $0 == externalID } ?? true
            && filters.documentID.map { $0 == document } ?? true
            && filters.hash.map { $0.hex == hash } ?? true
    }
}
