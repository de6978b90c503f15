import KelterModel
import Testing

@testable import KelterEmbedding

@Suite("Flow control, in virtual time")
struct FlowControlTests {
    typealias Simulation = SchedulerSimulation

    /// How a limited endpoint says no.
    enum Manner: CaseIterable {
        case silent
        case exact
        case wholeSeconds
    }

    struct Limit: CustomTestStringConvertible {
        let rate: Double
        let burst: Double
        let latency: Duration
        let manner: Manner

        var testDescription: String { "\(rate)/s, \(burst) at once, \(latency), \(manner)" }

        static let all: [Limit] = [(5.0, 2.0), (50, 1), (50, 5), (50, 60), (400, 40), (400, 400)].flatMap {
            rate,
            burst in
            [Duration.milliseconds(1), .milliseconds(30), .milliseconds(200)].flatMap { latency in
                Manner.allCases.compactMap { manner in
                    // Who is sent away for a second cannot use a bucket that fills sooner.
                    manner == .wholeSeconds && burst < rate
                        ? nil : Limit(rate: rate, burst: burst, latency: latency, manner: manner)
                }
            }
        }
    }

    @Test("at least 90 % of what a token bucket allows is used, and nothing fails", arguments: Limit.all)
    func tokenBucket(_ limit: Limit) {
        let count = UInt64(limit.rate * 40)
        var simulation = Simulation { $0.requestsInFlight = 128 }
        var bucket = TokenBucket(rate: limit.rate, burst: limit.burst)
        simulation.submit(0..<count)
        simulation.run { request, now in
            guard let wait = bucket.admit(now) else {
                return .init(verdict: Simulation.vectors(request.texts.count), latency: limit.latency)
            }
            let after: Duration? =
                switch limit.manner {
                case .silent: nil
                case .exact: wait
                case .wholeSeconds: .seconds((wait / .seconds(1)).rounded(.up))
                }
            return .init(verdict: Simulation.throttle(after: after), latency: .milliseconds(1))
        }
        #expect(simulation.results.count == Int(count))
        #expect(simulation.failures.isEmpty)
        let least = (Double(count) - limit.burst) / limit.rate
        let used = least / (simulation.elapsed / .seconds(1))
        let refused =
            Double(simulation.scheduler.statistics.throttles) / Double(simulation.scheduler.statistics.requests)
        // A bucket of one loses what comes a moment late, which no sender with a round trip can avoid.
        #expect(
            used >= (limit.burst == 1 ? 0.75 : 0.9),
            "\(used) of the limit, \(refused) of the requests were throttled"
        )
        #expect(refused <= 0.66)
    }

    @Test("what is left and when it is reset, said in header fields, spares all throttles")
    func headers() {
        var simulation = Simulation()
        var bucket = TokenBucket(rate: 10, burst: 20)
        simulation.submit(0..<400)
        simulation.run { request, now in
            let wait = bucket.admit(now)
            var answer = Simulation.Answer(
                verdict: wait.map { Simulation.throttle(after: $0) } ?? Simulation.vectors(1)
            )
            let state = bucket.state
            answer.limits = RateLimits(
                [
                    ("x-ratelimit-remaining-requests", "\(state.left)"),
                    ("x-ratelimit-reset-requests", "\(state.full / .milliseconds(1))ms"),
                ],
                now: 0
            )
            return answer
        }
        #expect(simulation.failures.isEmpty)
        #expect(simulation.results.count == 400)
        #expect(simulation.scheduler.statistics.throttles <= 8)
        #expect(simulation.elapsed <= .seconds(400 / 10 / 0.9))
        #expect(simulation.scheduler.statistics.throttledTime > .seconds(25))
    }

    @Test("a limit on tokens holds back requests that would exceed it")
    func tokenAllowance() {
        var simulation = Simulation {
            $0.maximumInputs = 1
            $0.requestsInFlight = 1
        }
        simulation.submit(0..<6)
        var sent: [Duration] = []
        let start = simulation.start
        simulation.run { _, now in
            sent.append(now - start)
            var answer = Simulation.Answer(verdict: Simulation.vectors(1), latency: .milliseconds(10))
            // Each text has ten tokens: after the third there is not enough for another one.
            let left = 25 - (sent.count - 1) % 3 * 10
            answer.limits = RateLimits(
                [("x-ratelimit-remaining-tokens", "\(left)"), ("x-ratelimit-reset-tokens", "2s")],
                now: 0
            )
            return answer
        }
        #expect(simulation.failures.isEmpty)
        #expect(sent.count == 6)
        #expect(sent[2] < .seconds(1))
        #expect(sent[3] >= .seconds(2))
        #expect(sent[5] < .seconds(3))
    }

    @Test("a limit by the minute is found again soon after the minute, by single requests")
    func fixedWindow() {
        var simulation = Simulation()
        simulation.submit(0..<240)
        let start = simulation.start
        var admitted: [Int: Int] = [:]
        simulation.run { _, now in
            let minute = Int((now - start) / .seconds(60))
            guard admitted[minute, default: 0] < 60 else {
                return .init(verdict: Simulation.throttle(), latency: .milliseconds(5))
            }
            admitted[minute, default: 0] += 1
            return .init(verdict: Simulation.vectors(1))
        }
        #expect(simulation.failures.isEmpty)
        #expect(simulation.results.count == 240)
        #expect(simulation.elapsed < .seconds(3 * 60 + 30))
        #expect(simulation.scheduler.statistics.throttles < 120)
    }

    @Test("throttles that have nothing to do with the rate fail nothing")
    func randomThrottles() {
        var simulation = Simulation()
        var generator = TestGenerator(seed: 7)
        simulation.submit(0..<2000)
        simulation.run { _, _ in
            Bool.random(using: &generator)
                ? .init(verdict: Simulation.throttle()) : .init(verdict: Simulation.vectors(1))
        }
        #expect(simulation.failures.isEmpty)
        #expect(simulation.results.count == 2000)
    }

    @Test("an endpoint that takes so many requests at a time gets about so many")
    func concurrencyLimit() {
        var simulation = Simulation { $0.requestsInFlight = 64 }
        var ends: [ContinuousClock.Instant] = []
        simulation.submit(0..<2000)
        simulation.run { _, now in
            ends.removeAll { $0 <= now }
            guard ends.count < 10 else {
                return .init(verdict: Simulation.throttle(), latency: .milliseconds(1))
            }
            ends.append(now + .milliseconds(50))
            return .init(verdict: Simulation.vectors(1), latency: .milliseconds(50))
        }
        #expect(simulation.failures.isEmpty)
        // Ten at a time of 50 ms are 200 a second.
        #expect(simulation.elapsed < .seconds(10 / 0.8), "\(simulation.elapsed)")
    }

    @Test("the window grows with success, up to its maximum, and timeouts cut it")
    func window() {
        var simulation = Simulation { $0.requestsInFlight = 12 }
        simulation.submit(0..<200)
        simulation.run { _, _ in .init(verdict: Simulation.vectors(1)) }
        #expect(simulation.maximumInFlight == 12)
        let limit = simulation.scheduler.lanes[0].flow.limit
        simulation.submit(1000..<1012)
        var number = 0
        simulation.run { _, _ in
            number += 1
            return number <= 4
                ? .init(verdict: Simulation.failure(.embeddingTimeout), latency: .seconds(20))
                : .init(verdict: Simulation.vectors(1))
        }
        #expect(simulation.failures.isEmpty)
        #expect(limit == 12)
        #expect(simulation.scheduler.lanes[0].flow.limit <= 7)
    }

    @Test("requests that only wait at the server do not make the window grow")
    func slowServer() {
        var simulation = Simulation { $0.requestsInFlight = 64 }
        simulation.submit(0..<300)
        var free = simulation.start
        simulation.run { _, now in
            // One after the other, each a second.
            free = max(free, now) + .seconds(1)
            return .init(verdict: Simulation.vectors(1), latency: free - now)
        }
        #expect(simulation.failures.isEmpty)
        #expect(simulation.maximumInFlight <= 12)
    }
}
