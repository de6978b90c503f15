import KelterEmbedding
import KelterModel
import KelterStore

/// The course of a batch in one process: find, work, delete what is gone, count again, close.
struct BatchCourse: Sendable {
    let ingestion: Ingestion
    let request: IngestRequest
    let run: RowID
    let walk: any InputWalk
    let progress: RunProgress
    /// For how long a part stays with a process that has fallen silent.
    let lease: Duration

    private var store: Store { ingestion.stages.store }
    private var tenant: Tenant { request.caller.tenant }

    /// Brings a batch to its end, or as far as it gets.
    ///
    /// - Parameters:
    ///   - claim: This process's right to close the run.
    ///   - state: Where it stood.
    ///   - start: When this process began.
    /// - Returns: The report of the run.
    /// - Throws: ``KelterError`` when nothing could be read or recorded.
    func coordinate(
        _ claim: ClaimedRun,
        from state: BatchState,
        since start: ContinuousClock.Instant
    ) async throws(KelterError) -> IngestReport {
        FailPoint.runEntered.pass()
        let known = state == .partlyFound ? try await store.addedPaths(to: run, tenant: tenant) : []
        if state != .new { try await takeUp(isFound: state == .found) }
        let batch = makeBatch(inputs(coordinator: nil))
        let finding = Task {
            guard state != .found else { return }
            let finder = InputFinder(store: store, coordinator: claim, io: ingestion.io, progress: progress)
            do throws(KelterError) { try await finder.find(walk, except: known) } catch { progress.end(with: error) }
        }
        await withHeartbeat(batch, claim) {
            await withTaskCancellationHandler {
                await batch.work()
                if progress.snapshot.error != nil || Task.isCancelled { finding.cancel() }
                await finding.value
            } onCancel: {
                finding.cancel()
            }
            if request.sync, request.retry == nil, isWhole {
                FailPoint.syncBegun.pass()
                do throws(KelterError) {
                    let deletion = SyncDeletion(ingestion: ingestion, request: request, root: walk.root)
                    try await deletion.delete(run: run)
                    if request.trustsStamps {
                        try await store.pruneStamps(underRoot: walk.root, notIn: run, tenant: tenant)
                    }
                    FailPoint.sourcesDeleted.pass()
                } catch {
                    progress.end(with: error)
                }
            }
        }
        return await close(claim, since: start)
    }

    /// Works on a batch that another process coordinates.
    ///
    /// - Parameters:
    ///   - coordinator: The other process.
    ///   - start: When this one began.
    /// - Returns: The report of the run; `nil` when its coordinator has fallen silent.
    /// - Throws: ``KelterError`` of the database.
    func help(
        _ coordinator: String,
        since start: ContinuousClock.Instant
    ) async throws(KelterError) -> IngestReport? {
        try await takeUp(isFound: false)
        let batch = makeBatch(inputs(coordinator: coordinator))
        await withHeartbeat(batch, nil) { await batch.work() }
        while progress.snapshot.error == nil, !Task.isCancelled {
            guard try await store.run(run, tenant: tenant).status == .running else {
                return try await ended(since: start)
            }
            let isAlive = try await store.isCoordinated(run, tenant: tenant)
            guard isAlive, ProcessName(coordinator)?.hasEnded != true else { return nil }
            try? await Task.sleep(for: .milliseconds(100))
        }
        var report = try await recorded(status: progress.snapshot.error == nil ? .interrupted : .failed)
        report.error = progress.snapshot.error
        report.duration = ContinuousClock.now - start
        return report
    }

    /// Works on one part of a batch that another process coordinates, if there is one that nobody works on.
    func helpOnce() async {
        let batch = makeBatch(SinglePart(inputs(coordinator: nil)))
        await withHeartbeat(batch, nil) { await batch.work() }
    }

    /// The report of a run that has ended.
    ///
    /// - Throws: ``KelterError`` of the database.
    func ended(since start: ContinuousClock.Instant) async throws(KelterError) -> IngestReport {
        let record = try await store.run(run, tenant: tenant)
        var report = try await recorded(status: record.status)
        report.isBalanced = record.totals?["balanced"]?.bool ?? false
        report.duration = ContinuousClock.now - start
        return report
    }

    /// Takes note of how far the batch has come without this process.
    ///
    /// Parts of processes of this machine that are no more are free at once: otherwise those behind them would come first,
    /// and of copies another would become the document.
    private func takeUp(isFound: Bool) async throws(KelterError) {
        for owner in try await store.leaseOwners(of: run, tenant: tenant) where ProcessName(owner)?.hasEnded == true {
            try await store.endLeases(of: owner, run: run, tenant: tenant)
        }
        let inputs = try await store.addedInputs(to: run, tenant: tenant)
        let done = try await store.totals(ofRun: run, tenant: tenant).outcomes.accounted
        progress.update { figures in
            (figures.inputs, figures.done) = (inputs, done)
            figures.isWalkFinished = figures.isWalkFinished || isFound
        }
    }

    private func inputs(coordinator: String?) -> LeasedInputs {
        LeasedInputs(
            store: store,
            run: run,
            tenant: tenant,
            root: walk.root,
            worker: ProcessName.current.description,
            lease: lease,
            coordinator: coordinator,
            progress: progress
        )
    }

    private func makeBatch(_ inputs: any BatchInputs) -> Batch {
        Batch(
            ingestion: ingestion,
            request: request,
            run: run,
            root: walk.root,
            inputs: inputs,
            progress: progress
        )
    }

    /// Whether every input has been found and worked on, as far as this process knows.
    private var isWhole: Bool {
        let figures = progress.snapshot
        return figures.isWalkFinished && figures.error == nil && !Task.isCancelled
            && !figures.skipped.contains(where: \.isUndone)
    }

    /// Prolongs the leases while the work goes on.
    private func withHeartbeat(_ batch: Batch, _ claim: ClaimedRun?, _ work: () async -> Void) async {
        let heartbeat = Task {
            while (try? await Task.sleep(for: lease / 3)) != nil {
                // A database that cannot be reached is not a lost lease: the next beat may get through. What is written
                // under a lost one is refused.
                if let claim, let isOurs = try? await store.renewLease(of: claim, for: lease), !isOurs {
                    progress.end(with: claim.lost)
                }
                _ = try? await store.renewParts(await batch.leases, of: run, tenant: tenant, for: lease)
            }
        }
        await work()
        heartbeat.cancel()
        await heartbeat.value
    }

    /// Counts everything again in the database and writes the end of the run, also when the task has been cancelled.
    private func close(_ claim: ClaimedRun, since start: ContinuousClock.Instant) async -> IngestReport {
        let isWhole = isWhole
        do throws(KelterError) {
            return try await uncancelled { () throws(KelterError) in
                var report = try await recorded(status: .succeeded)
                let figures = progress.snapshot
                let counts = try await store.partCounts(of: run, tenant: tenant)
                let isComplete = isWhole && counts.isFound && counts.finished == counts.added
                let contradictions = try await store.contradictions(
                    inRun: run,
                    isComplete: isWhole,
                    tenant: tenant
                )
                FailPoint.runCounted.pass()
                report.error = figures.error
                report.isBalanced = contradictions.isEmpty && report.found == report.outcomes.accounted
                if report.error == nil, !report.isBalanced { report.error = .unbalanced(run, contradictions) }
                if report.error != nil {
                    report.status = .failed
                } else if !isComplete {
                    report.status = .interrupted
                } else {
                    report.status = report.outcomes[.failed] > 0 ? .partial : .succeeded
                }
                report.duration = ContinuousClock.now - start
                // A run that a service broke off is taken up where it was, like one that was interrupted.
                let status = report.status == .failed && !isComplete && report.isBalanced ? .interrupted : report.status
                try await store.finish(
                    claim,
                    status: status,
                    totals: report.json,
                    error: report.error?.description
                )
                FailPoint.runClosed.pass()
                return report
            }
        } catch {
            var report = IngestReport(run: run, status: .failed)
            report.take(progress.snapshot)
            report.status = .failed
            report.error = report.error ?? error
            report.duration = ContinuousClock.now - start
            return report
        }
    }

    /// What the ledger holds, and beside it what this process has left undone.
    private func recorded(status: RunStatus) async throws(KelterError) -> IngestReport {
        var report = IngestReport(run: run, status: status)
        let figures = progress.snapshot
        let totals = try await store.totals(ofRun: run, tenant: tenant)
        let undone = figures.skipped.filter(\.isUndone)
        report.outcomes = totals.outcomes
        report.outcomes[.skipped] += undone.count
        report.found = totals.outcomes.accounted + undone.count
        report.chunks = totals.chunks
        report.embeddings = totals.embeddings
        report.embeddingsEmpty = totals.chunks - totals.embeddings
        report.bytes = totals.bytes
        report.cacheHits = figures.cacheHits
        report.costs = await ingestion.costs(tenant: tenant)
        report.embeddingInputs = report.costs.reduce(0) { $0 + $1.inputs }
        report.embeddingRequests = report.costs.reduce(0) { $0 + $1.requests }
        let items = try await store.items(
            ofRun: run,
            outcomes: [.failed, .skipped],
            orCode: .nearDuplicate,
            tenant: tenant
        )
        for item in items {
            let problem = ItemProblem(
                externalID: item.externalID,
                code: item.code?.rawValue ?? "",
                detail: item.detail ?? ""
            )
            switch item.outcome {
            case .failed: report.failures.append(problem)
            case .skipped: report.skipped.append(problem)
            default: report.nearDuplicates.append(problem)
            }
        }
        report.skipped += undone
        return report
    }
}

extension KelterError {
    static func unbalanced(_ run: RowID, _ contradictions: [String]) -> KelterError {
        KelterError(
            .runUnbalanced,
            "The run does not add up: \(contradictions.joined(separator: "; ")).",
            subject: "run \(run)",
            fix: "Repeat the command: what is stored stays, what is missing is done again."
        )
    }
}
