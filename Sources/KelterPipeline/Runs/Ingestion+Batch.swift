import Glibc
import KelterEmbedding
package import KelterModel
import KelterStore

extension Ingestion {
    /// For how long a part of a batch stays with a process that has fallen silent.
    private static let lease = Duration.seconds(30)

    /// Ingests files and directories.
    ///
    /// Ends early, with what is done kept and the rest left for a repetition, when the task is cancelled or a service
    /// the run needs is unavailable. Several processes may work on one run: the first finds its inputs and closes it, the
    /// others, given its identifier, work on parts of it and return its report.
    ///
    /// - Parameters:
    ///   - request: The batch.
    ///   - progress: Is updated as items are found and finished.
    /// - Returns: The report; failures of single items are in it.
    /// - Throws: ``KelterError`` when the run could not be begun or recorded at all, and with exit code 4 when a guard
    ///   refused.
    package func ingest(_ request: IngestRequest, progress: RunProgress) async throws(KelterError) -> IngestReport {
        try await cancellingBuckets { () throws(KelterError) in try await work(on: request, progress: progress) }
    }

    /// Works on one part of a batch of another process, if there is one that nobody works on.
    ///
    /// - Parameters:
    ///   - request: What that process was asked to do.
    ///   - run: The batch.
    /// - Returns: The outcomes of the part, failures of single items among them.
    /// - Throws: ``KelterError`` with ``ErrorCode/fileUnreadable`` when the batch's files are not seen from here, which
    ///   leaves the part alone, or of what keeps all parts from being worked on.
    package func helpOnce(_ request: IngestRequest, run: RowID) async throws(KelterError) -> OutcomeCounts {
        try await cancellingBuckets { () throws(KelterError) in
            let walk = try walk(of: request)
            if !S3Location.isOne(walk.root), access(walk.root, R_OK | X_OK) != 0 { throw unreadable(walk.root, errno) }
            let progress = RunProgress()
            let course = BatchCourse(
                ingestion: self,
                request: request,
                run: run,
                walk: walk,
                progress: progress,
                lease: Self.lease
            )
            await course.helpOnce()
            if let error = progress.snapshot.error { throw error }
            return progress.snapshot.outcomes
        }
    }

    /// What blocks on a bucket does not see the cancellation of a task.
    private func cancellingBuckets<Value>(
        _ body: () async throws(KelterError) -> Value
    ) async throws(KelterError) -> Value {
        let result: Result<Value, KelterError> = await withTaskCancellationHandler {
            do throws(KelterError) { return .success(try await body()) } catch { return .failure(error) }
        } onCancel: {
            buckets?.cancel()
        }
        return try result.get()
    }

    private func work(on request: IngestRequest, progress: RunProgress) async throws(KelterError) -> IngestReport {
        let clock = ContinuousClock()
        let start = clock.now
        let walk = try walk(of: request)
        if let name = request.profile {
            _ = try catalog.routing.profile(for: RouteKeys(tenant: request.caller.tenant), named: name)
        }
        guard !request.plan else { return try await plan(request, walk, progress: progress, since: start) }
        let record = RunRecord(
            id: request.resume ?? newRowID(),
            caseID: request.caller.caseID.description,
            kind: "ingest",
            arguments: request.arguments.adding("root", .string(walk.root))
        )
        while true {
            let role = try await stages.store.joinBatch(
                record,
                worker: ProcessName.current.description,
                lease: Self.lease,
                goesOn: request.retry != nil,
                tenant: request.caller.tenant
            )
            let course = BatchCourse(
                ingestion: self,
                request: request,
                run: record.id,
                walk: walk,
                progress: progress,
                lease: Self.lease
            )
            switch role {
            case .coordinator(let claim, let state):
                if let retry = request.retry { _ = try await stages.store.reopenFailed(retry.names, of: claim) }
                return try await course.coordinate(claim, from: state, since: start)
            case .ended:
                return try await course.ended(since: start)
            case .helper(let coordinator):
                if ProcessName(coordinator)?.hasEnded == true {
                    try await stages.store.endLeases(of: coordinator, run: record.id, tenant: request.caller.tenant)
                } else if request.retry != nil {
                    throw KelterError(
                        .runActive,
                        "The run \(record.id) is being worked on by \(coordinator).",
                        fix: "Wait until it has ended, or stop that process."
                    )
                } else if let report = try await course.help(coordinator, since: start) {
                    return report
                }
            }
        }
    }

    private func walk(of request: IngestRequest) throws(KelterError) -> any InputWalk {
        if let apply = request.apply { return try PlanWalk(apply) }
        guard let address = request.inputs.first(where: S3Location.isOne) else {
            return try FileTree(
                inputs: request.inputs,
                listed: request.listed,
                filter: request.filter,
                root: request.root
            )
        }
        guard let buckets, request.inputs.count == 1, request.listed.isEmpty else {
            throw KelterError(
                .usage,
                "A bucket is read by a batch of its own.",
                subject: address,
                fix: "Give one s3:// address and no other path."
            )
        }
        return S3Walk(try S3Location(address), client: buckets, filter: request.filter)
    }

    private func plan(
        _ request: IngestRequest,
        _ walk: any InputWalk,
        progress: RunProgress,
        since start: ContinuousClock.Instant
    ) async throws(KelterError) -> IngestReport {
        let run = newRowID()
        let book = PlanBook()
        try request.planWriter?.begin(request.arguments, root: walk.root)
        let batch = Batch(
            ingestion: self,
            request: request,
            run: run,
            root: walk.root,
            inputs: PlannedInputs(walk, io: io, progress: progress),
            progress: progress,
            plan: book
        )
        await batch.work()
        var report = IngestReport(run: run, status: .succeeded)
        if request.sync, progress.snapshot.isWalkFinished, progress.snapshot.error == nil {
            do throws(KelterError) {
                let deletion = SyncDeletion(ingestion: self, request: request, root: walk.root)
                let names = try await deletion.planned(present: batch.present, unidentified: batch.unidentified)
                for name in names { try request.planWriter?.add(deleted: name) }
                progress.update { $0.outcomes[.deleted] += names.count }
            } catch {
                progress.end(with: error)
            }
        }
        report.take(progress.snapshot)
        report.isBalanced = report.found == report.outcomes.accounted
        report.duration = ContinuousClock.now - start
        report.estimate = try await estimate(book, scanned: report.duration, tenant: request.caller.tenant)
        if report.error == nil, report.status != .interrupted { try request.planWriter?.finish() }
        return report
    }
}

extension IngestReport {
    /// Takes over the figures of this process.
    mutating func take(_ figures: RunProgress.Snapshot) {
        found = figures.found
        outcomes = figures.outcomes
        chunks = figures.chunks
        embeddings = figures.embeddings
        embeddingsEmpty = figures.embeddingsEmpty
        cacheHits = figures.cacheHits
        bytes = figures.bytes
        failures = figures.failures
        skipped = figures.skipped
        error = figures.error
        if error != nil {
            status = .failed
        } else if !figures.isWalkFinished || figures.skipped.contains(where: \.isUndone) {
            status = .interrupted
        } else {
            status = outcomes[.failed] > 0 ? .partial : .succeeded
        }
    }
}

extension ItemProblem {
    /// Whether it is an item that was left to a repetition of the run.
    var isUndone: Bool {
        code == SkipReason.interrupted.rawValue || code == SkipReason.runEnded.rawValue
    }
}
