import Synchronization

/// Says that the task waiting for one use of a connection was cancelled.
///
/// The signal belongs to the use, the descriptor to the connection: a signal that comes too late wakes the connection
/// for nothing and does not harm its next user.
final class CancellationSignal: Sendable {
    private let state = Mutex((isCancelled: false, wakeUp: WakeDescriptor?.none))

    var isCancelled: Bool { state.withLock { $0.isCancelled } }

    /// Names the connection to wake from now on.
    func attach(_ descriptor: WakeDescriptor) {
        state.withLock { $0.wakeUp = descriptor }
    }

    /// Called from the cancelled task's side.
    func cancel() {
        let descriptor = state.withLock { state in
            state.isCancelled = true
            return state.wakeUp
        }
        descriptor?.wake()
    }
}
