package import KelterModel

/// Runs work in a task of its own, so that it is finished although the caller's has been cancelled.
///
/// For the records that make an interrupted run resumable; everything else is to end when it is told to.
package func uncancelled<Value: Sendable>(
    _ work: @escaping @Sendable () async throws(KelterError) -> Value
) async throws(KelterError) -> Value {
    let task = Task { () -> Result<Value, KelterError> in
        do throws(KelterError) {
            return .success(try await work())
        } catch {
            return .failure(error)
        }
    }
    return try await task.value.get()
}
