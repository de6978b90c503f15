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
            ("http://10.0.0.1", false), ("https://api.example", false),
        ]
    )
    func loopback(_ url: String, _ isLoopback: Bool) throws {
        #expect(try EndpointAddress(baseURL: url, route: "embeddings").isLoopback == isLoopback)
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
