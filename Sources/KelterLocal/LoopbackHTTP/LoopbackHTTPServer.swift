import Glibc
package import KelterModel
import Synchronization

/// An HTTP/1.1 server for the loopback interface only.
///
/// Keep-alive, pipelined requests, `Content-Length` and chunked request bodies, `Expect: 100-continue`, bounded sizes,
/// times and connections; RFC 9112. Each connection has its own thread, on which the handler runs, so a handler may
/// block. There is no TLS and no authentication: 127.0.0.1 is the boundary.
package final class LoopbackHTTPServer: Sendable {
    private let core: Core

    /// Binds 127.0.0.1 and begins to serve.
    ///
    /// - Parameters:
    ///   - port: The port; 0 takes any free one.
    ///   - limits: Bounds of sizes, times and connections.
    ///   - handler: Answers one request; called on the connection's own thread, many at a time.
    /// - Throws: ``KelterError`` with ``ErrorCode/serviceStartFailed`` when the port is taken or no socket or thread is
    ///   to be had.
    package init(
        port: UInt16 = 0,
        limits: Limits = Limits(),
        handler: @escaping @Sendable (Request) -> Response
    ) throws(KelterError) {
        core = try Core(port: port, limits: limits, handler: handler)
        try core.start()
    }

    deinit {
        core.stop()
    }

    /// The port that is listened on.
    package var port: UInt16 { core.port }

    /// How many connections were accepted since the start.
    package var connectionsAccepted: Int { core.accepted }

    /// How many connections are open now.
    package var connectionsOpen: Int { core.open }

    /// Closes the listener and all connections and waits for their threads; a second call does nothing.
    ///
    /// A handler that is running is waited for. Must not be called from a handler.
    package func stop() {
        core.stop()
    }
}

/// What the threads share; they hold this and not the server, so that a forgotten server is stopped by its `deinit`.
private final class Core: Sendable {
    private struct State {
        var isStopping = false
        var acceptor: OwnedThread?
        var nextID: UInt64 = 0
        var sockets: [UInt64: Int32] = [:]
        var threads: [UInt64: OwnedThread] = [:]
        var finished: [UInt64] = []
    }

    let port: UInt16
    private let listener: Int32
    private let limits: LoopbackHTTPServer.Limits
    private let handler: @Sendable (LoopbackHTTPServer.Request) -> LoopbackHTTPServer.Response
    private let state = Mutex(State())

    var accepted: Int { state.withLock { Int($0.nextID) } }
    var open: Int { state.withLock { $0.sockets.count } }

    init(
        port: UInt16,
        limits: LoopbackHTTPServer.Limits,
        handler: @escaping @Sendable (LoopbackHTTPServer.Request) -> LoopbackHTTPServer.Response
    ) throws(KelterError) {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { throw Self.failure(port, errno) }
        guard let bound = Self.bindLoopback(descriptor, port: port) else {
            let code = errno
            close(descriptor)
            throw Self.failure(port, code)
        }
        self.port = bound
        listener = descriptor
        self.limits = limits
        self.handler = handler
    }

    /// Binds and listens; the port, or `nil` with `errno` set.
    private static func bindLoopback(_ descriptor: Int32, port: UInt16) -> UInt16? {
        var one: Int32 = 1
        setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &one, socklen_t(MemoryLayout<Int32>.size))
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        address.sin_addr.s_addr = INADDR_LOOPBACK.bigEndian
        var size = socklen_t(MemoryLayout<sockaddr_in>.size)
        let status = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { generic in
                if bind(descriptor, generic, size) != 0 { return Int32(-1) }
                if listen(descriptor, 128) != 0 { return Int32(-1) }
                return getsockname(descriptor, generic, &size)
            }
        }
        return status == 0 ? UInt16(bigEndian: address.sin_port) : nil
    }

    private static func failure(_ port: UInt16, _ code: Int32) -> KelterError {
        KelterError(
            .serviceStartFailed,
            "Cannot listen on 127.0.0.1:\(port): \(String(cString: strerror(code))).",
            fix: "Choose another port, or end the program that holds this one."
        )
    }

    func start() throws(KelterError) {
        guard let thread = OwnedThread({ self.acceptConnections() }) else {
            close(listener)
            throw Self.failure(port, EAGAIN)
        }
        state.withLock { $0.acceptor = thread }
    }

    func stop() {
        let acceptor = state.withLock { state -> OwnedThread? in
            state.isStopping = true
            // A shut-down socket wakes whoever blocks on it; its owner then closes it.
            for socket in state.sockets.values { shutdown(socket, Int32(SHUT_RDWR)) }
            defer { state.acceptor = nil }
            return state.acceptor
        }
        guard let acceptor else { return }
        shutdown(listener, Int32(SHUT_RDWR))
        acceptor.join()
        close(listener)
        for thread in state.withLock({ Array($0.threads.values) }) { thread.join() }
    }

    private func acceptConnections() {
        while true {
            let descriptor = accept(listener, nil, nil)
            let code = errno
            joinFinished()
            if descriptor < 0 {
                if state.withLock({ $0.isStopping }) { return }
                // Out of descriptors or memory: the connection stays in the backlog until some are free again.
                if code != EINTR, code != ECONNABORTED { usleep(10_000) }
                continue
            }
            _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC)
            if !serve(descriptor) { return }
        }
    }

    /// Gives a connection its thread; `false` when the server is stopping.
    private func serve(_ descriptor: Int32) -> Bool {
        let limit = limits.connections
        enum Verdict { case served, full, stopping }
        let verdict = state.withLock { state -> Verdict in
            if state.isStopping { return .stopping }
            if state.sockets.count >= limit { return .full }
            let id = state.nextID
            // Started under the lock: the thread's own end needs the lock, so it cannot come before its entry.
            guard let thread = OwnedThread({ self.run(descriptor, id: id) }) else { return .full }
            state.nextID += 1
            state.sockets[id] = descriptor
            state.threads[id] = thread
            return .served
        }
        switch verdict {
        case .served:
            return true
        case .full:
            LoopbackConnection.refuse(descriptor)
            close(descriptor)
            return true
        case .stopping:
            close(descriptor)
            return false
        }
    }

    private func run(_ descriptor: Int32, id: UInt64) {
        var connection = LoopbackConnection(descriptor, limits: limits)
        connection.serve(handler)
        state.withLock { state in
            // Closed under the lock: the number must not be another file's when `stop` shuts it down.
            close(descriptor)
            state.sockets[id] = nil
            state.finished.append(id)
        }
    }

    private func joinFinished() {
        let threads = state.withLock { state in
            defer { state.finished.removeAll() }
            return state.finished.compactMap { state.threads.removeValue(forKey: $0) }
        }
        for thread in threads { thread.join() }
    }
}
