import KelterModel

/// Packs the inputs of many callers into requests and decides what follows from each answer.
///
/// A value without I/O, clock or locks: every event returns what is to be done. The first thing sent is a probe of two
/// texts; nothing else goes out before it has shown how the endpoint writes vectors. Inputs are taken in the order of
/// their callers; one caller's inputs may be spread over several requests. The memory of the queue is that of its
/// callers' inputs.
struct RequestScheduler {
    typealias Instant = ContinuousClock.Instant
    typealias CallerID = UInt64
    typealias RequestID = Int

    /// A request to send now.
    struct Request: Equatable {
        let id: RequestID
        let encoding: EmbeddingEncoding
        let texts: [String]
    }

    enum Step: Equatable {
        case send(Request)
        /// Nothing to send before this time, or before the next event if there is none.
        case wait(until: Instant?)
    }

    enum Answer: Equatable {
        case vectors([UnitVector])
        case contract(EmbeddingContract)
    }

    /// A caller's end.
    struct Completion: Equatable {
        let caller: CallerID
        let result: Result<Answer, KelterError>
    }

    /// What an event leads to besides new requests.
    struct Effects: Equatable {
        var completions: [Completion] = []
        /// Requests whose answer nobody waits for any more.
        var aborts: [RequestID] = []
    }

    /// A piece of one caller's inputs.
    struct Slice {
        let caller: CallerID
        var range: Range<Int>
    }

    /// The inputs of one request through all its repetitions.
    struct Batch {
        var slices: [Slice]
        /// Set for a probe, which carries no caller's inputs.
        var probe: EmbeddingEncoding?
        var retries = 0
        var throttles = 0
        var notBefore: Instant
        /// Until when `Retry-After` is obeyed; set by the first one.
        var patienceEnds: Instant?
        /// The division this batch came from, while it is the first try after it.
        var split: Int?

        var count: Int { slices.reduce(0) { $0 + $1.range.count } }
    }

    struct Caller {
        let inputs: [EmbeddingInput]
        var vectors: [UnitVector]
        /// The first input not yet in a batch.
        var next = 0
        /// Inputs without a vector.
        var missing: Int
        let since: Instant
    }

    enum Phase: Equatable {
        case unknown
        case probing
        case known(EmbeddingContract)
    }

    let endpoint: EmbeddingEndpoint
    let model: String
    let dimension: Int
    let backoff: Backoff
    let nextFraction: () -> Double

    var phase = Phase.unknown
    var callers: [CallerID: Caller] = [:]
    var probeWaiters: [CallerID] = []
    /// Callers with inputs that are in no batch, from `queueHead` on; ended callers are skipped when met.
    var queue: [CallerID] = []
    var queueHead = 0
    /// When the last caller came.
    var lastArrival = Instant.now
    var queuedInputs = 0
    var queuedTokens = 0
    /// Batches to be sent again, and halves of divided ones.
    var waiting: [Batch] = []
    var running: [RequestID: Batch] = [:]
    var nextRequest = 0
    var pausedUntil: Instant?
    var sizes: BatchSizes
    var statistics = EmbeddingStatistics()

    /// Creates an idle scheduler.
    ///
    /// - Parameters:
    ///   - endpoint: The limits.
    ///   - model: The alias, for the contract.
    ///   - dimension: The width of the vectors.
    ///   - nextFraction: The random source of the jitter, numbers from 0 to 1.
    init(
        endpoint: EmbeddingEndpoint,
        model: String,
        dimension: Int,
        nextFraction: @escaping () -> Double = { Double.random(in: 0...1) }
    ) {
        self.endpoint = endpoint
        self.model = model
        self.dimension = dimension
        self.nextFraction = nextFraction
        backoff = Backoff(base: endpoint.retryBaseDelay)
        sizes = BatchSizes(configured: endpoint.maximumInputs)
    }

    var isIdle: Bool { callers.isEmpty && probeWaiters.isEmpty && running.isEmpty }
}

// Callers.
extension RequestScheduler {
    /// Queues a caller's inputs, of which there is at least one.
    mutating func submit(_ caller: CallerID, _ inputs: [EmbeddingInput], now: Instant) {
        let empty = Array(repeating: UnitVector.empty, count: inputs.count)
        callers[caller] = Caller(inputs: inputs, vectors: empty, missing: inputs.count, since: now)
        queue.append(caller)
        lastArrival = now
        queuedInputs += inputs.count
        for input in inputs { queuedTokens += input.tokens }
    }

    /// Asks for the contract; a known one is the answer at once.
    mutating func submitProbe(_ caller: CallerID) -> Effects {
        if case .known(let contract) = phase {
            return Effects(completions: [Completion(caller: caller, result: .success(.contract(contract)))])
        }
        probeWaiters.append(caller)
        return Effects()
    }

    /// Forgets a caller that does not wait any more.
    mutating func cancel(_ caller: CallerID) -> Effects {
        var effects = Effects()
        drop(caller, &effects)
        return effects
    }

    /// Ends everything that waits.
    mutating func failAll(_ error: KelterError) -> Effects {
        var effects = Effects()
        for caller in probeWaiters + callers.keys.sorted() { fail(caller, error, &effects) }
        return effects
    }

    mutating func fail(_ caller: CallerID, _ error: KelterError, _ effects: inout Effects) {
        guard callers[caller] != nil || probeWaiters.contains(caller) else { return }
        effects.completions.append(Completion(caller: caller, result: .failure(error)))
        drop(caller, &effects)
    }

    private mutating func drop(_ id: CallerID, _ effects: inout Effects) {
        probeWaiters.removeAll { $0 == id }
        if let caller = callers.removeValue(forKey: id) {
            for input in caller.inputs[caller.next...] {
                queuedInputs -= 1
                queuedTokens -= input.tokens
            }
        }
        for (request, batch) in running where !isWanted(batch) {
            effects.aborts.append(request)
            running[request] = nil
            if batch.probe != nil { phase = .unknown }
        }
        guard !waiting.isEmpty else { return }
        if waiting.contains(where: { $0.probe != nil && !isWanted($0) }) { phase = .unknown }
        waiting = waiting.filter(isWanted)
    }

    private func isWanted(_ batch: Batch) -> Bool {
        batch.probe != nil
            ? !callers.isEmpty || !probeWaiters.isEmpty : batch.slices.contains { callers[$0.caller] != nil }
    }
}

// Requests.
extension RequestScheduler {
    /// What to do now; asked again after every event and when the time it named has come.
    mutating func next(_ now: Instant) -> Step {
        guard running.count < endpoint.requestsInFlight else { return .wait(until: nil) }
        if let pausedUntil {
            guard pausedUntil <= now else { return .wait(until: pausedUntil) }
            self.pausedUntil = nil
        }
        if let index = waiting.firstIndex(where: { $0.notBefore <= now }) {
            return send(waiting.remove(at: index))
        }
        let wake = waiting.map(\.notBefore).min()
        guard case .known = phase else {
            guard phase == .unknown, !callers.isEmpty || !probeWaiters.isEmpty else { return .wait(until: wake) }
            phase = .probing
            return send(Batch(slices: [], probe: .base64, notBefore: now))
        }
        skipEndedCallers()
        guard queueHead < queue.count, let oldest = callers[queue[queueHead]] else { return .wait(until: wake) }
        let isFull = queuedInputs >= sizes.current || queuedTokens >= endpoint.maximumTokensPerRequest
        // Inputs that keep coming are waited for, because providers count requests; a single upload goes at once.
        var flush = oldest.since + endpoint.packingDelay
        if running.isEmpty { flush = min(flush, lastArrival + endpoint.packingPause) }
        guard isFull || flush <= now else {
            return .wait(until: wake.map { min($0, flush) } ?? flush)
        }
        return send(pack(now))
    }

    private mutating func skipEndedCallers() {
        while queueHead < queue.count, callers[queue[queueHead]] == nil { queueHead += 1 }
        // Moved down now and then, so that the queue is as long as its callers and each step stays cheap.
        if queueHead > 256, queueHead * 2 > queue.count {
            queue.removeFirst(queueHead)
            queueHead = 0
        }
    }

    private mutating func pack(_ now: Instant) -> Batch {
        var slices: [Slice] = []
        var count = 0
        var tokens = 0
        packing: while queueHead < queue.count {
            let id = queue[queueHead]
            guard let inputs = callers[id]?.inputs, let start = callers[id]?.next else {
                queueHead += 1
                continue
            }
            var end = start
            defer {
                if end > start {
                    slices.append(Slice(caller: id, range: start..<end))
                    callers[id]?.next = end
                }
            }
            while end < inputs.count {
                let cost = inputs[end].tokens
                guard count < sizes.current, count == 0 || tokens + cost <= endpoint.maximumTokensPerRequest else {
                    break packing
                }
                count += 1
                tokens += cost
                end += 1
            }
            queueHead += 1
        }
        queuedInputs -= count
        queuedTokens -= tokens
        return Batch(slices: slices, notBefore: now)
    }

    private mutating func send(_ batch: Batch) -> Step {
        var batch = batch
        batch.slices.removeAll { callers[$0.caller] == nil }
        let id = nextRequest
        nextRequest += 1
        running[id] = batch
        statistics.requests += 1
        return .send(Request(id: id, encoding: encoding(of: batch), texts: texts(of: batch)))
    }

    private func encoding(of batch: Batch) -> EmbeddingEncoding {
        if let probe = batch.probe { return probe }
        guard case .known(let contract) = phase else { return .float }
        return contract.encoding
    }

    private func texts(of batch: Batch) -> [String] {
        guard batch.probe == nil else { return Self.probeTexts }
        var texts: [String] = []
        texts.reserveCapacity(batch.count)
        for slice in batch.slices {
            guard let inputs = callers[slice.caller]?.inputs else { continue }
            for index in slice.range { texts.append(inputs[index].text) }
        }
        return texts
    }

    /// What a probe sends: two texts, so that `index` has something to say.
    static let probeTexts = ["Kelter", "Traubenmost"]
}
