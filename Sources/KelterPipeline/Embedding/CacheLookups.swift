import KelterModel
import KelterStore

/// Asks the cache for the vectors of many documents at once.
///
/// While one lookup runs, the next one gathers: a single document is looked up at once, a busy batch in one round trip
/// for dozens.
actor CacheLookups {
    private struct Question {
        let hashes: [ContentHash]
        let space: CacheSpace
        let tenant: Tenant
        let continuation: CheckedContinuation<Result<[ContentHash: UnitVector], KelterError>, Never>
    }

    /// Hashes of one round trip at most.
    private static let hashesPerLookup = 4096

    private let store: Store
    private var waiting: [Question] = []
    private var isRunning = false

    init(store: Store) {
        self.store = store
    }

    /// The vectors of those texts that are in the cache.
    ///
    /// - Throws: ``KelterError`` of the database.
    func vectors(
        _ hashes: [ContentHash],
        in space: CacheSpace,
        tenant: Tenant
    ) async throws(KelterError) -> [ContentHash: UnitVector] {
        let result = await withCheckedContinuation { continuation in
            waiting.append(Question(hashes: hashes, space: space, tenant: tenant, continuation: continuation))
            startIfPossible()
        }
        return try result.get()
    }

    private func startIfPossible() {
        guard !isRunning, let first = waiting.first else { return }
        var group: [Question] = []
        var rest: [Question] = []
        var count = 0
        for question in waiting {
            let belongs = question.space == first.space && question.tenant == first.tenant
            if belongs, group.isEmpty || count + question.hashes.count <= Self.hashesPerLookup {
                group.append(question)
                count += question.hashes.count
            } else {
                rest.append(question)
            }
        }
        waiting = rest
        isRunning = true
        Task { [group] in await self.look(up: group) }
    }

    private func look(up group: [Question]) async {
        let result: Result<[ContentHash: UnitVector], KelterError>
        do throws(KelterError) {
            let hashes = Array(Set(group.flatMap(\.hashes)))
            result = .success(try await store.cachedVectors(hashes, in: group[0].space, tenant: group[0].tenant))
        } catch {
            result = .failure(error)
        }
        isRunning = false
        startIfPossible()
        for question in group { question.continuation.resume(returning: result) }
    }
}
