import KelterChunking
package import KelterEmbedding
package import KelterModel
import KelterStore

/// Answers questions: embeds them like passages, searches by vector and by words, and has a chat model answer from what
/// was found.
package struct Retrieval: Sendable {
    /// How the two halves of the search are weighed where a question does not say.
    package struct Weights: Sendable {
        package var alpha: Double
        package var minimumSimilarity: Double
        package var trigramLimit: Double
        package var efSearch: Int
        package var probes: Int

        package init(alpha: Double, minimumSimilarity: Double, trigramLimit: Double, efSearch: Int, probes: Int = 64) {
            self.alpha = alpha
            self.minimumSimilarity = minimumSimilarity
            self.trigramLimit = trigramLimit
            self.efSearch = efSearch
            self.probes = probes
        }
    }

    /// The name of the default profile.
    package var profileName: String { catalog.standard.profile.name }
    /// The names of all profiles.
    package var profileNames: [String] { catalog.routing.profiles.map(\.name) }

    let catalog: StageCatalog
    private let weights: Weights
    private let chat: ChatClient?

    /// Puts the tools together.
    ///
    /// - Parameters:
    ///   - catalog: The chunkers, the embedding clients and the stores.
    ///   - weights: The settings' weights.
    ///   - chat: What writes answers; without it, findings have none.
    package init(catalog: StageCatalog, weights: Weights, chat: ChatClient? = nil) {
        self.catalog = catalog
        self.weights = weights
        self.chat = chat
    }

    /// Answers a question.
    ///
    /// A chat model that fails leaves the findings without an answer and says why in ``Findings/answer``.
    ///
    /// - Parameter question: The question.
    /// - Returns: The findings; there may be none.
    /// - Throws: ``KelterError`` of the scope, the endpoint or the database; ``ErrorCode/missingQuestion`` for a blank
    ///   question, ``ErrorCode/validationError`` for one that is too long for the model.
    package func find(_ question: Question) async throws(KelterError) -> Findings {
        let clock = ContinuousClock()
        let start = clock.now
        let scope = try CollectionScope.resolve(question.scope)
        let stages = try await stages(for: question, scope)
        let request = try await request(question, collections: scope.collections, stages)
        let result = try await stages.store.search(request, tenant: question.tenant)
        let duration = clock.now - start
        let snippets = result.matches.map { Findings.Snippet($0) }
        return Findings(
            snippets: snippets,
            answer: try await answer(request.text, from: snippets),
            scope: scope,
            visibility: request.visibility,
            alpha: request.alpha,
            minimumSimilarity: request.minSimilarity,
            topK: request.topK,
            maximumCandidates: request.effectiveMaximumCandidates,
            vectorCandidates: result.vectorCandidates,
            lexicalCandidates: result.lexicalCandidates,
            deletedMatchesBlocked: result.deletedMatchesBlocked,
            profile: stages.profile,
            duration: duration
        )
    }

    /// The stages of the profile that the rules give to documents of the scope that is asked.
    private func stages(
        for question: Question,
        _ scope: CollectionScope
    ) async throws(KelterError) -> Ingestion.Stages {
        let profile = try catalog.routing.profile(
            forQuestion: question.tenant,
            collections: scope.collections,
            docClass: question.filters.docClass,
            named: question.profile
        )
        return try await catalog.stages(for: profile)
    }

    /// How long a question's vector is waited for; whoever asks does not wait longer.
    private static let patience = Duration.seconds(60)

    private func request(
        _ question: Question,
        collections: [CollectionID],
        _ stages: Ingestion.Stages
    ) async throws(KelterError) -> SearchRequest {
        let text = trimmed(question.text)
        guard !text.isEmpty else { throw Question.missing }
        let input = EmbeddingInput(text: try embedded(text, stages), tokens: 0)
        var filters = question.filters
        filters.collections = collections
        let hybrid = question.hybrid
        return SearchRequest(
            // A question without direction is answered by words alone.
            vector: try await stages.source.questionVector(input, deadline: .now + Self.patience).values,
            text: text,
            filters: filters,
            visibility: question.effectiveVisibility,
            alpha: hybrid.alpha ?? weights.alpha,
            minSimilarity: hybrid.minimumSimilarity ?? weights.minimumSimilarity,
            topK: hybrid.topK,
            vectorLimit: hybrid.vectorLimit,
            lexicalLimit: hybrid.lexicalLimit,
            maximumCandidates: hybrid.maximumCandidates,
            trigramLimit: hybrid.trigramLimit ?? weights.trigramLimit,
            efSearch: weights.efSearch,
            probes: weights.probes
        )
    }

    /// The text to embed; the chunker's word for a question that is too long is a command's.
    private func embedded(_ text: String, _ stages: Ingestion.Stages) throws(KelterError) -> String {
        do throws(KelterError) {
            return try stages.chunker.questionText(text)
        } catch {
            guard error.code == .usage else { throw error }
            throw KelterError(.validationError, error.message, subject: "question", fix: error.fix)
        }
    }

    private func answer(
        _ question: String,
        from snippets: [Findings.Snippet]
    ) async throws(KelterError) -> Findings.Answer {
        guard let chat, !snippets.isEmpty else { return .none }
        do throws(KelterError) {
            return .text(try await chat.complete(AnswerPrompt(question: question, snippets: snippets).messages))
        } catch {
            // Nobody waits for the findings of a cancelled task.
            guard !Task.isCancelled else { throw error }
            return .failed(error)
        }
    }
}
