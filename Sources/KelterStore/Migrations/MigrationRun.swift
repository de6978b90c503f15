import KelterModel
import Synchronization

/// What one call has applied so far, kept across the attempts that follow a deadlock or a lost connection.
final class MigrationRun: Sendable {
    private struct State {
        var applied: [AppliedMigration] = []
        var current: String?
    }

    private let state = Mutex(State())

    var applied: [AppliedMigration] { state.withLock { $0.applied } }

    /// Notes which migration a failure would belong to.
    func begin(_ name: String?) {
        state.withLock { $0.current = name }
    }

    func finish(_ migration: AppliedMigration) {
        state.withLock { $0.applied.append(migration) }
    }

    /// The failure as it is told to a user, with the migration it came from.
    func error(_ failure: DatabaseFailure, schema: String, place: String) -> KelterError {
        guard case .server(let sqlState, let message) = failure, let name = state.withLock({ $0.current }) else {
            return failure.error(place: place)
        }
        if sqlState == LegacyWorkflows.uncoveredState {
            return KelterError(
                .legacyRowsWithoutBackup,
                message + ".",
                subject: name,
                fix: "Run `kelter legacy-workflows backup --schema \(schema) --out DIR`."
            )
        }
        return KelterError(
            .migrationFailed,
            "The migration \(name) failed in the schema \(schema) and left nothing there "
                + "(SQLSTATE \(sqlState): \(message)).",
            subject: name,
            fix: "Correct its cause and run the migrations again."
        )
    }
}
