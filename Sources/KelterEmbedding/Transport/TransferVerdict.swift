import KelterModel

/// What to do about one finished request.
///
/// A repetition is worth its price when the fault may be this one reply's: a gateway sends the next request to another
/// backend, and a contract that was never kept is found by the probe, at the price of two short texts. No fault ends in
/// a vector; a fault of single vectors fails their callers only.
///
/// | fault | code | repeated |
/// |---|---|---|
/// | no connection | `EMBEDDING_UNREACHABLE` | yes |
/// | no whole reply in time, 408 | `EMBEDDING_TIMEOUT` | yes, in halves |
/// | connection broken before a reply, 409, 425, 5xx | `EMBEDDING_SERVER_ERROR` | yes |
/// | 429 | `EMBEDDING_THROTTLED` | yes |
/// | reply or its JSON ends too early | `EMBEDDING_REPLY_CUT` | yes |
/// | malformed JSON, or JSON of another shape | `EMBEDDING_REPLY_INVALID` | yes |
/// | error object under 200 | `EMBEDDING_ERROR_BODY` | yes |
/// | another content type under 200, HTML | `EMBEDDING_CONTENT_TYPE` | yes |
/// | too few or too many vectors | `EMBEDDING_COUNT_MISMATCH` | yes |
/// | index missing, twice, out of range | `EMBEDDING_INDEX_INVALID` | yes |
/// | base64 invalid or of no whole float32 | `EMBEDDING_ENCODING_INVALID` | yes |
/// | vector of float64, big-endian, no plausible length | `EMBEDDING_ENCODING_INVALID` | no, that input fails |
/// | vector with NaN, infinity or null | `INGEST_EMBEDDING_INVALID` | no, that input fails |
/// | vector of another width | `INGEST_VECTOR_DIMENSION_MISMATCH` | no, that input fails |
/// | reply beyond its bound | `EMBEDDING_REPLY_TOO_LARGE` | no |
/// | redirect | `EMBEDDING_REDIRECTED` | no |
/// | TLS without trust | `EMBEDDING_UNTRUSTED` | no |
/// | 401, 403, a client certificate refused | `EMBEDDING_UNAUTHORISED` | no |
/// | 400, 413, 422 | `EMBEDDING_REFUSED` | no, halved until the input stands alone |
/// | other statuses | `EMBEDDING_REFUSED` | no |
///
/// A zero vector is no fault: its text has no embedding.
enum TransferVerdict: Sendable, Equatable {
    /// A failure that may pass.
    struct Retry: Sendable, Equatable {
        /// What the callers are told when it does not pass.
        var error: KelterError
        /// What the endpoint asked for.
        var after: Duration?
        /// The endpoint is busy: the repetition is free, and the whole client waits.
        var isThrottle = false
        /// The request may have been too much for its time; a smaller one may do.
        var isTimeout = false
        /// A reply came and could not be used: another encoding may do better.
        var isUnusable = false

        /// Whether the endpoint is away or broken, rather than its reply.
        var isOutage: Bool {
            [.embeddingUnreachable, .embeddingTimeout, .embeddingServerError].contains(error.code)
        }
    }

    case reply(EmbeddingReply)
    case retry(Retry)
    /// Something about the inputs was refused: 400, 413, 422.
    case refused(KelterError)
    /// No request of this kind can succeed.
    case failed(KelterError)
}

extension TransferVerdict {
    /// Judges a finished request; SPEC section 6.
    ///
    /// - Parameters:
    ///   - result: The transfer.
    ///   - count: Inputs of the request.
    ///   - dimension: The width the vectors must have.
    ///   - now: Seconds since 1970, for a `Retry-After` that is a date.
    init(_ result: TransferResult, count: Int, dimension: Int, now: Int) {
        if let failure = result.failure {
            self = Self.judge(failure)
            return
        }
        guard (200..<300).contains(result.status) else {
            if result.isCertificateRefusal {
                self = .failed(Self.error(.clientRefused))
                return
            }
            if let error = Self.redirect(result) {
                self = .failed(error)
                return
            }
            self = Self.judge(status: result.isKeyRefusal ? 401 : result.status, after: result.wait(now: now))
            return
        }
        self = Self.judge(reply: result, count: count, dimension: dimension)
    }

    static let subject = "LITELLM_BASE_URL"

    private static func error(_ failure: TLSFailure) -> KelterError {
        failure.error(service: "embedding", untrusted: .embeddingUntrusted, unauthorised: .embeddingUnauthorised)
    }

    private static func judge(_ failure: TransferResult.Failure) -> Self {
        switch failure {
        case .unreachable:
            .retry(
                Retry(
                    error: KelterError(
                        .embeddingUnreachable,
                        "The embedding endpoint cannot be reached.",
                        subject: subject,
                        fix: "Check the address, and that the service is running."
                    )
                )
            )
        case .untrusted(let failure): .failed(error(failure))
        case .timedOut:
            .retry(Retry(error: timeout, isTimeout: true))
        case .broken:
            .retry(
                Retry(
                    error: KelterError(
                        .embeddingServerError,
                        "The connection to the embedding endpoint broke before a reply came.",
                        subject: subject,
                        fix: "Check the service's log."
                    )
                )
            )
        case .cut: unusable(.embeddingReplyCut, "its connection ended too early")
        case .tooLarge:
            .failed(
                KelterError(
                    .embeddingReplyTooLarge,
                    "The embedding endpoint's reply is longer than any reply to this request can be.",
                    subject: subject,
                    fix: "Check that the address is an OpenAI-compatible embeddings service."
                )
            )
        }
    }

    private static func judge(status: Int, after: Duration?) -> Self {
        switch status {
        case 400, 413, 422:
            .refused(
                KelterError(
                    .embeddingRefused,
                    "The embedding endpoint refused an input with HTTP status \(status).",
                    fix: "Check the text against the model's input limit, and EMBEDDINGS_MODEL_PRIMARY."
                )
            )
        case 401, 403:
            .failed(
                KelterError(
                    .embeddingUnauthorised,
                    "The embedding endpoint refused the key with HTTP status \(status).",
                    subject: "LITELLM_MASTER_KEY",
                    fix: "Set LITELLM_MASTER_KEY to a key that may use the embedding model."
                )
            )
        case 408:
            .retry(Retry(error: timeout, after: after, isTimeout: true))
        case 429:
            .retry(
                Retry(
                    error: KelterError(
                        .embeddingThrottled,
                        "The embedding endpoint keeps asking to slow down (HTTP status 429).",
                        subject: subject,
                        fix: "Run again later, or raise the endpoint's limits."
                    ),
                    after: after,
                    isThrottle: true
                )
            )
        case 409, 425, 500...599:
            .retry(
                Retry(
                    error: KelterError(
                        .embeddingServerError,
                        "The embedding endpoint keeps failing with HTTP status \(status).",
                        subject: subject,
                        fix: "Check the service's log."
                    ),
                    after: after,
                    isThrottle: status == 503 && after != nil
                )
            )
        default:
            .failed(
                KelterError(
                    .embeddingRefused,
                    "The embedding endpoint answered with HTTP status \(status).",
                    subject: subject,
                    fix: "Check LITELLM_BASE_URL and EMBEDDINGS_MODEL_PRIMARY."
                )
            )
        }
    }

    private static var timeout: KelterError {
        KelterError(
            .embeddingTimeout,
            "The embedding endpoint did not answer in time.",
            subject: "EMBEDDINGS_TIMEOUT_SECONDS",
            fix: "Raise EMBEDDINGS_TIMEOUT_SECONDS or lower EMBEDDINGS_BATCH_SIZE."
        )
    }
}
