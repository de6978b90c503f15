package import KelterModel

/// All settings of a process, validated; SPEC section 9.
///
/// A flag beats the environment, the environment beats `Config/kelter.yaml`, the file beats the default. A bad value
/// ends the process before anything starts.
package struct Settings: Sendable {
    /// `RAG_DATABASE_URL` and its companions for the other roles.
    ///
    /// Default: the embedded server.
    package let database: DatabaseSettings
    /// `RAG_VECTOR_SCHEMA`: the vector space of the profile `standard`.
    ///
    /// Default `rag`.
    package let vectorSchema: String
    /// `LITELLM_BASE_URL`; `nil` means the embedded endpoint.
    package let endpointBaseURL: String?
    /// `LITELLM_MASTER_KEY` or its file, `LITELLM_CA_FILE`, `LITELLM_CLIENT_…`.
    package let endpoint: EndpointSettings
    /// `LITELLM_CHAT_MODEL`: the model that answers questions; `nil` means that only matches are given.
    package let chatModel: String?
    /// `EMBEDDINGS_BATCH_SIZE`: inputs a request of the profile `standard`.
    ///
    /// Default 64.
    package let batchSize: Int
    /// `EMBEDDINGS_TIMEOUT_SECONDS`: the time limit of one request.
    ///
    /// Default 20 s.
    package let timeout: Duration
    /// `RAG_RETRY_ATTEMPTS`: how often a failed request is repeated.
    ///
    /// Default 3.
    package let retryAttempts: Int
    /// `RAG_RETRY_BASE_DELAY_MS`: the first pause between attempts.
    ///
    /// Default 50 ms.
    package let retryBaseDelay: Duration
    /// `RAG_STATEMENT_TIMEOUT_MS`: the time limit of one SQL statement.
    ///
    /// Default 15 s.
    package let statementTimeout: Duration
    /// The profile `standard` of the settings `EMBEDDINGS_…`, those of the routing file, and its rules.
    package let routing: Routing
    /// `EMBEDDINGS_REQUESTS_IN_FLIGHT`, `EMBEDDINGS_OUTAGE_PATIENCE_SECONDS`, `EMBEDDINGS_CACHE…`.
    package let embedding: EmbeddingSettings
    /// What happens to documents that are nearly the same as others.
    package let nearDuplicates: NearDuplicatePolicy
    /// `AWS_…`: who reads buckets.
    package let buckets: BucketSettings
    /// `RAG_INDEX_KIND`, `RAG_HNSW_…`, `RAG_IVF_…`.
    package let index: IndexSettings
    /// `RAG_HYBRID_ALPHA`, `RAG_MIN_SIM`, `RAG_TRGM_LIMIT`.
    ///
    /// Defaults 0.7, 0.15, 0.1.
    package let search: SearchSettings
    /// `RAG_INTERNAL_KEYS`, `AI_CORE_RATE_LIMIT_QUOTA`, `RAG_UPLOAD_MAX_BYTES`.
    ///
    /// Defaults: none, 60/min, 100 MiB.
    package let service: ServiceSettings
    /// `OCR_LANGUAGES`: the languages that are looked for in images, by Tesseract's names, joined by `+`.
    ///
    /// Default `deu+eng`; used where Tesseract is installed.
    package let recognisedLanguages: String
    /// Each setting with its value, secrets masked, and its origin.
    package let explained: [ExplainedSetting]

    /// Parameters of the hybrid search.
    package struct SearchSettings: Equatable, Sendable {
        package let alpha: Double
        package let minimumSimilarity: Double
        package let trigramLimit: Double
    }
}

extension Settings {
    /// Reads and validates all settings.
    ///
    /// - Parameters:
    ///   - flags: Values given on the command line, by setting name.
    ///   - environment: The process's environment.
    ///   - file: Text and path of the configuration file, where there is one.
    ///   - routing: Text and path of the routing file, where there is one: ``routingPath(flags:environment:file:)``.
    /// - Throws: ``KelterError`` with ``ErrorCode/settingInvalid`` or ``ErrorCode/configurationFileInvalid``; of
    ///   profiles and rules ``ErrorCode/routeInvalid``, ``ErrorCode/routeConflict``, ``ErrorCode/unknownProfile``,
    ///   ``ErrorCode/unknownSpace`` or ``ErrorCode/schemaDimensionMismatch``.
    package init(
        flags: [String: String] = [:],
        environment: [String: String],
        file: (text: String, path: String)? = nil,
        routing: (text: String, path: String)? = nil
    ) throws(KelterError) {
        var configuration: ConfigurationFile?
        if let file { configuration = try ConfigurationFile(text: file.text, path: file.path) }
        var routingFile: RoutingFile?
        if let routing { routingFile = try RoutingFile(text: routing.text, path: routing.path) }
        var reader = SettingsReader(
            flags: flags,
            environment: environment,
            file: configuration,
            profile: routingFile?.profiles.first { $0.name == EmbeddingProfile.standardName }
        )
        try reader.refuseContradictions()

        database = try DatabaseSettings(&reader)
        endpointBaseURL = try Self.baseURL(&reader)
        endpoint = try EndpointSettings(&reader, baseURL: endpointBaseURL)
        chatModel = reader.text("LITELLM_CHAT_MODEL")
        guard chatModel == nil || endpointBaseURL != nil else {
            throw reader.invalid(
                "LITELLM_CHAT_MODEL",
                allowed: "it together with LITELLM_BASE_URL: the embedded endpoint has no chat model"
            )
        }
        let standard: EmbeddingProfile
        (self.routing, standard) = try Self.routing(&reader, routingFile)
        vectorSchema = standard.vectorSpace
        batchSize = standard.maximumInputs
        timeout = .milliseconds(
            Int(try reader.number("EMBEDDINGS_TIMEOUT_SECONDS", builtIn: 20, in: 0.1...3600) * 1000)
        )
        retryAttempts = try reader.integer("RAG_RETRY_ATTEMPTS", builtIn: 3, in: 1...100)
        retryBaseDelay = .milliseconds(try reader.integer("RAG_RETRY_BASE_DELAY_MS", builtIn: 50, in: 1...60_000))
        statementTimeout = .milliseconds(
            try reader.integer("RAG_STATEMENT_TIMEOUT_MS", builtIn: 15_000, in: 100...86_400_000)
        )
        embedding = try EmbeddingSettings(&reader)
        index = try IndexSettings(&reader)
        search = SearchSettings(
            alpha: try reader.number("RAG_HYBRID_ALPHA", builtIn: 0.7, in: 0...1),
            minimumSimilarity: try reader.number("RAG_MIN_SIM", builtIn: 0.15, in: 0...1),
            trigramLimit: try reader.number("RAG_TRGM_LIMIT", builtIn: 0.1, in: 0...1)
        )
        nearDuplicates = try Self.nearDuplicates(&reader)
        service = try ServiceSettings(&reader)
        buckets = BucketSettings(&reader)
        recognisedLanguages = try Self.recognisedLanguages(&reader)
        explained = reader.explained
        try configuration?.refuseUnknown(known: Set(explained.map(\.name)).union(["DATABASE_URL"]))
    }

    private static func nearDuplicates(_ reader: inout SettingsReader) throws(KelterError) -> NearDuplicatePolicy {
        let name = "RAG_NEAR_DUPLICATE_STRATEGY"
        let text = lowercasedASCII(reader.text(name, builtIn: "report") ?? "")
        guard let strategy = NearDuplicatePolicy.Strategy(rawValue: text) else {
            let allowed = NearDuplicatePolicy.Strategy.allCases.map(\.rawValue).joined(separator: ", ")
            throw reader.invalid(name, allowed: "one of " + allowed)
        }
        return NearDuplicatePolicy(
            strategy,
            threshold: try reader.number("RAG_NEAR_DUPLICATE_THRESHOLD", builtIn: 0.97, in: 0.5...1)
        )
    }

    private static func recognisedLanguages(_ reader: inout SettingsReader) throws(KelterError) -> String {
        let name = "OCR_LANGUAGES"
        let languages = reader.text(name, builtIn: "deu+eng") ?? ""
        let isValid = languages.split(separator: "+", omittingEmptySubsequences: false).allSatisfy {
            !$0.isEmpty && $0.utf8.allSatisfy { ($0 | 0x20) &- 0x61 < 26 || $0 == UInt8(ascii: "_") }
        }
        guard isValid else { throw reader.invalid(name, allowed: "names of languages joined by +, such as deu+eng") }
        return languages
    }

    private static func baseURL(_ reader: inout SettingsReader) throws(KelterError) -> String? {
        guard let url = reader.text("LITELLM_BASE_URL", mask: maskedPassword) else { return nil }
        guard url.hasPrefix("http://") || url.hasPrefix("https://") else {
            throw reader.invalid("LITELLM_BASE_URL", allowed: "an http:// or https:// address")
        }
        return url
    }
}

extension Settings {
    /// The profile named by `RAG_DEFAULT_EMBEDDING_PROFILE`: that of what no rule matches.
    package var profile: EmbeddingProfile { routing.defaultProfile }
    /// Whether the user's own database is to be used instead of the embedded one.
    package var isDatabaseConfigured: Bool { database.url != nil }
    /// Whether the user's own endpoint is to be used instead of the embedded one.
    package var isEndpointConfigured: Bool { endpointBaseURL != nil }
    /// The endpoint's key, whichever way it was given; a secret.
    package var endpointKey: String? { endpoint.key }
}

/// Whether a text may name a schema: lower-case letters, digits and `_`, at most 63 bytes, not PostgreSQL's own `pg_…`.
package func isSchemaName(_ name: String) -> Bool {
    let bytes = name.utf8
    guard (1...63).contains(bytes.count), let first = bytes.first, !name.hasPrefix("pg_") else { return false }
    return (first == UInt8(ascii: "_") || (0x61...0x7A).contains(first))
        && bytes.allSatisfy { $0 == UInt8(ascii: "_") || (0x61...0x7A).contains($0) || (0x30...0x39).contains($0) }
}

/// A URL with its password replaced by asterisks, in `scheme://user:password@host` as well as in `?password=…`.
package func maskedPassword(_ url: String) -> String {
    var bytes = Array(url.utf8)
    let slash = UInt8(ascii: "/")
    if let scheme = url.firstRange(of: "://") {
        let start = url.utf8.distance(from: url.startIndex, to: scheme.upperBound)
        let end = bytes[start...].firstIndex(where: { $0 == slash || $0 == UInt8(ascii: "?") }) ?? bytes.count
        if let at = bytes[start..<end].lastIndex(of: UInt8(ascii: "@")),
            let colon = bytes[start..<at].firstIndex(of: UInt8(ascii: ":"))
        {
            bytes.replaceSubrange(colon + 1..<at, with: "********".utf8)
        }
    }
    let text = String(decoding: bytes, as: UTF8.self)
    guard let parameter = text.firstRange(of: "password=") else { return text }
    let value = text[parameter.upperBound...]
    let end = value.firstIndex(where: { $0 == "&" || $0 == " " }) ?? value.endIndex
    return text[..<parameter.upperBound] + "********" + text[end...]
}
