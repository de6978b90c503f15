import Foundation
import Glibc
import KelterTestSupport
import Testing

@Suite("The proxy that breaks commits")
struct CommitBreakingProxyTests {
    @Test("a server that has gone away while its client still speaks costs a connection, not the process")
    func brokenPipe() throws {
        let directory = try TestServer.makeTemporaryDirectory()
        defer { try? FileManager.default.removeItem(atPath: directory) }
        let listener = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
        defer { close(listener) }
        try #require(CommitBreakingProxy.with(address: directory + "/.s.PGSQL.5432") { bind(listener, $0, $1) } == 0)
        try #require(listen(listener, 8) == 0)
        let proxy = try CommitBreakingProxy(url: "postgresql:///postgres?host=\(directory)&user=nobody")
        let front = try #require(proxy.url.firstMatch(of: /host=([^&]+)/)).1
        for _ in 0..<100 {
            let client = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
            defer { close(client) }
            try #require(CommitBreakingProxy.with(address: front + "/.s.PGSQL.5432") { connect(client, $0, $1) } == 0)
            var byte: UInt8 = 0x58
            _ = send(client, &byte, 1, Int32(MSG_NOSIGNAL))
            // The server gives up a session without reading.
            close(accept(listener, nil, nil))
            #expect(read(client, &byte, 1) <= 0)
        }
    }
}
