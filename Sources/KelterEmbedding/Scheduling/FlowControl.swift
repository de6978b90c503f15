/// When requests may go to one endpoint with one key and one model.
///
/// A value without clock: concurrency, pace, allowance, pauses and the circuit breaker in one place, told of each
/// request's sending and end.
struct FlowControl: Sendable {
    typealias Instant = ContinuousClock.Instant

    enum Gate: Sendable, Equatable {
        case open
        /// Enough requests are under way; the end of one changes that.
        case busy
        /// Nothing may go before this time.
        case closed(until: Instant, isThrottled: Bool)
    }

    /// A request whose time is over is a sign of too much; one that took more than this part of it is no reason to send
    /// more at a time.
    private static let promptness = 0.25
    /// What a throttle leaves of the window: the pace does the rest.
    private static let throttleFactor = 0.7
    /// What a timeout or a server's error leaves of it.
    private static let overloadFactor = 0.5

    private let timeout: Duration
    private let patience: Duration
    private let backoff: Backoff
    private var window: ConcurrencyWindow
    private var pace = Pace()
    private var allowance = RateAllowance()
    private(set) var breaker: CircuitBreaker
    private var pausedUntil: Instant?
    /// Rounds of throttles without an admitted request between them.
    private var throttledRounds = 0
    private var lastRound: Instant?
    private(set) var lastSuccess: Instant?
    private var latency = Duration.zero

    init(_ endpoint: EmbeddingEndpoint) {
        timeout = endpoint.timeout
        patience = endpoint.patience
        backoff = Backoff(base: endpoint.retryBaseDelay)
        window = ConcurrencyWindow(maximum: endpoint.requestsInFlight)
        breaker = CircuitBreaker(backoff: Backoff(base: endpoint.retryBaseDelay * 20, cap: .seconds(30)))
    }

    /// Whether a request may go now.
    ///
    /// - Parameters:
    ///   - tokens: Its tokens.
    ///   - running: Requests under way.
    ///   - now: The time.
    /// - Returns: What it has to wait for.
    func gate(tokens: Int, running: Int, now: Instant) -> Gate {
        switch breaker.state {
        case .closed: break
        case .halfOpen: return .busy
        case .open(let until): return until > now ? .closed(until: until, isThrottled: false) : .open
        }
        if let pausedUntil, pausedUntil > now { return .closed(until: pausedUntil, isThrottled: true) }
        // After rounds of nothing but throttles one request at a time asks whether they are over.
        guard running < (throttledRounds > 1 ? 1 : window.limit) else { return .busy }
        if let until = allowance.wait(tokens: tokens, now: now) ?? pace.wait(now) {
            return .closed(until: until, isThrottled: true)
        }
        return .open
    }

    /// Whether throttles or failures hold requests back now.
    func isImpaired(_ now: Instant) -> Bool {
        if breaker.state != .closed { return true }
        if case .closed = gate(tokens: 0, running: 0, now: now) { return true }
        return false
    }

    /// Requests that may be under way at a time.
    var limit: Int { window.limit }

    /// Requests a second; `nil` when they are not paced.
    var rate: Double? { pace.rate }

    mutating func sent(tokens: Int, now: Instant) {
        pace.sent(now)
        allowance.sent(tokens: tokens)
    }

    mutating func limits(_ limits: RateLimits, now: Instant) {
        allowance.update(limits, longest: patience, now: now)
    }

    /// Takes note of an admitted request.
    ///
    /// - Parameters:
    ///   - sent: When it was sent.
    ///   - wasBusy: Whether the window has kept others from being sent since then.
    ///   - now: The time.
    mutating func succeeded(sent: Instant, wasBusy: Bool, now: Instant) {
        let time = now - sent
        latency = latency == .zero ? time : latency * 0.8 + time * 0.2
        window.succeeded(mayGrow: wasBusy && time <= timeout * Self.promptness)
        pace.succeeded(now)
        breaker.succeeded()
        throttledRounds = 0
        lastSuccess = now
    }

    /// Takes note of a throttle.
    ///
    /// - Parameters:
    ///   - after: How long the endpoint wants to be left alone.
    ///   - sent: When the throttled request was sent.
    ///   - now: The time.
    ///   - fraction: A random number from 0 to 1.
    /// - Returns: Until when nothing is sent.
    mutating func throttled(after: Duration?, sent: Instant, now: Instant, fraction: Double) -> Instant {
        let isNewRound = lastRound.map { sent > $0 } ?? true
        if isNewRound {
            throttledRounds += 1
            lastRound = now
        }
        pace.throttled(sent: sent, now: now)
        // Little's law, with room for what is late and for the one that is being sent.
        let needed = (pace.rate ?? 0) * (latency / .seconds(1)) * 1.25 + 1
        window.congested(sent: sent, now: now, factor: Self.throttleFactor, least: needed, isOverload: false)
        // An endpoint that says "0 seconds" again and again must not be hammered: from the second round on the backoff is
        // the least. The first throttle of an endpoint that says nothing is what the pace is for.
        let step =
            throttledRounds == 1 && (after != nil || pace.rate != nil)
            ? .zero : backoff.delay(attempt: max(0, throttledRounds - 2), fraction: fraction)
        let delay = max(after ?? .zero, step)
        // Requests of one round are one throttle, and their random delays must not add up to the longest.
        // A wait beyond the patience fails the request that met it; others may be luckier before it is over.
        if isNewRound || after != nil { pausedUntil = max(pausedUntil ?? now, now + min(delay, patience)) }
        return max(pausedUntil ?? now, now + delay)
    }

    /// Takes note of a timeout, a broken connection, a server's error or a reply that cannot be used.
    ///
    /// - Parameters:
    ///   - sent: When the request was sent.
    ///   - now: The time.
    ///   - fraction: A random number from 0 to 1.
    /// - Returns: Whether the circuit breaker has opened.
    mutating func failed(sent: Instant, now: Instant, fraction: Double) -> Bool {
        window.congested(sent: sent, now: now, factor: Self.overloadFactor, isOverload: true)
        return breaker.failed(now, fraction: fraction)
    }

    /// Takes note of an answer that shows a working endpoint, though not an admitted request: a refusal.
    mutating func answered() {
        breaker.succeeded()
    }

    /// Stops everything until a probe was answered.
    mutating func trip(now: Instant, fraction: Double) -> Bool {
        breaker.trip(now, fraction: fraction)
    }

    mutating func probing() {
        breaker.probing()
    }

    mutating func abandonedProbe(_ now: Instant) {
        breaker.abandonedProbe(now)
    }
}
