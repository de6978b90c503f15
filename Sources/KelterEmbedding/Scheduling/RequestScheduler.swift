import KelterModel

/// Packs the inputs of many callers into requests and decides what follows from each answer.
///
/// A value without I/O, clock or locks: every event returns what is to be done. The first thing sent is a probe of two
/// texts; nothing else goes out before it has shown how the endpoint writes vectors. One caller's inputs may be spread
/// over several requests. The memory of the queue is that of its callers' inputs.
struct RequestScheduler {
    typealias Instant = ContinuousClock.Instant
    typealias CallerID = UInt64
    typealias RequestID = Int

    /// A request to send now.
    struct Request: Equatable {
        let id: RequestID
        let model: String
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

    /// Vectors of a caller that still waits for others.
    struct Progress: Equatable {
        let caller: CallerID
        private(set) var indices: [Int] = []
        private(set) var vectors: [UnitVector] = []

        init(caller: CallerID) {
            self.caller = caller
        }

        mutating func add(_ index: Int, _ vector: UnitVector) {
            indices.append(index)
            vectors.append(vector)
        }
    }

    /// What an event leads to besides new requests.
    struct Effects: Equatable {
        var progress: [Progress] = []
        var completions: [Completion] = []
        /// Requests whose answer nobody waits for any more.
        var aborts: [RequestID] = []
    }

    struct Caller {
        let inputs: [EmbeddingInput]
        let wantsProgress: Bool
        var vectors: [UnitVector]
        /// Inputs in no request yet.
        var queued: Int
        /// Inputs without a vector.
        var missing: Int
    }

    /// A request under way.
    struct Running {
        let batch: Batch
        let lane: LaneID
        let sent: Instant
    }

    let endpoint: EmbeddingEndpoint
    let dimension: Int
    let backoff: Backoff
    let nextFraction: () -> Double

    /// The primary model and, if there is one, the fallback.
    var lanes: [Lane]
    var callers: [CallerID: Caller] = [:]
    /// When callers stop waiting; most have no deadline.
    var deadlines: [CallerID: Instant] = [:]
    var probeWaiters: [CallerID] = []
    var queue = InputQueue()
    /// When the last caller came.
    var lastArrival = Instant.now
    /// Batches to be sent again, and halves of divided ones.
    var waiting: [Batch] = []
    var running: [RequestID: Running] = [:]
    var nextRequest = 0
    /// Since when there was something to send that a throttle held back.
    private var heldSince: Instant?
    var sizes: BatchSizes
    var statistics = EmbeddingStatistics()

    /// Creates an idle scheduler.
    ///
    /// - Parameters:
    ///   - endpoint: The limits.
    ///   - model: The alias.
    ///   - dimension: The width of the vectors.
    ///   - nextFraction: The random source of the jitter, numbers from 0 to 1.
    init(
        endpoint: EmbeddingEndpoint,
        model: String,
        dimension: Int,
        nextFraction: @escaping () -> Double = { Double.random(in: 0...1) }
    ) {
        self.endpoint = endpoint
        self.dimension = dimension
        self.nextFraction = nextFraction
        backoff = Backoff(base: endpoint.retryBaseDelay)
        sizes = BatchSizes(configured: endpoint.maximumInputs)
        lanes = ([model] + (endpoint.fallbackModel.map { $0 == model ? [] : [$0] } ?? [])).map {
            Lane(model: $0, flow: FlowControl(endpoint))
        }
    }

    var isIdle: Bool { callers.isEmpty && probeWaiters.isEmpty && running.isEmpty }
}

// Callers.
extension RequestScheduler {
    /// Queues a caller's inputs, of which there is at least one.
    ///
    /// - Parameters:
    ///   - caller: A number that no other caller has had.
    ///   - inputs: Its texts.
    ///   - deadline: When the caller wants no answer any more; `nil` for never.
    ///   - wantsProgress: Whether it is told of vectors as they come.
    ///   - now: The time.
    mutating func submit(
        _ caller: CallerID,
        _ inputs: [EmbeddingInput],
        deadline: Instant? = nil,
        wantsProgress: Bool = false,
        now: Instant
    ) {
        callers[caller] = Caller(
            inputs: inputs,
            wantsProgress: wantsProgress,
            vectors: Array(repeating: .empty, count: inputs.count),
            queued: inputs.count,
            missing: inputs.count
        )
        deadlines[caller] = deadline
        for (index, input) in inputs.enumerated() {
            queue.append(.init(caller: caller, index: index, tokens: input.tokens, since: now))
        }
        lastArrival = now
    }

    /// Asks for the contract; a known one is the answer at once.
    mutating func submitProbe(_ caller: CallerID) -> Effects {
        if let contract = lanes[0].contract {
            return Effects(completions: [Completion(caller: caller, result: .success(.contract(contract)))])
        }
        probeWaiters.append(caller)
        return Effects()
    }

    /// Forgets a caller that does not wait any more.
    mutating func cancel(_ caller: CallerID, now: Instant) -> Effects {
        var effects = Effects()
        drop(caller, now: now, &effects)
        return effects
    }

    /// Fails the callers whose deadline has passed.
    mutating func expire(_ now: Instant) -> Effects {
        var effects = Effects()
        for (caller, deadline) in deadlines where deadline <= now {
            fail(caller, Self.deadlinePassed, now: now, &effects)
        }
        return effects
    }

    /// The next deadline of a caller.
    var nextDeadline: Instant? {
        deadlines.values.min()
    }

    /// Ends everything that waits.
    mutating func failAll(_ error: KelterError, now: Instant) -> Effects {
        var effects = Effects()
        for caller in probeWaiters + callers.keys.sorted() {
            effects.completions.append(Completion(caller: caller, result: .failure(error)))
        }
        probeWaiters = []
        callers = [:]
        deadlines = [:]
        queue.removeAll()
        endUnwanted(now: now, &effects)
        return effects
    }

    mutating func fail(_ caller: CallerID, _ error: KelterError, now: Instant, _ effects: inout Effects) {
        guard callers[caller] != nil || probeWaiters.contains(caller) else { return }
        effects.completions.append(Completion(caller: caller, result: .failure(error)))
        drop(caller, now: now, &effects)
    }

    private mutating func drop(_ id: CallerID, now: Instant, _ effects: inout Effects) {
        probeWaiters.removeAll { $0 == id }
        deadlines[id] = nil
        if let caller = callers.removeValue(forKey: id), caller.queued > 0 { queue.remove(id) }
        endUnwanted(now: now, &effects)
    }

    /// Ends the requests that nobody waits for.
    private mutating func endUnwanted(now: Instant, _ effects: inout Effects) {
        for (request, run) in running where !isWanted(run.batch) {
            effects.aborts.append(request)
            running[request] = nil
            lanes[run.lane.rawValue].running -= 1
            abandon(run.batch, now: now)
        }
        effects.aborts.sort()
        if callers.isEmpty, probeWaiters.isEmpty { heldSince = nil }
        guard !waiting.isEmpty else { return }
        for batch in waiting where !isWanted(batch) { abandon(batch, now: now) }
        waiting = waiting.filter(isWanted)
    }

    private mutating func abandon(_ batch: Batch, now: Instant) {
        switch batch.probe {
        case .contract: lanes[batch.lane.rawValue].phase = .unknown
        case .health: lanes[batch.lane.rawValue].flow.abandonedProbe(now)
        case nil: break
        }
    }

    private func isWanted(_ batch: Batch) -> Bool {
        batch.probe != nil
            ? !callers.isEmpty || !probeWaiters.isEmpty : batch.entries.contains { callers[$0.caller] != nil }
    }

    private static var deadlinePassed: KelterError {
        KelterError(
            .embeddingTimeout,
            "The embedding endpoint did not answer before the deadline.",
            subject: "LITELLM_BASE_URL",
            fix: "Try again, or look at the endpoint's load."
        )
    }
}

// Requests.
extension RequestScheduler {
    /// What to do now; asked again after every event and when the time it named has come.
    mutating func next(_ now: Instant) -> Step {
        var wake = Wake()
        if let probe = probe(now, &wake) { return send(probe, probe.lane, now) }
        guard lanes[0].contract != nil else { return .wait(until: wake.instant) }
        if let index = waiting.firstIndex(where: { $0.probe == nil && $0.notBefore <= now }) {
            // What was put off goes before what is new.
            guard let lane = lane(for: waiting[index], now, &wake) else { return .wait(until: wake.instant) }
            return send(waiting.remove(at: index), lane, now)
        }
        for batch in waiting where batch.probe == nil { wake.at(batch.notBefore) }
        guard let oldest = queue.oldest else { return .wait(until: wake.instant) }
        // Inputs that keep coming are waited for, because providers count requests; a single upload goes at once.
        let due = oldest.since + endpoint.packingDelay
        let flush = running.isEmpty ? min(due, lastArrival + endpoint.packingPause) : due
        guard queue.count >= sizes.current || queue.tokens >= endpoint.maximumTokensPerRequest || flush <= now else {
            wake.at(flush)
            return .wait(until: wake.instant)
        }
        // The gate is asked before the inputs are chosen, with the tokens that an average request would have.
        let tokens = min(queue.tokens, queue.tokens / max(queue.count, 1) * min(queue.count, sizes.current))
        guard let lane = lane(for: Batch(entries: [], notBefore: now), tokens: tokens, now, &wake) else {
            return .wait(until: wake.instant)
        }
        return send(pack(now, mustTakeOldest: due <= now), lane, now)
    }

    /// When to look again.
    struct Wake {
        private(set) var instant: Instant?

        mutating func at(_ other: Instant) {
            instant = min(instant ?? other, other)
        }
    }

    /// A probe that is to be sent now.
    private mutating func probe(_ now: Instant, _ wake: inout Wake) -> Batch? {
        guard !callers.isEmpty || !probeWaiters.isEmpty else { return nil }
        for lane in LaneID.allCases where lane.rawValue < lanes.count {
            let state = lanes[lane.rawValue]
            if let index = waiting.firstIndex(where: { $0.probe != nil && $0.lane == lane }) {
                if isOpen(lane, tokens: 2, max(now, waiting[index].notBefore), now, &wake) {
                    return waiting.remove(at: index)
                }
            } else if state.flow.breaker.isProbeDue(now), state.contract != nil {
                lanes[lane.rawValue].flow.probing()
                return Batch(entries: [], probe: .health, lane: lane, notBefore: now)
            } else if state.phase == .unknown, lane == .primary || needsFallback(now),
                isOpen(lane, tokens: 2, now, now, &wake)
            {
                lanes[lane.rawValue].phase = .probing
                return Batch(entries: [], probe: .contract(.base64), lane: lane, notBefore: now)
            }
        }
        return nil
    }

    private mutating func isOpen(
        _ lane: LaneID,
        tokens: Int,
        _ notBefore: Instant,
        _ now: Instant,
        _ wake: inout Wake
    ) -> Bool {
        guard notBefore <= now else {
            wake.at(notBefore)
            return false
        }
        let state = lanes[lane.rawValue]
        switch state.flow.gate(tokens: tokens, running: state.running, now: now) {
        case .open:
            release(now)
            return true
        case .busy:
            lanes[lane.rawValue].lastBusy = now
            return false
        case .closed(let until, let isThrottled):
            wake.at(until)
            if isThrottled, heldSince == nil { heldSince = now }
            return false
        }
    }

    /// Adds up the time in which a throttle alone kept something from being sent: what another lane takes at once was not
    /// kept.
    private mutating func release(_ now: Instant) {
        guard let since = heldSince.take() else { return }
        statistics.throttledTime += now - since
    }

    /// Whether the primary model is throttled or failing, and inputs wait for it.
    private func needsFallback(_ now: Instant) -> Bool {
        guard lanes[0].contract != nil, queue.count > 0 || !waiting.isEmpty else { return false }
        if waiting.contains(where: { $0.wantsFallback }) { return true }
        return lanes[0].flow.isImpaired(now)
    }

    /// The lane on which a batch may go now; the fallback's while the primary model is throttled or has failed.
    private mutating func lane(
        for batch: Batch,
        tokens: Int? = nil,
        _ now: Instant,
        _ wake: inout Wake
    ) -> LaneID? {
        let tokens = tokens ?? batch.tokens
        let mayFallBack = lanes.count > 1 && lanes[1].contract != nil
        // The answer to the fallback's probe is on its way: no need to use up the repetitions.
        if lanes.count > 1, batch.wantsFallback, lanes[1].phase == .probing, lanes[1].running > 0 { return nil }
        if mayFallBack, batch.wantsFallback, isOpen(.fallback, tokens: tokens, now, now, &wake) { return .fallback }
        if isOpen(.primary, tokens: tokens, now, now, &wake) { return .primary }
        guard mayFallBack, needsFallback(now) else { return nil }
        return isOpen(.fallback, tokens: tokens, now, now, &wake) ? .fallback : nil
    }

    private mutating func pack(_ now: Instant, mustTakeOldest: Bool) -> Batch {
        let entries = queue.take(
            maximum: sizes.current,
            maximumTokens: endpoint.maximumTokensPerRequest,
            mustTakeOldest: mustTakeOldest
        )
        for entry in entries { callers[entry.caller]?.queued -= 1 }
        return Batch(entries: entries, notBefore: now)
    }

    private mutating func send(_ batch: Batch, _ lane: LaneID, _ now: Instant) -> Step {
        let batch = living(batch)
        let id = nextRequest
        nextRequest += 1
        let tokens = batch.tokens
        lanes[lane.rawValue].running += 1
        let state = lanes[lane.rawValue]
        running[id] = Running(batch: batch, lane: lane, sent: now)
        lanes[lane.rawValue].flow.sent(tokens: tokens, now: now)
        statistics.requests += 1
        return .send(
            Request(id: id, model: state.model, encoding: encoding(of: batch, lane), texts: texts(of: batch))
        )
    }

    private func encoding(of batch: Batch, _ lane: LaneID) -> EmbeddingEncoding {
        if case .contract(let encoding) = batch.probe { return encoding }
        return lanes[lane.rawValue].contract?.encoding ?? .float
    }

    private func texts(of batch: Batch) -> [String] {
        guard batch.probe == nil else { return Self.probeTexts }
        return batch.entries.map { callers[$0.caller]?.inputs[$0.index].text ?? "" }
    }

    /// A batch without the inputs of callers that have ended meanwhile.
    func living(_ batch: Batch) -> Batch {
        guard batch.entries.contains(where: { callers[$0.caller] == nil }) else { return batch }
        var batch = batch
        batch.entries.removeAll { callers[$0.caller] == nil }
        return batch
    }

    /// What a probe sends: two texts, so that `index` has something to say.
    static let probeTexts = ["Kelter", "Traubenmost"]
}
