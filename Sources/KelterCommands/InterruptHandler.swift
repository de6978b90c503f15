import Dispatch
import Glibc
import Synchronization

/// Turns the first Ctrl-C (or SIGTERM) into an orderly end and the second into an immediate one.
final class InterruptHandler {
    private var sources: [any DispatchSourceSignal] = []

    init(terminal: Terminal, onInterrupt: @escaping @Sendable () -> Void) {
        let signals = Counter()
        for number in [SIGINT, SIGTERM] {
            // The source sees the signal only when it is not delivered the ordinary way.
            signal(number, SIG_IGN)
            let source = DispatchSource.makeSignalSource(signal: number, queue: .global())
            source.setEventHandler {
                guard signals.next() == 1 else { _exit(130) }
                terminal.note("Interrupted: finishing what has begun. Once more to stop at once.")
                onInterrupt()
            }
            source.resume()
            sources.append(source)
        }
    }

    /// Gives the signals back.
    func stop() {
        for source in sources { source.cancel() }
        sources = []
        for number in [SIGINT, SIGTERM] { signal(number, SIG_DFL) }
    }

    private final class Counter: Sendable {
        private let value = Mutex(0)

        func next() -> Int {
            value.withLock { value in
                value += 1
                return value
            }
        }
    }
}
