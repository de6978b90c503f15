import KelterModel

extension RequestScheduler {
    /// How often a batch gets fresh repetitions after an outage, before it is taken for the cause.
    private static let maximumOutages = 2

    /// Takes the end of a request.
    ///
    /// - Parameters:
    ///   - request: The request.
    ///   - verdict: What became of it.
    ///   - limits: What its reply says of the endpoint's limits.
    ///   - now: The time.
    /// - Returns: What follows.
    mutating func finished(
        _ request: RequestID,
        _ verdict: TransferVerdict,
        limits: RateLimits? = nil,
        now: Instant
    ) -> Effects {
        var effects = Effects()
        guard let run = running.removeValue(forKey: request) else { return effects }
        let index = run.lane.rawValue
        lanes[index].running -= 1
        if let limits { lanes[index].flow.limits(limits, now: now) }
        switch verdict {
        case .reply(let reply):
            let wasBusy = lanes[index].lastBusy.map { $0 >= run.sent } ?? false
            lanes[index].flow.succeeded(sent: run.sent, wasBusy: wasBusy, now: now)
            if let probe = run.batch.probe {
                probed(probe, run.lane, reply, now: now, &effects)
            } else {
                deliver(reply, to: run, now: now, &effects)
            }
        case .retry(let retry):
            again(run, retry, now: now, &effects)
        case .refused(let error):
            lanes[index].flow.answered()
            refused(run, error, now: now, &effects)
        case .failed(let error):
            lanes[index].flow.answered()
            fatal(run, error, now: now, &effects)
        }
        return effects
    }

    private mutating func deliver(_ reply: EmbeddingReply, to run: Running, now: Instant, _ effects: inout Effects) {
        let batch = run.batch
        statistics.promptTokens += reply.promptTokens
        if run.lane == .fallback { statistics.fallbackInputs += batch.count }
        lookForTruncation(reply, batch)
        sizes.succeeded(reply.vectors.count, split: batch.split)
        var position = 0
        while position < batch.entries.count {
            let id = batch.entries[position].caller
            let end = batch.entries[position...].firstIndex { $0.caller != id } ?? batch.entries.count
            defer { position = end }
            // Taken out while it is filled, so that its vectors are changed in place.
            guard var caller = callers.removeValue(forKey: id) else { continue }
            var failure: KelterError?
            var progress = Progress(caller: id)
            for place in position..<end {
                let index = batch.entries[place].index
                switch reply.vectors[place] {
                case .success(let vector):
                    caller.vectors[index] = vector
                    statistics.inputs += 1
                    if caller.wantsProgress { progress.add(index, vector) }
                case .failure(let error): failure = failure ?? error
                }
            }
            caller.missing -= end - position
            if !progress.indices.isEmpty { effects.progress.append(progress) }
            if failure == nil, caller.missing == 0 {
                deadlines[id] = nil
                effects.completions.append(Completion(caller: id, result: .success(.vectors(caller.vectors))))
                continue
            }
            callers[id] = caller
            if let failure { fail(id, failure, now: now, &effects) }
        }
    }

    /// Compares what the endpoint says it has read with what it was sent.
    ///
    /// Tolerated are 2 % and two tokens an input, for services that do not count special tokens.
    private mutating func lookForTruncation(_ reply: EmbeddingReply, _ batch: Batch) {
        guard endpoint.countsTokensExactly, reply.promptTokens > 0, batch.entries.allSatisfy({ $0.tokens > 0 }) else {
            return
        }
        let sent = batch.tokens
        if reply.promptTokens < sent - max(2 * batch.count, sent / 50) {
            statistics.suspectedTruncations += 1
            statistics.truncatedTokens += sent - reply.promptTokens
        }
    }

    /// Fails everyone whose inputs were in a batch; after the first probe, everyone.
    private mutating func fail(_ run: Running, _ error: KelterError, now: Instant, _ effects: inout Effects) {
        if let probe = run.batch.probe {
            failed(probe == .contract(.base64) ? .contract(.float) : probe, run.lane, error, now: now, &effects)
            return
        }
        for entry in run.batch.entries { fail(entry.caller, error, now: now, &effects) }
    }

    /// No request of this kind can succeed: on the fallback that is the fallback's end only.
    private mutating func fatal(_ run: Running, _ error: KelterError, now: Instant, _ effects: inout Effects) {
        guard run.lane == .fallback, run.batch.probe == nil else { return fail(run, error, now: now, &effects) }
        lanes[1].phase = .unusable(error)
        var batch = living(run.batch)
        batch.wantsFallback = false
        batch.notBefore = now
        waiting.append(batch)
    }

    private mutating func again(
        _ run: Running,
        _ retry: TransferVerdict.Retry,
        now: Instant,
        _ effects: inout Effects
    ) {
        let run = Running(batch: living(run.batch), lane: run.lane, sent: run.sent)
        if let split = run.batch.split { sizes.refusedAgain(split) }
        if retry.isThrottle {
            throttled(run, retry, now: now, &effects)
        } else {
            failedOnce(run, retry, now: now, &effects)
        }
    }

    /// A throttle is no attempt: the request goes again when the endpoint takes requests, unless it takes none for long.
    private mutating func throttled(
        _ run: Running,
        _ retry: TransferVerdict.Retry,
        now: Instant,
        _ effects: inout Effects
    ) {
        let index = run.lane.rawValue
        statistics.throttles += 1
        let resumed = lanes[index].flow.throttled(
            after: retry.after,
            sent: run.sent,
            now: now,
            fraction: nextFraction()
        )
        var batch = run.batch
        batch.split = nil
        batch.throttledSince = batch.throttledSince ?? now
        batch.wantsFallback = run.lane == .primary
        let started = batch.throttledSince ?? now
        let since = lanes[index].flow.lastSuccess.map { max($0, started) } ?? started
        if batch.probe == .health {
            let failing = lanes[index].flow.breaker.failingSince ?? now
            lanes[index].flow.abandonedProbe(resumed)
            if run.lane == .primary, resumed > failing + max(endpoint.patience, endpoint.outagePatience) {
                giveUp(retry.error, now: now, &effects)
            }
            return
        }
        if run.lane == .primary, batch.probe != nil || !hasFallback, resumed > since + endpoint.patience {
            fail(run, retry.error, now: now, &effects)
            return
        }
        statistics.retries += 1
        batch.notBefore = now
        waiting.append(batch)
    }

    /// Whether there is a fallback that may be asked, now or once it was probed.
    private var hasFallback: Bool {
        guard lanes.count > 1 else { return false }
        if case .unusable = lanes[1].phase { return false }
        return true
    }

    /// Ends everyone's wait for the primary model, unless the fallback serves them.
    private mutating func giveUp(_ error: KelterError, now: Instant, _ effects: inout Effects) {
        if lanes.count > 1, lanes[1].contract != nil, lanes[1].flow.breaker.state == .closed { return }
        let all = failAll(error, now: now)
        effects.completions += all.completions
        effects.aborts += all.aborts
    }

    private mutating func failedOnce(
        _ run: Running,
        _ retry: TransferVerdict.Retry,
        now: Instant,
        _ effects: inout Effects
    ) {
        let index = run.lane.rawValue
        let wasHalfOpen = lanes[index].flow.breaker.state == .halfOpen
        let hasOpened = lanes[index].flow.failed(sent: run.sent, now: now, fraction: nextFraction())
        if hasOpened { statistics.outages += 1 }
        var batch = run.batch
        batch.split = nil
        if batch.probe == .health {
            let since = lanes[index].flow.breaker.failingSince ?? now
            if run.lane == .primary, wasHalfOpen, now - since >= endpoint.outagePatience {
                giveUp(retry.error, now: now, &effects)
            }
            return
        }
        guard batch.retries < endpoint.retryAttempts else {
            exhausted(run, retry, now: now, &effects)
            return
        }
        statistics.retries += 1
        let step = backoff.delay(attempt: batch.retries, fraction: nextFraction())
        batch.notBefore = now + max(step, min(retry.after ?? .zero, endpoint.patience))
        batch.retries += 1
        batch.wantsFallback = run.lane == .primary && retry.isOutage
        if retry.isTimeout, batch.count > 1 {
            sizes.timedOut(batch.count)
            statistics.splits += 1
            waiting += batch.halves
        } else {
            waiting.append(batch)
        }
    }

    /// A batch that has used up its repetitions: an outage is waited for, within the patience; a batch that fails while
    /// the endpoint works for others is divided, and what is left fails.
    private mutating func exhausted(
        _ run: Running,
        _ retry: TransferVerdict.Retry,
        now: Instant,
        _ effects: inout Effects
    ) {
        let index = run.lane.rawValue
        var batch = run.batch
        guard batch.probe == nil else {
            // Base64 that never arrives whole may be a matter of the encoding; numbers get their own chance.
            if let probe = batch.probe, retry.isUnusable {
                failed(probe, run.lane, retry.error, now: now, &effects)
            } else {
                fail(run, retry.error, now: now, &effects)
            }
            return
        }
        batch.notBefore = now
        batch.wantsFallback = false
        if run.lane == .fallback {
            batch.retries = 0
            waiting.append(batch)
        } else if retry.isOutage, endpoint.outagePatience > .zero, batch.outages < Self.maximumOutages {
            if lanes[index].flow.trip(now: now, fraction: nextFraction()) { statistics.outages += 1 }
            batch.outages += 1
            batch.retries = 0
            waiting.append(batch)
        } else if retry.isOutage, batch.outages > 0, batch.count > 1 {
            statistics.splits += 1
            waiting += batch.halves
        } else {
            fail(run, retry.error, now: now, &effects)
        }
    }

    /// Bisects a refused batch until the input at fault stands alone.
    private mutating func refused(_ run: Running, _ error: KelterError, now: Instant, _ effects: inout Effects) {
        if run.lane == .fallback, run.batch.probe == nil {
            // What a replacement refuses the primary model may take.
            return fatal(run, error, now: now, &effects)
        }
        var batch = living(run.batch)
        if let split = batch.split { sizes.refusedAgain(split) }
        guard batch.count == run.batch.count else {
            // The input at fault may have been one of those that have left.
            batch.split = nil
            batch.notBefore = now
            if batch.count > 0 { waiting.append(batch) }
            return
        }
        if let probe = batch.probe {
            failed(probe, run.lane, error, now: now, &effects)
        } else if batch.count > 1 {
            statistics.splits += 1
            let split = sizes.divided(larger: (batch.count + 1) / 2)
            for var half in batch.halves {
                half.split = split
                half.retries = 0
                half.notBefore = now
                waiting.append(half)
            }
        } else {
            fail(run, error, now: now, &effects)
        }
    }
}
