import KelterModel

extension RequestScheduler {
    /// Takes the end of a request.
    mutating func finished(_ request: RequestID, _ verdict: TransferVerdict, now: Instant) -> Effects {
        var effects = Effects()
        guard let batch = running.removeValue(forKey: request) else { return effects }
        switch verdict {
        case .reply(let reply):
            if let encoding = batch.probe {
                probed(encoding, reply, now: now, &effects)
            } else {
                deliver(reply, to: batch, &effects)
            }
        case .retry(let retry):
            again(living(batch), retry, now: now, &effects)
        case .refused(let error):
            refused(living(batch), error, now: now, &effects)
        case .failed(let error):
            fail(batch, error, &effects)
        }
        return effects
    }

    /// A batch without the inputs of callers that have ended meanwhile; what is sent again is divided without them.
    private func living(_ batch: Batch) -> Batch {
        var batch = batch
        batch.slices.removeAll { callers[$0.caller] == nil }
        return batch
    }

    private mutating func deliver(_ reply: EmbeddingReply, to batch: Batch, _ effects: inout Effects) {
        statistics.promptTokens += reply.promptTokens
        sizes.succeeded(reply.vectors.count, split: batch.split)
        var position = 0
        for slice in batch.slices {
            defer { position += slice.range.count }
            // Taken out while it is filled, so that its vectors are changed in place.
            guard var caller = callers.removeValue(forKey: slice.caller) else { continue }
            var failure: KelterError?
            for (offset, index) in slice.range.enumerated() {
                switch reply.vectors[position + offset] {
                case .success(let vector):
                    caller.vectors[index] = vector
                    statistics.inputs += 1
                case .failure(let error): failure = failure ?? error
                }
            }
            caller.missing -= slice.range.count
            if failure == nil, caller.missing == 0 {
                effects.completions.append(Completion(caller: slice.caller, result: .success(.vectors(caller.vectors))))
                continue
            }
            callers[slice.caller] = caller
            if let failure { fail(slice.caller, failure, &effects) }
        }
    }

    /// Fails everyone whose inputs were in a batch; after a probe, everyone.
    private mutating func fail(_ batch: Batch, _ error: KelterError, _ effects: inout Effects) {
        guard batch.probe == nil else {
            phase = .unknown
            let all = failAll(error)
            effects.completions += all.completions
            effects.aborts += all.aborts
            return
        }
        for slice in batch.slices { fail(slice.caller, error, &effects) }
    }

    private mutating func again(_ batch: Batch, _ retry: TransferVerdict.Retry, now: Instant, _ effects: inout Effects)
    {
        var batch = batch
        if let split = batch.split.take() { sizes.refusedAgain(split) }
        let patienceEnds = batch.patienceEnds ?? now + endpoint.patience
        let isFree = retry.isThrottle && retry.after != nil
        let step = backoff.delay(attempt: isFree ? batch.throttles : batch.retries, fraction: nextFraction())
        // An endpoint that says "0 seconds" again and again must not be hammered: the backoff is the least.
        let delay = max(step, retry.after ?? .zero)
        if retry.isThrottle { statistics.throttles += 1 }
        guard retry.after == nil || now + delay <= patienceEnds, isFree || batch.retries < endpoint.retryAttempts else {
            // Base64 that never arrives whole may be a matter of the encoding; numbers get their own chance.
            if batch.probe == .base64, retry.error.code == .embeddingReplyInvalid {
                waiting.append(Batch(slices: [], probe: .float, notBefore: now))
            } else {
                fail(batch, retry.error, &effects)
            }
            return
        }
        statistics.retries += 1
        batch.notBefore = now + delay
        if retry.after != nil { batch.patienceEnds = patienceEnds }
        if isFree {
            batch.throttles += 1
            pausedUntil = max(pausedUntil ?? now, now + delay)
        } else {
            batch.retries += 1
        }
        if retry.isTimeout, batch.count > 1 {
            sizes.timedOut(batch.count)
            statistics.splits += 1
            waiting += halves(of: batch)
        } else {
            waiting.append(batch)
        }
    }

    /// Bisects a refused batch until the input at fault stands alone.
    private mutating func refused(_ batch: Batch, _ error: KelterError, now: Instant, _ effects: inout Effects) {
        if let split = batch.split { sizes.refusedAgain(split) }
        if batch.probe == .base64 {
            waiting.append(Batch(slices: [], probe: .float, notBefore: now))
        } else if batch.count > 1 {
            statistics.splits += 1
            let split = sizes.divided(larger: (batch.count + 1) / 2)
            for var half in halves(of: batch) {
                half.split = split
                half.retries = 0
                half.notBefore = now
                waiting.append(half)
            }
        } else {
            fail(batch, error, &effects)
        }
    }

    private func halves(of batch: Batch) -> [Batch] {
        var first = batch
        var second = batch
        first.slices = []
        second.slices = []
        var room = (batch.count + 1) / 2
        for slice in batch.slices {
            let cut = slice.range.lowerBound + min(room, slice.range.count)
            room -= cut - slice.range.lowerBound
            if cut > slice.range.lowerBound {
                first.slices.append(Slice(caller: slice.caller, range: slice.range.lowerBound..<cut))
            }
            if cut < slice.range.upperBound {
                second.slices.append(Slice(caller: slice.caller, range: cut..<slice.range.upperBound))
            }
        }
        return [first, second]
    }
}

// The probe.
extension RequestScheduler {
    /// Lengths beyond these bounds are no embeddings but misread bytes, such as big-endian numbers.
    private static let plausibleLengths = 1e-4...1e6

    private mutating func probed(
        _ encoding: EmbeddingEncoding,
        _ reply: EmbeddingReply,
        now: Instant,
        _ effects: inout Effects
    ) {
        var failure: KelterError?
        for case .failure(let error) in reply.vectors { failure = failure ?? error }
        if failure == nil, !Self.plausibleLengths.contains(reply.firstLength) {
            failure = KelterError(
                .embeddingReplyInvalid,
                "The embedding endpoint's vectors have no plausible length.",
                subject: "LITELLM_BASE_URL",
                fix: "Check the model behind the endpoint."
            )
        }
        if let failure {
            // Wrong as base64 may be right as numbers: float64, big-endian and other private encodings.
            if encoding == .base64 {
                waiting.append(Batch(slices: [], probe: .float, notBefore: now))
            } else {
                fail(Batch(slices: [], probe: encoding, notBefore: now), failure, &effects)
            }
            return
        }
        let contract = EmbeddingContract(
            encoding: encoding == .base64 ? reply.encoding : .float,
            dimension: dimension,
            returnsUnitVectors: abs(reply.firstLength - 1) <= 1e-3,
            modelName: reply.model ?? model
        )
        phase = .known(contract)
        statistics.promptTokens += reply.promptTokens
        for waiter in probeWaiters {
            effects.completions.append(Completion(caller: waiter, result: .success(.contract(contract))))
        }
        probeWaiters = []
    }
}
