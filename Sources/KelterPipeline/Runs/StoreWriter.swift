import KelterModel
import KelterStore

/// Gathers documents of concurrent items into groups, each written in one transaction.
///
/// While one transaction runs, the next group fills: a single upload is written at once, a busy batch in groups near
/// the limits, without a timer.
actor StoreWriter {
    /// A group is closed at this many documents: from 50 on the cost of a transaction no longer shows.
    private static let documentsPerGroup = 64
    /// A group is closed at this many chunks, to bound its memory and the time its locks are held.
    private static let chunksPerGroup = 2048

    private struct Submission {
        let writes: [DocumentWrite]
        let continuation: CheckedContinuation<Result<[WriteResult], KelterError>, Never>
    }

    private let store: Store
    private let tenant: Tenant
    private let run: RowID
    /// Transactions at a time.
    private let concurrency: Int
    private var pending: [Submission] = []
    private var running = 0

    init(store: Store, tenant: Tenant, run: RowID, concurrency: Int = 2) {
        self.store = store
        self.tenant = tenant
        self.run = run
        self.concurrency = concurrency
    }

    /// Writes the documents of one item, together with those of other items, in one transaction.
    ///
    /// A cancelled caller still waits for its transaction: what has been begun is finished and accounted for.
    ///
    /// - Throws: ``KelterError`` of the database.
    func write(_ writes: [DocumentWrite]) async throws(KelterError) -> [WriteResult] {
        let result = await withCheckedContinuation { continuation in
            pending.append(Submission(writes: writes, continuation: continuation))
            startIfPossible()
        }
        return try result.get()
    }

    private func startIfPossible() {
        while running < concurrency, !pending.isEmpty {
            // The second transaction starts only when there is a good group for it; a few documents wait for the first.
            if running > 0, pending.count < Self.documentsPerGroup / 2 { return }
            let group = takeGroup()
            running += 1
            Task { await self.commit(group) }
        }
    }

    private func takeGroup() -> [Submission] {
        var documents = 0
        var chunks = 0
        var count = 0
        for submission in pending {
            documents += submission.writes.count
            chunks += submission.writes.reduce(0) { $0 + ($1.content?.count ?? 0) }
            if count > 0, documents > Self.documentsPerGroup || chunks > Self.chunksPerGroup { break }
            // What becomes of content that may fail to load is no concern of others'.
            let isAlone = submission.writes.contains { $0.content?.liesElsewhere == true }
            if isAlone, count > 0 { break }
            count += 1
            if isAlone { break }
        }
        let group = Array(pending.prefix(count))
        pending.removeFirst(count)
        return group
    }

    private func commit(_ group: [Submission]) async {
        let result: Result<[WriteResult], KelterError>
        do throws(KelterError) {
            result = .success(try await store.write(group.flatMap(\.writes), run: run, tenant: tenant))
        } catch {
            result = .failure(error)
        }
        running -= 1
        startIfPossible()
        var position = 0
        for submission in group {
            let range = position..<position + submission.writes.count
            submission.continuation.resume(returning: result.map { Array($0[range]) })
            position = range.upperBound
        }
    }
}
