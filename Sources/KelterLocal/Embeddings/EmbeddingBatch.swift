import Dispatch
import Synchronization

/// The texts of one request on their way through the workers, for one of the two operations.
final class EmbeddingBatch: Sendable {
    /// Why a batch has no answer.
    enum Failure: Error, Equatable {
        /// The engine failed on the text at this index, also on a second worker.
        case engine(index: Int)
        /// The workers are being stopped.
        case stopped
    }

    private struct State {
        var payloads: [[UInt8]]
        var failure: Failure?
        var taken = 0
        var open: Int
    }

    let operation: EngineChannel.Operation
    private let texts: [EngineText]
    private let state: Mutex<State>
    private let finished = DispatchSemaphore(value: 0)

    /// - Parameters:
    ///   - operation: What to do with each text.
    ///   - texts: At least one.
    init(_ operation: EngineChannel.Operation, _ texts: [EngineText]) {
        self.operation = operation
        self.texts = texts
        state = Mutex(State(payloads: Array(repeating: [], count: texts.count), open: texts.count))
    }

    var count: Int { texts.count }

    /// The next text nobody works on, and whether more are left.
    func take() -> (index: Int, text: EngineText, isLast: Bool)? {
        state.withLock { state in
            guard state.taken < texts.count else { return nil }
            defer { state.taken += 1 }
            return (state.taken, texts[state.taken], state.taken + 1 == texts.count)
        }
    }

    /// Whether the remaining texts need no work.
    var hasFailed: Bool { state.withLock { $0.failure != nil } }

    /// Hands in the answer for one taken text; `nil` for a text that was skipped since the batch had failed.
    func finish(_ index: Int, _ result: Result<[UInt8], Failure>?) {
        let isDone = state.withLock { state in
            switch result {
            case .success(let payload): state.payloads[index] = payload
            case .failure(let failure): state.failure = state.failure ?? failure
            case nil: break
            }
            state.open -= 1
            return state.open == 0
        }
        if isDone { finished.signal() }
    }

    /// Waits until all texts are answered; called once.
    ///
    /// - Returns: The payloads of the answers in the order of the texts.
    func wait() throws(Failure) -> [[UInt8]] {
        finished.wait()
        let (payloads, failure) = state.withLock { ($0.payloads, $0.failure) }
        if let failure { throw failure }
        return payloads
    }
}
