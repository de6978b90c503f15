import KelterModel
import KelterStore

/// Records the outcomes that no document transaction records: unchanged, skipped and failed items, many at a time.
actor LedgerWriter {
    private static let itemsPerStatement = 500

    private let store: Store
    private let tenant: Tenant
    private let run: RowID
    private var pending: [RunItem] = []

    init(store: Store, tenant: Tenant, run: RowID) {
        self.store = store
        self.tenant = tenant
        self.run = run
    }

    /// Adds items, and writes when there are enough.
    ///
    /// - Throws: ``KelterError`` of the database.
    func record(_ items: [RunItem]) async throws(KelterError) {
        pending.append(contentsOf: items)
        if pending.count >= Self.itemsPerStatement { try await flush() }
    }

    /// Writes what is left, also when the caller's task has been cancelled: an outcome is never lost.
    ///
    /// - Throws: ``KelterError`` of the database.
    func flush() async throws(KelterError) {
        let items = pending
        pending = []
        guard !items.isEmpty else { return }
        try await uncancelled { [store, run, tenant] () throws(KelterError) in
            try await store.recordItems(items, run: run, tenant: tenant)
        }
    }
}
