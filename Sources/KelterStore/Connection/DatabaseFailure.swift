import KelterModel

/// What went wrong between this process and the database, before it is told to a user.
///
/// Retries and fallbacks are decided on this type; ``KelterError`` is made of it at the edge of the store.
enum DatabaseFailure: Error, Sendable, Equatable {
    /// No connection could be made, or it broke.
    case connection(String)
    /// The server refused a statement: SQLSTATE and its primary message, never `DETAIL`, which quotes rows.
    case server(sqlState: String, message: String)
    /// The waiting task was cancelled.
    case interrupted
    /// A finding of the store itself.
    case finding(KelterError)

    /// Whether running the same transaction again may succeed: deadlock, serialisation failure, or lock timeout.
    var isTransient: Bool {
        guard case .server(let state, _) = self else { return false }
        return state == "40001" || state == "40P01" || state == "55P03"
    }

    /// Whether another writer was first with the same unique key.
    var isUniqueViolation: Bool {
        guard case .server("23505", _) = self else { return false }
        return true
    }

    /// Whether the data of a statement was refused, so that other data may be accepted: classes 22 (data exception), 23
    /// (constraint) and 54 (program limit).
    ///
    /// A broken foreign key is not one: the store sets them all itself.
    var isDataRejection: Bool {
        guard case .server(let state, _) = self, state != "23503" else { return false }
        return state.hasPrefix("22") || state.hasPrefix("23") || state.hasPrefix("54")
    }

    var isConnectionLoss: Bool {
        guard case .connection = self else { return false }
        return true
    }

    /// States that mean the session is gone or cannot begin: class 08 and shutdown, crash, starting up, idle timeout.
    static func endsSession(_ state: String) -> Bool {
        state.hasPrefix("08") || ["57P01", "57P02", "57P03", "57P05", "25P03", "25P04"].contains(state)
    }
}

extension DatabaseFailure {
    /// The failure as it is told to a user.
    ///
    /// - Parameter place: Host and database, without a password.
    /// - Returns: An error without row data.
    func error(place: String) -> KelterError {
        switch self {
        case .connection(let reason):
            KelterError(
                .databaseUnavailable,
                "The database \(place) cannot be reached: \(reason).",
                subject: "RAG_DATABASE_URL",
                fix: "Start the database or correct RAG_DATABASE_URL."
            )
        case .interrupted:
            KelterError(.interrupted, "The database operation was interrupted.", fix: "Repeat the command to resume.")
        case .finding(let error):
            error
        case .server(let state, let message):
            Self.error(state: state, message: message)
        }
    }

    private static func error(state: String, message: String) -> KelterError {
        switch state {
        case StoreSchema.dimensionState:
            KelterError(.schemaDimensionMismatch, message + ".", fix: "Use another schema, or re-embed into this one.")
        case StoreSchema.versionState:
            KelterError(.pgvectorTooOld, message + ".", fix: "Run ALTER EXTENSION vector UPDATE after an upgrade.")
        case StoreSchema.duplicateState:
            KelterError(
                .legacyDuplicates,
                message + ", which the duplicate guards forbid.",
                subject: "documents",
                fix: "Delete or rename the older rows of each group, then run 'kelter schema apply' again."
            )
        case "42501":
            KelterError(
                .databaseError,
                "The role of this connection may not do that (SQLSTATE 42501: \(message)).",
                subject: "RAG_OWNER_DATABASE_URL",
                fix: "Use the owner's role for it, or run 'kelter roles apply' as an administrator."
            )
        case "3F000", "42P01", "42703":
            KelterError(
                .schemaMissing,
                "The tables of the vector store are missing or incomplete (SQLSTATE \(state): \(message)).",
                subject: "RAG_VECTOR_SCHEMA",
                fix: "Run 'kelter schema apply'."
            )
        case "57014":
            KelterError(
                .databaseError,
                "A statement took too long and was stopped (SQLSTATE 57014).",
                subject: "RAG_STATEMENT_TIMEOUT_MS",
                fix: "Raise RAG_STATEMENT_TIMEOUT_MS or look for a lock held by another session."
            )
        case "23505":
            KelterError(
                .storeConflict,
                "Another writer stored the same key (SQLSTATE 23505: \(message)).",
                fix: "Ingest the item again."
            )
        // Insufficient resources and system errors: a full disk, no memory, a file that cannot be read.
        case _ where state.hasPrefix("53") || state.hasPrefix("58"):
            KelterError(
                .databaseUnavailable,
                "The database cannot go on (SQLSTATE \(state): \(message)).",
                subject: "RAG_DATABASE_URL",
                fix: "Make room on the server, then repeat the command: what is stored stays."
            )
        case _ where state.hasPrefix("22") || state.hasPrefix("23") || state.hasPrefix("54"):
            KelterError(
                .storeRejected,
                "The database rejected the data (SQLSTATE \(state): \(message)).",
                fix: "Correct or exclude the item."
            )
        default:
            KelterError(.databaseError, "The database reported SQLSTATE \(state): \(message).")
        }
    }
}
