import Synchronization

/// Limits what is in flight, in bytes or in pieces, so that memory depends neither on the size of a batch nor on that of
/// its files.
///
/// First come, first served: a large request is not overtaken for ever by small ones.
final class Budget: Sendable {
    private struct State {
        var free: Int
        var waiting: [(amount: Int, continuation: CheckedContinuation<Void, Never>)] = []
    }

    private let total: Int
    private let state: Mutex<State>

    init(total: Int) {
        self.total = total
        state = Mutex(State(free: total))
    }

    /// Runs the body while holding a part of the budget; one larger than the whole takes all of it.
    func with<Value>(_ share: Int, _ body: () async throws -> Value) async rethrows -> Value {
        let amount = min(max(share, 0), total)
        await acquire(amount)
        defer { release(amount) }
        return try await body()
    }

    private func acquire(_ amount: Int) async {
        await withCheckedContinuation { continuation in
            let isFree = state.withLock { state in
                guard state.waiting.isEmpty, state.free >= amount else {
                    state.waiting.append((amount, continuation))
                    return false
                }
                state.free -= amount
                return true
            }
            if isFree { continuation.resume() }
        }
    }

    private func release(_ amount: Int) {
        let woken = state.withLock { state in
            state.free += amount
            var woken: [CheckedContinuation<Void, Never>] = []
            while let next = state.waiting.first, next.amount <= state.free {
                state.free -= next.amount
                woken.append(next.continuation)
                state.waiting.removeFirst()
            }
            return woken
        }
        for continuation in woken { continuation.resume() }
    }
}
