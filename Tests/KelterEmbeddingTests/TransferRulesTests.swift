import CLibCurl
import KelterModel
import Testing

@testable import KelterEmbedding

@Suite("Rules of the transport")
struct TransferRulesTests {
    @Test("the backoff is a random part of min(cap, base · 2ⁿ)")
    func backoff() {
        let backoff = Backoff(base: .milliseconds(50), cap: .seconds(10))
        #expect(
            (0...4).map { backoff.delay(attempt: $0, fraction: 1) }
                == [50, 100, 200, 400, 800].map(Duration.milliseconds)
        )
        #expect(backoff.delay(attempt: 30, fraction: 1) == .seconds(10))
        #expect(backoff.delay(attempt: 4000, fraction: 1) == .seconds(10))
        #expect(backoff.delay(attempt: 1, fraction: 0.5) == .milliseconds(50))
        #expect(backoff.delay(attempt: 9, fraction: 0) == .zero)
    }

    @Test(
        "Retry-After is seconds or an HTTP date",
        arguments: [
            ("0", Duration.zero), ("120", .seconds(120)), ("1.5", .milliseconds(1500)),
            ("Sun, 06 Nov 1994 08:49:37 GMT", .seconds(37)), ("Sun, 06 Nov 1994 08:00:00 GMT", .zero),
            ("Sunday, 06-Nov-94 08:49:37 GMT", .seconds(37)), ("soon", nil), ("", nil), ("-5", nil), ("1e99", nil),
        ] as [(String, Duration?)]
    )
    func retryAfterForms(_ text: String, _ wanted: Duration?) {
        // 784,111,740 is Sun, 06 Nov 1994 08:49:00 GMT.
        #expect(retryAfter(text, now: 784_111_740) == wanted)
    }

    @Test("/embeddings is appended to the base")
    func addresses() throws {
        #expect(try EndpointAddress(baseURL: "http://a:1", route: "embeddings").url == "http://a:1/embeddings")
        #expect(try EndpointAddress(baseURL: " https://a/v1/ ", route: "embeddings").url == "https://a/v1/embeddings")
    }

    @Test(
        "loopback addresses are known",
        arguments: [
            ("http://localhost:1", true), ("http://LOCALHOST", true), ("http://127.0.0.1/v1", true),
            ("http://127.8.9.1", true), ("http://[::1]:80", true), ("http://localhost.example", false),
            ("http://10.0.0.1", false), ("https://api.example", false), ("http://127.example", false),
            ("http://127.0.0.1.example", false),
        ]
    )
    func loopback(_ url: String, _ isLoopback: Bool) throws {
        #expect(try EndpointAddress(baseURL: url, route: "embeddings").isLoopback == isLoopback)
        #expect(EndpointAddress.isLoopback(url: url + "/models?x=1") == isLoopback)
    }

    @Test(
        "of a redirect's target only scheme, host and port are told",
        arguments: [
            ("https://user:geheim@a.example:8443/path?key=geheim#x", "https://a.example:8443"),
            ("http://a.example", "http://a.example"), ("http://[::1]:80/", "http://[::1]:80"), ("", nil),
            ("no address", nil), ("http://" + String(repeating: "a", count: 300) + "/", nil),
        ] as [(String, String?)]
    )
    func origins(_ url: String, _ origin: String?) {
        #expect(EndpointAddress.origin(of: url) == origin)
    }

    @Test("a refusal within TLS is told from a connection that breaks in it")
    func tlsFailures() {
        func failure(_ code: CURLcode, _ message: String = "", verification: Int = 0) -> TLSFailure? {
            TLSFailure(code, verification: verification, message: message)
        }
        let alert = "OpenSSL SSL_read: error:0A00045C:SSL routines::tlsv13 alert certificate required, errno 0"
        #expect(failure(CURLE_RECV_ERROR, alert) == .clientRefused)
        #expect(failure(CURLE_SEND_ERROR, "sslv3 alert bad certificate") == .clientRefused)
        #expect(failure(CURLE_SSL_CONNECT_ERROR, "tlsv1 alert unknown ca") == .clientRefused)
        #expect(failure(CURLE_SSL_CONNECT_ERROR, "sslv3 alert handshake failure") == .noAgreement)
        #expect(failure(CURLE_SSL_CONNECT_ERROR, "wrong version number") == .noAgreement)
        let broken = "OpenSSL SSL_connect: SSL_ERROR_SYSCALL in connection to a.example:443"
        #expect(failure(CURLE_SSL_CONNECT_ERROR, broken) == nil)
        #expect(failure(CURLE_SSL_CONNECT_ERROR, "OpenSSL SSL_connect: Connection reset by peer") == nil)
        #expect(failure(CURLE_RECV_ERROR, "Recv failure: Connection reset by peer") == nil)
        #expect(
            failure(CURLE_PEER_FAILED_VERIFICATION, "self-signed certificate", verification: 18) == .unknownAuthority
        )
        #expect(failure(CURLE_PEER_FAILED_VERIFICATION, verification: 10) == .expired)
        let name = "SSL: no alternative certificate subject name matches target host name 'a.example'"
        #expect(failure(CURLE_PEER_FAILED_VERIFICATION, name, verification: 1) == .otherName)
        #expect(failure(CURLE_OPERATION_TIMEDOUT, alert) == nil && failure(CURLE_OK) == nil)
    }

    @Test("each HTTP status has its verdict")
    func statuses() {
        func verdict(_ status: Int, after: String? = nil) -> TransferVerdict {
            TransferVerdict(TransferResult(status: status, retryAfter: after), count: 1, dimension: 2, now: 0)
        }
        for status in [400, 413, 422] {
            guard case .refused(let error) = verdict(status) else { Issue.record("\(status)"); continue }
            #expect(error.code == .embeddingRefused)
            #expect(error.message.contains("\(status)"))
        }
        for status in [301, 401, 403, 404, 405, 410, 451] {
            guard case .failed = verdict(status) else { Issue.record("\(status)"); continue }
        }
        for status in [408, 409, 425, 429, 500, 502, 503, 504, 529, 599] {
            guard case .retry = verdict(status) else { Issue.record("\(status)"); continue }
        }
        guard case .retry(let busy) = verdict(429), case .retry(let told) = verdict(503, after: "7"),
            case .retry(let down) = verdict(503)
        else {
            Issue.record("no retry")
            return
        }
        #expect(busy.isThrottle && busy.after == nil)
        #expect(told.isThrottle && told.after == .seconds(7))
        #expect(!down.isThrottle)
    }

    @Test("a request's body is JSON with the texts as they are")
    func body() throws {
        let texts = ["a\"b\\c", "\n\u{0}\u{1F}", "äöü 🍇"]
        let body = embeddingRequestBody(model: "m/\"x\"", texts: texts, encoding: .base64)
        let value = try JSONReader.read(body)
        #expect(value["model"]?.string == "m/\"x\"")
        #expect(value["input"]?.array?.compactMap(\.string) == texts)
        #expect(value["encoding_format"]?.string == "base64")
    }
}
