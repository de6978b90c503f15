import KelterEmbedding
package import KelterModel
import KelterStore

extension Ingestion {
    /// Ingests files and directories.
    ///
    /// Ends early, with what is done kept and the rest left for a repetition, when the task is cancelled or a service
    /// the run needs is unavailable.
    ///
    /// - Parameters:
    ///   - request: The batch.
    ///   - progress: Is updated as items are found and finished.
    /// - Returns: The report; failures of single items are in it.
    /// - Throws: ``KelterError`` when the run could not be begun or recorded at all, and with exit code 4 when a guard
    ///   refused.
    package func ingest(_ request: IngestRequest, progress: RunProgress) async throws(KelterError) -> IngestReport {
        let clock = ContinuousClock()
        let start = clock.now
        let tree = try FileTree(inputs: request.inputs, filter: request.filter)
        let store = stages.store
        let tenant = request.caller.tenant
        let run = request.resume ?? newRowID()
        if !request.plan {
            try await store.beginRun(
                RunRecord(
                    id: run,
                    caseID: request.caller.caseID.description,
                    kind: "ingest",
                    arguments: request.arguments
                ),
                tenant: tenant
            )
        }
        if let name = request.profile {
            _ = try catalog.routing.profile(for: RouteKeys(tenant: tenant), named: name)
        }
        let batch = Batch(ingestion: self, request: request, tree: tree, run: run, progress: progress)
        await batch.work()
        var failure: KelterError?
        if !request.plan {
            do throws(KelterError) {
                try await batch.finishLedger()
            } catch {
                failure = error
            }
        }
        if failure == nil, request.sync, progress.snapshot.isWalkFinished, progress.snapshot.error == nil,
            !Task.isCancelled
        {
            do throws(KelterError) {
                try await batch.deleteMissing()
            } catch {
                failure = error
            }
        }
        if let failure { progress.end(with: failure) }
        return await report(request, run: run, progress: progress, duration: clock.now - start)
    }

    private func report(
        _ request: IngestRequest,
        run: RowID,
        progress: RunProgress,
        duration: Duration
    ) async -> IngestReport {
        let figures = progress.snapshot
        var report = IngestReport(run: run, status: .succeeded)
        report.found = figures.found
        report.outcomes = figures.outcomes
        report.chunks = figures.chunks
        report.embeddings = figures.embeddings
        report.embeddingsEmpty = figures.embeddingsEmpty
        report.costs = await costs(tenant: request.caller.tenant)
        report.embeddingInputs = report.costs.reduce(0) { $0 + $1.inputs }
        report.embeddingRequests = report.costs.reduce(0) { $0 + $1.requests }
        report.cacheHits = figures.cacheHits
        report.bytes = figures.bytes
        report.duration = duration
        report.failures = figures.failures
        report.skipped = figures.skipped
        report.error = figures.error
        report.isBalanced = figures.found == figures.outcomes.accounted
        if request.plan {
            report.plannedTokens = figures.plannedTokens
        }
        report.status = status(figures)
        if !request.plan { await close(&report, tenant: request.caller.tenant) }
        return report
    }

    private func status(_ figures: RunProgress.Snapshot) -> RunStatus {
        if figures.error != nil { return .failed }
        if !figures.isWalkFinished || figures.skipped.contains(where: { $0.code == SkipReason.interrupted.rawValue }) {
            return .interrupted
        }
        return figures.outcomes[.failed] > 0 ? .partial : .succeeded
    }

    /// Counts the run's items again in the database and writes the end of the run.
    private func close(_ report: inout IngestReport, tenant: Tenant) async {
        let store = stages.store
        do throws(KelterError) {
            report = try await uncancelled { [report] () throws(KelterError) in
                var report = report
                let counted = try await store.countOutcomes(ofRun: report.run, tenant: tenant)
                if counted != report.outcomes || !report.isBalanced { report.refuse(counted: counted) }
                try await store.finishRun(
                    report.run,
                    status: report.status,
                    totals: report.json,
                    error: report.error?.description,
                    tenant: tenant
                )
                return report
            }
        } catch {
            report.status = .failed
            report.isBalanced = false
            report.error = report.error ?? error
        }
    }
}

extension IngestReport {
    /// Turns the report of a run whose totals differ from those in the ledger into one of a failed run.
    fileprivate mutating func refuse(counted: OutcomeCounts) {
        isBalanced = false
        status = .failed
        guard error == nil else { return }
        error = KelterError(
            .runUnbalanced,
            "The run found \(found) items and accounted for \(outcomes.accounted), but the ledger has "
                + "\(counted.accounted).",
            subject: "run \(run)",
            fix: "Repeat the command: what is stored stays, what is missing is done again."
        )
    }
}
