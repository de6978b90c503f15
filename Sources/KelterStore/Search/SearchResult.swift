package import KelterModel

/// A chunk that answers a question.
package struct SearchMatch: Sendable {
    package let chunkID: RowID
    package let documentID: RowID
    package let text: String
    /// The score the matches are ordered by, 0 to 1.
    package let score: Double
    /// The cosine similarity, at least 0; 0 as well without vectors.
    package let vectorScore: Double
    /// The score by words, 0 to 1.
    package let lexicalScore: Double
    package let source: String?
    /// The document's hash in hexadecimal.
    package let hash: String
    package let externalID: String
    package let collection: CollectionID?
    package let ordinal: Int
    package let title: String?
    /// The chunk's metadata.
    package let metadata: JSONValue
}

/// What a search found.
package struct SearchResult: Sendable {
    /// The best matches by score, then document and position.
    package var matches: [SearchMatch] = []
    /// How many candidates the vectors gave.
    package var vectorCandidates = 0
    /// How many candidates the words gave.
    package var lexicalCandidates = 0
    /// How many of the best matches among deleted documents were kept back.
    package var deletedMatchesBlocked = 0
}
