import Synchronization

/// How far the large texts under way have come: each is one file for a long time.
package final class LargeTextProgress: Sendable {
    /// What is done to a text.
    package enum Step: String, Sendable {
        case embedded, written
    }

    /// A text under way.
    package struct State: Equatable, Sendable {
        package let externalID: String
        package let step: Step
        /// How much of it the step has done, from 0 to 1.
        package let share: Double
    }

    private let states = Mutex<[String: State]>([:])

    init() {}

    /// The texts under way, by their names.
    package var underWay: [State] {
        states.withLock { $0.values.sorted { $0.externalID < $1.externalID } }
    }

    func update(_ externalID: String, _ step: Step, _ done: Int, of all: Int) {
        let state = State(externalID: externalID, step: step, share: Double(done) / Double(max(all, 1)))
        states.withLock { $0[externalID] = state }
    }

    func end(_ externalID: String) {
        states.withLock { $0[externalID] = nil }
    }
}
