/// What an endpoint has said is left of its limits, in `x-ratelimit-remaining-…` and `x-ratelimit-reset-…`.
struct RateAllowance: Sendable, Equatable {
    typealias Instant = ContinuousClock.Instant

    private struct Allowance: Sendable, Equatable {
        var left: Int
        let reset: Instant
    }

    private var requests: Allowance?
    private var tokens: Allowance?

    /// Takes over what a reply says; what it does not say stays as it was.
    ///
    /// - Parameters:
    ///   - limits: The header fields.
    ///   - longest: Limits that are lifted later than this are left to the endpoint's 429, which is reported.
    ///   - now: When the reply came.
    mutating func update(_ limits: RateLimits, longest: Duration, now: Instant) {
        func allowance(_ limit: RateLimits.Limit?) -> Allowance? {
            guard let left = limit?.remaining, let reset = limit?.reset, reset <= longest else { return nil }
            return Allowance(left: left, reset: now + reset)
        }
        requests = allowance(limits.requests) ?? requests
        tokens = allowance(limits.tokens) ?? tokens
    }

    /// Counts a request that goes out.
    mutating func sent(tokens count: Int) {
        requests?.left -= 1
        tokens?.left -= count
    }

    /// Until when a request has to wait; `nil` when there is enough left, as far as is known.
    func wait(tokens count: Int, now: Instant) -> Instant? {
        var until: Instant?
        if let requests, requests.left < 1, requests.reset > now { until = requests.reset }
        if let tokens, tokens.left < count, tokens.reset > now { until = max(until ?? tokens.reset, tokens.reset) }
        return until
    }
}
