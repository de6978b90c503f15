import KelterModel

@testable import KelterEmbedding

/// A scheduler and an endpoint in virtual time: minutes pass in milliseconds, the same way each time.
struct SchedulerSimulation {
    typealias Instant = ContinuousClock.Instant

    /// What the endpoint makes of one request.
    struct Answer {
        var verdict: TransferVerdict
        var limits: RateLimits?
        var latency = Duration.milliseconds(20)
    }

    private struct Flight {
        let request: RequestScheduler.Request
        let end: Instant
        let answer: Answer
    }

    let start = ContinuousClock.now
    var scheduler: RequestScheduler
    private(set) var now: Instant
    private(set) var results: [UInt64: Result<RequestScheduler.Answer, KelterError>] = [:]
    private(set) var maximumInFlight = 0
    private var flights: [Flight] = []

    /// Prepares a scheduler that has made contact.
    ///
    /// - Parameters:
    ///   - seed: Of the jitter.
    ///   - change: Settings of the endpoint.
    init(seed: UInt64 = 1, _ change: (inout EmbeddingEndpoint) -> Void = { _ in }) {
        var endpoint = EmbeddingEndpoint(baseURL: "http://host", maximumInputs: 1)
        change(&endpoint)
        let generator = Generator(seed)
        scheduler = RequestScheduler(endpoint: endpoint, model: "m", dimension: 2, nextFraction: generator.next)
        scheduler.lanes[0].phase = .known(Self.contract())
        now = start
    }

    private final class Generator {
        private var base: TestGenerator

        init(_ seed: UInt64) {
            base = TestGenerator(seed: seed)
        }

        func next() -> Double { Double.random(in: 0...1, using: &base) }
    }

    static func contract(_ vector: [Float] = [1, 0]) -> EmbeddingContract {
        EmbeddingContract(
            encoding: .base64,
            dimension: 2,
            returnsUnitVectors: true,
            modelName: "m",
            reference: [vector, vector]
        )
    }

    static func vectors(_ count: Int, _ vector: [Float] = [1, 0], tokens: Int = 0) -> TransferVerdict {
        .reply(
            EmbeddingReply(
                vectors: Array(repeating: .success(.unit(vector)), count: count),
                encoding: .base64,
                firstLength: 1,
                model: nil,
                promptTokens: tokens
            )
        )
    }

    static func throttle(after: Duration? = nil) -> TransferVerdict {
        .retry(.init(error: KelterError(.embeddingThrottled, "Busy."), after: after, isThrottle: true))
    }

    static func failure(_ code: ErrorCode) -> TransferVerdict {
        .retry(.init(error: KelterError(code, "A fault."), isTimeout: code == .embeddingTimeout))
    }

    /// The time that has passed.
    var elapsed: Duration { now - start }

    /// Callers that have failed.
    var failures: [UInt64: KelterError] {
        results.compactMapValues { result in
            if case .failure(let error) = result { error } else { nil }
        }
    }

    /// Queues callers with one text each, which is their number.
    mutating func submit(_ callers: Range<UInt64>, deadline: Instant? = nil) {
        for caller in callers {
            let input = EmbeddingInput(text: "\(caller)", tokens: 10)
            scheduler.submit(caller, [input], deadline: deadline, now: now)
        }
    }

    /// Lets time pass until everyone has an answer.
    ///
    /// - Parameters:
    ///   - limit: The most time.
    ///   - endpoint: Answers a request sent at a time.
    mutating func run(
        limit: Duration = .seconds(3600),
        _ endpoint: (RequestScheduler.Request, Instant) -> Answer
    ) {
        while !scheduler.isIdle, elapsed < limit {
            take(scheduler.expire(now))
            var wake: Instant?
            sending: while true {
                switch scheduler.next(now) {
                case .send(let request):
                    let answer = endpoint(request, now)
                    flights.append(Flight(request: request, end: now + answer.latency, answer: answer))
                    maximumInFlight = max(maximumInFlight, flights.count)
                case .wait(let until):
                    wake = until
                    break sending
                }
            }
            let next = [wake, flights.map(\.end).min(), scheduler.nextDeadline].compactMap { $0 }.min()
            guard let next else { return }
            now = max(now, next)
            for flight in flights.filter({ $0.end <= now }).sorted(by: { $0.end < $1.end }) {
                guard let index = flights.firstIndex(where: { $0.request.id == flight.request.id }) else { continue }
                flights.remove(at: index)
                take(
                    scheduler.finished(
                        flight.request.id,
                        flight.answer.verdict,
                        limits: flight.answer.limits,
                        now: flight.end
                    )
                )
            }
        }
    }

    private mutating func take(_ effects: RequestScheduler.Effects) {
        for completion in effects.completions { results[completion.caller] = completion.result }
        flights.removeAll { effects.aborts.contains($0.request.id) }
    }
}

/// A limit of so many requests a second, of which some may come at once.
struct TokenBucket {
    let rate: Double
    let burst: Double
    private var level: Double
    private var last: ContinuousClock.Instant?

    init(rate: Double, burst: Double) {
        self.rate = rate
        self.burst = burst
        level = burst
    }

    /// Admits a request or says how long the next one has to wait.
    mutating func admit(_ now: ContinuousClock.Instant) -> Duration? {
        if let last { level = min(burst, level + (now - last) / .seconds(1) * rate) }
        last = now
        guard level < 1 else {
            level -= 1
            return nil
        }
        return .seconds((1 - level) / rate)
    }

    /// Requests that could be sent at once, and the time until it is full.
    var state: (left: Int, full: Duration) { (Int(level), .seconds((burst - level) / rate)) }
}
