import KelterChunking
import KelterEmbedding
package import KelterModel
import KelterStore

/// A question to the collection of a tenant; SPEC section 8.
package struct Question: Sendable {
    package var text: String
    package var tenant: Tenant
    /// Collections by filter, body or header.
    package var scope: ScopeInputs
    /// Documents of this case are found too; together with collections a union.
    package var caseID: CaseID?
    /// How many answers at most, from 1 to 10.
    package var topK: Int

    package init(text: String, tenant: Tenant, scope: ScopeInputs, caseID: CaseID? = nil, topK: Int = 5) {
        self.text = text
        self.tenant = tenant
        self.scope = scope
        self.caseID = caseID
        self.topK = topK
    }
}

/// What a question found.
package struct Findings: Sendable {
    package struct Snippet: Sendable {
        package let id: RowID
        package let text: String
        package let score: Double
        package let source: String
        package let hash: String
        /// Title and headings, as one would cite the place.
        package let citation: String
        package let collection: CollectionID?
        package let metadata: JSONValue
    }

    package let snippets: [Snippet]
    package let scope: CollectionScope
    package let vectorCandidates: Int
    package let lexicalCandidates: Int
    package let deletedMatchesBlocked: Int
    package let topK: Int
    package let alpha: Double
    package let minimumSimilarity: Double
    package let profile: EmbeddingProfile
    package let duration: Duration

    /// The findings as JSON, in the form of SPEC section 8's answer.
    package var json: JSONValue {
        .object([
            ("answer", .null),
            (
                "retrieval",
                .object([
                    ("alpha", .double(alpha)),
                    ("min_sim", .double(minimumSimilarity)),
                    ("top_k_effective", .int(topK)),
                    ("matches_returned", .int(snippets.count)),
                    ("vector_candidates", .int(vectorCandidates)),
                    ("lexical_candidates", .int(lexicalCandidates)),
                    ("deleted_matches_blocked", .int(deletedMatchesBlocked)),
                    ("visibility_effective", .string("active")),
                    ("took_ms", .int(duration.milliseconds)),
                    (
                        "routing",
                        .object([
                            ("profile", .string(profile.name)), ("vector_space_id", .string(profile.vectorSpace)),
                        ])
                    ),
                ])
            ),
            ("snippets", .array(snippets.map(\.json))),
            ("scope", scope.json),
        ])
    }
}

extension Findings.Snippet {
    fileprivate var json: JSONValue {
        .object([
            ("id", .string(id.description)),
            ("text", .string(text)),
            ("score", .double(score)),
            ("source", .string(source)),
            ("hash", .string(hash)),
            ("citation", .string(citation)),
            ("collection_id", .optional(collection?.description)),
            ("meta", metadata),
        ])
    }
}

/// Answers questions: embeds them like passages and searches by vector and by words.
package struct Retrieval: Sendable {
    /// How the two halves of the search are weighed.
    package struct Weights: Sendable {
        package var alpha: Double
        package var minimumSimilarity: Double
        package var trigramLimit: Double
        package var efSearch: Int

        package init(alpha: Double, minimumSimilarity: Double, trigramLimit: Double, efSearch: Int) {
            self.alpha = alpha
            self.minimumSimilarity = minimumSimilarity
            self.trigramLimit = trigramLimit
            self.efSearch = efSearch
        }
    }

    private let stages: Ingestion.Stages
    private let weights: Weights

    package init(stages: Ingestion.Stages, weights: Weights) {
        self.stages = stages
        self.weights = weights
    }

    /// Answers a question.
    ///
    /// - Parameter question: The question.
    /// - Returns: The findings; there may be none.
    /// - Throws: ``KelterError`` of the scope, the endpoint or the database.
    package func find(_ question: Question) async throws(KelterError) -> Findings {
        let clock = ContinuousClock()
        let start = clock.now
        let text = trimmed(question.text)
        guard !text.isEmpty else {
            throw KelterError(.missingQuestion, "The question is blank.", fix: "Ask something.")
        }
        let scope = try CollectionScope.resolve(question.scope)
        let input = EmbeddingInput(text: try stages.chunker.questionText(text), tokens: stages.profile.maximumTokens)
        // A question without direction is answered by words alone.
        let vector = try await stages.embeddings.embed([input]).first?.values
        var request = SearchRequest(vector: vector, text: text)
        request.filters.collections = scope.collections
        request.filters.caseID = question.caseID?.description
        request.alpha = weights.alpha
        request.minSimilarity = weights.minimumSimilarity
        request.trigramLimit = weights.trigramLimit
        request.efSearch = weights.efSearch
        request.topK = question.topK
        let result = try await stages.store.search(request, tenant: question.tenant)
        return Findings(
            snippets: result.matches.map(snippet),
            scope: scope,
            vectorCandidates: result.vectorCandidates,
            lexicalCandidates: result.lexicalCandidates,
            deletedMatchesBlocked: result.deletedMatchesBlocked,
            topK: question.topK,
            alpha: weights.alpha,
            minimumSimilarity: weights.minimumSimilarity,
            profile: stages.profile,
            duration: clock.now - start
        )
    }

    private func snippet(_ match: SearchMatch) -> Findings.Snippet {
        let headings = match.metadata["section_path"]?.array?.compactMap(\.string) ?? []
        let title = match.title ?? match.externalID
        // A title that is also the first heading is said once.
        let places = headings.first == title ? headings : [title] + headings
        return Findings.Snippet(
            id: match.chunkID,
            text: match.text,
            score: match.score,
            source: match.source ?? match.externalID,
            hash: match.hash,
            citation: places.joined(separator: " › ") + " [\(match.externalID) #\(match.ordinal)]",
            collection: match.collection,
            metadata: match.metadata
        )
    }
}
