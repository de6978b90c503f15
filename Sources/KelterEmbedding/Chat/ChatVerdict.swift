import KelterModel

/// What to do about one finished chat request.
enum ChatVerdict: Sendable, Equatable {
    case answer(String)
    /// A failure that may pass, and how long the endpoint asked to wait.
    case retry(KelterError, after: Duration?)
    case failed(KelterError)
}

extension ChatVerdict {
    private static let subject = "LITELLM_BASE_URL"

    /// Judges a finished request.
    ///
    /// - Parameters:
    ///   - result: The transfer.
    ///   - now: Seconds since 1970, for a `Retry-After` that is a date.
    init(_ result: TransferResult, now: Int) {
        if let failure = result.failure {
            self = Self.judge(failure)
        } else if (200..<300).contains(result.status) {
            self = Self.read(result.body)
        } else {
            let after = result.retryAfter.flatMap { retryAfter($0, now: now) }
            self = Self.judge(status: result.isKeyRefusal ? 401 : result.status, after: after)
        }
    }

    /// Reads `choices[0].message.content`, which must be a text that is not blank.
    private static func read(_ body: [UInt8]) -> Self {
        guard let reply = try? JSONReader.read(body),
            let text = reply["choices"]?[0]?["message"]?["content"]?.string.map(trimmed), !text.isEmpty
        else {
            let error = unusable("The chat endpoint's reply has no answer in choices[0].message.content.")
            return .retry(error, after: nil)
        }
        return .answer(text)
    }

    private static func judge(_ failure: TransferResult.Failure) -> Self {
        switch failure {
        case .unreachable:
            .retry(
                KelterError(
                    .chatUnreachable,
                    "The chat endpoint cannot be reached.",
                    subject: subject,
                    fix: "Check the address, and that the service is running."
                ),
                after: nil
            )
        case .untrusted(let failure):
            .failed(failure.error(service: "chat", untrusted: .chatUnreachable, unauthorised: .chatUnauthorised))
        case .timedOut: .failed(timeout)
        case .broken: .retry(serverError("The connection to the chat endpoint broke before a reply came."), after: nil)
        case .cut: .retry(unusable("The chat endpoint's reply broke off."), after: nil)
        case .tooLarge: .failed(unusable("The chat endpoint's reply is too long."))
        }
    }

    private static func judge(status: Int, after: Duration?) -> Self {
        switch status {
        case 401, 403:
            .failed(
                KelterError(
                    .chatUnauthorised,
                    "The chat endpoint refused the key with HTTP status \(status).",
                    subject: "LITELLM_MASTER_KEY",
                    fix: "Set LITELLM_MASTER_KEY to a key that may use the chat model."
                )
            )
        case 408: .failed(timeout)
        case 429:
            .retry(
                KelterError(
                    .chatThrottled,
                    "The chat endpoint keeps asking to slow down (HTTP status 429).",
                    subject: subject,
                    fix: "Ask again later, or raise the endpoint's limits."
                ),
                after: after
            )
        case 409, 425, 500...599:
            .retry(serverError("The chat endpoint keeps failing with HTTP status \(status)."), after: after)
        default:
            .failed(
                KelterError(
                    .chatRefused,
                    "The chat endpoint refused the request with HTTP status \(status).",
                    subject: "LITELLM_CHAT_MODEL",
                    fix: "Check LITELLM_CHAT_MODEL and LITELLM_BASE_URL, and the model's input limit."
                )
            )
        }
    }

    private static func unusable(_ message: String) -> KelterError {
        KelterError(
            .chatReplyInvalid,
            message,
            subject: subject,
            fix: "Check that the address is an OpenAI-compatible chat service."
        )
    }

    private static func serverError(_ message: String) -> KelterError {
        KelterError(.chatServerError, message, subject: subject, fix: "Check the service's log.")
    }

    private static var timeout: KelterError {
        KelterError(
            .chatTimeout,
            "The chat endpoint did not answer in time.",
            subject: "LITELLM_CHAT_MODEL",
            fix: "Use a faster model, or ask for fewer matches."
        )
    }
}
