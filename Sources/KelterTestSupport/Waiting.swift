import KelterModel

/// Returns as soon as a condition holds, which it asks every 5 ms.
///
/// - Throws: What the condition throws, and an error that tells `what` when the condition has not held within `limit`, so that a
///   test that waits in vain fails by name instead of holding up all others.
package func waitUntil(
    _ what: String,
    within limit: Duration = .seconds(120),
    _ holds: () async throws -> Bool
) async throws {
    let end = ContinuousClock.now + limit
    while try await !holds() {
        guard ContinuousClock.now < end else {
            throw KelterError(.internalError, "What the test waits for did not happen within \(limit).", subject: what)
        }
        try await Task.sleep(for: .milliseconds(5))
    }
}
