import Synchronization

/// The stages of a document that take time.
package enum Stage: String, Sendable, CaseIterable {
    /// Reading, parsing and chunking.
    case parse
    /// Waiting for vectors.
    case embed
    /// Waiting for the transaction that writes the document.
    case store
}

/// How long documents spent in each stage, added up over all that were worked on at the same time.
package final class StageTimes: Sendable {
    private let totals = Mutex<[Stage: (count: Int, time: Duration)]>([:])

    /// Runs a stage and adds its time, whether it succeeds or not.
    func measure<Value, Failure: Error>(
        _ stage: Stage,
        _ body: () async throws(Failure) -> Value
    ) async throws(Failure) -> Value {
        let clock = ContinuousClock()
        let start = clock.now
        defer {
            let time = clock.now - start
            totals.withLock { totals in
                let total = totals[stage] ?? (0, .zero)
                totals[stage] = (total.count + 1, total.time + time)
            }
        }
        return try await body()
    }

    /// What has been added up so far.
    package func total(_ stage: Stage) -> (count: Int, time: Duration) {
        totals.withLock { $0[stage] ?? (0, .zero) }
    }
}
