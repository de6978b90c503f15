import HTTPTypes
import Hummingbird
import KelterModel
import NIOCore

/// An answer before it is sent.
struct Reply: Sendable {
    var status: HTTPResponse.Status
    var body: [UInt8]
    var headers: HTTPFields = [:]

    /// An answer in JSON.
    init(_ status: HTTPResponse.Status, _ json: JSONValue) {
        self.init(status, body: json.bytes(indented: false))
    }

    /// An answer whose JSON has been written already.
    init(_ status: HTTPResponse.Status, body: [UInt8], contentType: String = "application/json") {
        self.status = status
        self.body = body
        headers[.contentType] = contentType
    }

    /// The error as the contract has it: `{"detail", "code"}`; SPEC section 8.
    init(_ error: KelterError) {
        let status = error.code.httpStatus
        // What is wrong inside is told to the log; callers get no names of hosts, files or settings.
        let detail = status.kind == .serverError ? Self.genericDetail(status) : error.detail
        self.init(status, .object([("detail", .string(detail)), ("code", .string(error.code.rawValue))]))
        if error.code == .unauthorized { headers[.wwwAuthenticate] = "Bearer" }
    }

    private static func genericDetail(_ status: HTTPResponse.Status) -> String {
        status == .serviceUnavailable
            ? "A service that this request needs is unavailable; try again later."
            : "The request could not be completed; the trace identifier leads to the reason in the log."
    }

    var response: Response {
        Response(status: status, headers: headers, body: ResponseBody(byteBuffer: ByteBuffer(bytes: body)))
    }
}

extension ErrorCode {
    /// The HTTP status of a request that ends with this code; the only mapping from codes to statuses.
    var httpStatus: HTTPResponse.Status {
        switch self {
        case .unauthorized: .unauthorized
        case .tenantMismatch, .forbidden: .forbidden
        case .tenantNotFound, .noMatches, .ingestionStatusNotFound, .runNotFound, .notFound: .notFound
        case .methodNotAllowed: .methodNotAllowed
        case .requestTooSlow: .requestTimeout
        case .idempotencyKeyReused, .idempotencyInProgress, .storeConflict: .conflict
        case .fileTooLarge, .requestTooLarge: .contentTooLarge
        case .unsupportedMediaType: .unsupportedMediaType
        case .rateLimitExceeded: .tooManyRequests
        case .databaseUnavailable, .schemaMissing, .schemaDimensionMismatch, .vectorDimensionMismatch,
            .objectStoreFailed, .embeddingUnreachable, .embeddingUnauthorised, .embeddingReplyTooLarge,
            .embeddingRedirected, .embeddingUntrusted, .embeddingModelDrift, .embeddingTruncation, .modelMismatch,
            .interrupted:
            .serviceUnavailable
        case let code where code.isPassingEmbeddingFailure: .serviceUnavailable
        case .invalidTenant, .invalidTenantSchema, .tenantSchemaMismatch, .invalidCase, .invalidKeyAlias,
            .invalidCollectionID, .invalidCollectionIDs, .invalidHeader, .invalidIdempotencyKey, .invalidMultipart,
            .invalidPathSegment, .missingFile, .missingQuestion, .sidecarInvalid, .validationError, .embeddingRefused,
            .routeConflict, .unknownProfile:
            .badRequest
        default: .internalServerError
        }
    }
}
