/// How many requests may be under way: additive increase, multiplicative decrease.
///
/// The window doubles in each round of answers until the first sign of too much, then grows by one a round; each such
/// sign takes a part of it away, once for all requests that were under way together (Chiu and Jain, "Analysis of the
/// Increase and Decrease Algorithms for Congestion Avoidance in Computer Networks", 1989, and RFC 5681).
struct ConcurrencyWindow: Sendable, Equatable {
    typealias Instant = ContinuousClock.Instant

    private let maximum: Double
    private var size: Double
    private var isStarting = true
    private var lastDecrease: Instant?

    /// Opens a window.
    ///
    /// - Parameters:
    ///   - maximum: The most requests at a time; at least one.
    ///   - starting: How many to begin with.
    init(maximum: Int, starting: Int = 4) {
        self.maximum = Double(max(1, maximum))
        size = min(self.maximum, Double(max(1, starting)))
    }

    /// Requests that may be under way now.
    var limit: Int { Int(size) }

    /// Takes note of an answer.
    ///
    /// - Parameter mayGrow: Whether the window was in use to the full and the answer came promptly: one that nobody
    ///   needed larger, or that only makes requests wait at the server, does not grow.
    mutating func succeeded(mayGrow: Bool) {
        guard mayGrow else { return }
        size = min(maximum, size + (isStarting ? 1 : 1 / size))
    }

    /// Takes note of a sign of too much.
    ///
    /// - Parameters:
    ///   - sent: When the request that met it was sent; those sent before the last decrease say nothing new.
    ///   - now: The time.
    ///   - factor: What is left of the window.
    ///   - least: What is known to be needed.
    ///   - isOverload: Whether it was the number of requests that was too much, rather than their rate.
    mutating func congested(sent: Instant, now: Instant, factor: Double, least: Double = 1, isOverload: Bool) {
        if isOverload { isStarting = false }
        if let lastDecrease, sent <= lastDecrease { return }
        lastDecrease = now
        size = max(1, min(size, max(size * factor, least)))
    }
}
