import HTTPTypes
import Hummingbird
import KelterModel
package import KelterPipeline
package import KelterStore
package import Logging
import NIOCore

/// The HTTP service of SPEC section 8: uploads, runs, status and queries for many tenants.
package final class HTTPService: Sendable {
    /// What the service works with.
    package struct Parts: Sendable {
        package var store: Store
        package var objects: ObjectStore
        package var retrieval: Retrieval
        /// The workers of this process, which are woken when there is work.
        package var workers: [RunWorker]
        package var healthChecks: [HealthCheck]
        package var metrics: ServiceMetrics
        package var logger: Logger

        package init(
            store: Store,
            objects: ObjectStore,
            retrieval: Retrieval,
            workers: [RunWorker],
            healthChecks: [HealthCheck],
            metrics: ServiceMetrics,
            logger: Logger
        ) {
            self.store = store
            self.objects = objects
            self.retrieval = retrieval
            self.workers = workers
            self.healthChecks = healthChecks
            self.metrics = metrics
            self.logger = logger
        }
    }

    let configuration: ServiceConfiguration
    let store: Store
    let objects: ObjectStore
    let retrieval: Retrieval
    let workers: [RunWorker]
    let healthChecks: [HealthCheck]
    let metrics: ServiceMetrics
    let logger: Logger
    let io = IOThreads(count: 4)
    let intake: Intake
    private let admission: Admission
    private let authenticator: Authenticator
    private let routes: [String: [Route]]

    package init(configuration: ServiceConfiguration, parts: Parts) {
        self.configuration = configuration
        store = parts.store
        objects = parts.objects
        retrieval = parts.retrieval
        workers = parts.workers
        healthChecks = parts.healthChecks
        metrics = parts.metrics
        logger = parts.logger
        intake = Intake(store: store, objects: objects, io: io, retrieval: retrieval)
        let directory = TenantDirectory(store: store)
        authenticator = Authenticator(store: store, directory: directory, internalKeys: configuration.internalKeys)
        admission = Admission(
            directory: directory,
            authenticator: authenticator,
            limiter: RateLimiter(configuration.rateLimit),
            requiresKeys: configuration.requiresKeys
        )
        routes = Dictionary(grouping: Route.all) { Route.key($0.path) }
    }

    /// Answers one request; everything that goes wrong becomes an answer.
    func respond(to request: Request, _ context: ServerContext) async -> Response {
        let clock = ContinuousClock()
        let start = clock.now
        let fields = request.headers
        let trace = Trace(traceparent: fields[.traceparent], traceID: fields[.traceID])
        let candidates = routes[Route.key(request.uri.path)]
        let progress = BodyProgress()
        var admitted: Admitted?
        var reply: Reply
        if let route = candidates?.first(where: { $0.method == request.method }) {
            do throws(Refusal) {
                admitted = try await admit(route, request, trace)
                let routed = RouteRequest(
                    route: route,
                    request: request,
                    trace: trace,
                    progress: progress,
                    admission: admitted
                )
                reply = try await answer(routed)
            } catch {
                reply = error.reply
                log(error.error, trace)
                if !progress.isComplete, Self.isWorthCutting(request, error.error) {
                    reply.headers[.connection] = "close"
                    context.closeSoon()
                }
            }
        } else {
            reply = Self.noRoute(candidates)
        }
        reply.headers[.traceID] = trace.id
        if let admitted, reply.status.kind == .successful {
            reply.headers[.caseID] = admitted.caseID.description
            reply.headers[.tenantID] = admitted.tenant.key
            reply.headers[.idempotencyKey] = admitted.idempotencyKey
        }
        record(request, candidates, reply, admitted, trace, clock.now - start)
        return reply.response
    }

    /// Whether what a refused request has not sent yet is too much, or comes too slowly, to be waited for; short bodies are
    /// read, so that the connection can be used again.
    private static func isWorthCutting(_ request: Request, _ error: KelterError) -> Bool {
        guard error.code != .requestTooSlow else { return true }
        if let length = request.headers[.contentLength] { return (Int(length) ?? .max) > 64 << 10 }
        return request.headers[.transferEncoding] != nil
    }

    private func admit(_ route: Route, _ request: Request, _ trace: Trace) async throws(Refusal) -> Admitted? {
        switch route.access {
        case .open:
            return nil
        case .operators:
            let key = request.headers[.internalKey]
            guard !configuration.requiresKeys || authenticator.isInternalKey(key) else {
                throw Refusal(
                    KelterError(
                        .unauthorized,
                        "This is for operators only.",
                        subject: "X-Internal-Key",
                        fix: "Send one of RAG_INTERNAL_KEYS."
                    )
                )
            }
            return nil
        case .tenant, .tenantOrInternalKey:
            return try await admission.admit(
                request.head,
                trace: trace,
                acceptsInternalKey: route.access == .tenantOrInternalKey
            )
        }
    }

    private func answer(_ request: RouteRequest) async throws(Refusal) -> Reply {
        do throws(KelterError) {
            return try await request.route.handle(self, request)
        } catch {
            throw Refusal(error)
        }
    }

    private static func noRoute(_ candidates: [Route]?) -> Reply {
        guard let candidates else {
            return Reply(KelterError(.notFound, "There is no such route.", fix: "See /openapi.json."))
        }
        var reply = Reply(KelterError(.methodNotAllowed, "The route has no such method.", fix: "See /openapi.json."))
        reply.headers[.allow] = candidates.map(\.method.rawValue).sorted().joined(separator: ", ")
        return reply
    }
}

extension HTTPService {
    /// Says what went wrong inside; what the caller did wrong is in the line about the request.
    private func log(_ error: KelterError, _ trace: Trace) {
        guard error.code.httpStatus.kind == .serverError else { return }
        logger.error(
            "A request failed",
            metadata: ["trace_id": "\(trace.id)", "code": "\(error.code)", "detail": "\(error.detail)"]
        )
    }

    /// One line and the figures of one request; never texts, keys or bodies.
    private func record(
        _ request: Request,
        _ candidates: [Route]?,
        _ reply: Reply,
        _ admitted: Admitted?,
        _ trace: Trace,
        _ duration: Duration
    ) {
        let path = candidates?.first?.path ?? "other"
        metrics.count(request: request.method.rawValue, path: path, status: reply.status.code, duration: duration)
        guard logger.logLevel <= .info else { return }
        var metadata: Logger.Metadata = [
            "method": "\(request.method.rawValue)", "route": "\(path)", "status": "\(reply.status.code)",
            "duration_ms": "\((duration.seconds * 10_000).rounded() / 10)", "trace_id": "\(trace.id)",
        ]
        if let admitted {
            metadata["tenant"] = "\(admitted.tenant.key)"
            metadata["case"] = "\(admitted.caseID)"
            if let collection = request.headers[.collectionID].flatMap({ RowID(trimmed($0)) }) {
                metadata["collection"] = "\(collection)"
            }
            if let alias = admitted.keyAlias { metadata["key_alias"] = "\(alias)" }
            if let credential = admitted.credential { metadata["actor"] = "\(credential.actor)" }
        }
        logger.info("request", metadata: metadata)
    }
}
