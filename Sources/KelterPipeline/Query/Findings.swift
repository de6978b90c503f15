package import KelterModel
package import KelterStore

/// What a question found.
package struct Findings: Sendable {
    package struct Snippet: Sendable {
        /// The chunk's identifier.
        package let id: RowID
        package let text: String
        package let score: Double
        package let source: String
        package let hash: String
        /// Title and headings, as one would cite the place.
        package let citation: String
        package let collection: CollectionID?
        /// The chunk's metadata, and where it belongs and how it scored.
        package let metadata: JSONValue
    }

    /// What the chat model made of the snippets.
    package enum Answer: Sendable, Equatable {
        /// No chat model was asked: none is configured, or nothing was found.
        case none
        case text(String)
        /// The search stands without an answer.
        case failed(KelterError)
    }

    package let snippets: [Snippet]
    package let answer: Answer
    package let scope: CollectionScope
    package let visibility: SearchVisibility
    package let alpha: Double
    package let minimumSimilarity: Double
    package let topK: Int
    package let maximumCandidates: Int
    package let vectorCandidates: Int
    package let lexicalCandidates: Int
    package let deletedMatchesBlocked: Int
    package let profile: EmbeddingProfile
    /// The time of embedding and search; the answer's is not counted.
    package let duration: Duration
}

extension Findings {
    /// Fails when nothing was found.
    ///
    /// - Throws: ``KelterError`` with ``ErrorCode/noMatches``.
    package func requireMatches() throws(KelterError) {
        guard snippets.isEmpty else { return }
        throw KelterError(.noMatches, "Nothing matches the question.", fix: "Ask differently or widen the scope.")
    }

    /// The findings as JSON, in the form of SPEC section 8's answer without the trace.
    ///
    /// `answer_error` (`{code, detail}`) is there only when the chat model failed.
    package var json: JSONValue {
        var members: [(name: String, value: JSONValue)] = []
        switch answer {
        case .none: members = [("answer", .null), ("prompt_version", .null)]
        case .text(let text):
            members = [("answer", .string(text)), ("prompt_version", .string(AnswerPrompt.version))]
        case .failed(let error):
            members = [
                ("answer", .null), ("prompt_version", .string(AnswerPrompt.version)),
                (
                    "answer_error",
                    .object([("code", .string(error.code.rawValue)), ("detail", .string(error.detail))])
                ),
            ]
        }
        members += [
            ("retrieval", retrieval), ("snippets", .array(snippets.map(\.json))), ("scope", scope.json),
        ]
        return .object(members)
    }

    private var retrieval: JSONValue {
        .object([
            ("alpha", .double(alpha)),
            ("min_sim", .double(minimumSimilarity)),
            ("top_k_effective", .int(topK)),
            ("matches_returned", .int(snippets.count)),
            ("max_candidates_effective", .int(maximumCandidates)),
            ("vector_candidates", .int(vectorCandidates)),
            ("lexical_candidates", .int(lexicalCandidates)),
            ("deleted_matches_blocked", .int(deletedMatchesBlocked)),
            ("visibility_effective", .string(visibility.rawValue)),
            ("took_ms", .int(duration.milliseconds)),
            (
                "routing",
                .object([("profile", .string(profile.name)), ("vector_space_id", .string(profile.vectorSpace))])
            ),
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
            ("meta", metadata),
        ])
    }
}

extension Findings.Snippet {
    /// Makes a snippet of a match.
    init(_ match: SearchMatch) {
        let headings = match.metadata["section_path"]?.array?.compactMap(\.string) ?? []
        let title = match.title ?? match.externalID
        // A title that is also the first heading is said once.
        let places = headings.first == title ? headings : [title] + headings
        let added: [(name: String, value: JSONValue)] = [
            ("document_id", .string(match.documentID.description)),
            ("collection_id", .optional(match.collection?.description)),
            ("ordinal", .int(match.ordinal)),
            ("vector_score", .double(match.vectorScore)),
            ("lexical_score", .double(match.lexicalScore)),
        ]
        let own = (match.metadata.members ?? []).filter { member in !added.contains { $0.name == member.name } }
        self.init(
            id: match.chunkID,
            text: match.text,
            score: match.score,
            source: match.source ?? match.externalID,
            hash: match.hash,
            citation: places.joined(separator: " › ") + " [\(match.externalID) #\(match.ordinal)]",
            collection: match.collection,
            metadata: .object(added + own)
        )
    }
}
