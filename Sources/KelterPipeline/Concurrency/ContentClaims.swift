import KelterModel
import Synchronization

/// Puts items with the same bytes in the same scope one behind the other.
///
/// Two copies of a file that are found in one batch must cost one embedding, and which of them becomes the document
/// must not depend on timing: the one found first goes first, the other sees its row and ends as a duplicate.
typealias ContentClaims = Claims<ContentKey>

/// Content in a scope.
struct ContentKey: Hashable, Sendable {
    let collection: CollectionID?
    let hash: ContentHash
}

/// Puts those who claim the same keys one behind the other.
final class Claims<Key: Hashable & Sendable>: Sendable {
    /// The place of one item in the queues of its keys.
    final class Ticket: Sendable {
        fileprivate let keys: [Key]
        fileprivate let predecessors: [Ticket]
        fileprivate let completion = Mutex<(isDone: Bool, waiting: [CheckedContinuation<Void, Never>])>((false, []))

        fileprivate init(keys: [Key], predecessors: [Ticket]) {
            self.keys = keys
            self.predecessors = predecessors
        }

        /// Waits for the items before this one.
        ///
        /// - Returns: Whether there were any, so that what was known about the item's rows may be out of date.
        func wait() async -> Bool {
            for ticket in predecessors { await ticket.done() }
            return !predecessors.isEmpty
        }

        private func done() async {
            await withCheckedContinuation { continuation in
                let isDone = completion.withLock { state in
                    if !state.isDone { state.waiting.append(continuation) }
                    return state.isDone
                }
                if isDone { continuation.resume() }
            }
        }

        fileprivate func finish() {
            let waiting = completion.withLock { state in
                state.isDone = true
                defer { state.waiting = [] }
                return state.waiting
            }
            for continuation in waiting { continuation.resume() }
        }
    }

    private let last = Mutex<[Key: Ticket]>([:])

    /// Queues an item behind those with one of its keys; called in the order in which the items were found.
    func enqueue(_ keys: [Key]) -> Ticket {
        last.withLock { last in
            let ticket = Ticket(keys: keys, predecessors: keys.compactMap { last[$0] })
            for key in keys { last[key] = ticket }
            return ticket
        }
    }

    /// Lets the items behind this one go on.
    func release(_ ticket: Ticket) {
        last.withLock { last in
            for key in ticket.keys where last[key] === ticket { last[key] = nil }
        }
        ticket.finish()
    }
}
