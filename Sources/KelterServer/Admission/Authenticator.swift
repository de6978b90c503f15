import HTTPTypes
import KelterHashing
import KelterModel
import KelterPipeline
import KelterStore

/// Tells who sends a request.
struct Authenticator: Sendable {
    /// What a request shows, before it has been checked.
    enum Claim: Sendable {
        case none
        case apiKey(SecretToken)
        case password(name: String, password: String)
        /// An `Authorization` header of another form.
        case malformed
    }

    /// So many wrong passwords a minute are checked for one tenant: each costs half a second of a core.
    private static let failedLogins = RateLimit(requests: 10, period: .seconds(60))

    private let store: Store
    private let directory: TenantDirectory
    private let internalKeys: [[UInt8]]
    private let failures = RateLimiter(failedLogins)
    /// One thread: password checks of all requests together take one core at most.
    private let passwordThread = IOThreads(count: 1)

    init(store: Store, directory: TenantDirectory, internalKeys: [String]) {
        self.store = store
        self.directory = directory
        self.internalKeys = internalKeys.map { Array($0.utf8) }
    }

    /// Reads the `Authorization` header: `Bearer` with an API key, or `Basic` with a user's name and password.
    static func claim(_ authorization: String?) -> Claim {
        guard let authorization = authorization.map(trimmed), !authorization.isEmpty else { return .none }
        let parts = authorization.split(separator: " ", maxSplits: 1, omittingEmptySubsequences: true)
        guard parts.count == 2 else { return .malformed }
        switch lowercasedASCII(String(parts[0])) {
        case "bearer":
            return SecretToken(text: trimmed(String(parts[1]))).map { .apiKey($0) } ?? .malformed
        case "basic":
            guard let bytes = decodedBase64(Array(trimmed(String(parts[1])).utf8)),
                let text = String(validating: bytes, as: UTF8.self), let colon = text.firstIndex(of: ":")
            else { return .malformed }
            return .password(name: String(text[..<colon]), password: String(text[text.index(after: colon)...]))
        default:
            return .malformed
        }
    }

    /// Whether a text is one of `RAG_INTERNAL_KEYS`; every key is compared, in constant time.
    func isInternalKey(_ text: String?) -> Bool {
        guard let text else { return false }
        let bytes = Array(trimmed(text).utf8)
        return internalKeys.reduce(false) { constantTimeEqual($1, bytes) || $0 }
    }

    /// Checks a claim against the tenant's keys and users; a key of another tenant is no key here.
    ///
    /// - Throws: ``Refusal`` with ``ErrorCode/unauthorized`` or ``ErrorCode/rateLimitExceeded``, or a failure of the
    ///   database.
    func verify(_ claim: Claim, for record: TenantRecord) async throws(Refusal) -> Credential? {
        switch claim {
        case .none:
            return nil
        case .malformed:
            throw Refusal(Self.refused)
        case .apiKey(let token):
            let digest: ContentHash?
            do throws(KelterError) {
                digest = try await directory.keyDigest(token.id, of: record.tenant)
            } catch {
                throw Refusal(error)
            }
            guard let digest, token.matches(digest: digest) else { throw Refusal(Self.refused) }
            return .apiKey(token.id)
        case .password(let name, let password):
            return try await verify(name: name, password: password, for: record)
        }
    }

    private func verify(
        name: String,
        password: String,
        for record: TenantRecord
    ) async throws(Refusal) -> Credential {
        if let wait = failures.take(record.tenant) { throw .tooManyRequests(after: wait) }
        let user: TenantUser?
        do throws(KelterError) {
            user = try await store.user(name, of: record)
        } catch {
            throw Refusal(error)
        }
        let hash = user.flatMap { PasswordHash(encoded: $0.password) }
        let isRight = await passwordThread.run {
            // An unknown name takes as long as a wrong password.
            (hash ?? Self.nobody)?.matches(password) == true && hash != nil
        }
        guard isRight, let user else { throw Refusal(Self.refused) }
        failures.giveBack(record.tenant)
        return .user(name, isSuperuser: user.isSuperuser)
    }

    /// A hash that takes as long as any: 32 zero bytes are no password's.
    private static let nobody = PasswordHash(
        encoded: "pbkdf2_sha256$\(PasswordHash.defaultIterations)$nobody$\(String(repeating: "A", count: 43))="
    )

    private static var refused: KelterError {
        KelterError(
            .unauthorized,
            "The credentials are not valid for this tenant.",
            subject: "Authorization",
            fix: "Send 'Bearer' and an API key of the tenant."
        )
    }

    /// The failure of a request without credentials where they are required.
    static var missing: KelterError {
        KelterError(
            .unauthorized,
            "The request shows no credentials.",
            subject: "Authorization",
            fix: "Send 'Bearer' and an API key of the tenant."
        )
    }
}
