import HTTPTypes
import KelterModel
import Testing

@testable import KelterServer

@Suite("Admission")
struct AdmissionTests {
    @Test("a bucket gives its whole quota at once and fills again evenly")
    func bucket() {
        let limit = RateLimit(requests: 4, period: .seconds(60))
        var bucket = RateLimiter.Bucket(tokens: 4, updated: .zero)
        for _ in 0..<4 { #expect(bucket.take(at: .zero, limit: limit) == nil) }
        #expect(bucket.take(at: .zero, limit: limit) == .seconds(15))
        #expect(bucket.take(at: .seconds(5), limit: limit)?.seconds.rounded() == 10)
        #expect(bucket.take(at: .seconds(16), limit: limit) == nil)
        #expect(bucket.take(at: .seconds(16), limit: limit) != nil)
        for _ in 0..<4 { #expect(bucket.take(at: .seconds(1000), limit: limit) == nil) }
        #expect(bucket.take(at: .seconds(1000), limit: limit) != nil, "no more than the quota is saved up")
    }

    @Test("without a quota nothing is refused")
    func unlimited() throws {
        let limiter = RateLimiter(nil)
        let tenant = try Tenant("t")
        for _ in 0..<1000 { #expect(limiter.take(tenant) == nil) }
    }

    @Test(
        "a trace is continued when it is well formed",
        arguments: [
            ("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", nil, "4bf92f3577b34da6a3ce929d0e0e4736"),
            ("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", "x", "4bf92f3577b34da6a3ce929d0e0e4736"),
            (nil, "my-trace.1", "my-trace.1"), ("00-zz-00f067aa0ba902b7-01", "x", "x"),
            ("00-00000000000000000000000000000000-00f067aa0ba902b7-01", "x", "x"),
            ("00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01", "x", "x"),
            ("ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", "x", "x"),
            ("00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01", "x", "x"),
            ("cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-new", nil, "4bf92f3577b34da6a3ce929d0e0e4736"),
            (nil, "a b", "00000000000000010000000000000000"), (nil, nil, "00000000000000010000000000000000"),
        ] as [(String?, String?, String)]
    )
    func trace(_ traceparent: String?, _ traceID: String?, _ expected: String) {
        #expect(Trace(traceparent: traceparent, traceID: traceID, random: { 0 }).id == expected)
    }

    @Test(
        "the host of an authority is without port, in lower case",
        arguments: [
            ("localhost:8000", "localhost"), ("Dev.Localhost", "dev.localhost"), ("[::1]:8000", "[::1]"), ("", ""),
            ("127.0.0.1", "127.0.0.1"),
        ]
    )
    func hostName(_ authority: String, _ expected: String) {
        #expect(Admission.hostName(authority) == expected)
    }

    @Test("the Authorization header is read strictly")
    func claims() {
        func kind(_ text: String?) -> String {
            switch Authenticator.claim(text) {
            case .none: "none"
            case .apiKey: "key"
            case .password(let name, let password): "\(name)/\(password)"
            case .malformed: "malformed"
            }
        }
        #expect(kind(nil) == "none")
        #expect(kind(" ") == "none")
        #expect(kind("Basic YWRtaW46cGE6c3M=") == "admin/pa:ss")
        #expect(kind("basic YWRtaW46") == "admin/")
        for text in ["Basic YWRtaW4=", "Basic ?", "Basic", "Bearer x", "Digest x", "Bearer klt_", "Basic /////w=="] {
            #expect(kind(text) == "malformed", "\(text)")
        }
    }

    @Test("every code of the contract has its status, and inner errors tell callers nothing")
    func statuses() {
        let table: [(ErrorCode, Int)] = [
            (.tenantNotFound, 404), (.invalidTenantSchema, 400), (.tenantSchemaMismatch, 400), (.invalidTenant, 400),
            (.tenantMismatch, 403), (.invalidCase, 400), (.rateLimitExceeded, 429), (.invalidKeyAlias, 400),
            (.invalidCollectionID, 400), (.invalidCollectionIDs, 400), (.unsupportedMediaType, 415),
            (.missingFile, 400),
            (.sidecarInvalid, 400), (.fileTooLarge, 413), (.validationError, 400), (.ingestionStatusNotFound, 404),
            (.idempotencyKeyReused, 409), (.idempotencyInProgress, 409), (.missingQuestion, 400), (.noMatches, 404),
            (.unauthorized, 401), (.forbidden, 403), (.databaseUnavailable, 503), (.internalError, 500),
        ]
        for (code, status) in table { #expect(code.httpStatus.code == status, "\(code)") }
        let inner = Reply(
            KelterError(.databaseUnavailable, "The database secret-host cannot be reached.", subject: "URL")
        )
        #expect(!String(decoding: inner.body, as: UTF8.self).contains("secret-host"))
    }
}
