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
    /// Parses for all profiles.
    let parser: IsolatedParser

    /// Reads settings from flags, environment and configuration file.
    ///
    /// - Throws: ``KelterError`` of a setting or the file.
    init(flags: [String: String] = [:]) throws(KelterError) {
        let environment = currentEnvironment()
        let file = try Self.configurationFile(environment["KELTER_CONFIG"])
        let routing = try Settings.routingPath(flags: flags, environment: environment, file: file)
        settings = try Settings(
            flags: flags,
            environment: environment,
            file: file,
            routing: try Self.file(routing.path, mustExist: routing.isNamed)
        )
        paths = LocalPaths(environment: environment)
        let (pdfium, languages) = (paths.pdfium, settings.recognisedLanguages)
        parser = IsolatedParser { () throws(KelterError) in
            try ParserProcessCommand.launch(pdfium: pdfium, languages: languages)
        }
    }

    /// `KELTER_CONFIG`, which must exist, or `Config/kelter.yaml` below the working directory, which need not.
    private static func configurationFile(_ named: String?) throws(KelterError) -> (text: String, path: String)? {
        let path = named.flatMap { $0.isEmpty ? nil : $0 } ?? "Config/kelter.yaml"
        return try file(path, mustExist: named != nil)
    }

    private static func file(_ path: String, mustExist: Bool) throws(KelterError) -> (text: String, path: String)? {
        guard mustExist || access(path, F_OK) == 0 else { return nil }
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
    /// On the embedded server everything that is missing is created; on one of the user's it is asked for.
    ///
    /// - Parameters:
    ///   - connections: Connections at most.
    ///   - role: As whom to connect.
    ///   - model: The model of the vectors to be written; default: that of the profile.
    ///   - profile: The profile whose vector space it is; default: the default profile.
    ///   - use: What for: a batch waits for a database that is away.
    /// - Returns: The database.
    /// - Throws: ``KelterError`` of the server or the schema.
    func store(
        connections: Int = 4,
        role: DatabaseRole = .application,
        model: String? = nil,
        profile: EmbeddingProfile? = nil,
        for use: ServiceUse = .answer
    ) async throws(KelterError) -> Store {
        func open() async throws(KelterError) -> Store {
            try await unverifiedStore(
                connections: connections,
                role: role,
                model: model,
                profile: profile,
                for: use
            )
        }
        let store = try await open()
        do throws(KelterError) {
            try await store.verifySchema()
            return store
        } catch {
            await store.close()
            // A role that is not there yet cannot connect.
            guard !settings.isDatabaseConfigured, [.schemaMissing, .databaseUnavailable].contains(error.code) else {
                throw error
            }
        }
        try await provisionEmbeddedServer()
        let provisioned = try await open()
        try await provisioned.verifySchema()
        return provisioned
    }

    /// Refuses a profile that does not exist, before anything is started.
    ///
    /// - Throws: ``KelterError`` with ``ErrorCode/unknownProfile``.
    func checkProfile(_ name: String?, tenant: Tenant) throws(KelterError) {
        guard let name else { return }
        _ = try settings.routing.profile(for: RouteKeys(tenant: tenant), named: name)
    }

    /// The database for commands about tenants, which need no vector space.
    ///
    /// - Throws: ``KelterError`` of the server.
    func registryStore() async throws(KelterError) -> Store {
        settings.isDatabaseConfigured ? try await unverifiedStore() : try await store()
    }

    /// Creates what is missing of the embedded server's roles, registry, vector space and default tenants.
    ///
    /// - Throws: ``KelterError`` of the server.
    func provisionEmbeddedServer() async throws(KelterError) {
        for space in settings.routing.spaces {
            let profile = settings.routing.profiles.first { $0.vectorSpace == space.schema }
            let owner = try await unverifiedStore(connections: 1, role: .owner, profile: profile)
            try await owner.applyRoles()
            try await owner.applySchema(hnsw: hnsw)
            if space.schema == settings.profile.vectorSpace { try await registerDefaultTenants(in: owner) }
            await owner.close()
        }
    }

    /// The database as it is.
    ///
    /// - Parameters:
    ///   - connections: Connections at most.
    ///   - role: As whom to connect: which of the configured addresses, or which of the embedded server's roles.
    ///   - model: The model of the vectors to be written; default: that of the profile.
    ///   - profile: The profile whose vector space it is; default: the default profile.
    ///   - use: What for: a batch waits for a database that is away.
    /// - Returns: The database.
    /// - Throws: ``KelterError`` of the server.
    func unverifiedStore(
        connections: Int = 4,
        role: DatabaseRole = .application,
        model: String? = nil,
        profile: EmbeddingProfile? = nil,
        for use: ServiceUse = .answer
    ) async throws(KelterError) -> Store {
        let profile = profile ?? settings.profile
        return try Store(
            configuration: StoreConfiguration(
                url: try await databaseURL(for: role),
                schema: profile.vectorSpace,
                ledgerSchema: settings.profile.vectorSpace,
                dimension: profile.dimension,
                model: model ?? profile.model,
                poolSize: connections,
                statementTimeout: settings.statementTimeout,
                attempts: settings.retryAttempts,
                retryBaseDelay: settings.retryBaseDelay,
                outagePatience: use == .batch ? settings.embedding.outagePatience : .zero
            )
        )
    }

    /// The address for a role.
    ///
    /// The embedded server's owner is its administrator, who makes the roles.
    ///
    /// - Throws: ``KelterError`` of the embedded server's start.
    func databaseURL(for role: DatabaseRole) async throws(KelterError) -> String {
        guard let url = settings.database.url else {
            let url = try await postgres.start().url
            // The last user of the address counts.
            return role == .owner ? url : url + "&user=" + role.rawValue
        }
        return switch role {
        case .owner: settings.database.ownerURL ?? url
        case .application: url
        case .reader: settings.database.readURL ?? url
        }
    }

    var hnsw: StoreSchema.HNSW {
        StoreSchema.HNSW(m: settings.index.m, efConstruction: settings.index.efConstruction)
    }

    /// The stages of all profiles; those of others than the default one are opened when they are needed.
    ///
    /// - Parameters:
    ///   - given: The database of the default profile; default: opened as the application.
    ///   - role: As whom the databases of other profiles are opened.
    ///   - use: What the endpoint is asked for.
    /// - Returns: The stages.
    /// - Throws: ``KelterError`` of a service or of the default profile.
    func catalog(
        store given: Store? = nil,
        role: DatabaseRole = .application,
        for use: ServiceUse
    ) async throws(KelterError) -> StageCatalog {
        let services = self
        return StageCatalog(
            routing: settings.routing,
            standard: try await stages(of: settings.profile, store: given, for: use)
        ) { (profile) throws(KelterError) in
            let store = try await services.store(role: role, profile: profile, for: use)
            do throws(KelterError) {
                return try await services.stages(of: profile, store: store, for: use)
            } catch {
                await store.close()
                throw error
            }
        }
    }

    /// All stages of the pipeline for one profile.
    ///
    /// - Parameters:
    ///   - profile: The profile.
    ///   - given: Its database; default: opened as the application.
    ///   - use: What the endpoint is asked for.
    /// - Returns: The stages.
    /// - Throws: ``KelterError`` of a service or of the profile.
    func stages(
        of profile: EmbeddingProfile,
        store given: Store? = nil,
        for use: ServiceUse
    ) async throws(KelterError) -> Ingestion.Stages {
        let store: Store
        if let given { store = given } else { store = try await self.store(profile: profile, for: use) }
        let client = try await embeddingClient(of: profile, for: use)
        return Ingestion.Stages(
            parser: parser,
            chunker: try Chunker(profile: profile, tokenCounter: try tokenCounter(of: profile)),
            embeddings: client,
            store: store,
            profile: profile,
            usesCache: settings.embedding.usesCache,
            nearDuplicates: settings.nearDuplicates
        )
    }

    /// Counts tokens as a profile's model does.
    ///
    /// - Throws: ``KelterError`` of the tokenizer's file.
    func tokenCounter(of profile: EmbeddingProfile) throws(KelterError) -> any TokenCounter {
        try Tokenizers.make(
            profile.tokenizer,
            files: .init(weights: paths.embeddingWeights, directory: paths.tokenizers)
        )
    }
}

/// What the database and the endpoint are asked for.
enum ServiceUse {
    /// Somebody waits for the answer.
    case answer
    /// A batch that goes on for long, and waits for a service that is away.
    case batch
}

extension Services {
    /// The search with the settings' weights, and with answers when there is a chat model.
    ///
    /// - Throws: ``KelterError`` of the endpoint's address or key.
    func retrieval(_ catalog: StageCatalog) throws(KelterError) -> Retrieval {
        Retrieval(
            catalog: catalog,
            weights: Retrieval.Weights(
                alpha: settings.search.alpha,
                minimumSimilarity: settings.search.minimumSimilarity,
                trigramLimit: settings.search.trigramLimit,
                efSearch: settings.index.efSearch,
                probes: settings.index.probes
            ),
            chat: try chatClient()
        )
    }

    /// Who reads objects of buckets.
    ///
    /// - Throws: ``KelterError`` with ``ErrorCode/settingInvalid``.
    func buckets() throws(KelterError) -> S3Client {
        let settings = settings.buckets
        try settings.check()
        var credentials: S3Credentials?
        if let accessKey = settings.accessKey, let secretKey = settings.secretKey {
            credentials = S3Credentials(
                accessKey: accessKey,
                secretKey: secretKey,
                sessionToken: settings.sessionToken
            )
        }
        return S3Client(
            S3Configuration(
                endpoint: settings.endpoint,
                region: settings.region,
                credentials: credentials,
                security: ConnectionSecurity(caFile: settings.caFile),
                attempts: self.settings.retryAttempts,
                backoff: Backoff(base: self.settings.retryBaseDelay)
            )
        )
    }

    private func chatClient() throws(KelterError) -> ChatClient? {
        guard let model = settings.chatModel, let baseURL = settings.endpointBaseURL else { return nil }
        var endpoint = ChatEndpoint(
            baseURL: baseURL,
            apiKey: settings.endpointKey,
            model: model,
            // A model writes more slowly than it embeds.
            timeout: max(settings.timeout, .seconds(60)),
            retryAttempts: settings.retryAttempts,
            retryBaseDelay: settings.retryBaseDelay
        )
        endpoint.security = security
        return try ChatClient(endpoint)
    }

    /// A client of its own for whoever is to be served apart from others, with figures of its own.
    ///
    /// - Parameters:
    ///   - profile: Whose model is asked.
    ///   - use: What for.
    /// - Returns: The client.
    /// - Throws: ``KelterError`` of the endpoint.
    func embeddingClient(
        of profile: EmbeddingProfile,
        for use: ServiceUse
    ) async throws(KelterError) -> EmbeddingClient {
        try EmbeddingClient(
            endpoint: try await endpoint(of: profile, for: use),
            model: profile.model,
            dimension: profile.dimension
        )
    }

    /// How connections to the configured endpoint are made.
    var security: ConnectionSecurity {
        ConnectionSecurity(
            caFile: settings.endpoint.caFile,
            clientCertificateFile: settings.endpoint.clientCertificateFile,
            clientKeyFile: settings.endpoint.clientKeyFile
        )
    }

    /// The configured endpoint, or the embedded one, which is started when it does not run.
    private func endpoint(
        of profile: EmbeddingProfile,
        for use: ServiceUse
    ) async throws(KelterError) -> EmbeddingEndpoint {
        var endpoint = EmbeddingEndpoint(
            baseURL: settings.endpointBaseURL ?? "",
            apiKey: settings.endpointKey,
            timeout: settings.timeout,
            maximumInputs: profile.maximumInputs,
            maximumTokensPerRequest: profile.maximumTokensPerRequest,
            fallbackModel: profile.fallbackModel,
            countsTokensExactly: profile.tokenizer != .bytes,
            requestsInFlight: settings.embedding.requestsInFlight,
            retryAttempts: settings.retryAttempts,
            retryBaseDelay: settings.retryBaseDelay,
            outagePatience: use == .batch ? settings.embedding.outagePatience : .zero
        )
        endpoint.security = security
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
        endpoint.maximumInputs = min(profile.maximumInputs, 8)
        endpoint.requestsInFlight = min(settings.embedding.requestsInFlight, 4)
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
