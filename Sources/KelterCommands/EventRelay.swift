import KelterPipeline
import Synchronization

/// Passes on what workers tell to a listener that is made after them.
final class EventRelay: Sendable {
    private let listener = Mutex<(@Sendable (RunWorker.Event) -> Void)?>(nil)

    /// Names the listener; what came before is not told to it.
    func connect(_ listener: @escaping @Sendable (RunWorker.Event) -> Void) {
        self.listener.withLock { $0 = listener }
    }

    func send(_ event: RunWorker.Event) {
        listener.withLock { $0 }?(event)
    }
}
