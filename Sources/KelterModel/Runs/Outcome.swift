/// How one item ended in one scope; SPEC section 4.
///
/// Every item ends in exactly one.
package enum Outcome: String, Sendable, CaseIterable {
    /// A new document was stored.
    case inserted
    /// The same external identifier had other bytes before.
    case replaced
    /// The same bytes with other metadata; no embedding request was made.
    case updated
    /// Nothing to do.
    case unchanged
    /// The same bytes are stored in this scope under another external identifier; the source was linked to them.
    case duplicate
    /// A source that is gone was deleted.
    case deleted
    /// Deliberately not ingested, with a reason.
    case skipped
    /// Not stored, with a code.
    case failed

    /// How bad an outcome is: the outcome of several documents is the worst of theirs.
    package var severity: Int {
        switch self {
        case .unchanged: 0
        case .duplicate: 1
        case .updated: 2
        case .replaced: 3
        case .inserted: 4
        case .deleted: 5
        case .skipped: 6
        case .failed: 7
        }
    }
}

/// How many items ended in each outcome.
package struct OutcomeCounts: Equatable, Sendable {
    private var counts: [Outcome: Int] = [:]

    package init() {}

    package subscript(outcome: Outcome) -> Int {
        get { counts[outcome] ?? 0 }
        set { counts[outcome] = newValue == 0 ? nil : newValue }
    }

    /// The sum over all outcomes except `deleted`: what `found` must equal.
    package var accounted: Int {
        Outcome.allCases.reduce(0) { $0 + ($1 == .deleted ? 0 : self[$1]) }
    }

    /// The `outcomes` object of `--json`, every outcome present.
    package var json: JSONValue {
        .object(Outcome.allCases.map { ($0.rawValue, .int(self[$0])) })
    }
}

/// How a run ended or stands.
package enum RunStatus: String, Sendable, CaseIterable {
    case queued, running, succeeded, partial, failed, interrupted
}
