package import KelterChunking
package import KelterEmbedding
package import KelterModel
package import KelterStore

/// What an endpoint shows of itself, compared with what a profile and its vector space say.
package struct ContractInspection: Sendable {
    package let contract: EmbeddingContract
    /// The endpoint's model beside that of the space; `nil` when the space has no fingerprint yet.
    package let comparison: FingerprintComparison?
    /// Whether the endpoint leaves out the end of a text that the profile's limit allows.
    package let truncates: Bool

    /// Vectors of texts with different ends that are nearer than this are the vector of one beginning: 1 − cosine.
    private static let sameText = 1e-6

    /// Asks the endpoint: two short texts, and two of the greatest length that differ in their last eighth.
    ///
    /// - Parameters:
    ///   - stages: The client, the space and the profile.
    ///   - counter: Counts tokens as the profile does.
    /// - Throws: ``KelterError`` of the endpoint or the database.
    package init(_ stages: Ingestion.Stages, counter: any TokenCounter) async throws(KelterError) {
        contract = try await stages.embeddings.probe()
        comparison = try await stages.store.compareFingerprint(reference: contract.reference)
        let texts = Self.longTexts(limit: stages.profile.maximumTokens, prefix: stages.profile.passagePrefix, counter)
        let inputs = texts.map { EmbeddingInput(text: $0, tokens: stages.profile.maximumTokens) }
        let vectors = try await stages.embeddings.embed(inputs).compactMap(\.values)
        let similarity =
            vectors.count == 2
            ? zip(vectors[0], vectors[1]).reduce(0) { $0 + Double($1.0) * Double($1.1) } : 0
        truncates = similarity > 1 - Self.sameText
    }

    /// Two texts as long as the profile allows, alike in the first seven eighths.
    static func longTexts(limit: Int, prefix: String, _ counter: any TokenCounter) -> [String] {
        func text(_ words: Int, _ tail: String) -> String {
            let end = max(1, words / 8)
            return prefix + Array(repeating: "Traube", count: words - end).joined(separator: " ") + " "
                + Array(repeating: tail, count: end).joined(separator: " ")
        }
        func fits(_ words: Int) -> Bool {
            ["Most", "Regal"].allSatisfy { counter.count(text(words, $0)) + counter.specialTokens <= limit }
        }
        var (low, high) = (2, max(3, limit))
        while low + 1 < high {
            let middle = (low + high) / 2
            if fits(middle) { low = middle } else { high = middle }
        }
        return ["Most", "Regal"].map { text(low, $0) }
    }
}
