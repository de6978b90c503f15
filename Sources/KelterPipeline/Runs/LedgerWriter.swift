import KelterModel
import KelterStore

/// Records the outcomes that no document transaction records: unchanged, skipped and failed items, many at a time.
actor LedgerWriter {
    private static let itemsPerStatement = 500

    private typealias Writing = Task<Result<Void, KelterError>, Never>

    private let write: @Sendable ([RunItem]) async throws(KelterError) -> Void
    private var pending: [RunItem] = []
    private var last: Writing?

    /// Makes a writer.
    ///
    /// - Parameter write: Writes items into the ledger.
    init(_ write: @escaping @Sendable ([RunItem]) async throws(KelterError) -> Void) {
        self.write = write
    }

    /// Adds items, and writes when there are enough.
    ///
    /// - Throws: ``KelterError`` of the database.
    func record(_ items: [RunItem]) async throws(KelterError) {
        pending.append(contentsOf: items)
        if pending.count >= Self.itemsPerStatement { try await flush() }
    }

    /// Returns when everything that was added has been written, by whomever, also when the caller's task has been cancelled.
    ///
    /// Once items could not be written no later call succeeds: an outcome is never lost without a word.
    ///
    /// - Throws: ``KelterError`` of the database.
    func flush() async throws(KelterError) {
        let (items, previous) = (pending, last)
        pending = []
        // A task of its own is not cancelled with the caller's.
        let writing = Writing { [write] in
            if let previous, case .failure(let error) = await previous.value { return .failure(error) }
            guard !items.isEmpty else { return .success(()) }
            do throws(KelterError) { try await write(items) } catch { return .failure(error) }
            FailPoint.outcomesRecorded.pass()
            return .success(())
        }
        last = writing
        try await writing.value.get()
    }
}
