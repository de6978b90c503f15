import Glibc
import KelterModel

/// A parser process as its parent sees it: one request, one answer, by a thread that waits for it.
///
/// Unchecked, because the compiler cannot see the rule: a pool hands it from thread to thread behind its lock, and only the
/// thread that has taken it out uses it.
final class ParserProcess: @unchecked Sendable {
    /// How a request ended without an answer.
    enum Failure: Error {
        /// The process ended: by which signal, 0 for an exit.
        case ended(signal: Int32)
        /// It had no memory left.
        case outOfMemory
        /// The time was up.
        case timeout
        /// What it sent is no answer.
        case garbled
    }

    /// More than any answer has.
    private static let mostHeadBytes = 1 << 30

    private let pid: pid_t
    private let socket: Int32
    private var isRunning = true
    /// The requests it has answered.
    private(set) var answered = 0
    /// The memory it kept after the last one, in bytes.
    private(set) var memory = 0

    /// - Parameters:
    ///   - pid: The child, which is waited for here.
    ///   - socket: The other end of its socket, which is closed here.
    init(pid: pid_t, socket: Int32) {
        self.pid = pid
        self.socket = socket
    }

    deinit {
        _ = end()
    }

    /// Sends a request and waits for the answer.
    ///
    /// - Parameters:
    ///   - request: The request.
    ///   - seconds: How long it may take by the clock.
    /// - Returns: The answer.
    /// - Throws: ``Failure``; the process is no more then.
    func answer(_ request: ParserRequest, within seconds: Int) throws(Failure) -> ParserReply {
        let deadline = Deadline(seconds: seconds)
        try send(request.head, deadline)
        try send(request.bytes, deadline)
        var reader = MessageReader(try receive(ParserReply.headBytes, deadline))
        guard let memory = reader.number(8), let restBytes = reader.number(8), let textBytes = reader.number(8),
            restBytes <= Self.mostHeadBytes, textBytes <= Self.mostHeadBytes
        else {
            _ = end()
            throw .garbled
        }
        let rest = try receive(restBytes, deadline)
        let text = try receive(textBytes, deadline)
        guard let reply = ParserReply(memory: memory, rest, text: text) else {
            _ = end()
            throw .garbled
        }
        answered += 1
        self.memory = memory
        return reply
    }

    private func send(_ bytes: [UInt8], _ deadline: Deadline) throws(Failure) {
        var sent = 0
        while sent < bytes.count {
            try wait(for: Int16(POLLOUT), deadline)
            let step = bytes.withUnsafeBytes { bytes in
                Glibc.send(
                    socket,
                    bytes.baseAddress.map { $0 + sent },
                    bytes.count - sent,
                    Int32(MSG_NOSIGNAL) | Int32(MSG_DONTWAIT)
                )
            }
            if step < 0, errno == EINTR || errno == EAGAIN { continue }
            guard step > 0 else { throw end(isEnding: true) }
            sent += step
        }
    }

    private func receive(_ count: Int, _ deadline: Deadline) throws(Failure) -> [UInt8] {
        var failure: Failure?
        let bytes = [UInt8](unsafeUninitializedCapacity: count) { buffer, filled in
            filled = 0
            do throws(Failure) {
                while filled < count {
                    try wait(for: Int16(POLLIN), deadline)
                    let step = recv(
                        socket,
                        buffer.baseAddress.map { $0 + filled },
                        count - filled,
                        Int32(MSG_DONTWAIT)
                    )
                    if step < 0, errno == EINTR || errno == EAGAIN { continue }
                    guard step > 0 else { throw end(isEnding: true) }
                    filled += step
                }
            } catch {
                failure = error
            }
        }
        if let failure { throw failure }
        return bytes
    }

    private func wait(for events: Int16, _ deadline: Deadline) throws(Failure) {
        while true {
            var descriptor = pollfd(fd: socket, events: events, revents: 0)
            let count = poll(&descriptor, 1, Int32(clamping: deadline.milliseconds))
            if count > 0 { return }
            if count < 0, errno == EINTR { continue }
            _ = end()
            throw .timeout
        }
    }

    /// Ends the process.
    ///
    /// - Parameter isEnding: Whether it has closed its socket and so is about to end by itself: how is worth a wait, and
    ///   a large one is a while at giving its memory back.
    /// - Returns: How it had ended before, an exit when it had not.
    private func end(isEnding: Bool = false) -> Failure {
        guard isRunning else { return .ended(signal: 0) }
        isRunning = false
        close(socket)
        var status: Int32 = 0
        for _ in 0..<(isEnding ? 5_000 : 20) {
            if waitpid(pid, &status, WNOHANG) == pid {
                return status == WorkerMemory.exitCode << 8 ? .outOfMemory : .ended(signal: status & 0x7F)
            }
            usleep(1_000)
        }
        kill(pid, SIGKILL)
        while waitpid(pid, &status, 0) < 0, errno == EINTR {}
        return .ended(signal: 0)
    }
}

/// A time by the clock that does not stand still when the system's time is set.
private struct Deadline {
    private let end: ContinuousClock.Instant

    init(seconds: Int) {
        end = .now + .seconds(seconds)
    }

    var milliseconds: Int {
        let left = ContinuousClock.now.duration(to: end).components
        return max(0, Int(left.seconds) * 1000 + Int(left.attoseconds / 1_000_000_000_000_000))
    }
}
