import Glibc
import KelterEmbedding
import KelterModel
import KelterParsing

/// Why a request to a bucket was not answered with what was asked for.
struct S3Failure: Error {
    /// Bytes of a refusal that are read.
    static let maximumRefusal = 1 << 16

    let error: KelterError
    /// Whether it may be gone at the next attempt.
    var isPassing = false
    /// How long the service asks to be left alone.
    var pause: Duration?

    init(error: KelterError, isPassing: Bool = false, pause: Duration? = nil) {
        self.error = error
        self.isPassing = isPassing
        self.pause = pause
    }

    /// A transfer that did not come to its end.
    init(_ failure: HTTPStream.Failure, _ subject: String) {
        switch failure {
        case .unreachable:
            let error = KelterError(
                .s3Unreachable,
                "There is no connection to the bucket's service.",
                subject: subject,
                fix: "Check AWS_ENDPOINT_URL_S3 and AWS_REGION, and that the service is running."
            )
            self.init(error: error, isPassing: true)
        case .untrusted(let reason):
            self.init(
                error: KelterError(
                    .s3Untrusted,
                    "The bucket's service is not trusted: \(reason).",
                    subject: subject,
                    fix: "Set AWS_CA_BUNDLE to the certificate of its authority in PEM, or correct the address."
                )
            )
        case .broken:
            var broken = Self.invalidReply("a transfer that breaks off", subject)
            broken.isPassing = true
            self = broken
        case .stopped: self = .invalidReply("more than it was asked for", subject)
        case .cancelled: self = .interrupted
        case .internalError: self.init(error: KelterError(.internalError, "libcurl could not be set up."))
        }
    }

    /// A reply that refuses; "Error responses", Amazon S3 API Reference.
    init(_ head: HTTPStream.Head, _ body: [UInt8], region: String, _ subject: String) {
        let records = (try? readXML(body)) ?? []
        let code = records.first { $0.path == "Error/Code" }?.text ?? "status \(head.status)"
        let bucketRegion =
            head.headers["x-amz-bucket-region"] ?? records.first { $0.path == "Error/Region" }?.text
        let credentialCodes: Set = [
            "InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "InvalidToken", "RequestTimeTooSkewed",
            "TokenRefreshRequired",
        ]
        if let bucketRegion, bucketRegion != region, [301, 307, 400].contains(head.status) {
            self.init(
                error: KelterError(
                    .s3WrongRegion,
                    "The bucket is in the region \(shortened(bucketRegion)), not in \(region).",
                    subject: subject,
                    fix: "Set AWS_REGION to \(shortened(bucketRegion))."
                )
            )
        } else if credentialCodes.contains(code) || head.status == 401 {
            self.init(
                error: KelterError(
                    .s3Unauthorised,
                    "The bucket's service refuses the key: \(code).",
                    subject: subject,
                    fix: "Check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN and this machine's clock."
                )
            )
        } else {
            self.init(status: head.status, code: shortened(code), subject)
            pause = isPassing ? head.headers["retry-after"].flatMap { retryAfter($0, now: time(nil)) } : nil
        }
    }

    private init(status: Int, code: String, _ subject: String) {
        switch status {
        case 403:
            self.init(
                error: KelterError(
                    .s3Forbidden,
                    "It may not be read: \(code).",
                    subject: subject,
                    fix: "Allow the key s3:ListBucket for the bucket and s3:GetObject for its objects."
                )
            )
        case 404:
            self.init(
                error: KelterError(
                    .s3NotFound,
                    "There is no such bucket or object: \(code).",
                    subject: subject,
                    fix: "Check the address and AWS_ENDPOINT_URL_S3."
                )
            )
        case 412:
            self.init(
                error: KelterError(
                    .objectChanged,
                    "The object has changed since it was listed.",
                    subject: subject,
                    fix: "Ingest it again."
                )
            )
        case 408, 429, 503:
            self.init(
                error: KelterError(
                    .s3Unreachable,
                    "The bucket's service is overloaded: \(code).",
                    subject: subject,
                    fix: "Repeat the command later."
                ),
                isPassing: true
            )
        default:
            self = .invalidReply(code, subject)
            isPassing = status >= 500
        }
    }

    /// An answer that makes no sense.
    static func invalidReply(_ what: String, _ subject: String) -> S3Failure {
        S3Failure(
            error: KelterError(
                .s3ReplyInvalid,
                "The bucket's service answers with \(what).",
                subject: subject,
                fix:
                    "Repeat the command; check that AWS_ENDPOINT_URL_S3 leads to a service that speaks the S3 protocol."
            )
        )
    }

    static var interrupted: S3Failure {
        S3Failure(error: KelterError(.interrupted, "The transfer was interrupted."))
    }
}
