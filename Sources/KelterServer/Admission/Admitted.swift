import HTTPTypes
import KelterModel
import KelterStore

/// A request whose headers have been checked: who asks, for whom, in which context.
struct Admitted: Sendable {
    let record: TenantRecord
    let caseID: CaseID
    /// `X-Key-Alias`, for the log.
    let keyAlias: String?
    /// What showed the caller's identity; `nil` on a development server without keys.
    let credential: Credential?
    /// Whether the request has shown one of `RAG_INTERNAL_KEYS`, where the route accepts them.
    let hasInternalKey: Bool
    /// `Idempotency-Key`.
    let idempotencyKey: String?
    /// All header fields, in the order they came.
    let headers: [(name: String, value: String)]
    let trace: Trace

    var tenant: Tenant { record.tenant }

    /// Whether the caller is a superuser of the tenant.
    var isSuperuser: Bool {
        if case .user(_, isSuperuser: true) = credential { return true }
        return false
    }
}

/// What shows a caller's identity.
enum Credential: Sendable, Equatable {
    /// A valid key of the tenant.
    case apiKey(RowID)
    /// A user of the tenant with the right password.
    case user(String, isSuperuser: Bool)
    /// One of `RAG_INTERNAL_KEYS`.
    case internalKey

    /// Who it is, for the audit trail and the log.
    var actor: String {
        switch self {
        case .apiKey(let id): "api-key:\(id)"
        case .user(let name, let isSuperuser): (isSuperuser ? "superuser:" : "user:") + name
        case .internalKey: "internal-key"
        }
    }
}
