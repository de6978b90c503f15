package import KelterModel
package import KelterStore
import Synchronization

/// Takes runs from the queue and works on them, one at a time, until it is told to stop.
///
/// A run is leased: as long as the worker lives it prolongs the lease, and when it dies another worker takes the run over.
/// What a run has stored is recognised then, so that working on it twice gives the rows of working on it once.
package final class RunWorker: Sendable {
    /// How a worker goes about its work.
    package struct Configuration: Sendable {
        /// Who it is, for people to read.
        package var name: String
        /// For how long a run is the worker's without a word from it; default 30 s.
        package var lease: Duration
        /// How long an idle worker waits before it looks again; default 500 ms.
        package var pause: Duration
        /// How long a run that is being worked on may go on after ``RunWorker/stop()``; default 20 s.
        package var grace: Duration
        /// What a batch was asked to do, by its record.
        ///
        /// Throws when this process must leave it alone. Default `nil`: no parts of batches are taken.
        package var batchRequest: (@Sendable (RunRecord) throws(KelterError) -> IngestRequest)?

        package init(
            name: String,
            lease: Duration = .seconds(30),
            pause: Duration = .milliseconds(500),
            grace: Duration = .seconds(20),
            batchRequest: (@Sendable (RunRecord) throws(KelterError) -> IngestRequest)? = nil
        ) {
            self.name = name
            self.lease = lease
            self.pause = pause
            self.grace = grace
            self.batchRequest = batchRequest
        }
    }

    /// What a worker tells whoever wants to log or count it.
    package enum Event: Sendable {
        case claimed(ClaimedRun)
        case finished(ClaimedRun, QueuedRunReport, Duration)
        /// The run goes back to the queue.
        case postponed(ClaimedRun, KelterError)
        /// The run ended without being worked on.
        case abandoned(ClaimedRun, KelterError)
        /// A part of a batch was worked on.
        case helped(RunRecord, Tenant, OutcomeCounts)
        /// A batch is left to other processes for a while.
        case leftAlone(RunRecord, Tenant, KelterError)
        /// The worker itself is in trouble, for instance without a database.
        case troubled(KelterError)
    }

    /// A run is taken up so often at most when its workers die or its services fail.
    static let maximumAttempts = 5

    private let configuration: Configuration
    private let ingestion: Ingestion
    private let objects: ObjectStore
    private let report: @Sendable (Event) -> Void
    private let bell = Bell()
    private let state = Mutex<(cancel: (@Sendable () -> Void)?, isStopping: Bool)>((nil, false))

    /// Prepares a worker; nothing happens before ``work()``.
    ///
    /// - Parameters:
    ///   - configuration: Name and times.
    ///   - ingestion: The pipeline. Its embedding client is this worker's alone, so that its statistics are.
    ///   - objects: Where the files lie.
    ///   - report: Told of everything that happens.
    package init(
        configuration: Configuration,
        ingestion: Ingestion,
        objects: ObjectStore,
        report: @escaping @Sendable (Event) -> Void
    ) {
        self.configuration = configuration
        self.ingestion = ingestion
        self.objects = objects
        self.report = report
    }

    /// Says that there is something to do.
    package func wake() {
        bell.ring()
    }

    /// Lets the worker end: it takes no more runs, and the one it works on has ``Configuration/grace`` to be finished.
    ///
    /// What is not finished then goes back to the queue.
    package func stop() {
        let cancel = state.withLock { state in
            state.isStopping = true
            return state.cancel
        }
        bell.ring()
        guard let cancel else { return }
        Task { [grace = configuration.grace] in
            try? await Task.sleep(for: grace)
            cancel()
        }
    }

    private var isStopping: Bool { state.withLock { $0.isStopping } || Task.isCancelled }

    /// Works until ``stop()`` or until the task is cancelled.
    package func work() async {
        let store = ingestion.stages.store
        var turn = 0
        var batches = BatchTurns()
        while !isStopping {
            do throws(KelterError) {
                let tenants = try await store.tenants().filter { $0.schema != TenantRecord.publicSchema }.map(\.tenant)
                turn += 1
                // Neither do queued runs hold up batches, nor the other way round.
                let isForBatches = configuration.batchRequest != nil && turn.isMultiple(of: 2)
                if isForBatches, try await help(&batches, of: tenants) { continue }
                // Another tenant is first each time: a full queue of one does not hold up the others.
                let start = tenants.isEmpty ? 0 : turn / 2 % tenants.count
                let order = Array(tenants[start...] + tenants[..<start])
                if let claim = try await store.claimRun(
                    of: order,
                    worker: configuration.name,
                    lease: configuration.lease
                ) {
                    try await work(on: claim)
                    continue
                }
                if !isForBatches, try await help(&batches, of: tenants) { continue }
                await bell.wait(atMost: configuration.pause)
            } catch {
                if !isStopping { report(.troubled(error)) }
                await bell.wait(atMost: .seconds(2))
            }
        }
    }

    /// Whose batch is next, and which are left alone.
    private struct BatchTurns {
        /// The tenant whose batch was worked on last: the one behind it is next.
        var last: Tenant?
        private var leftAlone: [RowID: ContinuousClock.Instant] = [:]

        func order(_ tenants: [Tenant]) -> [Tenant] {
            guard let last, let index = tenants.firstIndex(of: last) else { return tenants }
            return Array(tenants[(index + 1)...] + tenants[...index])
        }

        mutating func leaveAlone(_ run: RowID, for time: Duration) {
            leftAlone[run] = ContinuousClock.now + time
        }

        mutating func runsToLeaveAlone() -> [RowID] {
            let now = ContinuousClock.now
            leftAlone = leftAlone.filter { $0.value > now }
            return Array(leftAlone.keys)
        }
    }

    /// Works on one part of one batch: then it is another tenant's turn.
    ///
    /// - Returns: Whether there was one.
    private func help(_ turns: inout BatchTurns, of tenants: [Tenant]) async throws(KelterError) -> Bool {
        guard let batchRequest = configuration.batchRequest,
            let (run, tenant) = try await ingestion.stages.store.openBatch(
                of: turns.order(tenants),
                except: turns.runsToLeaveAlone()
            )
        else { return false }
        turns.last = tenant
        let result = await current { [ingestion] () async -> Result<OutcomeCounts, KelterError> in
            do throws(KelterError) {
                let request = try batchRequest(run)
                guard request.caller.tenant == tenant else {
                    throw KelterError(.internalError, "The batch is another tenant's.", subject: "run \(run.id)")
                }
                return .success(try await ingestion.helpOnce(request, run: run.id))
            } catch {
                return .failure(error)
            }
        }
        do throws(KelterError) {
            report(.helped(run, tenant, try result.get()))
        } catch {
            guard !isStopping else { return true }
            // What it is about may be put right: a directory that is mounted, a service that comes back.
            turns.leaveAlone(run.id, for: error.endsRun ? .seconds(5) : .seconds(60))
            report(.leftAlone(run, tenant, error))
        }
        return true
    }

    /// Does what is to be cancelled when the worker has been told to stop some time ago.
    private func current<Value: Sendable>(_ body: @escaping @Sendable () async -> Value) async -> Value {
        let task = Task { await body() }
        state.withLock { state in
            state.cancel = { task.cancel() }
            // A stop that came before this found nothing to wait for.
            if state.isStopping { task.cancel() }
        }
        defer { state.withLock { $0.cancel = nil } }
        return await withTaskCancellationHandler {
            await task.value
        } onCancel: {
            task.cancel()
        }
    }

    private func work(on claim: ClaimedRun) async throws(KelterError) {
        let store = ingestion.stages.store
        guard claim.attempts <= Self.maximumAttempts else {
            let error = KelterError(
                .runAbandoned,
                "The run was taken up \(Self.maximumAttempts) times and never finished.",
                subject: "run \(claim.run.id)",
                fix: "See the workers' logs; its files are kept."
            )
            try await store.finish(claim, status: .failed, totals: .object([]), error: error.description)
            report(.abandoned(claim, error))
            return
        }
        report(.claimed(claim))
        let clock = ContinuousClock()
        let start = clock.now
        let end = await leased(claim)
        // The ledger's words about a run are also written when the worker has been told to stop.
        try await uncancelled { [self] () throws(KelterError) in
            switch end {
            case .done(let result):
                try await store.finish(claim, status: result.status, totals: result.json, error: result.error)
                report(.finished(claim, result, clock.now - start))
                try await ingestion.remove(result.leftovers, of: claim, in: objects)
            case .postponed(let error):
                try await postpone(claim, error)
            }
        }
    }

    private func postpone(_ claim: ClaimedRun, _ error: KelterError) async throws(KelterError) {
        let isOutage = error.endsRun || error.code == .interrupted
        // An outage is tried again after a while, however long it lasts; other failures more and more seldom.
        let delay: Duration =
            error.code == .interrupted ? .zero : isOutage ? .seconds(5) : .seconds(2 << min(claim.attempts, 6))
        let isOurs = try await ingestion.stages.store.requeue(
            claim,
            after: delay,
            countsAttempt: !isOutage,
            reason: error.code == .interrupted ? nil : error.description
        )
        if isOurs { report(.postponed(claim, error)) }
    }

    /// Works on a run while prolonging its lease; the work ends when the lease is lost.
    private func leased(_ claim: ClaimedRun) async -> QueuedRunEnd {
        let (store, lease) = (ingestion.stages.store, configuration.lease)
        return await current { [ingestion, objects] in
            let work = Task { await ingestion.work(on: claim, objects: objects) }
            let heartbeat = Task {
                while (try? await Task.sleep(for: lease / 3)) != nil {
                    // A database that cannot be reached is not a lost lease: the next beat may get through.
                    if let isOurs = try? await store.renewLease(of: claim, for: lease), !isOurs { work.cancel() }
                }
            }
            defer { heartbeat.cancel() }
            return await withTaskCancellationHandler {
                await work.value
            } onCancel: {
                work.cancel()
            }
        }
    }
}

/// Wakes one waiter, now or at its next wait.
private final class Bell: Sendable {
    private let state = Mutex<(isRung: Bool, waiter: CheckedContinuation<Void, Never>?)>((false, nil))

    func ring() {
        let waiter = state.withLock { state in
            defer { state.waiter = nil }
            state.isRung = state.waiter == nil
            return state.waiter
        }
        waiter?.resume()
    }

    /// Returns when it rings, when the time is over, or when the task is cancelled.
    func wait(atMost time: Duration) async {
        let alarm = Task {
            if (try? await Task.sleep(for: time)) != nil { ring() }
        }
        defer { alarm.cancel() }
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let isRung = state.withLock { state in
                    if !state.isRung { state.waiter = continuation }
                    defer { state.isRung = false }
                    return state.isRung
                }
                if isRung { continuation.resume() }
            }
        } onCancel: {
            ring()
        }
    }
}
