package import KelterModel

extension EmbeddingProfile {
    /// The name of the profile that the settings make.
    package static let standardName = "standard"
    /// The alias of the embedded model, multilingual-e5-small.
    package static let embeddedModel = "multilingual-e5-small"
    /// The width of the embedded model's vectors.
    package static let embeddedDimension = 384
    /// The widest vectors there are: pgvector's index on `halfvec` takes no more.
    static let largestDimension = 4000

    /// Reads a profile from settings, or from the routing file, whose keys are settings under other names.
    ///
    /// - Parameters:
    ///   - name: The name of the profile.
    ///   - reader: What it is read from.
    ///   - widths: The widths of the vector spaces that are known already.
    /// - Throws: ``KelterError`` with ``ErrorCode/settingInvalid`` or ``ErrorCode/routeInvalid``.
    init(name: String, _ reader: inout SettingsReader, widths: [String: Int]) throws(KelterError) {
        let schema = try Self.schema(&reader)
        let model = reader.text(ProfileKey.model.setting, builtIn: Self.embeddedModel) ?? ""
        // Of an unknown model neither tokenizer nor prefixes are known: bytes never undercount its tokens.
        let isEmbedded = model == Self.embeddedModel
        let fallback = reader.text(ProfileKey.fallback.setting)
        let dimension = try reader.integer(
            ProfileKey.dimension.setting,
            builtIn: isEmbedded ? Self.embeddedDimension : widths[schema] ?? Self.embeddedDimension,
            in: 1...Self.largestDimension
        )
        let tokenizer = try Self.tokenizer(&reader, builtIn: isEmbedded ? .xlmRoberta : .bytes)
        let maximum = try reader.integer(ProfileKey.maximumTokens.setting, builtIn: 512, in: 32...32_768)
        // The defaults give way, so that a lower limit can be set alone.
        let target = try reader.integer(
            ProfileKey.targetTokens.setting,
            builtIn: min(450, maximum),
            in: 32...maximum
        )
        let overlap = try reader.integer(ProfileKey.overlapTokens.setting, builtIn: min(80, target / 2), in: 0...16_384)
        guard overlap * 2 <= target else {
            throw reader.invalid(
                ProfileKey.overlapTokens.setting,
                allowed: "at most half of the chunks' target of \(target) tokens"
            )
        }
        self.init(
            name: name,
            model: model,
            fallbackModel: fallback,
            dimension: dimension,
            tokenizer: tokenizer,
            targetTokens: target,
            maximumTokens: maximum,
            overlapTokens: overlap,
            passagePrefix: reader.text(ProfileKey.passagePrefix.setting, builtIn: isEmbedded ? "passage: " : "") ?? "",
            queryPrefix: reader.text(ProfileKey.queryPrefix.setting, builtIn: isEmbedded ? "query: " : "") ?? "",
            vectorSpace: schema,
            maximumInputs: try reader.integer(ProfileKey.batchSize.setting, builtIn: 64, in: 1...2048),
            maximumTokensPerRequest: try reader.integer(
                ProfileKey.maximumRequestTokens.setting,
                builtIn: 300_000,
                in: 32...100_000_000
            ),
            pricePerMillionTokens: try reader.number(ProfileKey.price.setting, in: 0...1_000_000)
        )
    }

    private static func schema(_ reader: inout SettingsReader) throws(KelterError) -> String {
        let name = reader.text(ProfileKey.vectorSpace.setting, builtIn: "rag") ?? "rag"
        guard isSchemaName(name) else {
            throw reader.invalid(ProfileKey.vectorSpace.setting, allowed: "a lower-case SQL name such as rag")
        }
        return name
    }

    private static func tokenizer(
        _ reader: inout SettingsReader,
        builtIn: Tokenizer
    ) throws(KelterError) -> Tokenizer {
        let setting = ProfileKey.tokenizer.setting
        guard let name = reader.text(setting, builtIn: builtIn.description), let tokenizer = Tokenizer(name) else {
            throw reader.invalid(
                setting,
                allowed: "xlm-roberta, cl100k_base, o200k_base, wordpiece, bytes or the path of a tokenizer.json"
            )
        }
        return tokenizer
    }
}
