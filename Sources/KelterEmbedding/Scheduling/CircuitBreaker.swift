/// Keeps requests from an endpoint that does not work: after some failures in a row it opens, lets nothing through for a
/// while, and then one probe, whose answer closes it.
///
/// The pattern is Michael Nygard's ("Release It!", 2007). Throttles are no failures: a busy endpoint works.
struct CircuitBreaker: Sendable, Equatable {
    typealias Instant = ContinuousClock.Instant

    enum State: Sendable, Equatable {
        case closed
        /// Nothing goes out before this time.
        case open(until: Instant)
        /// The probe is under way.
        case halfOpen
    }

    /// Failures in a row that open it: more than the repetitions of one request by default, so that a single request's
    /// misfortune does not hold up the others.
    static let threshold = 5

    private let backoff: Backoff
    private(set) var state = State.closed
    private var failures = 0
    private var openings = 0
    /// When the first of the failures was that have not been followed by a success.
    private(set) var failingSince: Instant?

    init(backoff: Backoff) {
        self.backoff = backoff
    }

    /// Whether the time of an open breaker is over, and a probe is due.
    func isProbeDue(_ now: Instant) -> Bool {
        guard case .open(let until) = state else { return false }
        return until <= now
    }

    mutating func probing() {
        state = .halfOpen
    }

    mutating func succeeded() {
        state = .closed
        failures = 0
        openings = 0
        failingSince = nil
    }

    /// Takes note of a failure; whether it has opened the breaker.
    mutating func failed(_ now: Instant, fraction: Double) -> Bool {
        failures += 1
        failingSince = failingSince ?? now
        guard state == .halfOpen || state == .closed && failures >= Self.threshold else { return false }
        open(now, fraction: fraction)
        return true
    }

    /// Opens the breaker, if it is closed, for a request that has used up its repetitions.
    mutating func trip(_ now: Instant, fraction: Double) -> Bool {
        guard state == .closed else { return false }
        failingSince = failingSince ?? now
        open(now, fraction: fraction)
        return true
    }

    /// Forgets a probe that nobody waits for any more; the next one may go at once.
    mutating func abandonedProbe(_ now: Instant) {
        if state == .halfOpen { state = .open(until: now) }
    }

    private mutating func open(_ now: Instant, fraction: Double) {
        // At least half of the step: a probe at once would find what the requests have found.
        state = .open(until: now + backoff.delay(attempt: openings, fraction: 0.5 + fraction / 2))
        openings += 1
    }
}
