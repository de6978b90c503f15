import KelterModel
import Testing

@testable import KelterEmbedding

@Suite("Packing and repeating requests")
struct RequestSchedulerTests {
    private let start = ContinuousClock.now
    private let contract = EmbeddingContract(
        encoding: .base64,
        dimension: 2,
        returnsUnitVectors: true,
        modelName: "m",
        reference: [[1, 0], [1, 0]]
    )

    private func makeScheduler(_ change: (inout EmbeddingEndpoint) -> Void = { _ in }) -> RequestScheduler {
        var endpoint = EmbeddingEndpoint(baseURL: "http://host", maximumInputs: 8, requestsInFlight: 2)
        endpoint.packingDelay = .milliseconds(10)
        endpoint.packingPause = .zero
        change(&endpoint)
        // A fraction of 1 makes every delay the ceiling of its step.
        var scheduler = RequestScheduler(endpoint: endpoint, model: "m", dimension: 2, nextFraction: { 1 })
        scheduler.lanes[0].phase = .known(contract)
        return scheduler
    }

    private func inputs(_ texts: [String], tokens: Int = 1) -> [EmbeddingInput] {
        texts.map { EmbeddingInput(text: $0, tokens: tokens) }
    }

    private func numbered(_ count: Int) -> [EmbeddingInput] {
        inputs((0..<count).map { "\($0)" })
    }

    private func reply(_ count: Int) -> TransferVerdict {
        .reply(
            EmbeddingReply(
                vectors: Array(repeating: .success(.unit([1, 0])), count: count),
                encoding: .base64,
                firstLength: 1,
                model: nil,
                promptTokens: count
            )
        )
    }

    private func error(_ code: ErrorCode) -> KelterError { KelterError(code, "A fault.") }

    private func sent(_ step: RequestScheduler.Step) throws -> RequestScheduler.Request {
        guard case .send(let request) = step else {
            Issue.record("\(step) is no request")
            throw error(.internalError)
        }
        return request
    }

    @Test("nothing is sent before the probe, and one probe serves all")
    func probeFirst() throws {
        var scheduler = makeScheduler()
        scheduler.lanes[0].phase = .unknown
        #expect(scheduler.next(start) == .wait(until: nil))
        scheduler.submit(1, numbered(3), now: start)
        #expect(scheduler.submitProbe(2) == .init())
        let probe = try sent(scheduler.next(start))
        #expect(probe.texts == RequestScheduler.probeTexts)
        #expect(probe.encoding == .base64)
        #expect(scheduler.next(start) == .wait(until: nil))
        let effects = scheduler.finished(probe.id, reply(2), now: start)
        #expect(effects.completions == [.init(caller: 2, result: .success(.contract(contract)))])
        #expect(try sent(scheduler.next(start)).texts == ["0", "1", "2"])
        #expect(scheduler.submitProbe(3).completions.count == 1)
    }

    @Test("a probe nobody waits for is ended")
    func abandonedProbe() throws {
        var scheduler = makeScheduler()
        scheduler.lanes[0].phase = .unknown
        scheduler.submit(1, numbered(1), now: start)
        let probe = try sent(scheduler.next(start))
        #expect(scheduler.cancel(1, now: start).aborts == [probe.id])
        #expect(scheduler.isIdle)
        scheduler.submit(2, numbered(1), now: start)
        #expect(try sent(scheduler.next(start)).texts == RequestScheduler.probeTexts)
    }

    @Test("an idle client waits while inputs keep coming, but not longer than the delay")
    func packingWhileInputsCome() throws {
        var scheduler = makeScheduler { endpoint in
            endpoint.maximumInputs = 100
            endpoint.packingPause = .milliseconds(4)
        }
        func at(_ milliseconds: Int) -> ContinuousClock.Instant { start + .milliseconds(milliseconds) }
        scheduler.submit(1, inputs(["a"]), now: at(0))
        #expect(scheduler.next(at(0)) == .wait(until: at(4)))
        scheduler.submit(2, inputs(["b"]), now: at(3))
        #expect(scheduler.next(at(4)) == .wait(until: at(7)))
        #expect(try sent(scheduler.next(at(7))).texts == ["a", "b"])

        var busy = makeScheduler { endpoint in
            endpoint.maximumInputs = 100
            endpoint.packingPause = .milliseconds(4)
        }
        for moment in 0..<10 { busy.submit(UInt64(moment), inputs(["\(moment)"]), now: at(moment)) }
        // The first has waited for ten milliseconds, although the last has just come.
        #expect(busy.next(at(9)) == .wait(until: at(10)))
        #expect(try sent(busy.next(at(10))).texts.count == 10)
    }

    @Test("an idle client sends at once; a busy one waits for a full request or its delay")
    func packing() throws {
        var scheduler = makeScheduler()
        scheduler.submit(1, numbered(1), now: start)
        let first = try sent(scheduler.next(start))
        #expect(first.texts == ["0"])
        scheduler.submit(2, inputs(["a"]), now: start)
        #expect(scheduler.next(start) == .wait(until: start + .milliseconds(10)))
        scheduler.submit(3, inputs(["b"]), now: start + .milliseconds(5))
        #expect(scheduler.next(start + .milliseconds(9)) == .wait(until: start + .milliseconds(10)))
        #expect(try sent(scheduler.next(start + .milliseconds(10))).texts == ["a", "b"])
        // Both places are taken now.
        scheduler.submit(4, numbered(20), now: start)
        #expect(scheduler.next(start + .seconds(1)) == .wait(until: nil))
        _ = scheduler.finished(first.id, reply(1), now: start)
        #expect(try sent(scheduler.next(start)).texts == (0..<8).map { "\($0)" })
    }

    @Test("a full request does not wait, a caller is spread over requests and gets its vectors in order")
    func spread() throws {
        var scheduler = makeScheduler { $0.requestsInFlight = 9 }
        scheduler.submit(1, numbered(20), now: start)
        let requests = try (0..<2).map { _ in try sent(scheduler.next(start)) }
        #expect(requests.map(\.texts.count) == [8, 8])
        #expect(scheduler.next(start) == .wait(until: start + .milliseconds(10)))
        let last = try sent(scheduler.next(start + .milliseconds(10)))
        #expect(last.texts == ["16", "17", "18", "19"])
        let other = EmbeddingReply(
            vectors: (0..<4).map { _ in .success(.unit([0, 1])) },
            encoding: .base64,
            firstLength: 1,
            model: nil,
            promptTokens: 0
        )
        #expect(scheduler.finished(last.id, .reply(other), now: start).completions.isEmpty)
        #expect(scheduler.finished(requests[1].id, reply(8), now: start).completions.isEmpty)
        let effects = scheduler.finished(requests[0].id, reply(8), now: start)
        let wanted = Array(repeating: UnitVector.unit([1, 0]), count: 16) + Array(repeating: .unit([0, 1]), count: 4)
        #expect(effects.completions == [.init(caller: 1, result: .success(.vectors(wanted)))])
        #expect(scheduler.isIdle)
    }

    @Test("a cancelled caller's queued inputs are not sent, and its own request is ended")
    func cancellation() throws {
        var scheduler = makeScheduler()
        scheduler.submit(1, numbered(8), now: start)
        let own = try sent(scheduler.next(start))
        scheduler.submit(2, inputs(["a", "b"]), now: start)
        scheduler.submit(3, inputs(["c"]), now: start)
        #expect(scheduler.cancel(2, now: start) == .init())
        let shared = try sent(scheduler.next(start + .seconds(1)))
        #expect(shared.texts == ["c"])
        #expect(scheduler.cancel(1, now: start) == .init(aborts: [own.id]))
        #expect(scheduler.cancel(1, now: start) == .init())
        #expect(scheduler.finished(own.id, reply(8), now: start) == .init())
        #expect(scheduler.queue.count == 0)
        #expect(scheduler.queue.tokens == 0)
    }

    @Test("a request that carries others too goes on without the cancelled caller")
    func sharedCancellation() throws {
        var scheduler = makeScheduler()
        scheduler.submit(1, inputs(["a"]), now: start)
        scheduler.submit(2, inputs(["b"]), now: start)
        let request = try sent(scheduler.next(start))
        #expect(request.texts == ["a", "b"])
        #expect(scheduler.cancel(1, now: start) == .init())
        let effects = scheduler.finished(request.id, .retry(.init(error: error(.embeddingServerError))), now: start)
        #expect(effects == .init())
        #expect(try sent(scheduler.next(start + .seconds(1))).texts == ["b"])
    }

    @Test("repetitions wait longer and longer and end with the error")
    func retries() throws {
        var scheduler = makeScheduler { $0.retryAttempts = 2 }
        scheduler.submit(1, numbered(1), now: start)
        var now = start
        for delay in [50, 100] {
            let request = try sent(scheduler.next(now))
            let verdict = TransferVerdict.retry(.init(error: error(.embeddingServerError)))
            #expect(scheduler.finished(request.id, verdict, now: now) == .init())
            #expect(scheduler.next(now) == .wait(until: now + .milliseconds(delay)))
            now += .milliseconds(delay)
        }
        let last = try sent(scheduler.next(now))
        let effects = scheduler.finished(last.id, .retry(.init(error: error(.embeddingServerError))), now: now)
        #expect(effects.completions == [.init(caller: 1, result: .failure(error(.embeddingServerError)))])
        #expect(scheduler.statistics.retries == 2)
    }

    @Test("Retry-After pauses everything and costs no attempt until the patience ends")
    func throttled() throws {
        var scheduler = makeScheduler {
            $0.retryAttempts = 0
            $0.patience = .seconds(25)
        }
        scheduler.submit(1, numbered(1), now: start)
        var now = start
        let verdict = TransferVerdict.retry(
            .init(error: error(.embeddingThrottled), after: .seconds(10), isThrottle: true)
        )
        for _ in 0..<2 {
            let request = try sent(scheduler.next(now))
            #expect(scheduler.finished(request.id, verdict, now: now) == .init())
            scheduler.submit(UInt64(now == start ? 2 : 3), numbered(8), now: now)
            #expect(scheduler.next(now) == .wait(until: now + .seconds(10)))
            now += .seconds(10)
        }
        let request = try sent(scheduler.next(now))
        let effects = scheduler.finished(request.id, verdict, now: now)
        #expect(effects.completions == [.init(caller: 1, result: .failure(error(.embeddingThrottled)))])
        #expect(scheduler.statistics.throttles == 3)
        #expect(try sent(scheduler.next(now + .seconds(10))).texts.count == 8, "the others go on")
    }

    @Test("\"wait 0 seconds\" again and again is answered with growing delays")
    func zeroRetryAfter() throws {
        var scheduler = makeScheduler { $0.retryAttempts = 0 }
        scheduler.submit(1, numbered(1), now: start)
        var now = start
        for delay in [0, 50, 100, 200, 400] {
            let request = try sent(scheduler.next(now))
            let verdict = TransferVerdict.retry(
                .init(error: error(.embeddingThrottled), after: .zero, isThrottle: true)
            )
            _ = scheduler.finished(request.id, verdict, now: now)
            if delay > 0 { #expect(scheduler.next(now) == .wait(until: now + .milliseconds(delay))) }
            now += .milliseconds(max(delay, 1))
        }
    }

    @Test("the refused input is isolated; others keep their vectors", arguments: 0..<16)
    func bisection(_ bad: Int) throws {
        var scheduler = makeScheduler { $0.maximumInputs = 16 }
        for caller in 0..<16 { scheduler.submit(UInt64(caller), inputs(["\(caller)"]), now: start) }
        var requests = 0
        var failed: [UInt64] = []
        var succeeded = 0
        while case .send(let request) = scheduler.next(start) {
            requests += 1
            let isBad = request.texts.contains("\(bad)")
            let effects = scheduler.finished(
                request.id,
                isBad ? .refused(error(.embeddingRefused)) : reply(request.texts.count),
                now: start
            )
            for completion in effects.completions {
                if case .failure = completion.result { failed.append(completion.caller) } else { succeeded += 1 }
            }
        }
        #expect(failed == [UInt64(bad)])
        #expect(succeeded == 15)
        #expect(requests == 9, "1 + 2 · log2(16)")
        #expect(scheduler.isIdle)
        #expect(scheduler.sizes.hard == 16, "one bad input says nothing about the size")
    }

    @Test("a fatal answer fails everyone in the request and nobody else")
    func fatal() throws {
        var scheduler = makeScheduler()
        scheduler.submit(1, inputs(["a"]), now: start)
        scheduler.submit(2, inputs(["b"]), now: start)
        let request = try sent(scheduler.next(start))
        scheduler.submit(3, inputs(["c"]), now: start)
        let effects = scheduler.finished(request.id, .failed(error(.embeddingUnauthorised)), now: start)
        #expect(effects.completions.map(\.caller) == [1, 2])
        #expect(try sent(scheduler.next(start)).texts == ["c"])
    }

    @Test("one item's bad vector fails its caller; the others of the request get theirs")
    func badItem() throws {
        var scheduler = makeScheduler()
        for (caller, text) in ["a", "b", "c"].enumerated() {
            scheduler.submit(UInt64(caller), inputs([text]), now: start)
        }
        let request = try sent(scheduler.next(start))
        #expect(request.texts == ["a", "b", "c"])
        let answer = EmbeddingReply(
            vectors: [.success(.unit([1, 0])), .failure(error(.embeddingInvalid)), .success(.empty)],
            encoding: .base64,
            firstLength: 1,
            model: nil,
            promptTokens: 0
        )
        #expect(
            scheduler.finished(request.id, .reply(answer), now: start).completions == [
                .init(caller: 0, result: .success(.vectors([.unit([1, 0])]))),
                .init(caller: 1, result: .failure(error(.embeddingInvalid))),
                .init(caller: 2, result: .success(.vectors([.empty]))),
            ]
        )
        #expect(scheduler.isIdle)
    }

    @Test("a failing caller's other requests are ended")
    func failingCaller() throws {
        var scheduler = makeScheduler()
        scheduler.submit(1, numbered(24), now: start)
        let first = try sent(scheduler.next(start))
        let second = try sent(scheduler.next(start))
        let effects = scheduler.finished(first.id, .failed(error(.embeddingRefused)), now: start)
        #expect(effects.completions.count == 1)
        #expect(effects.aborts == [second.id])
        #expect(scheduler.isIdle)
        #expect(scheduler.next(start) == .wait(until: nil))
        #expect(scheduler.queue.count == 0)
    }

    @Test("timeouts halve the requests, success raises them slowly")
    func sizes() {
        var sizes = BatchSizes(configured: 64)
        sizes.timedOut(64)
        #expect(sizes.current == 32)
        for _ in 0..<BatchSizes.patience { sizes.succeeded(32, split: nil) }
        #expect(sizes.current == 33)
        sizes.timedOut(1)
        #expect(sizes.current == 1)
        let split = sizes.divided(larger: 10)
        sizes.succeeded(10, split: split)
        #expect(sizes.hard == 64)
        sizes.succeeded(10, split: split)
        #expect(sizes.hard == 10)
    }

    @Test("any order of events ends every caller exactly once", arguments: 1...20 as ClosedRange<UInt64>)
    func randomEvents(_ seed: UInt64) throws {
        var generator = TestGenerator(seed: seed)
        var scheduler = makeScheduler { $0.requestsInFlight = 3 }
        scheduler.lanes[0].phase = .unknown
        var now = start
        var flying: [RequestScheduler.Request] = []
        var open: Set<UInt64> = []
        var ended = 0
        func apply(_ effects: RequestScheduler.Effects) {
            for completion in effects.completions {
                #expect(open.remove(completion.caller) != nil)
                ended += 1
            }
            flying.removeAll { effects.aborts.contains($0.id) }
        }
        for step in 0..<2000 {
            let isDraining = step >= 1500
            switch Int.random(in: 0..<(isDraining ? 6 : 10), using: &generator) {
            case 0...2: now += .milliseconds(Int.random(in: 0...2000, using: &generator))
            case 3...5 where !flying.isEmpty:
                let request = flying.remove(at: Int.random(in: flying.indices, using: &generator))
                let verdict: TransferVerdict =
                    switch Int.random(in: 0..<12, using: &generator) {
                    case 0: .refused(error(.embeddingRefused))
                    case 1: .retry(.init(error: error(.embeddingTimeout), isTimeout: true))
                    case 2: .retry(.init(error: error(.embeddingThrottled), after: .seconds(1), isThrottle: true))
                    case 3: .failed(error(.embeddingUnauthorised))
                    default: reply(request.texts.count)
                    }
                apply(scheduler.finished(request.id, verdict, now: now))
            case 6:
                if let caller = open.randomElement(using: &generator) {
                    apply(scheduler.cancel(caller, now: start))
                    open.remove(caller)
                    ended += 1
                }
            case 7:
                open.insert(UInt64(step))
                apply(scheduler.submitProbe(UInt64(step)))
            case 8, 9:
                open.insert(UInt64(step))
                scheduler.submit(UInt64(step), numbered(Int.random(in: 1...30, using: &generator)), now: now)
            default: break
            }
            while case .send(let request) = scheduler.next(now) {
                #expect((1...8).contains(request.texts.count))
                flying.append(request)
            }
            #expect(flying.count <= 3)
        }
        // Everything still open ends when all requests are answered.
        for _ in 0..<10_000 where !open.isEmpty {
            now += .seconds(1)
            while case .send(let request) = scheduler.next(now) { flying.append(request) }
            for request in flying { apply(scheduler.finished(request.id, reply(request.texts.count), now: now)) }
            flying = []
        }
        #expect(open.isEmpty)
        #expect(scheduler.isIdle)
        #expect(scheduler.queue.count == 0)
        #expect(scheduler.queue.tokens == 0)
        #expect(ended > 100)
    }
}
