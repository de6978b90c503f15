import KelterModel

/// What to do about one finished request.
enum TransferVerdict: Sendable, Equatable {
    /// A failure that may pass.
    struct Retry: Sendable, Equatable {
        /// What the callers are told when it does not pass.
        var error: KelterError
        /// What the endpoint asked for.
        var after: Duration?
        /// The endpoint is busy: with ``after`` the repetition is free, and the whole client waits.
        var isThrottle = false
        /// The request may have been too much for its time; a smaller one may do.
        var isTimeout = false

        /// Whether the endpoint is away or broken, rather than its reply.
        var isOutage: Bool {
            [.embeddingUnreachable, .embeddingTimeout, .embeddingServerError].contains(error.code)
        }

        /// Whether there was a reply that cannot be used, which may be a matter of its encoding.
        var isBadReply: Bool { !isOutage && !isThrottle }
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
            self = Self.judge(status: result.isKeyRefusal ? 401 : result.status, after: result.wait(now: now))
            return
        }
        do throws(EmbeddingReplyReader.Failure) {
            self = .reply(try EmbeddingReplyReader.read(result.body, count: count, dimension: dimension))
        } catch {
            self = .retry(
                Retry(
                    error: KelterError(
                        .embeddingReplyInvalid,
                        "The embedding endpoint's reply cannot be used: \(error.message).",
                        subject: Self.subject,
                        fix: "Check that the address is an OpenAI-compatible embeddings service."
                    )
                )
            )
        }
    }

    private static let subject = "LITELLM_BASE_URL"

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
        case .untrusted:
            .failed(
                KelterError(
                    .embeddingUnreachable,
                    "The embedding endpoint's TLS certificate cannot be verified.",
                    subject: subject,
                    fix: "Install the certificate authority of the service, or correct the address."
                )
            )
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
        case .cut, .tooLarge:
            .retry(
                Retry(
                    error: KelterError(
                        .embeddingReplyInvalid,
                        failure == .cut
                            ? "The embedding endpoint's reply broke off."
                            : "The embedding endpoint's reply is too long.",
                        subject: subject,
                        fix: "Check that the address is an OpenAI-compatible embeddings service."
                    )
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
