import Glibc

/// The two ends of the talk between the endpoint and a worker: one question, one answer, over a socket.
///
/// A question is 8 bytes (operation, kind, two zeros, length) and the text; an answer is 8 bytes (status, three zeros,
/// length) and the payload. Numbers are in the byte order of the machine, which both ends share.
struct EngineChannel {
    enum Operation: UInt8 {
        /// The payload of the answer is a `UInt32`.
        case countTokens = 1
        /// The payload of the answer is the vector as `Float`s.
        case embed = 2
    }

    let descriptor: Int32

    /// Sends a question or an answer; `false` when the other end is gone.
    func send(_ first: UInt8, _ second: UInt8 = 0, payload: [UInt8]) -> Bool {
        var frame: [UInt8] = [first, second, 0, 0]
        frame.reserveCapacity(8 + payload.count)
        withUnsafeBytes(of: UInt32(payload.count)) { frame.append(contentsOf: $0) }
        frame.append(contentsOf: payload)
        var sent = 0
        while sent < frame.count {
            // A dead worker must be an answer here, not a SIGPIPE.
            let count = frame[sent...].withUnsafeBytes {
                Glibc.send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
            }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { return false }
            sent += count
        }
        return true
    }

    /// Receives the other end's frame; `nil` when it is gone, or silent beyond the socket's time limit.
    func receive() -> (first: UInt8, second: UInt8, payload: [UInt8])? {
        guard let head = receive(count: 8) else { return nil }
        let length = head.withUnsafeBytes { $0.loadUnaligned(fromByteOffset: 4, as: UInt32.self) }
        guard length <= Self.longest, let payload = receive(count: Int(length)) else { return nil }
        return (head[0], head[1], payload)
    }

    /// No text or vector is longer; whatever says so is not a worker.
    private static let longest = 128 << 20

    private func receive(count: Int) -> [UInt8]? {
        var isComplete = true
        let bytes = [UInt8](unsafeUninitializedCapacity: count) { buffer, filled in
            while filled < count {
                let rest = UnsafeMutableBufferPointer(rebasing: buffer[filled...])
                let received = recv(descriptor, rest.baseAddress, rest.count, 0)
                if received < 0, errno == EINTR { continue }
                guard received > 0 else {
                    isComplete = false
                    return
                }
                filled += received
            }
        }
        return isComplete ? bytes : nil
    }
}
