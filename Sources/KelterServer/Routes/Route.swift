import HTTPTypes
import Hummingbird
import KelterModel

/// One route of the service.
struct Route: Sendable {
    /// Who may use a route.
    enum Access: Sendable {
        /// Anybody: it tells nothing about a tenant.
        case open
        /// Loopback callers of a development server, else holders of an internal key.
        case operators
        /// Callers whose headers name a tenant.
        case tenant
        /// As ``tenant``, where an internal key stands in for the tenant's own.
        case tenantOrInternalKey
    }

    /// The method and the path, as the contract writes it.
    let method: HTTPRequest.Method
    let path: String
    let access: Access
    /// Answers an admitted request.
    let handle: @Sendable (HTTPService, RouteRequest) async throws(KelterError) -> Reply

    /// Method and path, for metrics, logs and idempotency keys.
    var name: String { "\(method.rawValue) \(path)" }

    /// All routes; SPEC section 8.
    ///
    /// The paths with and without their last slash are the same.
    static let all: [Route] = [
        Route(method: .get, path: "/ai/ping/", access: .tenant) { service, request throws(KelterError) in
            try service.ping(request.admitted())
        },
        Route(method: .get, path: "/v1/ai/ping/", access: .tenant) { service, request throws(KelterError) in
            try service.ping(request.admitted())
        },
        Route(method: .get, path: "/health/", access: .open) { service, _ throws(KelterError) in
            await service.health()
        },
        Route(method: .post, path: "/ai/rag/documents/upload/", access: .tenant) {
            service,
            request throws(KelterError) in
            try await service.upload(request, request.admitted())
        },
        Route(method: .post, path: "/ai/rag/ingestion/run/", access: .tenant) { service, request throws(KelterError) in
            try await service.runIngestion(request, request.admitted())
        },
        Route(method: .get, path: "/ai/rag/ingestion/status/", access: .tenant) {
            service,
            request throws(KelterError) in
            try await service.ingestionStatus(request, request.admitted())
        },
        Route(method: .post, path: "/v1/ai/rag/query/", access: .tenant) { service, request throws(KelterError) in
            try await service.query(request, request.admitted())
        },
        Route(method: .post, path: "/ai/rag/query/", access: .tenant) { service, request throws(KelterError) in
            try await service.query(request, request.admitted())
        },
        Route(method: .post, path: "/ai/rag/admin/hard-delete/", access: .tenantOrInternalKey) {
            service,
            request throws(KelterError) in
            try await service.hardDelete(request, request.admitted())
        },
        Route(method: .get, path: "/metrics", access: .operators) { service, _ throws(KelterError) in
            await service.metricsText()
        },
        Route(method: .get, path: "/openapi.json", access: .open) { _, _ throws(KelterError) in
            Reply(.ok, body: OpenAPI.bytes)
        },
    ]

    /// The form of a path by which routes are found.
    static func key(_ path: String) -> String {
        path.count > 1 && path.hasSuffix("/") ? String(path.dropLast()) : path
    }
}

/// A request on its way to its route.
struct RouteRequest: Sendable {
    let route: Route
    let request: Request
    let trace: Trace
    let progress: BodyProgress
    /// The checked headers of a route for tenants.
    var admission: Admitted?

    func admitted() throws(KelterError) -> Admitted {
        guard let admission else { throw KelterError(.internalError, "A route without tenant asked for one.") }
        return admission
    }

    var body: BodyReader { BodyReader(body: request.body, progress: progress) }
    var contentType: String? { request.headers[.contentType] }
}
