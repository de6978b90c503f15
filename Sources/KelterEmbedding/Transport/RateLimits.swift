import KelterModel

/// What a reply's header fields say is left of the endpoint's limits.
///
/// The names are OpenAI's: `x-ratelimit-remaining-requests`, `x-ratelimit-reset-requests` and the same for tokens. A
/// LiteLLM proxy passes its provider's on with `llm_provider-` before them; the stricter of the two counts.
struct RateLimits: Sendable, Equatable {
    struct Limit: Sendable, Equatable {
        var remaining: Int?
        /// The time until the limit is lifted.
        var reset: Duration?
    }

    var requests: Limit?
    var tokens: Limit?

    /// Reads header fields.
    ///
    /// - Parameters:
    ///   - fields: Names in lower case and values.
    ///   - now: Seconds since 1970, for a reset that is a moment.
    init(_ fields: [(name: String, value: String)], now: Int) {
        for prefix in ["x-ratelimit-", "llm_provider-x-ratelimit-"] {
            var limits: [String: Limit] = [:]
            for (name, value) in fields where name.hasPrefix(prefix) {
                let parts = name.dropFirst(prefix.count).split(separator: "-", maxSplits: 1)
                guard parts.count == 2, parts[1] == "requests" || parts[1] == "tokens" else { continue }
                switch parts[0] {
                case "remaining": limits[String(parts[1]), default: Limit()].remaining = Int(value)
                case "reset": limits[String(parts[1]), default: Limit()].reset = resetTime(value, now: now)
                default: break
                }
            }
            requests = Self.stricter(requests, limits["requests"])
            tokens = Self.stricter(tokens, limits["tokens"])
        }
    }

    private static func stricter(_ left: Limit?, _ right: Limit?) -> Limit? {
        guard let left, let first = left.remaining else { return right }
        guard let right, let second = right.remaining else { return left }
        return first <= second ? left : right
    }
}

/// Reads `x-ratelimit-reset-…`: a duration as Go writes it (`1m30.5s`, `20ms`), seconds, or seconds since 1970.
///
/// - Parameters:
///   - text: The value of the header field.
///   - now: Seconds since 1970.
/// - Returns: The time until the reset, not below zero, or `nil` when the text is none of these.
func resetTime(_ text: String, now: Int) -> Duration? {
    if let seconds = Double(text) {
        guard seconds >= 0, seconds < 1e14 else { return nil }
        // A billion seconds are 31 years: a moment, not a duration. Some services write milliseconds.
        let moment = seconds >= 1e9 ? (seconds >= 1e11 ? seconds / 1000 : seconds) - Double(now) : seconds
        return .seconds(max(0, moment))
    }
    let units: [(name: String, seconds: Double)] = [
        ("ms", 1e-3), ("us", 1e-6), ("µs", 1e-6), ("ns", 1e-9), ("h", 3600), ("m", 60), ("s", 1), ("d", 86_400),
    ]
    var rest = text[...]
    var total = 0.0
    while !rest.isEmpty {
        let digits = rest.prefix { $0.isASCII && ($0.isNumber || $0 == ".") }
        guard let value = Double(digits) else { return nil }
        rest = rest.dropFirst(digits.count)
        guard let unit = units.first(where: { rest.hasPrefix($0.name) }) else { return nil }
        rest = rest.dropFirst(unit.name.count)
        total += value * unit.seconds
    }
    return text.isEmpty || total > 1e9 ? nil : .seconds(total)
}
