/// The keys of a profile in the routing file; each is a setting under another name.
enum ProfileKey: String, CaseIterable {
    case model
    case fallback
    case dimension
    case tokenizer
    case targetTokens = "target_tokens"
    case maximumTokens = "max_tokens"
    case overlapTokens = "overlap_tokens"
    case passagePrefix = "passage_prefix"
    case queryPrefix = "query_prefix"
    case vectorSpace = "vector_space"
    case batchSize = "batch_size"
    case maximumRequestTokens = "max_request_tokens"
    case price = "price_per_million_tokens"

    private static let bySetting = Dictionary(uniqueKeysWithValues: allCases.map { ($0.setting, $0) })

    init?(setting: String) {
        guard let key = Self.bySetting[setting] else { return nil }
        self = key
    }

    /// The setting that says the same of the profile `standard`.
    var setting: String {
        switch self {
        case .model: "EMBEDDINGS_MODEL_PRIMARY"
        case .fallback: "EMBEDDINGS_MODEL_FALLBACK"
        case .dimension: "EMBEDDINGS_DIM"
        case .tokenizer: "EMBEDDINGS_TOKENIZER"
        case .targetTokens: "RAG_CHUNK_TARGET_TOKENS"
        case .maximumTokens: "EMBEDDINGS_MAX_TOKENS"
        case .overlapTokens: "RAG_CHUNK_OVERLAP_TOKENS"
        case .passagePrefix: "EMBEDDINGS_PASSAGE_PREFIX"
        case .queryPrefix: "EMBEDDINGS_QUERY_PREFIX"
        case .vectorSpace: "RAG_VECTOR_SCHEMA"
        case .batchSize: "EMBEDDINGS_BATCH_SIZE"
        case .maximumRequestTokens: "EMBEDDINGS_MAX_REQUEST_TOKENS"
        case .price: "EMBEDDINGS_PRICE_PER_MILLION_TOKENS"
        }
    }
}
