import KelterModel

/// The inputs of one request through all its repetitions.
struct Batch {
    typealias Instant = ContinuousClock.Instant
    typealias Entry = InputQueue.Entry

    /// What is sent instead of callers' inputs.
    enum Probe: Equatable {
        /// The first contact, in this encoding.
        case contract(EmbeddingEncoding)
        /// Whether an endpoint works again that has failed.
        case health
    }

    var entries: [Entry]
    /// Set for a probe, which carries no caller's inputs.
    var probe: Probe?
    /// The lane a probe is for.
    var lane = LaneID.primary
    var retries = 0
    /// Fresh repetitions after outages that outlasted the first ones.
    var outages = 0
    var notBefore: Instant
    /// Since when it has been throttled.
    var throttledSince: Instant?
    /// Whether the primary model has not answered it in time or at all, so that the fallback may.
    var wantsFallback = false
    /// The division this batch came from, while it is the first try after it.
    var split: Int?

    var count: Int { entries.count }
    var tokens: Int { entries.reduce(0) { $0 + $1.tokens } }

    /// Two batches of one half each.
    var halves: [Batch] {
        let middle = (entries.count + 1) / 2
        return [entries[..<middle], entries[middle...]].map { half in
            var batch = self
            batch.entries = Array(half)
            return batch
        }
    }
}

/// One of the two ways to an endpoint.
enum LaneID: Int, Sendable, CaseIterable {
    case primary
    case fallback
}

/// A model at the endpoint, and how it is treated.
struct Lane {
    enum Phase: Equatable {
        case unknown
        case probing
        case known(EmbeddingContract)
        /// Never asked again: it is no replacement.
        case unusable(KelterError)
    }

    let model: String
    var flow: FlowControl
    var phase = Phase.unknown
    var running = 0
    /// When the number of requests under way last kept something from being sent.
    var lastBusy: ContinuousClock.Instant?

    var contract: EmbeddingContract? {
        if case .known(let contract) = phase { contract } else { nil }
    }
}
