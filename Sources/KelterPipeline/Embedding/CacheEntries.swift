import KelterModel
import KelterStore
import Synchronization

/// Enters vectors in the cache as they come from the endpoint, behind the back of those who wait for them.
///
/// While one group is written, the next one gathers. A vector that cannot be entered costs money at most: it is counted
/// and nothing fails.
final class CacheEntries: Sendable {
    private struct Place: Hashable {
        let space: CacheSpace
        let tenant: Tenant
    }

    private struct State {
        var waiting: [Place: [(hash: ContentHash, vector: UnitVector)]] = [:]
        var count = 0
        var lost = 0
        var writer: Task<Void, Never>?
    }

    /// Vectors that wait at most; a database that is slower than the endpoint must not fill the memory.
    private static let capacity = 16_384

    private let store: Store
    private let state = Mutex(State())

    init(store: Store) {
        self.store = store
    }

    /// Vectors that are not in the cache although they should be.
    var lost: Int { state.withLock { $0.lost } }

    /// Takes vectors; returns at once.
    func add(_ vectors: [(hash: ContentHash, vector: UnitVector)], in space: CacheSpace, tenant: Tenant) {
        state.withLock { state in
            guard state.count + vectors.count <= Self.capacity else {
                state.lost += vectors.count
                return
            }
            state.waiting[Place(space: space, tenant: tenant), default: []] += vectors
            state.count += vectors.count
            if state.writer == nil { state.writer = Task { await self.write() } }
        }
    }

    /// Waits until nothing is left to write.
    func finish() async {
        while let writer = state.withLock({ $0.writer }) { await writer.value }
    }

    private func write() async {
        while true {
            let group = state.withLock { state in
                defer { (state.waiting, state.count) = ([:], 0) }
                if state.waiting.isEmpty { state.writer = nil }
                return state.waiting
            }
            guard !group.isEmpty else { return }
            for (place, vectors) in group {
                do throws(KelterError) {
                    try await store.cacheVectors(vectors, in: place.space, tenant: place.tenant)
                    FailPoint.vectorsCached.pass()
                } catch {
                    state.withLock { $0.lost += vectors.count }
                }
            }
        }
    }
}
