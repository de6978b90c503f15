package import KelterModel
import Synchronization

/// The vector store: documents, chunks, unit vectors and the ledger in one schema of a PostgreSQL database.
///
/// Every call that touches rows takes the tenant, which the database enforces again by row level security. Calls may
/// run at the same time; each uses one connection of the pool, and none holds a transaction while it waits for
/// anything but the database.
package final class Store: Sendable {
    /// What the store was opened with.
    package let configuration: StoreConfiguration
    /// Host and database, without a password.
    package let place: String
    let schema: SQLIdentifier
    let ledgerSchema: SQLIdentifier
    let pool: ConnectionPool
    private let isVerified = Mutex(false)
    private let expectedFingerprint = Mutex<String?>(nil)

    /// Checks the URL and the schema's name; connects at the first use.
    ///
    /// - Throws: ``KelterError`` with ``ErrorCode/settingInvalid``.
    package init(configuration: StoreConfiguration) throws(KelterError) {
        self.configuration = configuration
        place = try ServerAddress(configuration.url).description
        schema = try SQLIdentifier(schema: configuration.schema)
        ledgerSchema = try SQLIdentifier(schema: configuration.ledgerSchema ?? configuration.schema)
        pool = ConnectionPool(configuration: configuration)
    }

    /// Has every write refuse a space whose fingerprint is not this one, that of the vectors at hand: another process may
    /// have switched the space to another model of the same name.
    package func expectFingerprint(_ fingerprint: String) {
        expectedFingerprint.withLock { $0 = fingerprint }
    }

    var fingerprint: String? { expectedFingerprint.withLock { $0 } }

    /// Checks the schema before the first write, so that a wrong one is named instead of failing every document.
    func verifySchemaOnce() async throws(KelterError) {
        guard !isVerified.withLock({ $0 }) else { return }
        try await verifySchema()
        isVerified.withLock { $0 = true }
    }

    /// The connections as they are used now.
    package var connections: ConnectionFigures { pool.figures }

    /// Ends the idle connections; calls that are under way finish and close theirs.
    package func close() async {
        await pool.close()
    }
}
