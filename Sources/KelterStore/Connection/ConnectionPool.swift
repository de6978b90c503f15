import Synchronization

/// The connections of a store at a moment.
package struct ConnectionFigures: Sendable, Equatable {
    /// Connections in use.
    package let busy: Int
    /// Connections that wait for their next use.
    package let idle: Int
    /// Calls that wait for a connection.
    package let waiting: Int
}

/// A bounded number of connections, opened when needed and kept for the next user.
///
/// Waiters are served in order. A connection that broke is dropped and replaced by the next use.
final class ConnectionPool: Sendable {
    private struct State {
        var idle: [Connection] = []
        var free: Int
        var waiters: [(id: UInt64, continuation: CheckedContinuation<Bool, Never>)] = []
        var nextWaiter: UInt64 = 0
        var isClosed = false
        var hasServed = false
        /// Since when no connection has been of use; `nil` while they are.
        var lostSince: ContinuousClock.Instant?
    }

    private let configuration: StoreConfiguration
    private let state: Mutex<State>

    init(configuration: StoreConfiguration) {
        self.configuration = configuration
        state = Mutex(State(free: max(1, configuration.poolSize)))
    }

    /// How many connections are in use and idle, and how many calls wait for one.
    var figures: ConnectionFigures {
        state.withLock { state in
            ConnectionFigures(
                busy: max(1, configuration.poolSize) - state.free,
                idle: state.idle.count,
                waiting: state.waiters.count
            )
        }
    }

    /// Lends a connection to the closure, which runs on the connection's thread.
    func withConnection<Value: Sendable>(
        _ body: @Sendable (isolated Connection) throws(DatabaseFailure) -> Value
    ) async -> Result<Value, DatabaseFailure> {
        guard await acquire() else { return .failure(isClosed ? .connection("the store is closed") : .interrupted) }
        let connection: Connection
        do throws(DatabaseFailure) {
            if let idle = takeIdle() {
                connection = idle
            } else {
                connection = try Connection(configuration: configuration)
            }
        } catch {
            release(nil)
            return .failure(error)
        }
        let signal = CancellationSignal()
        let result = await withTaskCancellationHandler {
            await connection.use(signal, body)
        } onCancel: {
            signal.cancel()
        }
        release(await connection.isUsable ? connection : nil)
        return result
    }

    /// Ends the idle connections and lets no new use begin; uses under way finish.
    func close() async {
        let (idle, waiters) = state.withLock { state in
            defer {
                state.isClosed = true
                state.idle = []
                state.waiters = []
            }
            return (state.idle, state.waiters)
        }
        for waiter in waiters { waiter.continuation.resume(returning: false) }
        for connection in idle { await connection.close() }
    }

    /// Whether the database has ever been reached.
    var hasServed: Bool { state.withLock { $0.hasServed } }

    /// Takes note of a lost connection.
    ///
    /// - Returns: Since when the database has been away, for all who use it.
    func noteLoss() -> ContinuousClock.Instant {
        state.withLock { state in
            let since = state.lostSince ?? .now
            state.lostSince = since
            return since
        }
    }

    private var isClosed: Bool { state.withLock { $0.isClosed } }

    private func takeIdle() -> Connection? {
        state.withLock { $0.idle.popLast() }
    }

    /// Waits for one of the places; `false` when the task is cancelled or the pool closed.
    private func acquire() async -> Bool {
        let id = state.withLock { state in
            state.nextWaiter += 1
            return state.nextWaiter
        }
        return await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let answer: Bool? = state.withLock { state in
                    // Inside the lock: a cancellation is seen here or finds the waiter in the list.
                    if state.isClosed || Task.isCancelled { return false }
                    if state.free > 0 {
                        state.free -= 1
                        return true
                    }
                    state.waiters.append((id, continuation))
                    return nil
                }
                if let answer { continuation.resume(returning: answer) }
            }
        } onCancel: {
            let waiter = state.withLock { state in
                state.waiters.firstIndex { $0.id == id }.map { state.waiters.remove(at: $0) }
            }
            waiter?.continuation.resume(returning: false)
        }
    }

    private func release(_ connection: Connection?) {
        let waiter = state.withLock { state in
            if let connection, !state.isClosed {
                state.idle.append(connection)
                state.hasServed = true
                state.lostSince = nil
            }
            if state.waiters.isEmpty {
                state.free += 1
                return CheckedContinuation<Bool, Never>?.none
            }
            return state.waiters.removeFirst().continuation
        }
        waiter?.resume(returning: true)
    }
}
