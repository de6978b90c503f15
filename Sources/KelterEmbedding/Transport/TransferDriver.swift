import KelterModel

/// A thread that sends single requests, each for a caller who waits for its outcome; no caller's thread is blocked.
final class TransferDriver: Sendable {
    typealias Reply = Result<TransferResult, KelterError>

    private struct Request: Sendable {
        let body: [UInt8]
        let maximumReply: Int
        let continuation: CheckedContinuation<Reply, Never>
    }

    private enum Command: Sendable {
        case send(UInt64, Request)
        case cancel(UInt64)
    }

    private let inbox = TransferInbox<Command>()

    /// Starts the thread.
    ///
    /// - Parameters:
    ///   - address: Where all requests go.
    ///   - apiKey: The bearer token.
    ///   - security: Whom connections trust.
    ///   - timeout: The whole time of one request.
    ///   - connections: Requests at a time; others wait for them, within their own time.
    /// - Throws: ``KelterError`` with ``ErrorCode/internalError`` when there is no thread to be had.
    init(
        address: EndpointAddress,
        apiKey: String?,
        security: ConnectionSecurity,
        timeout: Duration,
        connections: Int
    ) throws(KelterError) {
        let inbox = inbox
        let isStarted = startThread {
            let multi = CurlMulti(
                address: address,
                apiKey: apiKey,
                security: security,
                timeout: timeout,
                connections: connections
            )
            Loop(inbox: inbox, multi: multi).run()
        }
        guard isStarted else { throw KelterError(.internalError, "No thread could be started for an HTTP client.") }
    }

    deinit {
        inbox.close()
    }

    /// Has the thread end all requests, whose callers fail, and itself.
    func close() {
        inbox.close()
    }

    /// Sends a request.
    ///
    /// - Parameters:
    ///   - body: The JSON text.
    ///   - maximumReply: The most bytes of a reply; a longer one is ``TransferResult/Failure/tooLarge``.
    /// - Returns: What became of it, or ``ErrorCode/interrupted`` after a cancellation or ``close()``.
    func send(_ body: [UInt8], maximumReply: Int) async -> Reply {
        let caller = inbox.newCaller()
        return await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                guard !Task.isCancelled else { return continuation.resume(returning: .failure(Self.cancelled)) }
                let request = Request(body: body, maximumReply: maximumReply, continuation: continuation)
                guard inbox.post(.send(caller, request)) else {
                    return continuation.resume(returning: .failure(Self.closed))
                }
                // The handler may have run just before the request came; a second cancellation does no harm.
                if Task.isCancelled { _ = inbox.post(.cancel(caller)) }
            }
        } onCancel: {
            _ = inbox.post(.cancel(caller))
        }
    }

    private static var closed: KelterError {
        KelterError(.interrupted, "The HTTP client was closed.")
    }

    private static var cancelled: KelterError {
        KelterError(.interrupted, "The request was cancelled.")
    }
}

extension TransferDriver {
    /// The state of the thread.
    private final class Loop {
        private let inbox: TransferInbox<Command>
        private let multi: CurlMulti?
        private var callers: [Int: (caller: UInt64, continuation: CheckedContinuation<Reply, Never>)] = [:]
        private var nextRequest = 0

        init(inbox: TransferInbox<Command>, multi: CurlMulti?) {
            self.inbox = inbox
            self.multi = multi
        }

        func run() {
            var error = KelterError(.internalError, "libcurl could not be set up.")
            if let multi {
                inbox.withWaker(of: multi) { work(multi) }
                error = TransferDriver.closed
            }
            // Those included who came too late.
            inbox.close()
            for command in inbox.take().commands {
                if case .send(_, let request) = command { request.continuation.resume(returning: .failure(error)) }
            }
            for request in callers.keys { resume(request, .failure(error)) }
        }

        private func work(_ multi: CurlMulti) {
            while takeCommands(multi) {
                let finished = multi.perform()
                for (request, result) in finished { resume(request, .success(result)) }
                // An hour is as good as for ever, and fits the parameter.
                if finished.isEmpty { multi.wait(.seconds(3600)) }
            }
        }

        /// Fetches what callers have left; `false` when the client was closed.
        private func takeCommands(_ multi: CurlMulti) -> Bool {
            let (commands, isClosed) = inbox.take()
            for command in commands {
                switch command {
                case .send(let caller, let request):
                    let number = nextRequest
                    nextRequest += 1
                    callers[number] = (caller, request.continuation)
                    if !multi.start(number, body: request.body, maximumReply: request.maximumReply) {
                        resume(number, .failure(KelterError(.internalError, "libcurl could not start a request.")))
                    }
                case .cancel(let caller):
                    guard let request = callers.first(where: { $0.value.caller == caller })?.key else { continue }
                    multi.abort(request)
                    resume(request, .failure(TransferDriver.cancelled))
                }
            }
            return !isClosed
        }

        private func resume(_ request: Int, _ reply: Reply) {
            callers.removeValue(forKey: request)?.continuation.resume(returning: reply)
        }
    }
}
