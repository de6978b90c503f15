import KelterModel
import KelterStore
import Synchronization

/// The registry's tenants and valid API keys as requests need them, remembered for a moment.
///
/// A change in the registry, such as a revoked key, takes effect within ``lifetime``.
final class TenantDirectory: Sendable {
    /// How long an answer of the database is good: 5 s.
    static let lifetime = Duration.seconds(5)
    /// So many answers are remembered at most; beyond them all are forgotten.
    private static let capacity = 10_000

    private enum Question: Hashable {
        case schema(String)
        case domain(String)
    }

    private struct Entry<Value: Sendable>: Sendable {
        let value: Value
        let asked: ContinuousClock.Instant
    }

    private struct Memory {
        var tenants: [Question: Entry<TenantRecord?>] = [:]
        var keys: [RowID: Entry<(tenant: RowID, digest: ContentHash)>] = [:]
    }

    private let store: Store
    private let clock = ContinuousClock()
    private let memory = Mutex(Memory())

    init(store: Store) {
        self.store = store
    }

    /// The tenant of a schema.
    func tenant(schema: String) async throws(KelterError) -> TenantRecord? {
        // A name no schema can have is not worth a look, nor a place in the memory.
        guard (try? SQLIdentifier(schema: schema)) != nil else { return nil }
        if let known = recall(.schema(schema)) { return known.value }
        return remember(.schema(schema), try await store.tenant(schema: schema))
    }

    /// The tenant that a host name leads to.
    func tenant(domain: String) async throws(KelterError) -> TenantRecord? {
        guard domain.utf8.count <= 253, !domain.utf8.contains(0) else { return nil }
        if let known = recall(.domain(domain)) { return known.value }
        return remember(.domain(domain), try await store.tenant(domain: domain))
    }

    /// The digest of a valid key of a tenant.
    func keyDigest(_ id: RowID, of tenant: Tenant) async throws(KelterError) -> ContentHash? {
        let now = clock.now
        let known = memory.withLock { $0.keys[id] }
        if let known, known.value.tenant == tenant.rowID, now - known.asked < Self.lifetime {
            return known.value.digest
        }
        let digest = try await store.apiKeyDigest(id, tenant: tenant)
        memory.withLock { memory in
            if memory.keys.count >= Self.capacity { memory.keys = [:] }
            // Only what is there is remembered: guessing fills no memory.
            memory.keys[id] = digest.map { Entry(value: (tenant.rowID, $0), asked: now) }
        }
        return digest
    }

    private func recall(_ question: Question) -> Entry<TenantRecord?>? {
        let now = clock.now
        return memory.withLock { $0.tenants[question] }.flatMap { now - $0.asked < Self.lifetime ? $0 : nil }
    }

    private func remember(_ question: Question, _ answer: TenantRecord?) -> TenantRecord? {
        let now = clock.now
        memory.withLock { memory in
            if memory.tenants.count >= Self.capacity { memory.tenants = [:] }
            memory.tenants[question] = answer.map { Entry(value: $0, asked: now) }
        }
        return answer
    }
}
