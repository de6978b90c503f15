/// How texts of one kind are cut and embedded: a model with its limits and where its vectors live.
package struct EmbeddingProfile: Equatable, Sendable {
    /// How tokens are counted.
    package enum Tokenizer: Hashable, Sendable {
        /// XLM-RoBERTa's SentencePiece unigram model, read from the embedded model's weights file.
        case xlmRoberta
        /// OpenAI's byte pair encoding of `text-embedding-3-*` and `text-embedding-ada-002`.
        case cl100k
        /// OpenAI's byte pair encoding of `gpt-4o` and later.
        case o200k
        /// The WordPiece vocabulary of `bert-base-uncased`, which the MiniLM and BGE models share.
        case wordPiece
        /// One token per byte: a bound that never undercounts, for a model whose tokenizer is not known.
        case bytes
        /// A `tokenizer.json` or a `.tiktoken` rank file.
        case file(path: String)
    }

    /// The name used by `--profile` and `embedding_profile`.
    package var name: String
    /// The model alias sent to the endpoint.
    package var model: String
    /// The alias that is asked while ``model`` is throttled, failing or silent; `nil` for none.
    ///
    /// It is used only when its vectors are those of ``model``.
    package var fallbackModel: String?
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
    /// Most inputs of one request; 1 to 2048, default 64.
    package var maximumInputs: Int
    /// Most tokens of one request, a longer single input aside; default 300,000.
    package var maximumTokensPerRequest: Int
    /// What a million tokens cost, in whatever currency; `nil` when it is not known.
    package var pricePerMillionTokens: Double?

    package init(
        name: String,
        model: String,
        fallbackModel: String? = nil,
        dimension: Int,
        tokenizer: Tokenizer,
        targetTokens: Int = 450,
        maximumTokens: Int = 512,
        overlapTokens: Int = 80,
        passagePrefix: String = "",
        queryPrefix: String = "",
        vectorSpace: String = "rag",
        maximumInputs: Int = 64,
        maximumTokensPerRequest: Int = 300_000,
        pricePerMillionTokens: Double? = nil
    ) {
        self.name = name
        self.model = model
        self.fallbackModel = fallbackModel
        self.dimension = dimension
        self.tokenizer = tokenizer
        self.targetTokens = targetTokens
        self.maximumTokens = maximumTokens
        self.overlapTokens = overlapTokens
        self.passagePrefix = passagePrefix
        self.queryPrefix = queryPrefix
        self.vectorSpace = vectorSpace
        self.maximumInputs = maximumInputs
        self.maximumTokensPerRequest = maximumTokensPerRequest
        self.pricePerMillionTokens = pricePerMillionTokens
    }
}

extension EmbeddingProfile.Tokenizer: CustomStringConvertible {
    /// The tokenizer that a setting or a profile names; `nil` for an unknown name.
    ///
    /// Any name with a slash or the ending `.json` or `.tiktoken` is a path.
    package init?(_ name: String) {
        switch name {
        case "xlm-roberta": self = .xlmRoberta
        case "cl100k_base": self = .cl100k
        case "o200k_base": self = .o200k
        case "wordpiece": self = .wordPiece
        case "bytes": self = .bytes
        default:
            guard name.contains("/") || name.hasSuffix(".json") || name.hasSuffix(".tiktoken") else { return nil }
            self = .file(path: name)
        }
    }

    package var description: String {
        switch self {
        case .xlmRoberta: "xlm-roberta"
        case .cl100k: "cl100k_base"
        case .o200k: "o200k_base"
        case .wordPiece: "wordpiece"
        case .bytes: "bytes"
        case .file(let path): path
        }
    }
}
