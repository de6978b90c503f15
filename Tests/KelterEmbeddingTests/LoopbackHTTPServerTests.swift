import Glibc
import KelterLocal
import KelterModel
import Synchronization
import Testing

@Suite("The loopback HTTP server")
struct LoopbackHTTPServerTests {
    /// Answers with method, path and body.
    private func makeServer(_ change: (inout LoopbackHTTPServer.Limits) -> Void = { _ in }) throws -> LoopbackHTTPServer
    {
        var limits = LoopbackHTTPServer.Limits()
        change(&limits)
        return try LoopbackHTTPServer(limits: limits) { request in
            var body = Array("\(request.method) \(request.path) \(request.header("x-TEST") ?? "-") ".utf8)
            body += request.body
            return LoopbackHTTPServer.Response(contentType: "text/plain", body: body)
        }
    }

    @Test("answers a request")
    func simple() throws {
        let server = try makeServer()
        defer { server.stop() }
        let socket = try RawSocket(server.port)
        socket.send("GET /a?b=1 HTTP/1.1\r\nHost: x\r\nX-Test:  hallo \r\n\r\n")
        let reply = socket.reply()
        #expect(reply.hasPrefix("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 17\r\n\r\n"))
        #expect(reply.hasSuffix("GET /a?b=1 hallo "))
    }

    @Test("keeps a connection alive and answers pipelined requests in order")
    func pipelining() throws {
        let server = try makeServer()
        defer { server.stop() }
        let socket = try RawSocket(server.port)
        socket.send("POST /1 HTTP/1.1\r\nContent-Length: 3\r\n\r\nabcPOST /2 HTTP/1.1\r\nContent-Length: 2\r\n\r\nde")
        #expect(socket.reply().hasSuffix("POST /1 - abc"))
        #expect(socket.reply().hasSuffix("POST /2 - de"))
        socket.send("GET /3 HTTP/1.1\r\n\r\n")
        #expect(socket.reply().hasSuffix("GET /3 - "))
        #expect(server.connectionsAccepted == 1)
    }

    @Test("a request that comes byte by byte is read")
    func bytewise() throws {
        let server = try makeServer()
        defer { server.stop() }
        let socket = try RawSocket(server.port)
        for byte in "POST /x HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1;e=1\r\nc\r\n0\r\nT: 1\r\n\r\n"
            .utf8
        {
            socket.send([byte])
        }
        #expect(socket.reply().hasSuffix("POST /x - abc"))
    }

    @Test("Expect: 100-continue is answered before the body comes")
    func expectContinue() throws {
        let server = try makeServer()
        defer { server.stop() }
        let socket = try RawSocket(server.port)
        socket.send("POST /x HTTP/1.1\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n")
        #expect(socket.head() == "HTTP/1.1 100 Continue\r\n\r\n")
        socket.send("body")
        #expect(socket.reply().hasSuffix("POST /x - body"))
    }

    @Test(
        "HTTP/1.0 and Connection: close end the connection",
        arguments: ["HTTP/1.0\r\n", "HTTP/1.1\r\nConnection: close\r\n"]
    )
    func close(_ end: String) throws {
        let server = try makeServer()
        defer { server.stop() }
        let socket = try RawSocket(server.port)
        socket.send("GET /x \(end)\r\n")
        let reply = socket.readToEnd()
        #expect(reply.contains("Connection: close\r\n"))
        #expect(reply.hasSuffix("GET /x - "))
    }

    @Test("HEAD has the length and no body")
    func head() throws {
        let server = try makeServer()
        defer { server.stop() }
        let socket = try RawSocket(server.port)
        socket.send("HEAD /x HTTP/1.0\r\n\r\n")
        let reply = socket.readToEnd()
        #expect(reply.contains("Content-Length: 10\r\n"))
        #expect(reply.hasSuffix("\r\n\r\n"))
    }

    @Test(
        "a bad request is refused with its status",
        arguments: [
            ("GARBAGE\r\n\r\n", 400), ("GET /x HTTP/2.0\r\n\r\n", 505), ("GET  /x HTTP/1.1\r\n\r\n", 400),
            ("GET /x HTTP/1.1\r\nNo colon\r\n\r\n", 400), ("GET /x HTTP/1.1\r\nBad name: 1\r\n\r\n", 400),
            ("GET /x HTTP/1.1\r\n folded: 1\r\n\r\n", 400), ("POST /x HTTP/1.1\r\nContent-Length: -1\r\n\r\n", 400),
            ("POST /x HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n\r\n", 400),
            ("POST /x HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab", 400),
            ("POST /x HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
            ("POST /x HTTP/1.1\r\nTransfer-Encoding: gzip\r\n\r\n", 501),
            ("POST /x HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n", 400),
            ("POST /x HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nabc", 400),
            ("POST /x HTTP/1.1\r\nExpect: miracles\r\n\r\n", 417),
            ("POST /x HTTP/1.1\r\nContent-Length: 2000\r\n\r\n", 413),
            ("POST /x HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n7d0\r\n", 413),
            ("GET /x HTTP/1.1\r\nX: \(String(repeating: "a", count: 5000))\r\n\r\n", 431),
        ]
    )
    func refused(_ request: String, _ status: Int) throws {
        let server = try makeServer {
            $0.headBytes = 4096
            $0.bodyBytes = 1000
        }
        defer { server.stop() }
        let socket = try RawSocket(server.port)
        socket.send(request)
        #expect(socket.readToEnd().hasPrefix("HTTP/1.1 \(status) "))
    }

    @Test("a request that never ends is given up")
    func slowloris() throws {
        let server = try makeServer { $0.transfer = .milliseconds(50) }
        defer { server.stop() }
        let socket = try RawSocket(server.port)
        socket.send("GET /x HTTP/1.1\r\n")
        #expect(socket.readToEnd().hasPrefix("HTTP/1.1 408 "))
    }

    @Test("a silent kept-alive connection is closed without a word")
    func idle() throws {
        let server = try makeServer { $0.idle = .milliseconds(30) }
        defer { server.stop() }
        #expect(try RawSocket(server.port).readToEnd().isEmpty)
    }

    @Test("more connections than allowed are answered with 503, and served when there is room again")
    func full() throws {
        let server = try makeServer { $0.connections = 1 }
        defer { server.stop() }
        var first: RawSocket? = try RawSocket(server.port)
        first?.send("GET /1 HTTP/1.1\r\n\r\n")
        #expect(first?.reply().hasSuffix("GET /1 - ") == true)
        #expect(try RawSocket(server.port).readToEnd().hasPrefix("HTTP/1.1 503 "))
        first = nil
        while server.connectionsOpen > 0 { sched_yield() }
        let third = try RawSocket(server.port)
        third.send("GET /3 HTTP/1.1\r\n\r\n")
        #expect(third.reply().hasSuffix("GET /3 - "))
    }

    @Test("a taken port is a coded error")
    func portTaken() throws {
        let server = try makeServer()
        defer { server.stop() }
        let error = #expect(throws: KelterError.self) {
            try LoopbackHTTPServer(port: server.port) { _ in .init(text: "") }
        }
        #expect(error?.code == .serviceStartFailed)
        #expect(error?.message.contains("\(server.port)") == true)
    }

    @Test("stopping ends idle and hanging connections and frees the port")
    func stop() throws {
        let server = try LoopbackHTTPServer { request in
            LoopbackHTTPServer.Response(text: "x").delivered(request.path == "/hang" ? .hang : .whole)
        }
        let idle = try RawSocket(server.port)
        let hanging = try RawSocket(server.port)
        hanging.send("GET /hang HTTP/1.1\r\n\r\n")
        while server.connectionsOpen < 2 { sched_yield() }
        server.stop()
        server.stop()
        #expect(server.connectionsOpen == 0)
        #expect(idle.readToEnd().isEmpty)
        #expect(hanging.readToEnd().isEmpty)
        let next = try LoopbackHTTPServer(port: server.port) { _ in .init(text: "") }
        next.stop()
    }

    @Test("a forgotten server is stopped")
    func forgotten() throws {
        var server: LoopbackHTTPServer? = try makeServer()
        let socket = try RawSocket(try #require(server).port)
        server = nil
        #expect(socket.readToEnd().isEmpty)
    }

    @Test("misbehaves as told")
    func deliveries() throws {
        let deliveries = Mutex<[LoopbackHTTPServer.Delivery]>([
            .cut(after: 2), .claimedLength(100), .noReply, .drip(bytes: 1, pause: .milliseconds(1)),
        ])
        let server = try LoopbackHTTPServer { _ in
            LoopbackHTTPServer.Response(text: "abcdef").delivered(deliveries.withLock { $0.removeFirst() })
        }
        defer { server.stop() }
        func ask() throws -> String {
            let socket = try RawSocket(server.port)
            socket.send("GET / HTTP/1.1\r\nConnection: close\r\n\r\n")
            return socket.readToEnd()
        }
        let cut = try ask()
        #expect(cut.contains("Content-Length: 6\r\n") && cut.hasSuffix("\r\n\r\nab"))
        let claimed = try ask()
        #expect(claimed.contains("Content-Length: 100\r\n") && claimed.hasSuffix("\r\n\r\nabcdef"))
        #expect(try ask().isEmpty)
        #expect(try ask().hasSuffix("\r\n\r\nabcdef"))
    }

    @Test("a client that goes away in the middle of a long answer does no harm")
    func brokenPipe() throws {
        let server = try LoopbackHTTPServer { _ in
            LoopbackHTTPServer.Response(body: Array(repeating: 0x61, count: 1 << 16), delivery: .endless)
        }
        defer { server.stop() }
        var socket: RawSocket? = try RawSocket(server.port)
        socket?.send("GET / HTTP/1.1\r\n\r\n")
        #expect(socket?.head().hasPrefix("HTTP/1.1 200") == true)
        socket = nil
        while server.connectionsOpen > 0 { sched_yield() }
    }

    @Test("many connections at a time")
    func many() async throws {
        let server = try makeServer()
        defer { server.stop() }
        for _ in 0..<20 {
            let sockets = try (0..<20).map { _ in try RawSocket(server.port) }
            for (number, socket) in sockets.enumerated() {
                socket.send("POST /\(number) HTTP/1.1\r\nContent-Length: 1\r\n\r\nx")
            }
            for (number, socket) in sockets.enumerated() { #expect(socket.reply().hasSuffix("POST /\(number) - x")) }
            while server.connectionsOpen > 20 { sched_yield() }
        }
        #expect(server.connectionsAccepted == 400)
    }
}

extension LoopbackHTTPServer.Response {
    fileprivate func delivered(_ delivery: LoopbackHTTPServer.Delivery) -> Self {
        var response = self
        response.delivery = delivery
        return response
    }
}

/// A blocking client socket that reads exactly what it is asked for.
private final class RawSocket {
    struct Failure: Error {}

    private let descriptor: Int32

    init(_ port: UInt16) throws {
        descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        address.sin_addr.s_addr = INADDR_LOOPBACK.bigEndian
        // A server that does not answer must fail a test, not hang it.
        var timeout = timeval(tv_sec: 5, tv_usec: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &timeout, socklen_t(MemoryLayout<timeval>.size))
        let status = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        guard status == 0 else { throw Failure() }
    }

    deinit {
        close(descriptor)
    }

    func send(_ text: String) { send(Array(text.utf8)) }

    func send(_ bytes: [UInt8]) {
        var rest = bytes[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { Glibc.send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
            guard count > 0 else { return }
            rest = rest.dropFirst(count)
        }
    }

    private func byte() -> UInt8? {
        var byte: UInt8 = 0
        return recv(descriptor, &byte, 1, 0) == 1 ? byte : nil
    }

    /// One head with its empty line.
    func head() -> String {
        var bytes: [UInt8] = []
        while !bytes.suffix(4).elementsEqual("\r\n\r\n".utf8), let byte = byte() { bytes.append(byte) }
        return String(decoding: bytes, as: UTF8.self)
    }

    /// One head and as much body as it announces.
    func reply() -> String {
        let head = head()
        let length = head.split(separator: "\r\n").first { $0.hasPrefix("Content-Length: ") }
        var body: [UInt8] = []
        for _ in 0..<(length.flatMap { Int($0.dropFirst(16)) } ?? 0) {
            guard let byte = byte() else { break }
            body.append(byte)
        }
        return head + String(decoding: body, as: UTF8.self)
    }

    func readToEnd() -> String {
        var bytes: [UInt8] = []
        while let byte = byte() { bytes.append(byte) }
        return String(decoding: bytes, as: UTF8.self)
    }
}
