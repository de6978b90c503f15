import Foundation
package import Glibc
package import KelterModel
import Synchronization

/// A proxy before PostgreSQL's local socket that breaks connections at the worst moment: the server has got a COMMIT and
/// carried it out, and its client never hears of it.
package final class CommitBreakingProxy: Sendable {
    /// Address of the proxy in place of the server's directory.
    package let url: String
    private let directory: String
    private let listener: Int32
    private let left: Mutex<Int>
    /// A side that has gone away is the end of a connection, not a SIGPIPE.
    private static let flags = Int32(MSG_NOSIGNAL)

    /// How many COMMITs are still to be broken.
    package var remaining: Int { left.withLock { $0 } }

    /// Begins to forward.
    ///
    /// - Parameters:
    ///   - url: The server's address, with its directory as `host=`.
    ///   - count: How many COMMITs are broken, from the first on.
    /// - Throws: ``KelterError`` with ``ErrorCode/serviceStartFailed``.
    package init(url: String, breaking count: Int = 1) throws(KelterError) {
        guard let start = url.firstRange(of: "host="), let end = url[start.upperBound...].firstIndex(of: "&") else {
            throw KelterError(.serviceStartFailed, "The address names no directory.")
        }
        let server = String(url[start.upperBound..<end])
        var template = Array("/tmp/kelter-proxy-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else {
            throw KelterError(.serviceStartFailed, "There is no directory in /tmp.")
        }
        let directory = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        self.directory = directory
        self.url = url.replacing("host=" + server, with: "host=" + directory)
        left = Mutex(count)
        let listener = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
        self.listener = listener
        guard Self.with(address: directory + "/.s.PGSQL.5432", { bind(listener, $0, $1) }) == 0,
            listen(listener, 8) == 0
        else { throw KelterError(.serviceStartFailed, "The proxy cannot listen.") }
        // Blocking calls do not belong on the cooperative pool; the threads end with their sockets.
        Thread.detachNewThread { [weak self] in
            while true {
                let client = accept(listener, nil, nil)
                guard client >= 0 else { return }
                let upstream = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
                _ = Self.with(address: server + "/.s.PGSQL.5432") { connect(upstream, $0, $1) }
                Thread.detachNewThread { [weak self] in
                    self?.forward(client, upstream)
                    close(client)
                    close(upstream)
                }
            }
        }
    }

    deinit {
        shutdown(listener, Int32(SHUT_RDWR))
        close(listener)
        unlink(directory + "/.s.PGSQL.5432")
        rmdir(directory)
    }

    /// Passes bytes on in both directions until one side ends or a COMMIT is to be broken.
    private func forward(_ client: Int32, _ upstream: Int32) {
        var buffer = [UInt8](repeating: 0, count: 64 << 10)
        while true {
            var descriptors = [
                pollfd(fd: client, events: Int16(POLLIN), revents: 0),
                pollfd(fd: upstream, events: Int16(POLLIN), revents: 0),
            ]
            guard poll(&descriptors, 2, -1) > 0 else { return }
            if descriptors[0].revents != 0 {
                let count = read(client, &buffer, buffer.count)
                guard count > 0, send(upstream, buffer, count, Self.flags) == count else { return }
                // A simple query: 'Q', its length, the text, NUL.
                if buffer[..<count].elementsEqual(Array("Q\0\0\0\u{B}COMMIT\0".utf8)), takeBreak() {
                    // Until it has answered, the transaction may still be under way.
                    _ = read(upstream, &buffer, buffer.count)
                    return
                }
            }
            if descriptors[1].revents != 0 {
                let count = read(upstream, &buffer, buffer.count)
                guard count > 0, send(client, buffer, count, Self.flags) == count else { return }
            }
        }
    }

    private func takeBreak() -> Bool {
        left.withLock { left in
            guard left > 0 else { return false }
            left -= 1
            return true
        }
    }

    /// Calls a function of the kernel with the address of a local socket.
    package static func with(address path: String, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Int32) -> Int32 {
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8.prefix($0.count - 1)) }
        return withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { body($0, socklen_t(MemoryLayout<sockaddr_un>.size)) }
        }
    }
}
