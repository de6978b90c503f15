import Glibc
import KelterModel

extension OwnedThread {
    /// Runs blocking work on a thread of its own, so that the cooperative pool is not blocked.
    ///
    /// - Throws: What the work throws; ``ErrorCode/internalError`` when the system refuses a thread.
    static func run<Value: Sendable>(
        _ work: @escaping @Sendable () throws(KelterError) -> Value
    ) async throws(KelterError) -> Value {
        let result: Result<Value, KelterError> = await withCheckedContinuation { continuation in
            let thread = OwnedThread {
                // Nobody joins it: the continuation tells its end.
                pthread_detach(pthread_self())
                do throws(KelterError) {
                    continuation.resume(returning: .success(try work()))
                } catch {
                    continuation.resume(returning: .failure(error))
                }
            }
            if thread == nil {
                continuation.resume(
                    returning: .failure(KelterError(.internalError, "The system refused a thread."))
                )
            }
        }
        return try result.get()
    }
}
