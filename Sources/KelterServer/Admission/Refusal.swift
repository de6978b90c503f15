import HTTPTypes
import KelterModel

/// Why a request is not carried out, and when it may be tried again.
struct Refusal: Error, Sendable {
    let error: KelterError
    /// For `Retry-After`.
    var retryAfter: Duration?

    init(_ error: KelterError, retryAfter: Duration? = nil) {
        self.error = error
        self.retryAfter = retryAfter
    }

    static func tooManyRequests(after wait: Duration) -> Refusal {
        Refusal(
            KelterError(
                .rateLimitExceeded,
                "The tenant has sent too many requests.",
                subject: "AI_CORE_RATE_LIMIT_QUOTA",
                fix: "Wait for the seconds that Retry-After names."
            ),
            retryAfter: wait
        )
    }

    /// The answer that says so.
    var reply: Reply {
        var reply = Reply(error)
        if let retryAfter { reply.headers[.retryAfter] = String(Int(retryAfter.seconds.rounded(.up))) }
        return reply
    }
}
