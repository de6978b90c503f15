/// How texts of one kind are cut and embedded: a model with its limits and where its vectors live.
package struct EmbeddingProfile: Equatable, Sendable {
    /// How tokens are counted.
    package enum Tokenizer: String, Sendable, CaseIterable {
        /// XLM-RoBERTa's SentencePiece unigram model, read from the embedded model's weights file.
        case xlmRoberta = "xlm-roberta"
        /// One token per byte: a bound that never undercounts, for a model whose tokenizer is not known.
        case bytes
    }

    /// The name used by `--profile` and `embedding_profile`.
    package var name: String
    /// The model alias sent to the endpoint.
    package var model: String
    /// The width of the vectors.
    package var dimension: Int
    /// The tokenizer of the model.
    package var tokenizer: Tokenizer
    /// Chunks aim at this many tokens.
    ///
    /// Default 450.
    package var targetTokens: Int
    /// No text above this many tokens is ever sent.
    ///
    /// Default 512.
    package var maximumTokens: Int
    /// At most this many tokens are repeated from the chunk before.
    ///
    /// Default 80.
    package var overlapTokens: Int
    /// Put before every passage, such as `passage: `.
    package var passagePrefix: String
    /// Put before every question, such as `query: `.
    package var queryPrefix: String
    /// The schema that holds the vectors.
    package var vectorSpace: String

    package init(
        name: String,
        model: String,
        dimension: Int,
        tokenizer: Tokenizer,
        targetTokens: Int = 450,
        maximumTokens: Int = 512,
        overlapTokens: Int = 80,
        passagePrefix: String = "",
        queryPrefix: String = "",
        vectorSpace: String = "rag"
    ) {
        self.name = name
        self.model = model
        self.dimension = dimension
        self.tokenizer = tokenizer
        self.targetTokens = targetTokens
        self.maximumTokens = maximumTokens
        self.overlapTokens = overlapTokens
        self.passagePrefix = passagePrefix
        self.queryPrefix = queryPrefix
        self.vectorSpace = vectorSpace
    }
}
