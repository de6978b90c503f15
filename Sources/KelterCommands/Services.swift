import Glibc
import KelterChunking
import KelterEmbedding
import KelterLocal
import KelterModel
import KelterParsing
import KelterPipeline
import KelterSettings
import KelterStore

/// The settings of this process and the services they lead to; embedded ones are started when they are needed.
struct Services: Sendable {
    let settings: Settings
    let paths: LocalPaths

    /// Reads settings from flags, environment and configuration file.
    ///
    /// - Throws: ``KelterError`` of a setting or the file.
    init(flags: [String: String] = [:]) throws(KelterError) {
        let environment = currentEnvironment()
        settings = try Settings(
            flags: flags,
            environment: environment,
            file: try Self.configurationFile(environment["KELTER_CONFIG"])
        )
        paths = LocalPaths(environment: environment)
    }

    /// `KELTER_CONFIG`, which must exist, or `Config/kelter.yaml` below the working directory, which need not.
    private static func configurationFile(_ named: String?) throws(KelterError) -> (text: String, path: String)? {
        let path = named.flatMap { $0.isEmpty ? nil : $0 } ?? "Config/kelter.yaml"
        guard named != nil || access(path, F_OK) == 0 else { return nil }
        let limit = 1 << 20
        let bytes: [UInt8]
        do throws(KelterError) {
            bytes = try readFile(path, keepUpTo: limit, maximum: limit).bytes ?? []
        } catch {
            throw KelterError(.configurationFileInvalid, error.message, subject: path, fix: error.fix)
        }
        return (String(decoding: bytes, as: UTF8.self), path)
    }

    var postgres: EmbeddedPostgres { EmbeddedPostgres(paths: paths) }
    var embeddings: EmbeddedEmbeddings { EmbeddedEmbeddings(paths: paths) }
    var objects: ObjectStore { ObjectStore(root: paths.home + "/objects") }

    /// The database, with the vector space in place.
    ///
    /// On the embedded server the schema is applied when it is missing; on one of the user's it is asked for.
    ///
    /// - Throws: ``KelterError`` of the server or the schema.
    func store(connections: Int = 4) async throws(KelterError) -> Store {
        let isEmbedded = !settings.isDatabaseConfigured
        let store = try await unverifiedStore(connections: connections)
        do throws(KelterError) {
            try await store.verifySchema()
        } catch  where isEmbedded && error.code == .schemaMissing {
            try await store.applySchema(hnsw: hnsw)
        }
        return store
    }

    /// The database as it is.
    ///
    /// - Throws: ``KelterError`` of the server.
    func unverifiedStore(connections: Int = 4) async throws(KelterError) -> Store {
        let url: String
        if let configured = settings.databaseURL { url = configured } else { url = try await postgres.start().url }
        return try Store(
            configuration: StoreConfiguration(
                url: url,
                schema: settings.vectorSchema,
                dimension: settings.profile.dimension,
                poolSize: connections,
                statementTimeout: settings.statementTimeout,
                attempts: settings.retryAttempts,
                retryBaseDelay: settings.retryBaseDelay
            )
        )
    }

    var hnsw: StoreSchema.HNSW {
        StoreSchema.HNSW(m: settings.hnsw.m, efConstruction: settings.hnsw.efConstruction)
    }

    /// All stages of the pipeline.
    ///
    /// - Throws: ``KelterError`` of a service or of the profile.
    func stages(store given: Store? = nil) async throws(KelterError) -> Ingestion.Stages {
        let store: Store
        if let given { store = given } else { store = try await self.store() }
        let profile = settings.profile
        let client = try await embeddingClient()
        let counter = try Tokenizers.make(profile.tokenizer, weightsFile: paths.embeddingWeights)
        return Ingestion.Stages(
            parser: DocumentParser(),
            chunker: try Chunker(profile: profile, tokenCounter: counter),
            embeddings: client,
            store: store,
            profile: profile
        )
    }
}

extension Services {
    /// The search with the settings' weights, and with answers when there is a chat model.
    ///
    /// - Throws: ``KelterError`` of the endpoint's address or key.
    func retrieval(_ stages: Ingestion.Stages) throws(KelterError) -> Retrieval {
        Retrieval(
            stages: stages,
            weights: Retrieval.Weights(
                alpha: settings.search.alpha,
                minimumSimilarity: settings.search.minimumSimilarity,
                trigramLimit: settings.search.trigramLimit,
                efSearch: settings.hnsw.efSearch
            ),
            chat: try chatClient()
        )
    }

    private func chatClient() throws(KelterError) -> ChatClient? {
        guard let model = settings.chatModel, let baseURL = settings.endpointBaseURL else { return nil }
        return try ChatClient(
            ChatEndpoint(
                baseURL: baseURL,
                apiKey: settings.endpointKey,
                model: model,
                // A model writes more slowly than it embeds.
                timeout: max(settings.timeout, .seconds(60)),
                retryAttempts: settings.retryAttempts,
                retryBaseDelay: settings.retryBaseDelay
            )
        )
    }

    /// A client of its own for whoever is to be served apart from others, with figures of its own.
    ///
    /// - Throws: ``KelterError`` of the endpoint.
    func embeddingClient() async throws(KelterError) -> EmbeddingClient {
        try EmbeddingClient(
            endpoint: try await endpoint(),
            model: settings.profile.model,
            dimension: settings.profile.dimension
        )
    }

    /// The configured endpoint, or the embedded one, which is started when it does not run.
    private func endpoint() async throws(KelterError) -> EmbeddingEndpoint {
        var endpoint = EmbeddingEndpoint(
            baseURL: settings.endpointBaseURL ?? "",
            apiKey: settings.endpointKey,
            timeout: settings.timeout,
            maximumInputs: settings.batchSize,
            retryAttempts: settings.retryAttempts,
            retryBaseDelay: settings.retryBaseDelay
        )
        guard !settings.isEndpointConfigured else { return endpoint }
        guard let baseURL = try await embeddings.start().baseURL else {
            throw KelterError(
                .serviceStartFailed,
                "The embedded embedding endpoint ended at once.",
                subject: paths.home,
                fix: "See its log in that directory."
            )
        }
        endpoint.baseURL = baseURL
        // It computes a few texts a second on this machine's cores: small requests keep the progress moving, and one
        // that waits for others is not late.
        endpoint.maximumInputs = min(settings.batchSize, 8)
        endpoint.timeout = max(settings.timeout, .seconds(120))
        return endpoint
    }
}

/// The environment of this process.
func currentEnvironment() -> [String: String] {
    var environment: [String: String] = [:]
    var entry = environ
    while let text = entry.pointee {
        let line = String(cString: text)
        if let equals = line.firstIndex(of: "=") {
            environment[String(line[..<equals])] = String(line[line.index(after: equals)...])
        }
        entry += 1
    }
    return environment
}
