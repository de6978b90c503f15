import KelterModel
import Testing

@testable import KelterEmbedding

@Suite("Outages, fallback and deadlines, in virtual time")
struct OutageTests {
    typealias Simulation = SchedulerSimulation

    static let kinds: [ErrorCode] = [.embeddingUnreachable, .embeddingServerError, .embeddingTimeout]

    private func isProbe(_ request: RequestScheduler.Request) -> Bool {
        request.texts == RequestScheduler.probeTexts
    }

    @Test("an outage of a minute costs no input and few requests", arguments: kinds)
    func outage(_ code: ErrorCode) {
        var simulation = Simulation { $0.outagePatience = .seconds(300) }
        simulation.submit(0..<500)
        let away = simulation.start + .seconds(1)..<simulation.start + .seconds(61)
        var lost = 0
        simulation.run { request, now in
            guard away.contains(now) else {
                return .init(verdict: Simulation.vectors(request.texts.count), latency: .milliseconds(100))
            }
            lost += 1
            return .init(verdict: Simulation.failure(code))
        }
        #expect(simulation.failures.isEmpty)
        #expect(simulation.results.count == 500)
        #expect(lost < 40, "half-open probes, not the whole queue")
        #expect(simulation.elapsed < .seconds(120))
        #expect(simulation.scheduler.statistics.outages > 0)
    }

    @Test("an outage beyond the patience fails what waits, with its reason")
    func longOutage() {
        var simulation = Simulation { $0.outagePatience = .seconds(90) }
        simulation.submit(0..<50)
        let start = simulation.start
        simulation.run { request, now in
            now < start + .milliseconds(300)
                ? .init(verdict: Simulation.vectors(request.texts.count), latency: .milliseconds(100))
                : .init(verdict: Simulation.failure(.embeddingUnreachable))
        }
        #expect(simulation.results.count == 50)
        #expect(!simulation.failures.isEmpty && simulation.failures.count < 50)
        #expect(simulation.failures.values.allSatisfy { $0.code == .embeddingUnreachable })
        #expect(simulation.elapsed > .seconds(80) && simulation.elapsed < .seconds(180))
    }

    @Test("without patience an endpoint that is away fails within the repetitions")
    func impatient() {
        var simulation = Simulation()
        simulation.submit(0..<50)
        simulation.run { _, _ in .init(verdict: Simulation.failure(.embeddingUnreachable)) }
        #expect(simulation.results.count == 50)
        #expect(simulation.failures.count == 50)
        #expect(simulation.elapsed < .seconds(10))
        #expect(simulation.scheduler.statistics.requests < 40)
    }

    @Test("a text that breaks the endpoint fails alone, when the endpoint works for others")
    func poison() {
        var simulation = Simulation {
            $0.maximumInputs = 16
            $0.outagePatience = .seconds(300)
        }
        simulation.submit(0..<64)
        simulation.run { request, _ in
            request.texts.contains("37")
                ? .init(verdict: Simulation.failure(.embeddingServerError))
                : .init(verdict: Simulation.vectors(request.texts.count))
        }
        #expect(simulation.results.count == 64)
        #expect(simulation.failures.keys.sorted() == [37])
    }

    @Test("an endpoint that comes back with another model is stopped")
    func drift() {
        var simulation = Simulation { $0.outagePatience = .seconds(300) }
        simulation.submit(0..<500)
        let start = simulation.start
        var strangers = 0
        simulation.run { request, now in
            let time = now - start
            if time < .seconds(1) {
                return .init(verdict: Simulation.vectors(request.texts.count), latency: .milliseconds(100))
            }
            if time < .seconds(20) { return .init(verdict: Simulation.failure(.embeddingUnreachable)) }
            if !isProbe(request) { strangers += 1 }
            return .init(verdict: Simulation.vectors(request.texts.count, [0, 1]))
        }
        #expect(simulation.failures.count > 300)
        #expect(simulation.failures.values.allSatisfy { $0.code == .embeddingModelDrift })
        #expect(strangers == 0)
        // Whoever comes later is refused too, until the model is back.
        simulation.submit(1000..<1010)
        simulation.run { request, _ in
            if !isProbe(request) { strangers += 1 }
            return .init(verdict: Simulation.vectors(request.texts.count, [0, 1]))
        }
        #expect((1000..<1010).allSatisfy { simulation.failures[$0]?.code == .embeddingModelDrift })
        #expect(strangers == 0)
        simulation.submit(2000..<2010)
        simulation.run { request, _ in .init(verdict: Simulation.vectors(request.texts.count)) }
        #expect((2000..<2010).allSatisfy { simulation.failures[$0] == nil && simulation.results[$0] != nil })
    }

    @Test("without patience for outages the fallback serves through the primary model's whole outage")
    func fallbackWithoutPatience() {
        var simulation = Simulation {
            $0.fallbackModel = "other"
            $0.requestsInFlight = 2
        }
        simulation.submit(0..<400)
        let start = simulation.start
        simulation.run { request, now in
            let isAway = request.model == "m" && now > start + .milliseconds(70)
            return .init(
                verdict: isAway
                    ? Simulation.failure(.embeddingServerError) : Simulation.vectors(request.texts.count),
                latency: .milliseconds(200)
            )
        }
        #expect(simulation.failures.isEmpty)
        #expect(simulation.results.count == 400)
    }

    @Test("a wait beyond the patience fails who met it; others are not put off for a day")
    func longWait() {
        var simulation = Simulation { $0.requestsInFlight = 1 }
        simulation.submit(0..<3)
        var requests = 0
        simulation.run(limit: .seconds(4000)) { request, _ in
            requests += 1
            return requests == 1
                ? .init(verdict: Simulation.throttle(after: .seconds(86_400)))
                : .init(verdict: Simulation.vectors(request.texts.count))
        }
        #expect(simulation.failures.keys.sorted() == [0])
        #expect(simulation.results.count == 3)
        #expect(simulation.elapsed < .seconds(700))
    }

    @Test("an endpoint that fails and then only throttles is given up after the patience")
    func throttledProbes() {
        var simulation = Simulation {
            $0.outagePatience = .seconds(300)
            $0.patience = .seconds(600)
        }
        simulation.submit(0..<20)
        let start = simulation.start
        var turns = 0
        simulation.run(limit: .seconds(4000)) { request, now in
            turns += 1
            let time = now - start
            if time < .milliseconds(100) {
                return .init(verdict: Simulation.vectors(request.texts.count), latency: .seconds(1))
            }
            return time < .seconds(3)
                ? .init(verdict: Simulation.failure(.embeddingServerError))
                : .init(verdict: Simulation.throttle(after: .seconds(20)))
        }
        #expect(simulation.results.count == 20)
        #expect(simulation.elapsed < .seconds(1000))
        #expect(turns < 400, "\(turns) requests")
    }

    @Test(
        "what the fallback refuses the primary model may take, and a neighbour that left is not the fault of who stayed"
    )
    func refusals() {
        var simulation = Simulation {
            $0.fallbackModel = "other"
            $0.outagePatience = .seconds(60)
        }
        simulation.submit(0..<50)
        let start = simulation.start
        simulation.run { request, now in
            if request.model == "other", !isProbe(request) {
                return .init(verdict: .refused(KelterError(.embeddingRefused, "Too long.")))
            }
            let isAway = request.model == "m" && now > start + .milliseconds(50) && now < start + .seconds(5)
            return .init(
                verdict: isAway
                    ? Simulation.failure(.embeddingServerError) : Simulation.vectors(request.texts.count)
            )
        }
        #expect(simulation.failures.isEmpty)

        var pair = Simulation { $0.maximumInputs = 2 }
        pair.submit(0..<1, deadline: pair.start + .milliseconds(10))
        pair.submit(1..<2)
        var requests = 0
        pair.run { request, _ in
            requests += 1
            return requests == 1
                ? .init(verdict: .refused(KelterError(.embeddingRefused, "Bad.")))
                : .init(verdict: Simulation.vectors(request.texts.count))
        }
        #expect(pair.failures.keys.sorted() == [0])
        #expect(pair.results[1] != nil)
    }

    @Test("the fallback answers while the primary model is away or throttled", arguments: [false, true])
    func fallback(_ isThrottled: Bool) {
        var simulation = Simulation {
            $0.fallbackModel = "other"
            $0.outagePatience = .seconds(600)
        }
        simulation.submit(0..<200)
        let start = simulation.start
        simulation.run { request, now in
            let isAway = request.model == "m" && now > start + .milliseconds(70) && now < start + .seconds(300)
            guard isAway else { return .init(verdict: Simulation.vectors(request.texts.count)) }
            return .init(
                verdict: isThrottled
                    ? Simulation.throttle(after: .seconds(30)) : Simulation.failure(.embeddingServerError)
            )
        }
        #expect(simulation.failures.isEmpty)
        #expect(simulation.results.count == 200)
        #expect(simulation.elapsed < .seconds(30))
        #expect(simulation.scheduler.statistics.fallbackInputs > 100)
    }

    @Test("time in which the fallback answers is not lost to the primary model's throttle")
    func fallbackTime() throws {
        var simulation = Simulation { $0.fallbackModel = "other" }
        simulation.scheduler.lanes[1].phase = .known(Simulation.contract())
        let start = simulation.start
        func send(_ caller: UInt64, at time: Duration) throws -> RequestScheduler.Request {
            simulation.scheduler.submit(caller, [EmbeddingInput(text: "a", tokens: 10)], now: start + time)
            return try next(at: time)
        }
        func next(at time: Duration) throws -> RequestScheduler.Request {
            let step = simulation.scheduler.next(start + time)
            guard case .send(let request) = step else { throw CancellationError() }
            return request
        }
        func end(_ request: RequestScheduler.Request, _ verdict: TransferVerdict, at time: Duration) {
            _ = simulation.scheduler.finished(request.id, verdict, now: start + time)
        }

        let refused = try send(1, at: .zero)
        #expect(refused.model == "m")
        end(refused, Simulation.throttle(after: .seconds(60)), at: .milliseconds(10))
        let again = try next(at: .milliseconds(10))
        let second = try send(2, at: .milliseconds(20))
        #expect([again.model, second.model] == ["other", "other"])
        for request in [again, second] { end(request, Simulation.vectors(1), at: .milliseconds(40)) }
        // An hour later the primary model is asked again.
        let late = try send(3, at: .seconds(3600))
        #expect(late.model == "m")
        #expect(simulation.scheduler.statistics.throttledTime == .zero)
    }

    @Test("a fallback with other vectors is never used, nor one that does not know the model")
    func strangeFallback() {
        for isMissing in [false, true] {
            var simulation = Simulation {
                $0.fallbackModel = "other"
                $0.outagePatience = .seconds(600)
            }
            simulation.submit(0..<100)
            let start = simulation.start
            var wrong = 0
            simulation.run { request, now in
                if request.model == "other" {
                    if !isProbe(request) { wrong += 1 }
                    return .init(
                        verdict: isMissing
                            ? .failed(KelterError(.embeddingRefused, "No such model."))
                            : Simulation.vectors(request.texts.count, [0.6, 0.8])
                    )
                }
                let isAway = now > start + .milliseconds(50) && now < start + .seconds(30)
                return .init(
                    verdict: isAway
                        ? Simulation.failure(.embeddingServerError) : Simulation.vectors(request.texts.count)
                )
            }
            #expect(wrong == 0)
            #expect(simulation.failures.isEmpty)
            #expect(simulation.scheduler.statistics.fallbackInputs == 0)
            #expect(simulation.scheduler.fallbackProblem?.code == (isMissing ? .embeddingRefused : .modelMismatch))
        }
    }

    @Test("a caller with a deadline does not wait for an outage to end; others do")
    func deadline() {
        var simulation = Simulation { $0.outagePatience = .seconds(300) }
        simulation.submit(0..<3)
        simulation.submit(10..<11, deadline: simulation.start + .seconds(5))
        let start = simulation.start
        simulation.run { request, now in
            now < start + .seconds(60)
                ? .init(verdict: Simulation.failure(.embeddingUnreachable))
                : .init(verdict: Simulation.vectors(request.texts.count))
        }
        #expect(simulation.failures.keys.sorted() == [10])
        #expect(simulation.failures[10]?.code == .embeddingTimeout)
        #expect(simulation.results.count == 4)
    }

    @Test("fewer tokens read than were sent are reported, within the tolerance they are not")
    func truncation() {
        for (reported, suspected) in [(1000, 0), (981, 0), (979, 1), (512, 1), (0, 0)] {
            var simulation = Simulation { $0.countsTokensExactly = true }
            simulation.scheduler.submit(1, [EmbeddingInput(text: "lang", tokens: 1000)], now: simulation.now)
            simulation.run { request, _ in
                .init(verdict: Simulation.vectors(request.texts.count, tokens: reported))
            }
            #expect(simulation.scheduler.statistics.suspectedTruncations == suspected, "\(reported)")
        }
    }
}
