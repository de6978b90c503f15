import Foundation
import Glibc
import KelterModel
import KelterTestSupport
import Testing

/// Clients that are slow, silent, half gone or too talkative do not block others.
///
/// One after the other: each test starts servers of its own, and all at once would starve each other.
@Suite("HTTP: difficult clients", .serialized)
struct HTTPClientsTests {
    /// A connection whose bytes the test writes itself.
    final class RawConnection {
        let descriptor: Int32

        init(port: UInt16) throws {
            descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
            var address = sockaddr_in()
            address.sin_family = sa_family_t(AF_INET)
            address.sin_port = port.bigEndian
            address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
            let status = withUnsafePointer(to: &address) { pointer in
                pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
                }
            }
            guard status == 0 else { throw HTTPServerProcess.StartFailure(messages: "connect: \(errno)") }
            var limit = timeval(tv_sec: 20, tv_usec: 0)
            setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
        }

        deinit { close(descriptor) }

        /// Whether all bytes could be sent.
        @discardableResult
        func write(_ text: String) -> Bool {
            let bytes = Array(text.utf8)
            return send(descriptor, bytes, bytes.count, Int32(MSG_NOSIGNAL)) == bytes.count
        }

        /// What comes until the other side closes, or until 20 s of silence.
        func readAll() -> String {
            var all: [UInt8] = []
            var piece = [UInt8](repeating: 0, count: 4096)
            while true {
                let count = recv(descriptor, &piece, piece.count, 0)
                guard count > 0 else { return String(decoding: all, as: UTF8.self) }
                all += piece[..<count]
            }
        }
    }

    private static let headers = developmentHeaders.map { "\($0): \($1)\r\n" }.joined()

    @Test("1,000 idle connections, slow headers, half-open uploads and oversized headers leave others alone")
    func crowd() async throws {
        var limit = rlimit()
        getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
        limit.rlim_cur = max(limit.rlim_cur, min(limit.rlim_max, 4096))
        setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
        try await World.with { world in
            try await world.registerTenants()
            try await HTTPServerProcess.with(world, ["--idle-timeout", "3"]) { server in
                let idle = try (0..<1000).map { _ in try RawConnection(port: server.port) }
                let slowHeader = try RawConnection(port: server.port)
                slowHeader.write("GET /ai/ping/ HTTP/1.1\r\nHost: localhost\r\nX-Slow: ")
                let halfOpen = try RawConnection(port: server.port)
                halfOpen.write(
                    "POST /ai/rag/documents/upload/ HTTP/1.1\r\nHost: localhost\r\n\(Self.headers)Content-Type: "
                        + "multipart/form-data; boundary=b\r\nContent-Length: 1000000\r\n\r\n--b\r\n"
                        + "Content-Disposition: form-data; name=\"file\"; filename=\"a.txt\"\r\n\r\nbegun"
                )
                let clock = ContinuousClock()
                let start = clock.now
                for _ in 0..<20 {
                    let status = try await server.get("/ai/ping/").status
                    #expect(status == 200)
                }
                #expect(clock.now - start < .seconds(5))
                #expect(try await server.ingest("n.txt", "Words.")["status"] == .string("succeeded"))

                for name in ["X-Long", "Cookie"] {
                    let long = try RawConnection(port: server.port)
                    long.write(
                        "GET /ai/ping/ HTTP/1.1\r\nHost: localhost\r\n\(name): \(String(repeating: "x", count: 60_000))\r\n\r\n"
                    )
                    let answer = long.readAll()
                    #expect(answer.hasPrefix("HTTP/1.1 4"), "\(answer.prefix(80))")
                }
                let many = try RawConnection(port: server.port)
                let fields = (0..<500).map { "X-\($0): y\r\n" }.joined()
                many.write("GET /ai/ping/ HTTP/1.1\r\nHost: localhost\r\n\(fields)\r\n")
                #expect(many.readAll().hasPrefix("HTTP/1.1 4"))

                // Silence is ended by the server, and what had come of the upload goes.
                #expect(slowHeader.readAll().isEmpty || !slowHeader.readAll().contains("200 OK"))
                _ = halfOpen.readAll()
                for _ in 0..<100 where world.objects.contains(where: { $0.hasSuffix(".part") }) {
                    try await Task.sleep(for: .milliseconds(50))
                }
                #expect(!world.objects.contains { $0.hasPrefix(".incoming") }, "\(world.objects)")
                withExtendedLifetime(idle) {}
                #expect(try await server.get("/ai/ping/").status == 200)
            }
        }
    }

    @Test("a connection is good for more requests after a refused one with a short body, and ends after a long one")
    func keepAlive() async throws {
        try await World.with { world in
            try await world.registerTenants()
            try await HTTPServerProcess.with(world) { server in
                let query =
                    "POST /ai/rag/query/ HTTP/1.1\r\nHost: localhost\r\n\(Self.headers)"
                    + "Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"
                let short = try RawConnection(port: server.port)
                short.write(query)
                try await Task.sleep(for: .milliseconds(1500))
                short.write(
                    query.replacingOccurrences(of: "Host: localhost", with: "Host: localhost\r\nConnection: close")
                )
                let answers = short.readAll()
                #expect(answers.components(separatedBy: "missing_question").count == 3, "\(answers)")

                let long = try RawConnection(port: server.port)
                long.write(
                    "POST /ai/rag/query/ HTTP/1.1\r\nHost: localhost\r\n\(Self.headers)"
                        + "Content-Type: application/json\r\nContent-Length: 100000000\r\n\r\n"
                        + String(repeating: "x", count: 2 << 20)
                )
                let refused = long.readAll()
                #expect(refused.contains("request_too_large"))
                #expect(refused.lowercased().contains("connection: close"))
            }
        }
    }

    @Test("a client that goes away in the middle of an upload leaves no file")
    func brokenUpload() async throws {
        try await World.with { world in
            try await world.registerTenants()
            try await HTTPServerProcess.with(world) { server in
                for _ in 0..<10 {
                    let connection = try RawConnection(port: server.port)
                    connection.write(
                        "POST /ai/rag/documents/upload/ HTTP/1.1\r\nHost: localhost\r\n\(Self.headers)Content-Type: "
                            + "multipart/form-data; boundary=b\r\nContent-Length: 1000000\r\n\r\n--b\r\n"
                            + "Content-Disposition: form-data; name=\"file\"; filename=\"a.txt\"\r\n\r\n"
                            + String(repeating: "words ", count: 60_000)
                    )
                    try await Task.sleep(for: .milliseconds(20))
                }
                for _ in 0..<100 where !world.objects.isEmpty { try await Task.sleep(for: .milliseconds(50)) }
                #expect(world.objects.isEmpty, "\(world.objects)")
                #expect(try await world.count("SELECT count(*) FROM rag.runs") == 0)
            }
        }
    }
}
