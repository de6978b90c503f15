import Hummingbird
import HummingbirdCore
import KelterModel
package import KelterPipeline
package import KelterStore
package import Logging
import NIOCore
import ServiceLifecycle

/// Serves HTTP until it is told to stop; requests under way are answered then.
package struct HTTPServerService: Service {
    private let service: HTTPService
    private let onListening: @Sendable (_ host: String, _ port: Int) -> Void

    /// Prepares the server.
    ///
    /// - Parameters:
    ///   - service: What answers the requests.
    ///   - onListening: Is told the address once connections are accepted.
    package init(_ service: HTTPService, onListening: @escaping @Sendable (_ host: String, _ port: Int) -> Void) {
        self.service = service
        self.onListening = onListening
    }

    package func run() async throws {
        let configuration = service.configuration
        let idle = TimeAmount.milliseconds(Int64(configuration.idleTimeout.seconds * 1000))
        // Hummingbird's own log tells of requests and connections what the service's does better.
        var logger = service.logger
        logger.logLevel = .warning
        let application = Application(
            responder: CallbackResponder { [service] (request: Request, context: ServerContext) in
                await service.respond(to: request, context)
            },
            server: .http1(
                configuration: HTTP1Channel.Configuration(
                    idleTimeout: idle,
                    httpDecoderConfiguration: .init(
                        maxHeaderFieldSize: 16 << 10,
                        maxHeaderListSize: 32 << 10,
                        maxHeaderFieldCount: 100
                    )
                )
            ),
            configuration: ApplicationConfiguration(
                address: .hostname(configuration.host, port: configuration.port),
                backlog: 1024
            ),
            onServerRunning: { channel in
                onListening(configuration.host, channel.localAddress?.port ?? configuration.port)
            },
            logger: logger
        )
        try await application.run()
    }
}

/// Runs a worker until it is told to stop; the run it works on is finished or goes back to the queue.
package struct WorkerService: Service {
    private let worker: RunWorker

    package init(_ worker: RunWorker) {
        self.worker = worker
    }

    package func run() async throws {
        await withGracefulShutdownHandler {
            await worker.work()
        } onGracefulShutdown: {
            worker.stop()
        }
    }
}

/// Clears away what nobody will ask for any more: idempotency keys of yesterday and files of uploads that a kill cut off.
package struct HousekeepingService: Service {
    /// Younger files may belong to an upload under way: 1 h.
    private static let abandonedAfterSeconds = 3600

    private let store: Store
    private let objects: ObjectStore
    private let logger: Logger
    private let io = IOThreads(count: 1)

    package init(store: Store, objects: ObjectStore, logger: Logger) {
        self.store = store
        self.objects = objects
        self.logger = logger
    }

    package func run() async throws {
        let pause = AsyncTimerSequence.every(.seconds(600))
        for await _ in pause.cancelOnGracefulShutdown() {
            do throws(KelterError) {
                try await tidy()
            } catch {
                logger.warning("Housekeeping failed", metadata: ["code": "\(error.code)", "detail": "\(error.detail)"])
            }
        }
    }

    private func tidy() async throws(KelterError) {
        let tenants = try await store.tenants().map(\.tenant)
        for tenant in tenants { try await store.removeExpiredIdempotencyKeys(of: tenant) }
        let objects = objects
        let staged = await io.run { objects.abandonedRuns(olderThan: Self.abandonedAfterSeconds) }
        for run in staged where try await !isNeeded(run, tenants) {
            await io.run { objects.discard(run: run) }
            logger.info("Removed the files of an upload that was never accepted", metadata: ["run": "\(run)"])
        }
    }

    /// Whether a run's staged files are still to be worked on, now or when it is repeated.
    private func isNeeded(_ run: RowID, _ tenants: [Tenant]) async throws(KelterError) -> Bool {
        for tenant in tenants {
            do throws(KelterError) {
                return try await store.run(run, tenant: tenant).status != .succeeded
            } catch {
                guard error.code == .runNotFound else { throw error }
            }
        }
        return false
    }
}

/// A beginning and then a beat, as an asynchronous sequence.
private struct AsyncTimerSequence: AsyncSequence, Sendable {
    let interval: Duration

    static func every(_ interval: Duration) -> Self {
        Self(interval: interval)
    }

    struct AsyncIterator: AsyncIteratorProtocol {
        let interval: Duration
        var isFirst = true

        mutating func next() async -> Void? {
            defer { isFirst = false }
            if isFirst { return () }
            return try? await Task.sleep(for: interval)
        }
    }

    func makeAsyncIterator() -> AsyncIterator {
        AsyncIterator(interval: interval)
    }
}
