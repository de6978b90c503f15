import KelterModel

extension LoopbackHTTPServer {
    /// One request, with its body read to the end.
    package struct Request: Sendable {
        package var method: String
        /// The request target as it came, query included, such as `/v1/embeddings?x=1`.
        package var path: String
        /// The header fields in the order they came, values trimmed.
        package var headers: [(name: String, value: String)]
        /// The body, with any chunked coding removed.
        package var body: [UInt8]

        package init(method: String, path: String, headers: [(name: String, value: String)] = [], body: [UInt8] = []) {
            self.method = method
            self.path = path
            self.headers = headers
            self.body = body
        }

        /// The value of the first header field of this name, in any case.
        package func header(_ name: String) -> String? {
            let wanted = lowercasedASCII(name)
            return headers.first { lowercasedASCII($0.name) == wanted }?.value
        }
    }

    /// What a handler answers.
    package struct Response: Sendable {
        package var status: Int
        /// The `Content-Type`; default `application/json`, and none if it is empty.
        package var contentType: String
        /// Further header fields; `Content-Length`, `Content-Type` and `Connection` are written by the server.
        package var headers: [(name: String, value: String)]
        package var body: [UInt8]
        /// How the answer is put on the wire; default ``Delivery/whole``.
        package var delivery: Delivery

        package init(
            status: Int = 200,
            contentType: String = "application/json",
            headers: [(name: String, value: String)] = [],
            body: [UInt8] = [],
            delivery: Delivery = .whole
        ) {
            self.status = status
            self.contentType = contentType
            self.headers = headers
            self.body = body
            self.delivery = delivery
        }

        package init(status: Int = 200, contentType: String = "application/json", text: String) {
            self.init(status: status, contentType: contentType, body: Array(text.utf8))
        }
    }

    /// How an answer is put on the wire; all but ``whole`` are the misbehaviours of real servers, for tests.
    package enum Delivery: Sendable, Equatable {
        /// The head with the right `Content-Length`, then the body.
        case whole
        /// The head with the right `Content-Length`, this many bytes of the body, then the end of the connection.
        case cut(after: Int)
        /// The head at once, the body in pieces of this many bytes with a pause before each.
        case drip(bytes: Int, pause: Duration)
        /// The whole body after a head that announces this length; the connection is closed behind it.
        case claimedLength(Int)
        /// No `Content-Length`; the body is repeated until the client goes away or the server stops.
        case endless
        /// The connection is closed without an answer.
        case noReply
        /// The connection is reset (RST) without an answer.
        case reset
        /// No answer; the connection is held until the client closes it or the server stops.
        case hang
    }

    /// The bounds every connection is held to.
    package struct Limits: Sendable {
        /// Bytes of the request line and header fields together; default 64 KiB.
        package var headBytes = 64 << 10
        /// Bytes of a request's body; default 64 MiB.
        package var bodyBytes = 64 << 20
        /// Connections at a time; one more is answered with 503; default 64.
        package var connections = 64
        /// How long a kept-alive connection may be silent between two requests; default 120 s.
        package var idle: Duration = .seconds(120)
        /// How long one request may take from its first byte to its last, and one write may block; default 30 s.
        package var transfer: Duration = .seconds(30)

        package init() {}
    }
}
