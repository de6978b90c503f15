import Dispatch
import Glibc
import KelterModel
import Synchronization

/// The worker processes, one on each processor, and the texts that wait for them.
///
/// Workers take one text at a time from the requests in turn, so that one request keeps every processor busy and a
/// small request does not wait for a large one. Each worker has a thread here that asks it and starts it again when it died.
final class EmbeddingWorkerPool: Sendable {
    /// A worker as `GET /health` shows it.
    struct WorkerStatus: Sendable {
        var core: Int
        var pid: pid_t?
        var engine: String
        /// Questions answered, by all processes that were this worker.
        var answered = 0
        /// Processes that died.
        var deaths = 0
    }

    private struct State {
        var waiting: [EmbeddingBatch] = []
        var isStopping = false
        var workers: [WorkerStatus]
    }

    private let plan: EngineProcess.Plan
    private let state: Mutex<State>
    /// Counts the texts nobody has taken.
    private let untaken = DispatchSemaphore(value: 0)
    private let threads = Mutex<[OwnedThread]>([])

    /// Starts the workers and waits until each is ready.
    ///
    /// - Throws: ``KelterError`` with ``ErrorCode/serviceStartFailed`` when none gets ready.
    init(plan: EngineProcess.Plan, cores: [Int]) throws(KelterError) {
        self.plan = plan
        let engine = plan.engines.first ?? ""
        state = Mutex(State(workers: cores.map { WorkerStatus(core: $0, engine: engine) }))
        let started = DispatchSemaphore(value: 0)
        for index in cores.indices {
            guard let thread = OwnedThread({ self.serve(index, started: started) }) else { break }
            threads.withLock { $0.append(thread) }
        }
        for _ in 0..<threads.withLock({ $0.count }) { started.wait() }
        guard workers.contains(where: { $0.pid != nil }) else {
            stop()
            throw KelterError(
                .serviceStartFailed,
                "No worker of the embedded embedding endpoint gets ready.",
                subject: plan.weights,
                fix: "Remove this directory's files and run `make deps` again."
            )
        }
    }

    var workers: [WorkerStatus] { state.withLock { $0.workers } }

    /// Puts a question for each text to the workers and waits for the answers; blocks.
    ///
    /// - Throws: ``EmbeddingBatch/Failure``.
    func ask(
        _ operation: EngineChannel.Operation,
        _ texts: [EngineText]
    ) throws(EmbeddingBatch.Failure) -> [[UInt8]] {
        guard !texts.isEmpty else { return [] }
        let batch = EmbeddingBatch(operation, texts)
        let isAccepted = state.withLock { state in
            guard !state.isStopping else { return false }
            state.waiting.append(batch)
            return true
        }
        guard isAccepted else { throw .stopped }
        for _ in 0..<batch.count { untaken.signal() }
        return try batch.wait()
    }

    /// Ends the workers, after the text each is at; what waits is answered with ``EmbeddingBatch/Failure/stopped``.
    func stop() {
        state.withLock { $0.isStopping = true }
        let threads = threads.withLock { threads in
            defer { threads = [] }
            return threads
        }
        for _ in threads { untaken.signal() }
        for thread in threads { thread.join() }
        for batch in state.withLock({ $0.waiting }) {
            while let (index, _, _) = batch.take() { batch.finish(index, .failure(.stopped)) }
        }
    }

    /// The next text of the request whose turn it is; `nil` when the pool stops.
    private func take() -> (batch: EmbeddingBatch, index: Int, text: EngineText)? {
        untaken.wait()
        return state.withLock { state in
            guard !state.isStopping, !state.waiting.isEmpty else { return nil }
            let batch = state.waiting.removeFirst()
            guard let (index, text, isLast) = batch.take() else { return nil }
            if !isLast { state.waiting.append(batch) }
            return (batch, index, text)
        }
    }

    /// The thread of one worker.
    private func serve(_ worker: Int, started: DispatchSemaphore) {
        var process = start(worker)
        started.signal()
        while let (batch, index, text) = take() {
            if batch.hasFailed {
                batch.finish(index, nil)
                continue
            }
            var result: Result<[UInt8], EmbeddingBatch.Failure> = .failure(.engine(index: index))
            // A text is tried again once: the worker may have been killed for reasons of its own.
            attempts: for _ in 0..<2 {
                if process == nil { process = start(worker) }
                switch process?.ask(batch.operation, text) {
                case .payload(let payload):
                    result = .success(payload)
                    break attempts
                case .failed:
                    break attempts
                case .dead, nil:
                    process = nil
                    state.withLock { state in
                        state.workers[worker].pid = nil
                        state.workers[worker].deaths += 1
                    }
                }
            }
            state.withLock { $0.workers[worker].answered += 1 }
            batch.finish(index, result)
        }
        process = nil
        state.withLock { $0.workers[worker].pid = nil }
    }

    /// Starts the process of a worker with the first engine that runs here; `nil` when none does.
    private func start(_ worker: Int) -> EngineProcess? {
        let core = state.withLock { $0.workers[worker].core }
        for engine in plan.engines {
            guard let process = try? EngineProcess(plan, engine: engine, core: core), process.becomesReady() else {
                continue
            }
            let pid = process.pid
            state.withLock { state in
                state.workers[worker].pid = pid
                state.workers[worker].engine = engine
            }
            return process
        }
        return nil
    }
}
