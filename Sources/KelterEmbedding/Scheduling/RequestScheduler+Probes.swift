import KelterModel

extension RequestScheduler {
    /// Vectors of one model for one text differ by this much at most between builds, batches and encodings: 1 − cosine.
    static let sameModel = 0.001

    /// Takes the answer to a probe.
    mutating func probed(
        _ probe: Batch.Probe,
        _ lane: LaneID,
        _ reply: EmbeddingReply,
        now: Instant,
        _ effects: inout Effects
    ) {
        statistics.promptTokens += reply.promptTokens
        var failure: KelterError?
        var reference: [[Float]] = []
        for result in reply.vectors {
            switch result {
            case .success(let vector): reference.append(vector.values ?? [])
            case .failure(let error): failure = failure ?? error
            }
        }
        if failure == nil, reference.contains(where: \.isEmpty) {
            failure = KelterError(
                .embeddingInvalid,
                "The embedding endpoint answers an ordinary text with a zero vector.",
                subject: "LITELLM_BASE_URL",
                fix: "Check the model behind the endpoint."
            )
        }
        if let failure {
            failed(probe, lane, failure, now: now, &effects)
            return
        }
        guard case .contract(let encoding) = probe else {
            recovered(lane, reference, now: now, &effects)
            return
        }
        let contract = EmbeddingContract(
            encoding: encoding == .base64 ? reply.encoding : .float,
            dimension: dimension,
            returnsUnitVectors: abs(reply.firstLength - 1) <= 1e-3,
            modelName: reply.model ?? lanes[lane.rawValue].model,
            reference: reference
        )
        lanes[lane.rawValue].phase = .known(contract)
        guard lane == .primary else {
            compareFallback(contract)
            return
        }
        for waiter in probeWaiters {
            effects.completions.append(Completion(caller: waiter, result: .success(.contract(contract))))
        }
        probeWaiters = []
    }

    /// A probe's end without usable vectors: the other encoding, the next caller's error, or no fallback.
    mutating func failed(
        _ probe: Batch.Probe,
        _ lane: LaneID,
        _ error: KelterError,
        now: Instant,
        _ effects: inout Effects
    ) {
        // Wrong as base64 may be right as numbers: float64, big-endian and other private encodings.
        if probe == .contract(.base64) {
            waiting.append(Batch(entries: [], probe: .contract(.float), lane: lane, notBefore: now))
            return
        }
        if probe == .health { lanes[lane.rawValue].flow.abandonedProbe(now) }
        guard lane == .primary else {
            lanes[lane.rawValue].phase = .unusable(error)
            return
        }
        lanes[0].phase = .unknown
        // A fallback was compared with what is not known any more.
        if lanes.count > 1, lanes[1].contract != nil { lanes[1].phase = .unknown }
        let all = failAll(error, now: now)
        effects.completions += all.completions
        effects.aborts += all.aborts
    }

    /// An endpoint that works again must still be the same: it may have been away for a change of its model.
    private mutating func recovered(
        _ lane: LaneID,
        _ reference: [[Float]],
        now: Instant,
        _ effects: inout Effects
    ) {
        guard let known = lanes[lane.rawValue].contract else { return }
        let similarity = Self.similarity(known.reference, reference)
        guard similarity < 1 - Self.sameModel else { return }
        guard lane == .primary else {
            lanes[lane.rawValue].phase = .unusable(drift(lane, similarity))
            return
        }
        let all = failAll(drift(lane, similarity), now: now)
        effects.completions += all.completions
        effects.aborts += all.aborts
        // The contract stays: later callers too meet a probe that is compared with it.
        _ = lanes[0].flow.trip(now: now, fraction: nextFraction())
    }

    private func drift(_ lane: LaneID, _ similarity: Double) -> KelterError {
        KelterError(
            .embeddingModelDrift,
            "Since an interruption, the model \(lanes[lane.rawValue].model) answers with other vectors "
                + "(cosine similarity \(similarity.formatted4)).",
            subject: "EMBEDDINGS_MODEL_PRIMARY",
            fix: "Point the alias at the model it had, and run again."
        )
    }

    /// A fallback whose vectors are not those of the primary model would spoil the vector space.
    private mutating func compareFallback(_ contract: EmbeddingContract) {
        guard let primary = lanes[0].contract else { return }
        let similarity = Self.similarity(primary.reference, contract.reference)
        guard similarity < 1 - Self.sameModel else { return }
        lanes[1].phase = .unusable(
            KelterError(
                .modelMismatch,
                "The vectors of \(lanes[1].model) are not those of \(lanes[0].model) (cosine similarity "
                    + "\(similarity.formatted4)): it is not used as its fallback.",
                subject: "EMBEDDINGS_MODEL_FALLBACK",
                fix: "Name another deployment of the same model, or none."
            )
        )
    }

    /// Why the fallback is not used; `nil` when it is, or was not needed yet.
    var fallbackProblem: KelterError? {
        guard lanes.count > 1, case .unusable(let error) = lanes[1].phase else { return nil }
        return error
    }

    /// The least cosine similarity of vectors that belong together.
    static func similarity(_ left: [[Float]], _ right: [[Float]]) -> Double {
        zip(left, right).map { pair in
            zip(pair.0, pair.1).reduce(0) { $0 + Double($1.0) * Double($1.1) }
        }.min() ?? 0
    }
}

extension Double {
    /// The number with four decimals.
    var formatted4: String {
        let scaled = Int((self * 10_000).rounded())
        let digits = String(abs(scaled) % 10_000)
        return (scaled < 0 ? "-" : "") + "\(abs(scaled) / 10_000)." + String(repeating: "0", count: 4 - digits.count)
            + digits
    }
}
