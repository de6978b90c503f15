/// A stable machine-readable code of a failure.
///
/// Codes are part of the contract with scripts and operators: a code is never renamed or reused. The codes of one item
/// (`INGEST_…`, `PARSER_…`, `EMBEDDING_…`) end in the run's ledger; the others end a command. Lower-case codes are the
/// older system's HTTP codes.
package struct ErrorCode: RawRepresentable, Hashable, Sendable, CustomStringConvertible {
    package let rawValue: String

    package init(rawValue: String) {
        self.rawValue = rawValue
    }

    package init(_ rawValue: String) {
        self.rawValue = rawValue
    }

    package var description: String { rawValue }
}

/// What the process says to its caller; SPEC section 10.
package enum ExitCode: Int32, Sendable {
    /// Everything was done.
    case done = 0
    /// Some items failed; all others are stored.
    case someItemsFailed = 1
    /// Bad usage, setting or input file.
    case badInput = 2
    /// A needed service is unavailable.
    case serviceUnavailable = 3
    /// Refused by a guard, which the message names together with the way to overrule it.
    case refused = 4
    /// Interrupted; the run can be resumed.
    case interrupted = 130
}

// Usage, settings and scope.
extension ErrorCode {
    package static let usage = Self("USAGE")
    package static let settingInvalid = Self("SETTING_INVALID")
    package static let configurationFileInvalid = Self("CONFIG_FILE_INVALID")
    package static let invalidCollectionID = Self("invalid_collection_id")
    package static let invalidCollectionIDs = Self("invalid_collection_ids")
    package static let invalidTenant = Self("invalid_tenant_header")
    package static let invalidCase = Self("invalid_case_header")
    package static let invalidHeader = Self("INVALID_HEADER")
    package static let invalidPathSegment = Self("INVALID_PATH_SEGMENT")
    package static let missingFile = Self("missing_file")
    package static let missingQuestion = Self("missing_question")
    package static let noMatches = Self("rag_no_matches")
    package static let tenantConflict = Self("TENANT_CONFLICT")
    package static let tenantMissing = Self("TENANT_MISSING")
    package static let apiKeysMissing = Self("API_KEYS_MISSING")
    package static let serviceUnreachable = Self("SERVICE_UNREACHABLE")
    package static let smokeFailed = Self("SMOKE_FAILED")
}

// One item of a run.
extension ErrorCode {
    package static let sidecarInvalid = Self("invalid_metadata")
    package static let fileUnreadable = Self("INGEST_FILE_UNREADABLE")
    package static let fileChanged = Self("INGEST_FILE_CHANGED")
    package static let fileNameNotUTF8 = Self("INGEST_FILE_NAME_NOT_UTF8")
    package static let recordInvalid = Self("INGEST_RECORD_INVALID")
    package static let planChanged = Self("PLAN_CHANGED")
    package static let planInvalid = Self("PLAN_INVALID")
    package static let nearDuplicate = Self("NEAR_DUPLICATE")
    package static let archiveInvalid = Self("ARCHIVE_INVALID")
    package static let archiveLimit = Self("ARCHIVE_LIMIT")
    package static let archiveEncrypted = Self("ARCHIVE_ENCRYPTED")
    package static let fileTooLarge = Self("file_too_large")
    package static let unsupportedMediaType = Self("unsupported_media_type")
    package static let binaryContent = Self("PARSER_BINARY_CONTENT")
    package static let invalidEncoding = Self("PARSER_INVALID_ENCODING")
    package static let parserLimit = Self("PARSER_LIMIT")
    package static let parserFailed = Self("PARSER_FAILED")
    package static let documentEncrypted = Self("PARSER_ENCRYPTED")
    package static let needsOCR = Self("needs_ocr")
    package static let parserCrash = Self("PARSER_CRASH")
    package static let parserTimeout = Self("PARSER_TIMEOUT")
    package static let chunkTooLong = Self("CHUNK_OVER_LIMIT")
    package static let embeddingInvalid = Self("INGEST_EMBEDDING_INVALID")
    package static let vectorDimensionMismatch = Self("INGEST_VECTOR_DIMENSION_MISMATCH")
    package static let storeConflict = Self("STORE_CONFLICT")
    package static let storeRejected = Self("STORE_REJECTED")
    package static let internalError = Self("INTERNAL")
}

// The HTTP service; SPEC section 8.
extension ErrorCode {
    package static let tenantNotFound = Self("tenant_not_found")
    package static let invalidTenantSchema = Self("invalid_tenant_schema")
    package static let tenantSchemaMismatch = Self("tenant_schema_mismatch")
    package static let tenantMismatch = Self("tenant_mismatch")
    package static let invalidKeyAlias = Self("invalid_key_alias")
    package static let rateLimitExceeded = Self("rate_limit_exceeded")
    package static let unauthorized = Self("unauthorized")
    package static let forbidden = Self("forbidden")
    package static let validationError = Self("validation_error")
    package static let invalidMultipart = Self("invalid_multipart")
    package static let requestTooLarge = Self("request_too_large")
    package static let requestTooSlow = Self("request_too_slow")
    package static let invalidIdempotencyKey = Self("invalid_idempotency_key")
    package static let idempotencyKeyReused = Self("idempotency_key_reused")
    package static let idempotencyInProgress = Self("idempotency_in_progress")
    package static let ingestionStatusNotFound = Self("ingestion_status_not_found")
    package static let notFound = Self("not_found")
    package static let methodNotAllowed = Self("method_not_allowed")
}

// The embedding endpoint.
extension ErrorCode {
    package static let embeddingUnreachable = Self("EMBEDDING_UNREACHABLE")
    package static let embeddingTimeout = Self("EMBEDDING_TIMEOUT")
    package static let embeddingUnauthorised = Self("EMBEDDING_UNAUTHORISED")
    package static let embeddingRefused = Self("EMBEDDING_REFUSED")
    package static let embeddingThrottled = Self("EMBEDDING_THROTTLED")
    package static let embeddingServerError = Self("EMBEDDING_SERVER_ERROR")
    package static let embeddingReplyInvalid = Self("EMBEDDING_REPLY_INVALID")
    package static let embeddingCountMismatch = Self("EMBEDDING_COUNT_MISMATCH")
    package static let embeddingIndexInvalid = Self("EMBEDDING_INDEX_INVALID")
    package static let embeddingEncodingInvalid = Self("EMBEDDING_ENCODING_INVALID")
    package static let embeddingReplyCut = Self("EMBEDDING_REPLY_CUT")
    package static let embeddingReplyTooLarge = Self("EMBEDDING_REPLY_TOO_LARGE")
    package static let embeddingContentType = Self("EMBEDDING_CONTENT_TYPE")
    package static let embeddingErrorBody = Self("EMBEDDING_ERROR_BODY")
    package static let embeddingRedirected = Self("EMBEDDING_REDIRECTED")
    package static let embeddingUntrusted = Self("EMBEDDING_UNTRUSTED")
    package static let embeddingModelDrift = Self("EMBEDDING_MODEL_DRIFT")
    package static let embeddingTruncation = Self("EMBEDDING_TRUNCATION")
    package static let tokenizerInvalid = Self("TOKENIZER_INVALID")
}

// The chat endpoint; a search goes on without an answer.
extension ErrorCode {
    package static let chatUnreachable = Self("CHAT_UNREACHABLE")
    package static let chatTimeout = Self("CHAT_TIMEOUT")
    package static let chatUnauthorised = Self("CHAT_UNAUTHORISED")
    package static let chatRefused = Self("CHAT_REFUSED")
    package static let chatThrottled = Self("CHAT_THROTTLED")
    package static let chatServerError = Self("CHAT_SERVER_ERROR")
    package static let chatReplyInvalid = Self("CHAT_REPLY_INVALID")
}

// Buckets that speak the S3 protocol.
extension ErrorCode {
    package static let s3Invalid = Self("S3_INVALID")
    package static let s3Unreachable = Self("S3_UNREACHABLE")
    package static let s3Untrusted = Self("S3_UNTRUSTED")
    package static let s3Unauthorised = Self("S3_UNAUTHORISED")
    package static let s3Forbidden = Self("S3_FORBIDDEN")
    package static let s3NotFound = Self("S3_NOT_FOUND")
    package static let s3WrongRegion = Self("S3_WRONG_REGION")
    package static let s3ReplyInvalid = Self("S3_REPLY_INVALID")
    package static let objectChanged = Self("OBJECT_CHANGED")
}

// The database and the embedded services.
extension ErrorCode {
    package static let databaseUnavailable = Self("DATABASE_UNAVAILABLE")
    package static let databaseError = Self("DATABASE_ERROR")
    package static let schemaMissing = Self("SCHEMA_MISSING")
    package static let schemaDimensionMismatch = Self("EMB_DIM_MISMATCH")
    package static let pgvectorMissing = Self("PGVECTOR_MISSING")
    package static let pgvectorTooOld = Self("PGVECTOR_TOO_OLD")
    package static let runUnbalanced = Self("RUN_UNBALANCED")
    package static let syncRefused = Self("SYNC_REFUSED")
    package static let runNotFound = Self("RUN_NOT_FOUND")
    package static let leaseLost = Self("LEASE_LOST")
    package static let runActive = Self("RUN_ACTIVE")
    package static let runAbandoned = Self("RUN_ABANDONED")
    package static let partMissing = Self("PART_MISSING")
    package static let serviceStartFailed = Self("SERVICE_START_FAILED")
    package static let objectStoreFailed = Self("OBJECT_STORE_FAILED")
    package static let interrupted = Self("INTERRUPTED")
}

// Migrations, maintenance and checks of the database.
extension ErrorCode {
    package static let migrationInvalid = Self("MIGRATION_INVALID")
    package static let migrationChanged = Self("MIGRATION_CHANGED")
    package static let migrationUnknown = Self("MIGRATION_UNKNOWN")
    package static let migrationOutOfOrder = Self("MIGRATION_OUT_OF_ORDER")
    package static let migrationFailed = Self("MIGRATION_FAILED")
    package static let migrationsPending = Self("MIGRATIONS_PENDING")
    package static let migrationNotDerivable = Self("MIGRATION_NOT_DERIVABLE")
    package static let legacyRowsWithoutBackup = Self("LEGACY_ROWS_WITHOUT_BACKUP")
    package static let legacyDuplicates = Self("LEGACY_DUPLICATES")
    package static let backupRequired = Self("BACKUP_REQUIRED")
    package static let backupFailed = Self("BACKUP_FAILED")
    package static let confirmationRequired = Self("CONFIRMATION_REQUIRED")
    package static let tenantBusy = Self("TENANT_BUSY")
    package static let indexOperatorMissing = Self("INDEX_OPERATOR_MISSING")
    package static let indexNotVerified = Self("INDEX_NOT_VERIFIED")
    package static let modelMismatch = Self("EMB_MODEL_MISMATCH")
    package static let unknownSpace = Self("EMB_UNKNOWN_SPACE")
    package static let unknownProfile = Self("EMB_UNKNOWN_PROFILE")
    package static let routeConflict = Self("ROUTE_CONFLICT")
    package static let routeInvalid = Self("ROUTE_INVALID")
    package static let vectorSpaceMissing = Self("VECTOR_SPACE_MISSING")
    package static let vectorSpaceIncomplete = Self("VECTOR_SPACE_INCOMPLETE")
    package static let maintenanceBusy = Self("MAINTENANCE_BUSY")
}

extension ErrorCode {
    /// Whether this is a failure of the embedding endpoint, or of one reply, that may be over when the text is sent
    /// again later.
    package var isPassingEmbeddingFailure: Bool {
        switch self {
        case .embeddingThrottled, .embeddingTimeout, .embeddingServerError, .embeddingReplyInvalid, .embeddingReplyCut,
            .embeddingCountMismatch, .embeddingIndexInvalid, .embeddingEncodingInvalid, .embeddingContentType,
            .embeddingErrorBody:
            true
        default:
            false
        }
    }

    /// The exit code of a command that ends with this code.
    ///
    /// The only mapping from codes to exit codes. Codes of single items count as "some items failed" when they reach
    /// the command line through a run; a command that ends with one directly has been given bad input.
    package var exitCode: ExitCode {
        switch self {
        case .embeddingUnreachable, .embeddingTimeout, .embeddingUnauthorised, .embeddingThrottled,
            .embeddingServerError, .embeddingReplyInvalid, .embeddingCountMismatch, .embeddingIndexInvalid,
            .embeddingEncodingInvalid, .embeddingReplyCut, .embeddingReplyTooLarge, .embeddingContentType,
            .embeddingErrorBody, .embeddingRedirected, .embeddingUntrusted, .embeddingRefused, .chatUnreachable,
            .chatTimeout,
            .chatUnauthorised, .chatRefused, .chatThrottled, .chatServerError, .chatReplyInvalid, .databaseUnavailable,
            .databaseError, .pgvectorMissing, .partMissing, .serviceStartFailed, .serviceUnreachable,
            .objectStoreFailed, .backupFailed, .s3Unreachable, .s3Untrusted, .s3Unauthorised, .s3Forbidden,
            .s3ReplyInvalid:
            .serviceUnavailable
        case .schemaMissing, .schemaDimensionMismatch, .pgvectorTooOld, .vectorDimensionMismatch, .syncRefused,
            .runActive,
            .tenantConflict, .apiKeysMissing, .migrationChanged, .migrationUnknown, .migrationOutOfOrder,
            .migrationsPending, .legacyRowsWithoutBackup, .legacyDuplicates, .backupRequired, .confirmationRequired,
            .tenantBusy, .indexOperatorMissing, .modelMismatch, .vectorSpaceMissing, .vectorSpaceIncomplete,
            .maintenanceBusy, .embeddingModelDrift, .embeddingTruncation:
            .refused
        case .noMatches, .internalError, .runUnbalanced, .storeConflict, .storeRejected, .embeddingInvalid,
            .smokeFailed, .leaseLost, .migrationFailed, .migrationNotDerivable, .indexNotVerified:
            .someItemsFailed
        case .interrupted:
            .interrupted
        default:
            .badInput
        }
    }
}
