import Synchronization

/// Commands that any thread leaves for the one that drives the transfers.
final class TransferInbox<Command: Sendable>: Sendable {
    private struct State {
        var commands: [Command] = []
        var nextCaller: UInt64 = 0
        var isClosed = false
        /// Set by the thread for as long as its handle lives.
        var waker: CurlMulti.Waker?
    }

    private let state = Mutex(State())

    /// A number no other caller has.
    func newCaller() -> UInt64 {
        state.withLock { state in
            defer { state.nextCaller += 1 }
            return state.nextCaller
        }
    }

    /// Leaves a command and wakes the thread; `false` when the inbox is closed.
    func post(_ command: Command) -> Bool {
        state.withLock { state in
            guard !state.isClosed else { return false }
            state.commands.append(command)
            // One wake-up is enough for all commands the thread has not fetched yet.
            if state.commands.count == 1 { state.waker?.wake() }
            return true
        }
    }

    /// Closes the inbox to new commands and wakes the thread.
    func close() {
        state.withLock { state in
            state.isClosed = true
            state.waker?.wake()
        }
    }

    /// Takes what has been left so far.
    func take() -> (commands: [Command], isClosed: Bool) {
        state.withLock { state in
            defer { state.commands.removeAll(keepingCapacity: true) }
            return (state.commands, state.isClosed)
        }
    }

    /// Lets other threads wake the handle while the body runs.
    func withWaker(of multi: CurlMulti, _ body: () -> Void) {
        state.withLock { $0.waker = multi.waker }
        body()
        // From here on nobody may wake the handle, which must live until then.
        withExtendedLifetime(multi) { state.withLock { $0.waker = nil } }
    }
}
