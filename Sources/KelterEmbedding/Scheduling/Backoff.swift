/// Exponential backoff with full jitter: a uniform part of min(cap, base · 2ⁿ).
///
/// Full jitter spreads clients that failed together better than a fixed or half-random delay (Marc Brooker,
/// "Exponential Backoff And Jitter", AWS Architecture Blog, 2015).
package struct Backoff: Sendable, Equatable {
    /// The ceiling of the first delay.
    package var base: Duration
    /// The ceiling of all delays; default 10 s.
    package var cap: Duration

    package init(base: Duration, cap: Duration = .seconds(10)) {
        self.base = base
        self.cap = cap
    }

    /// The delay before a repetition.
    ///
    /// - Parameters:
    ///   - attempt: How many repetitions there were before.
    ///   - fraction: A random number from 0 to 1.
    /// - Returns: Zero to the step's ceiling.
    package func delay(attempt: Int, fraction: Double) -> Duration {
        // Beyond 2^32 any base has met the cap; the bound keeps the multiplication from overflowing.
        let ceiling = min(cap, base * (1 << min(max(attempt, 0), 32)))
        return ceiling * fraction
    }
}
