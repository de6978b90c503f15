package import KelterModel

/// What a search may look at besides the tenant, which always applies.
///
/// A case and collections together are a union.
package struct SearchFilters: Sendable, Equatable {
    package var collections: [CollectionID]
    package var caseID: String?
    package var source: String?
    package var docClass: String?
    package var externalID: String?
    package var documentID: RowID?
    package var hash: ContentHash?

    package init(
        collections: [CollectionID] = [],
        caseID: String? = nil,
        source: String? = nil,
        docClass: String? = nil,
        externalID: String? = nil,
        documentID: RowID? = nil,
        hash: ContentHash? = nil
    ) {
        self.collections = collections
        self.caseID = caseID
        self.source = source
        self.docClass = docClass
        self.externalID = externalID
        self.documentID = documentID
        self.hash = hash
    }
}

/// Which documents a search sees by their deletion mark.
package enum SearchVisibility: String, Sendable, CaseIterable {
    case active, all, deleted
}

/// A question to the store: SPEC section 8.
package struct SearchRequest: Sendable {
    /// The question as a unit vector; `nil` searches by words only.
    package var vector: [Float]?
    /// The question in words.
    package var text: String
    package var filters: SearchFilters
    package var visibility: SearchVisibility
    /// The weight of the vector's score, 0 to 1; the words have the rest.
    ///
    /// Default 0.7.
    package var alpha: Double
    /// A match needs at least this score by its vector or by its words.
    ///
    /// Default 0.15.
    package var minSimilarity: Double
    /// So many matches at most.
    ///
    /// Default 5.
    package var topK: Int
    /// Candidates by vector; 0 looks for none, and a positive number below ``topK`` counts as ``topK``.
    ///
    /// Default 50.
    package var vectorLimit: Int
    /// Candidates by words; 0 looks for none, and a positive number below ``topK`` counts as ``topK``.
    ///
    /// Default 50.
    package var lexicalLimit: Int
    /// The most candidates that are scored; see ``effectiveMaximumCandidates``.
    ///
    /// Default `nil`: all.
    package var maximumCandidates: Int?
    /// The least trigram word similarity, 0 to 1, of a candidate that no word finds.
    ///
    /// Default 0.1.
    package var trigramLimit: Double
    /// How many candidates the vector index keeps while it searches, 1 to 1000.
    ///
    /// Default 80.
    package var efSearch: Int
    /// How many lists of an IVFFLAT index are searched first, 1 to 32768.
    ///
    /// Default 64.
    package var probes: Int

    package init(
        vector: [Float]?,
        text: String,
        filters: SearchFilters = SearchFilters(),
        visibility: SearchVisibility = .active,
        alpha: Double = 0.7,
        minSimilarity: Double = 0.15,
        topK: Int = 5,
        vectorLimit: Int = 50,
        lexicalLimit: Int = 50,
        maximumCandidates: Int? = nil,
        trigramLimit: Double = 0.1,
        efSearch: Int = 80,
        probes: Int = 64
    ) {
        self.vector = vector
        self.text = text
        self.filters = filters
        self.visibility = visibility
        self.alpha = alpha
        self.minSimilarity = minSimilarity
        self.topK = topK
        self.vectorLimit = vectorLimit
        self.lexicalLimit = lexicalLimit
        self.maximumCandidates = maximumCandidates
        self.trigramLimit = trigramLimit
        self.efSearch = efSearch
        self.probes = probes
    }
}

extension SearchRequest {
    /// Candidates by vector that are looked for.
    var effectiveVectorLimit: Int { vectorLimit > 0 ? max(vectorLimit, topK) : 0 }

    /// Candidates by words that are looked for.
    var effectiveLexicalLimit: Int { lexicalLimit > 0 ? max(lexicalLimit, topK) : 0 }

    /// So many candidates are scored at most: the best by vector and the best by words in turns.
    ///
    /// ``maximumCandidates``, at least ``topK`` and at most what both limits together can give.
    package var effectiveMaximumCandidates: Int {
        let both = effectiveVectorLimit + effectiveLexicalLimit
        return min(max(maximumCandidates ?? both, topK), both)
    }
}
