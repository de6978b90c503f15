import ArgumentParser
import Glibc
import KelterEmbedding
import KelterModel
import KelterPipeline
import KelterServer
import KelterSettings
import KelterStore
import Logging
import ServiceLifecycle

struct ServeCommand: ExecutableCommand {
    static let configuration = CommandConfiguration(
        commandName: "serve",
        abstract: "Serves uploads, runs, status and queries over HTTP.",
        discussion: """
            Ctrl-C or SIGTERM ends it in order: requests are answered, and runs are finished or go back to the queue. \
            On an address that others can reach it starts only when there are API keys, and then requires them.
            """
    )

    @Option(help: "The address to listen on.")
    var host = "127.0.0.1"

    @Option(help: "The port; 0 takes a free one.")
    var port = 8000

    @Option(help: "How many runs this process works on at a time; 0 leaves them to `kelter worker`.")
    var workers = 1

    @Flag(help: "Require API keys on a loopback address too, as behind a proxy.")
    var requireKeys = false

    @Option(help: "For how many seconds a run stays with a worker that has fallen silent.")
    var lease = 30

    @Option(help: "After how many seconds a connection on which nothing happens is closed.")
    var idleTimeout = 60

    @OptionGroup var logging: LogOptions
    @OptionGroup var common: CommonOptions

    var handlesInterrupts: Bool { false }

    func execute(_ terminal: Terminal) async throws(KelterError) -> KelterModel.ExitCode {
        guard (0...65_535).contains(port), (0...64).contains(workers), (1...3600).contains(idleTimeout),
            (1...3600).contains(lease)
        else {
            throw KelterError(
                .usage,
                "A number is out of range.",
                subject: "--port, --workers, --idle-timeout, --lease",
                fix: "Use a port up to 65535, up to 64 workers, and 1 to 3600 seconds."
            )
        }
        let services = try Services()
        let logger = try logging.logger("kelter.http")
        let server = try await RunningServer(
            services,
            configuration: configuration(services.settings),
            workers: workers,
            lease: .seconds(lease),
            logger
        )
        let isJSON = terminal.isJSON
        try await runUntilSignalled(
            server.services { host, port in
                let url = "http://\(host.contains(":") ? "[\(host)]" : host):\(port)"
                if isJSON {
                    terminal.print(
                        JSONValue.object([
                            ("url", .string(url)), ("host", .string(host)), ("port", .int(port)),
                        ]).compactText
                    )
                } else {
                    terminal.note("Listening on \(url). Ctrl-C ends the service.")
                }
            },
            logger: logger
        )
        await server.close()
        return .done
    }

    private func configuration(_ settings: Settings) -> ServiceConfiguration {
        ServiceConfiguration(
            host: host,
            port: port,
            requiresKeys: requireKeys || !ServiceConfiguration.isLoopback(host),
            internalKeys: settings.service.internalKeys,
            rateLimit: settings.service.quota.map { RateLimit(requests: $0.requests, period: $0.period) },
            maximumUploadBytes: settings.service.maximumUploadBytes,
            idleTimeout: .seconds(idleTimeout)
        )
    }
}

/// The HTTP service of this process with everything it needs.
struct RunningServer {
    private let service: HTTPService
    private let workers: [RunWorker]
    /// The database, also for whoever wants to look at what the service has done.
    let store: Store
    private let catalog: StageCatalog
    private let ingestions: [Ingestion]
    private let housekeeping: HousekeepingService

    /// Opens the database and prepares everything; nothing listens yet.
    ///
    /// - Throws: ``KelterError`` of a service, and ``ErrorCode/apiKeysMissing`` when keys are required and there are none.
    init(
        _ services: Services,
        configuration: ServiceConfiguration,
        workers count: Int,
        lease: Duration = .seconds(30),
        _ logger: Logger
    ) async throws(KelterError) {
        store = try await services.serviceStore(connections: 8 + 2 * count)
        if configuration.requiresKeys, try await !store.hasAnyAPIKey() {
            throw KelterError(
                .apiKeysMissing,
                "Others can reach \(configuration.host), and no tenant has an API key.",
                subject: "--host",
                fix: "Create one with `kelter api-key create --schema S --label L`, or listen on 127.0.0.1."
            )
        }
        catalog = try await services.catalog(store: store, for: .answer)
        let workerLogger = logger
        let events = EventRelay()
        let made = try await services.workers(count, lease: lease, catalog: catalog) { event in
            log(event, to: workerLogger)
            events.send(event)
        }
        workers = made.workers
        ingestions = made.ingestions
        let queryIngestion = Ingestion(catalog: catalog, jobs: 1)
        let metrics = ServiceMetrics(
            sources: .init(store: store, ingestions: made.ingestions + [queryIngestion])
        )
        events.connect { metrics.count($0) }
        service = HTTPService(
            configuration: configuration,
            parts: .init(
                store: store,
                objects: services.objects,
                retrieval: try services.retrieval(catalog),
                workers: made.workers,
                healthChecks: Self.healthChecks(services, store: store),
                metrics: metrics,
                logger: logger
            )
        )
        housekeeping = HousekeepingService(store: store, objects: services.objects, logger: logger)
    }

    /// The services in the order of their dependence.
    func services(onListening: @escaping @Sendable (_ host: String, _ port: Int) -> Void) -> [any Service] {
        let workers: [any Service] = workers.map { WorkerService($0) }
        return workers + [housekeeping, HTTPServerService(service, onListening: onListening)]
    }

    /// Ends connections once the services have ended.
    func close() async {
        for ingestion in ingestions { await ingestion.catalog.close() }
        await catalog.close()
    }

    private static func healthChecks(
        _ services: Services,
        store: Store
    ) -> [HealthCheck] {
        let objects = services.objects
        return [
            HealthCheck(name: "database") {
                await failure { () async throws(KelterError) in _ = try await store.serverInfo() }
            },
            HealthCheck(name: "embedding_endpoint") {
                await failure { () async throws(KelterError) in try await services.checkEndpoint() }
            },
            HealthCheck(name: "object_store") { objects.problem },
            HealthCheck(name: "queue") {
                await failure { () async throws(KelterError) in
                    _ = try await store.queueDepth(of: try await store.tenants().map(\.tenant))
                }
            },
        ]
    }

    private static func failure(_ body: () async throws(KelterError) -> Void) async -> KelterError? {
        do throws(KelterError) {
            try await body()
            return nil
        } catch {
            return error
        }
    }
}
