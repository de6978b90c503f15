import Glibc
import KelterModel
import Synchronization

/// The thread that owns a client's transfers and its scheduler.
///
/// Callers leave commands in an inbox and are resumed when their answer is complete. No caller's thread is blocked, and
/// nothing but the inbox and the statistics is shared.
final class EmbeddingDriver: Sendable {
    typealias Reply = Result<RequestScheduler.Answer, KelterError>

    private enum Command: Sendable {
        case submit(UInt64, Submission, CheckedContinuation<Reply, Never>)
        case probe(UInt64, CheckedContinuation<Reply, Never>)
        case cancel(UInt64)
    }

    /// A caller's inputs.
    struct Submission: Sendable {
        var inputs: [EmbeddingInput]
        var deadline: ContinuousClock.Instant?
        /// Told of vectors as they come, by the inputs' positions, on the client's thread.
        var progress: (@Sendable ([Int], [UnitVector]) -> Void)?
    }

    private let inbox = TransferInbox<Command>()
    private let published = Mutex(EmbeddingStatistics())

    var statistics: EmbeddingStatistics { published.withLock { $0 } }

    /// Starts the thread.
    ///
    /// - Throws: ``KelterError`` with ``ErrorCode/internalError`` when there is no thread to be had.
    func start(_ endpoint: EmbeddingEndpoint, address: EndpointAddress, model: String, dimension: Int)
        throws(KelterError)
    {
        let isStarted = startThread {
            Loop(driver: self, endpoint: endpoint, address: address, model: model, dimension: dimension).run()
        }
        guard isStarted else {
            throw KelterError(.internalError, "No thread could be started for the embedding client.")
        }
    }

    /// Has the thread end all requests, whose callers fail, and itself.
    func close() {
        inbox.close()
    }

    /// Has inputs embedded, or, without inputs, asks for the contract.
    func request(_ submission: Submission?) async -> Reply {
        let caller = inbox.newCaller()
        return await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                guard !Task.isCancelled else { return continuation.resume(returning: .failure(Self.cancelled)) }
                post(submission.map { .submit(caller, $0, continuation) } ?? .probe(caller, continuation))
                // The handler may have run just before the command came; a second cancellation does no harm.
                if Task.isCancelled { post(.cancel(caller)) }
            }
        } onCancel: {
            post(.cancel(caller))
        }
    }

    private func post(_ command: Command) {
        guard !inbox.post(command) else { return }
        switch command {
        case .submit(_, _, let continuation), .probe(_, let continuation):
            continuation.resume(returning: .failure(Self.closed))
        case .cancel: break
        }
    }

    private static var closed: KelterError {
        KelterError(.interrupted, "The embedding client was closed.")
    }

    private static var cancelled: KelterError {
        KelterError(.interrupted, "The embedding of these texts was cancelled.")
    }
}

extension EmbeddingDriver {
    /// The state of the thread.
    private final class Loop {
        private let driver: EmbeddingDriver
        private let endpoint: EmbeddingEndpoint
        private let address: EndpointAddress
        private let dimension: Int
        private var scheduler: RequestScheduler
        private var continuations: [UInt64: CheckedContinuation<Reply, Never>] = [:]
        private var listeners: [UInt64: @Sendable ([Int], [UnitVector]) -> Void] = [:]
        private var sizes: [Int: Int] = [:]
        private var bytesReceived = 0
        private var connections = 0

        init(
            driver: EmbeddingDriver,
            endpoint: EmbeddingEndpoint,
            address: EndpointAddress,
            model: String,
            dimension: Int
        ) {
            self.driver = driver
            self.endpoint = endpoint
            self.address = address
            self.dimension = dimension
            scheduler = RequestScheduler(endpoint: endpoint, model: model, dimension: dimension)
        }

        func run() {
            let multi = CurlMulti(
                address: address,
                apiKey: endpoint.apiKey,
                security: endpoint.security,
                timeout: endpoint.timeout,
                connections: endpoint.requestsInFlight
            )
            guard let multi else {
                end(KelterError(.internalError, "libcurl could not be set up."))
                return
            }
            driver.inbox.withWaker(of: multi) { work(multi) }
            end(EmbeddingDriver.closed)
        }

        private func work(_ multi: CurlMulti) {
            while takeCommands(multi) {
                let wake = sendRequests(multi)
                let finished = multi.perform()
                for (request, result) in finished { take(request, result, multi) }
                if finished.isEmpty {
                    // An hour is as good as for ever, and fits the parameter.
                    multi.wait(min(wake.map { $0 - .now } ?? .seconds(3600), .seconds(3600)))
                } else {
                    publish()
                }
            }
        }

        /// Fetches what callers have left; `false` when the client was closed.
        private func takeCommands(_ multi: CurlMulti) -> Bool {
            let (commands, isClosed) = driver.inbox.take()
            for command in commands {
                switch command {
                case .submit(let caller, let submission, let continuation):
                    continuations[caller] = continuation
                    listeners[caller] = submission.progress
                    scheduler.submit(
                        caller,
                        submission.inputs,
                        deadline: submission.deadline,
                        wantsProgress: submission.progress != nil,
                        now: .now
                    )
                case .probe(let caller, let continuation):
                    continuations[caller] = continuation
                    apply(scheduler.submitProbe(caller), multi)
                case .cancel(let caller):
                    apply(scheduler.cancel(caller, now: .now), multi)
                    listeners[caller] = nil
                    continuations.removeValue(forKey: caller)?.resume(returning: .failure(EmbeddingDriver.cancelled))
                }
            }
            return !isClosed
        }

        /// Sends what may be sent; when to look again.
        private func sendRequests(_ multi: CurlMulti) -> ContinuousClock.Instant? {
            apply(scheduler.expire(.now), multi)
            while true {
                switch scheduler.next(.now) {
                case .wait(let instant): return [instant, scheduler.nextDeadline].compactMap { $0 }.min()
                case .send(let request):
                    let body = embeddingRequestBody(
                        model: request.model,
                        texts: request.texts,
                        encoding: request.encoding
                    )
                    sizes[request.id] = request.texts.count
                    // A printed double with its comma has up to 26 bytes; other members of an item and of the reply
                    // get the rest.
                    let maximum = (1 << 20) + request.texts.count * (dimension * 40 + 1024)
                    guard multi.start(request.id, body: body, maximumReply: maximum) else {
                        let error = KelterError(.internalError, "libcurl could not start a request.")
                        apply(scheduler.finished(request.id, .failed(error), now: .now), multi)
                        continue
                    }
                }
            }
        }

        private func take(_ request: Int, _ result: TransferResult, _ multi: CurlMulti) {
            bytesReceived += result.body.count
            connections += result.connections
            let seconds = time(nil)
            let verdict = TransferVerdict(
                result,
                count: sizes.removeValue(forKey: request) ?? 0,
                dimension: dimension,
                now: seconds
            )
            let limits = result.limitFields.isEmpty ? nil : RateLimits(result.limitFields, now: seconds)
            apply(scheduler.finished(request, verdict, limits: limits, now: .now), multi)
        }

        private func apply(_ effects: RequestScheduler.Effects, _ multi: CurlMulti?) {
            for request in effects.aborts {
                multi?.abort(request)
                sizes[request] = nil
            }
            for progress in effects.progress { listeners[progress.caller]?(progress.indices, progress.vectors) }
            // Callers look at the statistics when they are resumed.
            publish()
            for completion in effects.completions {
                listeners[completion.caller] = nil
                continuations.removeValue(forKey: completion.caller)?.resume(returning: completion.result)
            }
        }

        private func publish() {
            var statistics = scheduler.statistics
            statistics.bytesReceived = bytesReceived
            statistics.connections = connections
            statistics.fallbackProblem = scheduler.fallbackProblem
            statistics.requestsInFlight = scheduler.running.count
            statistics.window = scheduler.lanes[0].flow.limit
            driver.published.withLock { $0 = statistics }
        }

        /// Fails everyone, those included who came too late.
        private func end(_ error: KelterError) {
            driver.inbox.close()
            let (commands, _) = driver.inbox.take()
            apply(scheduler.failAll(error, now: .now), nil)
            for command in commands {
                switch command {
                case .submit(_, _, let continuation), .probe(_, let continuation):
                    continuation.resume(returning: .failure(error))
                case .cancel: break
                }
            }
            for continuation in continuations.values { continuation.resume(returning: .failure(error)) }
            continuations.removeAll()
        }
    }
}
