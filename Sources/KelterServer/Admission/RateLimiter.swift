import KelterModel
import Synchronization

/// A bucket of tokens per tenant: a whole quota may be used at once, and comes back evenly over its period.
///
/// Each server process counts for itself.
final class RateLimiter: Sendable {
    /// One tenant's bucket.
    struct Bucket: Equatable {
        var tokens: Double
        /// When `tokens` was true, since the limiter's beginning.
        var updated: Duration

        /// Takes a token, or says after how long there is one.
        mutating func take(at now: Duration, limit: RateLimit) -> Duration? {
            let rate = Double(limit.requests) / limit.period.seconds
            tokens = min(Double(limit.requests), tokens + (now - updated).seconds * rate)
            updated = now
            guard tokens < 1 else {
                tokens -= 1
                return nil
            }
            return .seconds((1 - tokens) / rate)
        }
    }

    private let limit: RateLimit?
    private let clock = ContinuousClock()
    private let beginning = ContinuousClock().now
    private let buckets = Mutex<[RowID: Bucket]>([:])

    init(_ limit: RateLimit?) {
        self.limit = limit
    }

    /// Counts a request; tenants are registered, so there are no more buckets than tenants.
    ///
    /// - Returns: After how long the tenant may try again; `nil` when the request is within the quota.
    func take(_ tenant: Tenant) -> Duration? {
        guard let limit else { return nil }
        let now = clock.now - beginning
        return buckets.withLock { buckets in
            var bucket = buckets[tenant.rowID] ?? Bucket(tokens: Double(limit.requests), updated: now)
            defer { buckets[tenant.rowID] = bucket }
            return bucket.take(at: now, limit: limit)
        }
    }

    /// Takes back the count of a request that was all right.
    func giveBack(_ tenant: Tenant) {
        buckets.withLock { $0[tenant.rowID]?.tokens += 1 }
    }
}

extension Duration {
    /// The duration in seconds.
    var seconds: Double {
        Double(components.seconds) + Double(components.attoseconds) * 1e-18
    }
}
