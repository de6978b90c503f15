import Dispatch
import Glibc
package import KelterModel
import Synchronization

/// A few threads of our own for calls that block: listing directories, reading and hashing files, fsync.
///
/// Swift's cooperative pool has one thread per core and must never wait for a disk.
package final class IOThreads: Sendable {
    private typealias Job = @Sendable () -> Void

    private final class Queue: Sendable {
        let jobs = Mutex<[Job]>([])
        let available = DispatchSemaphore(value: 0)

        func add(_ job: @escaping Job) {
            jobs.withLock { $0.append(job) }
            available.signal()
        }

        /// Runs jobs in order until there is a signal without a job, which ends one thread.
        func work() {
            while true {
                available.wait()
                guard let job = jobs.withLock({ $0.isEmpty ? nil : $0.removeFirst() }) else { return }
                job()
            }
        }
    }

    private let queue = Queue()
    private let threads: Int

    /// Starts the threads, which end with this object.
    ///
    /// - Parameter count: How many calls can block at once; at least one.
    package init(count: Int) {
        var started = 0
        for _ in 0..<max(1, count) {
            let argument = Unmanaged.passRetained(queue)
            var thread = pthread_t()
            let status = pthread_create(
                &thread,
                nil,
                { pointer in
                    if let pointer { Unmanaged<Queue>.fromOpaque(pointer).takeRetainedValue().work() }
                    return nil
                },
                argument.toOpaque()
            )
            if status == 0 {
                pthread_detach(thread)
                started += 1
            } else {
                argument.release()
            }
        }
        threads = started
    }

    deinit {
        for _ in 0..<threads { queue.available.signal() }
    }

    /// Runs a blocking call that can fail on one of the threads.
    ///
    /// - Throws: What the call throws.
    package func attempt<Value: Sendable>(
        _ body: @escaping @Sendable () throws(KelterError) -> Value
    ) async throws(KelterError) -> Value {
        try await run { () -> Result<Value, KelterError> in
            do throws(KelterError) { return .success(try body()) } catch { return .failure(error) }
        }.get()
    }

    /// Runs a blocking call on one of the threads.
    package func run<Value: Sendable>(_ body: @escaping @Sendable () -> Value) async -> Value {
        // Without a single thread (no memory for a stack) the caller's own has to do.
        guard threads > 0 else { return body() }
        return await withCheckedContinuation { continuation in
            queue.add { continuation.resume(returning: body()) }
        }
    }
}
