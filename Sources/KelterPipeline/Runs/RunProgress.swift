package import KelterModel
import KelterStore
import Synchronization

/// The live figures of a run, read by whoever shows them.
package final class RunProgress: Sendable {
    /// A moment of a run.
    package struct Snapshot: Sendable {
        /// Inputs found so far; an input is as many items as it has scopes.
        package var inputs = 0
        /// Items that processes before this one have done.
        package var done = 0
        /// Items found so far, once per scope.
        package var found = 0
        package var outcomes = OutcomeCounts()
        package var chunks = 0
        package var embeddings = 0
        package var embeddingsEmpty = 0
        package var cacheHits = 0
        package var bytes = 0
        /// Whether all inputs have been found.
        package var isWalkFinished = false
        package var failures: [ItemProblem] = []
        package var skipped: [ItemProblem] = []
        /// What ended the run early.
        package var error: KelterError?

        /// Items that have their outcome.
        package var finished: Int { outcomes.accounted }
    }

    private let state = Mutex(Snapshot())

    package init() {}

    /// The figures as they stand.
    package var snapshot: Snapshot {
        state.withLock { $0 }
    }

    func update(_ body: (inout Snapshot) -> Void) {
        state.withLock { body(&$0) }
    }

    /// Counts an outcome, of which failures and skipped items are kept by name.
    func count(_ outcome: Outcome, times: Int = 1, problem: ItemProblem? = nil) {
        state.withLock { state in
            state.outcomes[outcome] += times
            guard let problem else { return }
            switch outcome {
            case .failed: state.failures.append(problem)
            case .skipped: state.skipped.append(problem)
            default: break
            }
        }
    }

    /// Notes why the run has to end early; the first reason stays.
    ///
    /// An interruption is no such reason: it is what the run's own task was told.
    func end(with error: KelterError) {
        guard error.code != .interrupted else { return }
        state.withLock { $0.error = $0.error ?? error }
    }
}

extension RunProgress.Snapshot {
    /// Counts the result of one document.
    mutating func count(_ result: WriteResult, externalID: String) {
        outcomes[result.outcome] += 1
        chunks += result.chunks
        embeddings += result.embeddings
        embeddingsEmpty += result.embeddingsEmpty
        if let error = result.error {
            failures.append(ItemProblem(externalID: externalID, code: error.code.rawValue, detail: error.detail))
        }
    }
}
