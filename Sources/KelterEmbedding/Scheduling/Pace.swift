/// How fast requests may follow each other, learned from an endpoint that answers 429.
///
/// Without a throttle there is no pace. A throttle sets it to just above the rate at which requests were admitted lately,
/// so that a limit is used to the full and few requests are refused. Admitted requests raise it: slowly at first, and
/// fast when there was no throttle for long, or when the limit is not known yet. It is a rate and no number of requests
/// under way, because what a provider limits is a rate.
struct Pace: Sendable {
    typealias Instant = ContinuousClock.Instant

    /// The part of the pace that is above the admitted rate: about so many requests are refused.
    private static let headroom = 0.03
    /// The growth by one admitted request near the limit, and far from it.
    private static let (growth, searchGrowth) = (0.0005, 0.05)
    /// Without a throttle among so many admitted requests the limit is far.
    private static let searchStreak = 100
    /// The admitted rate is that of the last requests, and of at least this time.
    private static let (sample, horizon) = (8, Duration.milliseconds(500))
    /// The time over which the best rate is measured.
    private static let longHorizon = Duration.seconds(2)
    /// A refusal that has nothing to do with the rate must not bring it to nothing: at least this part of the best rate
    /// of the last minute is kept.
    private static let least = 0.25
    /// How far a sender that was held up may catch up.
    private static let credit = Duration.milliseconds(5)
    /// Beyond this rate a pace is none.
    private static let unlimited = 2000.0

    /// Requests a second; `nil` when they are not paced.
    private(set) var rate: Double?
    private var next: Instant?
    private var lastChange: Instant?
    /// Admitted requests since the last throttle.
    private var streak = 0
    private var admitted: [Instant] = []
    private var best: (rate: Double, until: Instant)?

    /// When the next request may go; `nil` for at once.
    func wait(_ now: Instant) -> Instant? {
        guard rate != nil, let next, next > now else { return nil }
        return next
    }

    mutating func sent(_ now: Instant) {
        guard let rate else { return }
        next = max(next ?? now, now - Self.credit) + .seconds(1 / rate)
    }

    mutating func succeeded(_ now: Instant) {
        admitted.append(now)
        // Trimmed now and then: a fast endpoint's history is not kept for ever.
        if admitted.count >= 8192 { admitted.removeFirst(4096) }
        guard let rate else { return }
        streak += 1
        let faster = rate * (1 + (streak > Self.searchStreak ? Self.searchGrowth : Self.growth))
        self.rate = faster < Self.unlimited ? faster : nil
    }

    /// Takes note of a throttle.
    ///
    /// - Parameters:
    ///   - sent: When the throttled request was sent; those sent before the last change say nothing about the new pace.
    ///   - now: The time.
    mutating func throttled(sent: Instant, now: Instant) {
        if let lastChange, sent <= lastChange { return }
        guard let measured = admittedRate(now, over: Self.horizon), admitted.count >= Self.sample else { return }
        if let average = admittedRate(now, over: Self.longHorizon),
            best.map({ $0.rate <= average || $0.until < now }) ?? true
        {
            best = (average, now + .seconds(60))
        }
        // The first throttle finds a sender that has not yet found the limit.
        streak = rate == nil ? Self.searchStreak : 0
        lastChange = now
        let wanted = max(measured * (1 + Self.headroom), (best?.rate ?? 0) * Self.least)
        rate = min(rate ?? .infinity, wanted)
    }

    /// Requests admitted a second lately; `nil` when there were too few.
    private func admittedRate(_ now: Instant, over horizon: Duration) -> Double? {
        var first = admitted.count
        while first > 0, admitted[first - 1] >= now - horizon || admitted.count - first < Self.sample { first -= 1 }
        guard admitted.count - first >= 2 else { return nil }
        let time = max(now - admitted[first], horizon == Self.longHorizon ? horizon : .milliseconds(1))
        return Double(admitted.count - first) / (time / .seconds(1))
    }
}
