import Glibc
import Synchronization

/// Runs the jobs of one actor, in order, on a thread of its own.
///
/// libpq's calls block; on this thread they hold up nobody else. The thread ends after ``stop()``.
final class ThreadExecutor: SerialExecutor {
    private struct Queue {
        var jobs: [UnownedJob] = []
        var isStopped = false
    }

    private let queue = Mutex(Queue())
    private let descriptor: WakeDescriptor

    /// Starts the thread.
    ///
    /// - Throws: ``DatabaseFailure`` when the system gives no thread or file descriptor.
    init() throws(DatabaseFailure) {
        descriptor = try WakeDescriptor()
        var thread = pthread_t()
        let retained = Unmanaged.passRetained(self)
        let code = pthread_create(
            &thread,
            nil,
            { argument in
                if let argument { Unmanaged<ThreadExecutor>.fromOpaque(argument).takeRetainedValue().run() }
                return nil
            },
            retained.toOpaque()
        )
        guard code == 0 else {
            retained.release()
            throw .connection("the system gives no thread for a connection")
        }
        pthread_detach(thread)
    }

    func enqueue(_ job: consuming ExecutorJob) {
        let unowned = UnownedJob(job)
        queue.withLock { $0.jobs.append(unowned) }
        descriptor.wake()
    }

    /// Lets the thread end after the jobs already queued; no job may follow.
    func stop() {
        queue.withLock { $0.isStopped = true }
        descriptor.wake()
    }

    private func run() {
        while true {
            let (jobs, isStopped) = queue.withLock { queue in
                defer { queue.jobs.removeAll(keepingCapacity: true) }
                return (queue.jobs, queue.isStopped)
            }
            for job in jobs { job.runSynchronously(on: asUnownedSerialExecutor()) }
            if jobs.isEmpty {
                if isStopped { return }
                descriptor.wait()
            }
        }
    }
}
