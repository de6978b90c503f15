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
    /// Without a throttle among so many admitted requests, or some of them in so long a time, the limit is far.
    private static let (searchStreak, leastStreak, searchTime) = (100, 10, Duration.seconds(4))
    /// The admitted rate is that of the last requests, and of at least this time.
    private static let (sample, horizon) = (8, Duration.milliseconds(500))
    /// The time over which the best rate is measured.
    private static let longHorizon = Duration.seconds(2)
    /// A refusal that has nothing to do with the rate must not bring it to nothing: at least this part of the best rate
    /// of the last minute is kept.
    private static let least = 0.25
    /// Throttles beyond this part of the answers should have been ended by the pace.
    private static let tolerated = 0.2
    /// Beyond this part they are for want of a pace.
    private static let flooded = 0.93
    /// After so many vain steps the throttles are taken to have nothing to do with the rate.
    private static let patience = 12
    /// A step is looked at after so many answers.
    private static let trial = 10
    /// The part of a step after which a refused request may go again.
    private static let retryStep = 0.3
    /// How far a sender that was held up may catch up, at least.
    private static let credit = Duration.milliseconds(2)
    /// Beyond this rate a pace is none.
    private static let unlimited = 2000.0

    /// Requests a second; `nil` when they are not paced.
    private(set) var rate: Double?
    private var next: Instant?
    private var lastChange: Instant?
    /// Admitted requests since the last throttle.
    private var streak = 0
    /// The part of the answers that were throttles, smoothed over some dozens.
    private var share = 0.0
    /// How often in a row the pace was lowered while many requests were refused.
    private var vainSteps = 0
    /// Answers since the last of these steps.
    private var answers = 0
    private var admitted: [Instant] = []
    private var best: (rate: Double, until: Instant)?

    /// When the next request may go; `nil` for at once.
    func wait(_ now: Instant) -> Instant? {
        guard rate != nil, let next, next > now else { return nil }
        return next
    }

    mutating func sent(_ now: Instant) {
        guard let rate else { return }
        let step = Duration.seconds(1 / rate)
        next = max(next ?? now, now - max(Self.credit, step / 4)) + step
    }

    mutating func succeeded(_ now: Instant) {
        admitted.append(now)
        // Trimmed now and then: a fast endpoint's history is not kept for ever.
        if admitted.count >= 8192 { admitted.removeFirst(4096) }
        note(isThrottle: false)
        guard let rate else { return }
        streak += 1
        let isQuiet = streak >= Self.leastStreak && lastChange.map { now - $0 > Self.searchTime } ?? true
        let isFar = streak > Self.searchStreak || isQuiet || vainSteps >= Self.patience
        let faster = rate * (1 + (isFar ? Self.searchGrowth : Self.growth))
        self.rate = faster < Self.unlimited ? faster : nil
    }

    /// Takes note of a throttle.
    ///
    /// - Parameters:
    ///   - sent: When the throttled request was sent; those sent before the last change say nothing about the new pace.
    ///   - now: The time.
    mutating func throttled(sent: Instant, now: Instant) {
        note(isThrottle: true)
        if let lastChange, sent <= lastChange { return }
        guard vainSteps < Self.patience, let measured = admittedRate(now, over: Self.horizon),
            admitted.count >= Self.sample
        else { return }
        if let average = admittedRate(now, over: Self.longHorizon),
            best.map({ $0.rate <= average || $0.until < now }) ?? true
        {
            best = (average, now + .seconds(60))
        }
        // The first throttle finds a sender that has not yet found the limit.
        streak = rate == nil ? Self.searchStreak : 0
        lastChange = now
        if share >= Self.tolerated, answers >= Self.trial {
            vainSteps += 1
            answers = 0
        }
        let wanted = max(measured * (1 + Self.headroom), (best?.rate ?? 0) * Self.least)
        let pace = min(rate ?? .infinity, wanted)
        rate = pace
        // What was refused was early by a part of a step: a whole one would leave a bucket of one full.
        next = now + .seconds(Self.retryStep / pace)
    }

    private mutating func note(isThrottle: Bool) {
        share += ((isThrottle ? 1 : 0) - share) / 16
        answers += 1
        if share < Self.tolerated / 2 || share > Self.flooded { vainSteps = 0 }
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
