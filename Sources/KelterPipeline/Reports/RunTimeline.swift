package import KelterModel
import Synchronization

/// The course of a run in samples, as many for a night as for a minute.
package final class RunTimeline: Sendable {
    /// Samples kept at most.
    package static let capacity = 600

    private struct State {
        var samples: [RunSample] = []
        /// Milliseconds between two samples that are kept.
        var interval = 100
    }

    private let state = Mutex(State())

    package init() {}

    /// The samples in their order; the first and the last one that were added are among them.
    package var samples: [RunSample] { state.withLock { $0.samples } }

    /// Adds a sample; of those that lie closer together than the run's length asks for only the last one is kept.
    package func add(_ sample: RunSample) {
        state.withLock { state in
            let count = state.samples.count
            if count > 1, sample.milliseconds - state.samples[count - 2].milliseconds < state.interval {
                state.samples[count - 1] = sample
                return
            }
            state.samples.append(sample)
            guard state.samples.count > Self.capacity else { return }
            state.interval *= 2
            let last = state.samples.count - 1
            state.samples = state.samples.enumerated().filter { $0.offset % 2 == 0 || $0.offset == last }.map(\.element)
        }
    }

    /// The samples as JSON.
    package var json: JSONValue { .array(samples.map(\.json)) }
}
