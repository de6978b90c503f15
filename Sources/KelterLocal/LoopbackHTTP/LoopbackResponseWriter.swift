import Glibc

/// Puts answers on a socket, well behaved or, for tests, not.
struct LoopbackResponseWriter {
    private let descriptor: Int32

    init(_ descriptor: Int32) {
        self.descriptor = descriptor
    }

    /// Sends an answer; whether the connection can go on.
    func write(_ response: LoopbackHTTPServer.Response, isHead: Bool, keepsAlive: Bool) -> Bool {
        let body = isHead ? [] : response.body
        switch response.delivery {
        case .whole:
            return send(head(response, length: response.body.count, keepsAlive: keepsAlive) + body)
        case .cut(let count):
            _ = send(head(response, length: response.body.count, keepsAlive: keepsAlive) + body.prefix(count))
            return false
        case .claimedLength(let length):
            _ = send(head(response, length: length, keepsAlive: keepsAlive) + body)
            return false
        case .drip(let bytes, let pause):
            guard send(head(response, length: response.body.count, keepsAlive: keepsAlive)) else { return false }
            for start in stride(from: 0, to: body.count, by: max(1, bytes)) {
                guard wait(pause), send(Array(body[start..<min(start + max(1, bytes), body.count)])) else {
                    return false
                }
            }
            return true
        case .endless:
            let piece = body.isEmpty ? [UInt8(ascii: " ")] : body
            var isOpen = send(head(response, length: nil, keepsAlive: false))
            while isOpen { isOpen = send(piece) }
            return false
        case .noReply:
            return false
        case .reset:
            // Lingering for zero seconds makes close() send RST.
            var linger = Glibc.linger(l_onoff: 1, l_linger: 0)
            setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &linger, socklen_t(MemoryLayout<Glibc.linger>.size))
            return false
        case .hang:
            _ = wait(nil)
            return false
        }
    }

    private func head(_ response: LoopbackHTTPServer.Response, length: Int?, keepsAlive: Bool) -> [UInt8] {
        var text = "HTTP/1.1 \(response.status) \(Self.reason(response.status))\r\n"
        if !response.contentType.isEmpty { text += "Content-Type: \(response.contentType)\r\n" }
        for (name, value) in response.headers { text += "\(name): \(value)\r\n" }
        if let length, response.status != 204 { text += "Content-Length: \(length)\r\n" }
        if !keepsAlive { text += "Connection: close\r\n" }
        return Array((text + "\r\n").utf8)
    }

    /// Sends all bytes; `false` when the peer is gone, too slow, or the server is stopping.
    func send(_ bytes: [UInt8]) -> Bool {
        bytes.withUnsafeBytes { bytes in
            var sent = 0
            while sent < bytes.count {
                let rest = UnsafeRawBufferPointer(rebasing: bytes[sent...])
                let count = Glibc.send(descriptor, rest.baseAddress, rest.count, Int32(MSG_NOSIGNAL))
                if count > 0 {
                    sent += count
                } else if count == 0 || errno != EINTR {
                    return false
                }
            }
            return true
        }
    }

    /// Waits for a time, or without one for the end of the connection; `false` when the peer has closed it.
    private func wait(_ duration: Duration?) -> Bool {
        let end = duration.map { ContinuousClock.now + $0 }
        while true {
            var timeout: Int32 = -1
            if let end {
                let rest = (end - .now).components
                if rest.seconds < 0 || rest.attoseconds <= 0, rest.seconds <= 0 { return true }
                timeout = Int32(clamping: rest.seconds * 1000 + rest.attoseconds / 1_000_000_000_000_000 + 1)
            }
            // POLLRDHUP is told without reading, so that a pipelined request is not lost.
            var entry = pollfd(fd: descriptor, events: Int16(truncatingIfNeeded: Self.peerClosed), revents: 0)
            let count = poll(&entry, 1, timeout)
            if count > 0 { return false }
            if count < 0, errno != EINTR { return false }
        }
    }

    /// POLLRDHUP, which `poll.h` hides without `_GNU_SOURCE`.
    private static let peerClosed = 0x2000

    private static func reason(_ status: Int) -> String {
        switch status {
        case 200: "OK"
        case 201: "Created"
        case 202: "Accepted"
        case 204: "No Content"
        case 302: "Found"
        case 307: "Temporary Redirect"
        case 400: "Bad Request"
        case 401: "Unauthorized"
        case 403: "Forbidden"
        case 404: "Not Found"
        case 405: "Method Not Allowed"
        case 408: "Request Timeout"
        case 413: "Content Too Large"
        case 417: "Expectation Failed"
        case 422: "Unprocessable Content"
        case 429: "Too Many Requests"
        case 431: "Request Header Fields Too Large"
        case 500: "Internal Server Error"
        case 501: "Not Implemented"
        case 502: "Bad Gateway"
        case 503: "Service Unavailable"
        case 504: "Gateway Timeout"
        case 505: "HTTP Version Not Supported"
        default: "Status"
        }
    }
}
