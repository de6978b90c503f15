import HTTPTypes
import KelterHashing
import KelterModel
import KelterStore

/// Carries out a request at most once per idempotency key; SPEC section 8.
///
/// Only what succeeded is repeated from memory: a refused request has changed nothing, and may be sent again corrected.
struct Idempotent: Sendable {
    /// How long a request may hold its key without being finished: a minute more than any takes.
    private static let lockTime = Duration.seconds(180)
    /// How long a repetition waits for the first request.
    private static let patience = Duration.seconds(15)

    let store: Store

    /// A body that tells whether it is a repetition, and the answer made of it.
    struct Answer: Sendable {
        let status: Int
        private let members: [(name: String, value: JSONValue)]

        init(status: Int, members: [(name: String, value: JSONValue)]) {
            self.status = status
            self.members = members
        }

        /// The bytes of the body, with `idempotent` as its last member.
        func body(isRepeated: Bool) -> [UInt8] {
            JSONValue.object(members + [("idempotent", .bool(isRepeated))]).bytes(indented: false)
        }

        var reply: Reply {
            Reply(.init(code: status), body: body(isRepeated: false))
        }

        /// What repetitions get.
        func repeated(_ claim: IdempotencyClaim) -> IdempotentReply {
            IdempotentReply(claim: claim, status: status, body: body(isRepeated: true))
        }
    }

    /// Carries out the request, or answers as its first one was answered.
    ///
    /// - Parameters:
    ///   - admitted: The request. Without an idempotency key it is simply carried out.
    ///   - route: The route, such as `POST /ai/rag/query/`.
    ///   - parts: What makes the request what it is, beside its route and headers.
    ///   - storesAnswer: Whether the answer is to be stored here; `false` when the work does so in its own transaction.
    ///   - work: Carries it out; gets the claim of the key.
    /// - Returns: The answer, or that of the first request.
    /// - Throws: ``KelterError`` with ``ErrorCode/idempotencyKeyReused`` or ``ErrorCode/idempotencyInProgress``, or what
    ///   the work throws.
    func run(
        _ admitted: Admitted,
        route: String,
        parts: [[UInt8]],
        storesAnswer: Bool,
        _ work: (IdempotencyClaim?) async throws(KelterError) -> Answer
    ) async throws(KelterError) -> Reply {
        guard let key = admitted.idempotencyKey else { return try await work(nil).reply }
        let claim = IdempotencyClaim(
            route: route,
            key: key,
            requestHash: try Self.digest(admitted, parts),
            owner: RowID(high: .random(in: .min ... .max), low: .random(in: .min ... .max))
        )
        if let reply = try await earlierReply(claim, admitted.tenant) { return reply }
        do throws(KelterError) {
            let answer = try await work(claim)
            if storesAnswer { try await store.finishIdempotencyKey(answer.repeated(claim), tenant: admitted.tenant) }
            return answer.reply
        } catch {
            // Without this the key would be free again when its time is over.
            try? await store.releaseIdempotencyKey(claim, tenant: admitted.tenant)
            throw error
        }
    }

    /// The answer of the first request with this key; `nil` when this is the first.
    private func earlierReply(_ claim: IdempotencyClaim, _ tenant: Tenant) async throws(KelterError) -> Reply? {
        let clock = ContinuousClock()
        let end = clock.now + Self.patience
        while true {
            switch try await store.claimIdempotencyKey(claim, for: Self.lockTime, tenant: tenant) {
            case .claimed:
                return nil
            case .finished(let status, let body):
                return Reply(.init(code: status), body: body)
            case .reused:
                throw KelterError(
                    .idempotencyKeyReused,
                    "The idempotency key belongs to another request.",
                    subject: "Idempotency-Key",
                    fix: "Use a new key for each request."
                )
            case .inProgress:
                guard clock.now < end, (try? await clock.sleep(for: .milliseconds(50))) != nil else {
                    throw KelterError(
                        .idempotencyInProgress,
                        "The first request with this idempotency key is still being carried out.",
                        subject: "Idempotency-Key",
                        fix: "Repeat the request later."
                    )
                }
            }
        }
    }

    /// SHA-256 over the lengths and bytes of everything that decides what the request means.
    private static func digest(_ admitted: Admitted, _ parts: [[UInt8]]) throws(KelterError) -> ContentHash {
        let scope = admitted.headers.filter {
            ["x-collection-id", "collection_id", "collection-id"].contains(lowercasedASCII($0.name))
        }
        let context = [admitted.caseID.description] + scope.flatMap { [lowercasedASCII($0.name), trimmed($0.value)] }
        var hasher = SHA256()
        for part in context.map({ Array($0.utf8) }) + parts {
            withUnsafeBytes(of: UInt64(part.count).littleEndian) { hasher.update($0) }
            part.withUnsafeBytes { hasher.update($0) }
        }
        return try hasher.finish()
    }
}
