import Glibc
import KelterModel

/// One accepted connection, served on its own thread.
struct LoopbackConnection {
    private enum End: Error {
        /// The peer is gone, silent for too long, or the server is stopping: nobody to answer.
        case gone
        case refused(LoopbackRequestHead.Refusal)
    }

    private let descriptor: Int32
    private let limits: LoopbackHTTPServer.Limits
    private let clock = ContinuousClock()
    private var buffer: [UInt8] = []
    private var position = 0
    private var deadline: ContinuousClock.Instant?

    init(_ descriptor: Int32, limits: LoopbackHTTPServer.Limits) {
        self.descriptor = descriptor
        self.limits = limits
        var one: Int32 = 1
        setsockopt(descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, &one, socklen_t(MemoryLayout<Int32>.size))
        setTimeout(SO_SNDTIMEO, limits.transfer)
    }

    /// Answers a connection there is no room for.
    static func refuse(_ descriptor: Int32) {
        let text = "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        _ = LoopbackResponseWriter(descriptor).send(Array(text.utf8))
    }

    /// Answers requests until the connection ends.
    mutating func serve(_ handler: (LoopbackHTTPServer.Request) -> LoopbackHTTPServer.Response) {
        let writer = LoopbackResponseWriter(descriptor)
        while true {
            do throws(End) {
                let (head, body) = try readRequest()
                let request = LoopbackHTTPServer.Request(
                    method: head.method,
                    path: head.path,
                    headers: head.headers,
                    body: body
                )
                let response = handler(request)
                guard writer.write(response, isHead: head.method == "HEAD", keepsAlive: head.keepsAlive),
                    head.keepsAlive
                else { return }
            } catch {
                if case .refused(let refusal) = error {
                    let response = LoopbackHTTPServer.Response(
                        status: refusal.status,
                        contentType: "text/plain",
                        text: refusal.reason + "\n"
                    )
                    _ = writer.write(response, isHead: false, keepsAlive: false)
                    drain()
                }
                return
            }
        }
    }

    /// Reads on for a moment after a refusal, since closing over unread input resets the connection and may destroy
    /// the answer on its way.
    private mutating func drain() {
        shutdown(descriptor, Int32(SHUT_WR))
        setTimeout(SO_RCVTIMEO, .milliseconds(200))
        deadline = clock.now + .milliseconds(500)
        while (try? fill()) != nil { buffer.removeAll(keepingCapacity: true) }
    }

    private mutating func readRequest() throws(End) -> (LoopbackRequestHead, [UInt8]) {
        buffer.removeFirst(position)
        position = 0
        let end = try readHead()
        let head: LoopbackRequestHead
        do throws(LoopbackRequestHead.Refusal) {
            head = try LoopbackRequestHead(buffer[..<end])
        } catch {
            throw .refused(error)
        }
        position = end + 4
        switch head.framing {
        case .length(let count):
            guard count <= limits.bodyBytes else { throw tooLarge }
            if head.expectsContinue, buffer.count < position + count { try sendContinue() }
            buffer.reserveCapacity(position + count)
            try need(count)
            defer { position += count }
            return (head, Array(buffer[position..<position + count]))
        case .chunked:
            if head.expectsContinue { try sendContinue() }
            return (head, try readChunks())
        }
    }

    /// Reads up to the empty line; where it begins.
    private mutating func readHead() throws(End) -> Int {
        deadline = buffer.isEmpty ? nil : clock.now + limits.transfer
        setTimeout(SO_RCVTIMEO, buffer.isEmpty ? limits.idle : limits.transfer)
        var scanned = 0
        while true {
            while scanned + 4 <= min(buffer.count, limits.headBytes) {
                if buffer[scanned] == 0x0D, buffer[scanned + 1] == 0x0A, buffer[scanned + 2] == 0x0D,
                    buffer[scanned + 3] == 0x0A
                {
                    return scanned
                }
                scanned += 1
            }
            guard buffer.count < limits.headBytes else {
                throw .refused(LoopbackRequestHead.Refusal(431, "header fields too large"))
            }
            try fill()
            if deadline == nil {
                deadline = clock.now + limits.transfer
                setTimeout(SO_RCVTIMEO, limits.transfer)
            }
        }
    }

    /// Reads a chunked body and its trailers; RFC 9112 section 7.1.
    private mutating func readChunks() throws(End) -> [UInt8] {
        var body: [UInt8] = []
        while true {
            let line = try readLine()
            let digits = line.prefix { hexValue($0) != nil }
            guard (1...8).contains(digits.count) else { throw badChunk }
            let size = digits.reduce(0) { $0 << 4 | Int(hexValue($1) ?? 0) }
            if size == 0 { break }
            guard body.count + size <= limits.bodyBytes else { throw tooLarge }
            try need(size + 2)
            body.append(contentsOf: buffer[position..<position + size])
            position += size
            guard buffer[position] == 0x0D, buffer[position + 1] == 0x0A else { throw badChunk }
            position += 2
            // What is copied is let go, or a long body would be held twice.
            buffer.removeFirst(position)
            position = 0
        }
        while try !readLine().isEmpty {}
        return body
    }

    private mutating func readLine() throws(End) -> [UInt8] {
        var end = position
        while true {
            while end + 1 < buffer.count {
                if buffer[end] == 0x0D, buffer[end + 1] == 0x0A {
                    defer { position = end + 2 }
                    return Array(buffer[position..<end])
                }
                end += 1
            }
            guard end - position < 4096 else { throw badChunk }
            try fill()
        }
    }

    /// Reads until this many unread bytes are buffered.
    private mutating func need(_ count: Int) throws(End) {
        while buffer.count - position < count { try fill() }
    }

    /// Receives once and appends to the buffer.
    private mutating func fill() throws(End) {
        while true {
            if let deadline, clock.now > deadline { throw timedOut }
            let count = withUnsafeTemporaryAllocation(byteCount: 64 << 10, alignment: 16) { bytes in
                let count = recv(descriptor, bytes.baseAddress, bytes.count, 0)
                if count > 0 { buffer.append(contentsOf: bytes[..<count]) }
                return count
            }
            if count > 0 { return }
            if count == 0 { throw .gone }
            if errno == EINTR { continue }
            guard errno == EAGAIN || errno == EWOULDBLOCK, deadline != nil else { throw .gone }
            throw timedOut
        }
    }

    private func sendContinue() throws(End) {
        guard LoopbackResponseWriter(descriptor).send(Array("HTTP/1.1 100 Continue\r\n\r\n".utf8)) else { throw .gone }
    }

    private func setTimeout(_ option: Int32, _ duration: Duration) {
        let (seconds, attoseconds) = duration.components
        var value = timeval(tv_sec: Int(seconds), tv_usec: Int(attoseconds / 1_000_000_000_000))
        setsockopt(descriptor, SOL_SOCKET, option, &value, socklen_t(MemoryLayout<timeval>.size))
    }

    private var tooLarge: End { .refused(LoopbackRequestHead.Refusal(413, "body too large")) }
    private var badChunk: End { .refused(LoopbackRequestHead.Refusal(400, "bad chunked body")) }
    private var timedOut: End { .refused(LoopbackRequestHead.Refusal(408, "request took too long")) }
}
