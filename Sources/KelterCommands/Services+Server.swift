import Glibc
import KelterEmbedding
import KelterHashing
import KelterLocal
import KelterModel
import KelterPipeline
import KelterServer
import KelterSettings
import KelterStore
import Logging
import ServiceLifecycle
import UnixSignals

extension Services {
    /// Makes sure that there are the public tenant and the development tenant; SPEC section 10.
    ///
    /// - Throws: ``KelterError`` of the database.
    func registerDefaultTenants(in store: Store) async throws(KelterError) {
        try await store.applyRegistry()
        let known = try await store.tenants()
        // What somebody has arranged differently stays as it is.
        if !known.contains(where: { $0.domains.contains("localhost") }) {
            _ = try await store.bootstrapPublicTenant(domain: "localhost")
        }
        let (schema, tenant) = ("dev", try Tenant("dev-tenant"))
        if !known.contains(where: { $0.schema == schema || $0.tenant.rowID == tenant.rowID }) {
            _ = try await store.createTenant(
                TenantRecord(tenant: tenant, schema: schema, name: "Development", domains: [])
            )
        }
    }

    /// The database of a long-running process, with the registry and the default tenants on the embedded server.
    ///
    /// - Parameter connections: Connections at most.
    /// - Returns: The database.
    /// - Throws: ``KelterError`` of the database or the schema.
    func serviceStore(connections: Int) async throws(KelterError) -> Store {
        if !settings.isDatabaseConfigured { try await provisionEmbeddedServer() }
        let store = try await store(connections: connections)
        // Says at once when there is no registry, or an older one.
        _ = try await store.tenants()
        try await store.requireMigrations(.shared, schema: TenantRecord.publicSchema)
        return store
    }

    /// Asks the endpoint for its models, which costs nothing: whatever it answers, short of a refused key or a server's
    /// error, it is there.
    ///
    /// - Throws: ``KelterError`` with ``ErrorCode/embeddingUnreachable``, ``ErrorCode/embeddingUnauthorised`` or
    ///   ``ErrorCode/embeddingServerError``.
    func checkEndpoint() async throws(KelterError) {
        var base = (settings.endpointBaseURL ?? embeddings.status().baseURL ?? "")[...]
        while base.hasSuffix("/") { base.removeLast() }
        let key = settings.endpointKey.map { [(name: "Authorization", value: "Bearer \($0)")] } ?? []
        let reply: HTTPExchange.Reply
        do throws(KelterError) {
            var exchange = HTTPExchange("GET", base + "/models", headers: key, timeout: .seconds(2))
            exchange.security = security
            reply = try await exchange.send()
        } catch {
            guard error.code != .settingInvalid else { throw error }
            throw KelterError(.embeddingUnreachable, error.message, subject: "LITELLM_BASE_URL", fix: error.fix)
        }
        guard reply.status != 401, reply.status != 403 else {
            throw KelterError(
                .embeddingUnauthorised,
                "The embedding endpoint refuses the key with HTTP status \(reply.status).",
                subject: "LITELLM_MASTER_KEY",
                fix: "Set LITELLM_MASTER_KEY to a key of that endpoint."
            )
        }
        guard reply.status < 500 else {
            throw KelterError(
                .embeddingServerError,
                "The embedding endpoint answers with HTTP status \(reply.status).",
                subject: "LITELLM_BASE_URL",
                fix: "Check the service's log."
            )
        }
    }

    /// Workers of this process, each with an embedding client of its own.
    ///
    /// - Parameters:
    ///   - count: How many.
    ///   - lease: For how long a run stays with a worker that has fallen silent.
    ///   - catalog: The stages they share.
    ///   - takesParts: Whether they take parts of batches, too. Default `false`.
    ///   - report: Told of what they do.
    /// - Returns: The workers and their pipelines.
    /// - Throws: ``KelterError`` of the endpoint.
    func workers(
        _ count: Int,
        lease: Duration,
        catalog: StageCatalog,
        takesParts: Bool = false,
        report: @escaping @Sendable (RunWorker.Event) -> Void
    ) async throws(KelterError) -> (workers: [RunWorker], ingestions: [Ingestion]) {
        var workers: [RunWorker] = []
        var ingestions: [Ingestion] = []
        let digest = try settingsDigest()
        let batchRequest: @Sendable (RunRecord) throws(KelterError) -> IngestRequest = { (run) throws(KelterError) in
            guard run.arguments["settings"]?.string == digest else { throw Self.otherSettings(run) }
            return try IngestArguments(run.arguments).request(resuming: run.id)
        }
        for index in 0..<count {
            let own = catalog.standard.replacing(try await embeddingClient(of: settings.profile, for: .batch))
            let ingestion = Ingestion(
                catalog: catalog.replacing(own),
                jobs: availableCores(),
                buckets: takesParts ? try buckets() : nil
            )
            ingestions.append(ingestion)
            let configuration = RunWorker.Configuration(
                name: "\(hostName()):\(getpid()):\(index + 1)",
                lease: lease,
                batchRequest: takesParts ? batchRequest : nil
            )
            workers.append(
                RunWorker(
                    configuration: configuration,
                    ingestion: ingestion,
                    objects: objects,
                    report: report
                )
            )
        }
        return (workers, ingestions)
    }

    /// With other limits the chunks of one batch would not be of one kind.
    private static func otherSettings(_ run: RunRecord) -> KelterError {
        KelterError(
            .settingInvalid,
            "The batch was begun with other settings than those of this worker.",
            subject: "run \(run.id)",
            fix: "Give the worker the settings of 'kelter ingest', as 'kelter config' shows them."
        )
    }

    /// A digest of all settings, of secrets only whether there are any.
    func settingsDigest() throws(KelterError) -> String {
        let lines = settings.explained.map { "\($0.name)=\($0.value ?? "")" }
        return try SHA256.hash(lines.joined(separator: "\n")).hex
    }
}

/// Runs services until SIGTERM or SIGINT, and gives them half a minute to end then.
///
/// - Parameters:
///   - services: In the order in which they depend on each other; they end in the reverse order.
///   - client: Works with them; when it has ended, so do they.
///   - logger: Where the group logs.
/// - Throws: ``KelterError`` with ``ErrorCode/serviceStartFailed`` when one of them cannot go on.
func runUntilSignalled(
    _ services: [any Service],
    then client: (any Service)? = nil,
    logger: Logger
) async throws(KelterError) {
    // A reader of the log that has gone must not take the service with it.
    signal(SIGPIPE, SIG_IGN)
    var quiet = logger
    quiet.logLevel = .error
    var configuration = ServiceGroupConfiguration(
        services: services.map { .init(service: $0) }
            + (client.map { [.init(service: $0, successTerminationBehavior: .gracefullyShutdownGroup)] } ?? []),
        gracefulShutdownSignals: [.sigterm, .sigint],
        logger: quiet
    )
    configuration.maximumGracefulShutdownDuration = .seconds(30)
    do {
        try await ServiceGroup(configuration: configuration).run()
    } catch {
        throw KelterError(
            .serviceStartFailed,
            "The service ended: \(error).",
            fix: "If the address is in use, choose another with --port."
        )
    }
}

/// Writes what workers do to a log.
func log(_ event: RunWorker.Event, to logger: Logger) {
    func context(_ claim: ClaimedRun) -> Logger.Metadata {
        var metadata: Logger.Metadata = ["run": "\(claim.run.id)", "tenant": "\(claim.tenant.key)"]
        if let caseID = claim.run.caseID { metadata["case"] = "\(caseID)" }
        if let trace = claim.run.traceID { metadata["trace_id"] = "\(trace)" }
        return metadata
    }
    switch event {
    case .claimed(let claim):
        logger.debug("run claimed", metadata: context(claim).merging(["attempt": "\(claim.attempts)"]) { $1 })
    case .finished(let claim, let report, let duration):
        var metadata = context(claim)
        metadata["status"] = "\(report.status.rawValue)"
        metadata["documents"] = "\(report.documents.count)"
        metadata["chunks"] = "\(report.chunks)"
        metadata["duration_ms"] = "\(duration.milliseconds)"
        logger.info("run finished", metadata: metadata)
    case .postponed(let claim, let error):
        logger.warning("run postponed", metadata: context(claim).merging(problem(error)) { $1 })
    case .abandoned(let claim, let error):
        logger.error("run abandoned", metadata: context(claim).merging(problem(error)) { $1 })
    case .helped(let run, let tenant, let outcomes):
        logger.info(
            "part of a batch finished",
            metadata: [
                "run": "\(run.id)", "tenant": "\(tenant.key)", "items": "\(outcomes.accounted)",
                "failed": "\(outcomes[.failed])",
            ]
        )
    case .leftAlone(let run, let tenant, let error):
        let metadata: Logger.Metadata = ["run": "\(run.id)", "tenant": "\(tenant.key)"]
        logger.warning("batch left to others", metadata: metadata.merging(problem(error)) { $1 })
    case .troubled(let error):
        logger.error("worker in trouble", metadata: problem(error))
    }
}

private func problem(_ error: KelterError) -> Logger.Metadata {
    ["code": "\(error.code)", "detail": "\(error.detail)"]
}
