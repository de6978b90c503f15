/// How fast requests may follow each other, learned from an endpoint that answers 429.
///
/// Without a throttle there is no pace. A throttle sets it to just above the rate at which requests were admitted lately,
/// so that a limit is used to the full and few requests are refused; admitted requests raise it, the faster the longer
/// there was no throttle. It is a rate and no number of requests under way, because what a provider limits is a rate.
struct Pace: Sendable, Equatable {
    typealias Instant = ContinuousClock.Instant

    /// The part of the pace that is above the admitted rate: about so many requests are refused.
    private static let headroom = 0.03
    /// The growth by one admitted request, before ``patience`` accelerates it.
    private static let growth = 0.002
    /// After so many admitted requests in a row the growth has doubled.
    private static let patience = 25.0
    /// The time over which the admitted rate is measured.
    private static let horizon = Duration.seconds(2)
    /// The least number of admitted requests it is measured over; a slow rate needs a longer time.
    private static let sample = 8
    /// How far a sender that was held up may catch up.
    private static let credit = Duration.milliseconds(5)
    /// A refusal that has nothing to do with the rate must not bring it to nothing: at least this part of the best rate
    /// of the last minute is kept.
    private static let least = 0.25
    /// Beyond this rate a pace is none.
    private static let unlimited = 2000.0

    /// Requests a second; `nil` when they are not paced.
    private(set) var rate: Double?
    private var next: Instant?
    private var lastChange: Instant?
    private var streak = 0.0
    private var admitted: [Instant] = []
    private var best = (rate: 0.0, until: ContinuousClock.now)

    static func == (left: Self, right: Self) -> Bool {
        left.rate == right.rate && left.next == right.next && left.admitted == right.admitted
    }

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
        // Trimmed now and then: the array holds what the horizon needs, and a fast endpoint no more than that.
        if admitted.count >= 4096 { admitted.removeFirst(2048) }
        guard let rate else { return }
        streak += 1
        let faster = rate * (1 + Self.growth * (1 + streak / Self.patience))
        self.rate = faster < Self.unlimited ? faster : nil
    }

    /// Takes note of a throttle.
    ///
    /// - Parameters:
    ///   - sent: When the throttled request was sent; those sent before the last change say nothing about the new pace.
    ///   - now: The time.
    mutating func throttled(sent: Instant, now: Instant) {
        streak = 0
        if let lastChange, sent <= lastChange { return }
        guard let measured = admittedRate(now) else { return }
        if measured >= best.rate || best.until < now { best = (measured, now + .seconds(60)) }
        lastChange = now
        let wanted = max(measured * (1 + Self.headroom), best.rate * Self.least)
        rate = min(rate ?? .infinity, wanted)
    }

    /// Requests admitted a second lately; `nil` when there were too few.
    private func admittedRate(_ now: Instant) -> Double? {
        let recent = admitted.firstIndex { $0 >= now - Self.horizon } ?? admitted.count
        let first = max(0, min(recent, admitted.count - Self.sample))
        guard admitted.count - first >= 2 else { return nil }
        let time = max(now - admitted[first], .milliseconds(1))
        return Double(admitted.count - first) / (time / .seconds(1))
    }
}
