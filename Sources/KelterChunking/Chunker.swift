package import KelterModel

/// Cuts documents into chunks for one embedding profile, and prepares questions for the same model; SPEC section 5.
///
/// The embedded text of a chunk is the profile's passage prefix, then the context header (see ``ContextHeader``) and the
/// chunk's text, these two in normalisation form C with white space collapsed. It never has more tokens than the
/// profile's ``EmbeddingProfile/maximumTokens``, special tokens included.
package struct Chunker: Sendable {
    /// The longest context header, in tokens.
    static let longestHeader = 64

    /// The smallest room for text worth cutting a sentence for, in tokens.
    static let smallestPieceLimit = 12
    private static let smallestTarget = 32

    let profile: EmbeddingProfile
    let counter: any TokenCounter
    let prefixTokens: Int
    /// Tokens by which two texts joined with a space exceed the sum of their own counts.
    let joinTokens: Int

    /// A section or the rest of one below this many tokens is joined to its neighbour: 60, or a quarter of a small target.
    var smallestChunk: Int { min(60, profile.targetTokens / 4) }

    /// At most this many tokens of context header.
    var headerLimit: Int { min(Self.longestHeader, profile.targetTokens / 7) }

    /// Makes a chunker.
    ///
    /// - Parameters:
    ///   - profile: The limits and prefixes.
    ///   - tokenCounter: The counter of the profile's tokenizer.
    /// - Throws: ``KelterError`` with ``ErrorCode/settingInvalid``, naming the setting, for limits that contradict each
    ///   other.
    package init(profile: EmbeddingProfile, tokenCounter: any TokenCounter) throws(KelterError) {
        self.profile = profile
        counter = tokenCounter
        prefixTokens = profile.passagePrefix.isEmpty ? 0 : tokenCounter.count(profile.passagePrefix)
        joinTokens = max(0, tokenCounter.count("a b") - tokenCounter.count("a") - tokenCounter.count("b"))
        try Self.check(profile)
        // A piece of text must fit beside the longest header, with some room.
        guard pieceLimit >= Self.smallestPieceLimit else {
            throw KelterError(
                .settingInvalid,
                "The target of \(profile.targetTokens) tokens leaves too little room beside the passage prefix of profile "
                    + "\(profile.name).",
                subject: "RAG_CHUNK_TARGET_TOKENS",
                fix: "Raise the target or shorten the prefix."
            )
        }
    }

    /// The most tokens a sentence may have without being cut.
    var pieceLimit: Int {
        profile.targetTokens - counter.specialTokens - prefixTokens - headerLimit - 2 * joinTokens
    }

    private static func check(_ profile: EmbeddingProfile) throws(KelterError) {
        guard profile.maximumTokens >= smallestTarget else {
            throw KelterError(
                .settingInvalid,
                "The input limit of \(profile.maximumTokens) tokens of profile \(profile.name) is too small.",
                subject: "maximum_tokens",
                fix: "Give the model's input limit, at least \(smallestTarget)."
            )
        }
        guard (smallestTarget...profile.maximumTokens).contains(profile.targetTokens) else {
            throw KelterError(
                .settingInvalid,
                "The value \(profile.targetTokens) is not between \(smallestTarget) and \(profile.maximumTokens), the "
                    + "input limit of profile \(profile.name).",
                subject: "RAG_CHUNK_TARGET_TOKENS",
                fix: "Set a target in that range, such as 450 for a limit of 512."
            )
        }
        guard (0...profile.targetTokens / 2).contains(profile.overlapTokens) else {
            throw KelterError(
                .settingInvalid,
                "The value \(profile.overlapTokens) is not between 0 and \(profile.targetTokens / 2), half of the target.",
                subject: "RAG_CHUNK_OVERLAP_TOKENS",
                fix: "Set an overlap in that range, such as 80 for a target of 450."
            )
        }
    }

    /// Cuts a document.
    ///
    /// - Parameters:
    ///   - document: The parser's result.
    ///   - title: The sidecar's title; without one the document's own is used.
    /// - Returns: The chunks in their order, together covering every byte of every block.
    /// - Throws: ``KelterError`` with ``ErrorCode/internalError`` if the blocks do not fit the text, and with
    ///   ``ErrorCode/chunkTooLong`` if a single character is over the limit.
    package func chunks(of document: ParsedDocument, title: String?) throws(KelterError) -> [Chunk] {
        try Self.check(document)
        var plan = ChunkPlan(self, document: document, title: title ?? document.title)
        return try plan.chunks()
    }

    /// The exact text to embed for a question: the query prefix and the question in normalisation form C with white
    /// space collapsed.
    ///
    /// - Throws: ``KelterError`` with ``ErrorCode/missingQuestion`` for a blank question and with ``ErrorCode/usage`` for
    ///   one over the model's limit: a question is never cut.
    package func questionText(_ question: String) throws(KelterError) -> String {
        let normalised = EmbeddedText.normalised(question)
        guard !normalised.isEmpty else {
            throw KelterError(.missingQuestion, "The question is blank.", fix: "Give a question.")
        }
        let text = profile.queryPrefix + normalised
        let tokens = counter.count(text) + counter.specialTokens
        guard tokens <= profile.maximumTokens else {
            throw KelterError(
                .usage,
                "The question has \(tokens) tokens; the model takes \(profile.maximumTokens).",
                fix: "Shorten the question."
            )
        }
        return text
    }

    private static func check(_ document: ParsedDocument) throws(KelterError) {
        var end = 0
        for block in document.blocks {
            guard block.range.lowerBound >= end, block.range.upperBound <= document.text.count,
                document.sections.indices.contains(block.section)
            else {
                throw KelterError(.internalError, "The parser's blocks do not fit the extracted text.")
            }
            end = block.range.upperBound
        }
    }
}
