import KelterModel
import Testing

@Suite("Errors")
struct ErrorTests {
    /// Every code with its text and exit code, written out: a change of either breaks callers.
    static let table: [(ErrorCode, String, Int32)] = [
        (.usage, "USAGE", 2), (.settingInvalid, "SETTING_INVALID", 2),
        (.configurationFileInvalid, "CONFIG_FILE_INVALID", 2),
        (.invalidCollectionID, "invalid_collection_id", 2), (.invalidCollectionIDs, "invalid_collection_ids", 2),
        (.invalidTenant, "invalid_tenant_header", 2), (.invalidCase, "invalid_case_header", 2),
        (.invalidHeader, "INVALID_HEADER", 2), (.invalidPathSegment, "INVALID_PATH_SEGMENT", 2),
        (.missingFile, "missing_file", 2), (.missingQuestion, "missing_question", 2), (.noMatches, "rag_no_matches", 1),
        (.sidecarInvalid, "invalid_metadata", 2), (.fileUnreadable, "INGEST_FILE_UNREADABLE", 2),
        (.fileChanged, "INGEST_FILE_CHANGED", 2), (.fileNameNotUTF8, "INGEST_FILE_NAME_NOT_UTF8", 2),
        (.fileTooLarge, "file_too_large", 2), (.unsupportedMediaType, "unsupported_media_type", 2),
        (.binaryContent, "PARSER_BINARY_CONTENT", 2), (.invalidEncoding, "PARSER_INVALID_ENCODING", 2),
        (.parserLimit, "PARSER_LIMIT", 2), (.parserFailed, "PARSER_FAILED", 2), (.chunkTooLong, "CHUNK_OVER_LIMIT", 2),
        (.embeddingInvalid, "INGEST_EMBEDDING_INVALID", 1),
        (.vectorDimensionMismatch, "INGEST_VECTOR_DIMENSION_MISMATCH", 4), (.storeConflict, "STORE_CONFLICT", 1),
        (.storeRejected, "STORE_REJECTED", 1), (.internalError, "INTERNAL", 1),
        (.embeddingUnreachable, "EMBEDDING_UNREACHABLE", 3), (.embeddingTimeout, "EMBEDDING_TIMEOUT", 3),
        (.embeddingUnauthorised, "EMBEDDING_UNAUTHORISED", 3), (.embeddingRefused, "EMBEDDING_REFUSED", 3),
        (.embeddingThrottled, "EMBEDDING_THROTTLED", 3), (.embeddingServerError, "EMBEDDING_SERVER_ERROR", 3),
        (.embeddingReplyInvalid, "EMBEDDING_REPLY_INVALID", 3), (.databaseUnavailable, "DATABASE_UNAVAILABLE", 3),
        (.databaseError, "DATABASE_ERROR", 3), (.schemaMissing, "SCHEMA_MISSING", 4),
        (.schemaDimensionMismatch, "EMB_DIM_MISMATCH", 4), (.pgvectorMissing, "PGVECTOR_MISSING", 3),
        (.pgvectorTooOld, "PGVECTOR_TOO_OLD", 4), (.runUnbalanced, "RUN_UNBALANCED", 1),
        (.runNotFound, "RUN_NOT_FOUND", 2),
        (.partMissing, "PART_MISSING", 3), (.serviceStartFailed, "SERVICE_START_FAILED", 3),
        (.objectStoreFailed, "OBJECT_STORE_FAILED", 3), (.interrupted, "INTERRUPTED", 130),
        (.syncRefused, "SYNC_REFUSED", 4),
    ]

    @Test("codes and exit codes are stable", arguments: table)
    func codes(code: ErrorCode, text: String, exitCode: Int32) {
        #expect(code.rawValue == text)
        #expect(code.description == text)
        #expect(code.exitCode.rawValue == exitCode)
    }

    @Test("no code is used twice")
    func unique() {
        #expect(Set(Self.table.map(\.0)).count == Self.table.count)
    }

    @Test("an error's detail has subject, sentence and fix; its description also the code")
    func texts() {
        let error = KelterError(.usage, "It is wrong.", subject: "--flag", fix: "Do it right.")
        #expect(error.detail == "--flag: It is wrong. Do it right.")
        #expect("\(error)" == "USAGE: --flag: It is wrong. Do it right.")
        #expect(KelterError(.usage, "It is wrong.").detail == "It is wrong.")
    }

    @Test("a caller's subject fills a gap but replaces nothing")
    func about() {
        #expect(KelterError(.usage, "Wrong.").about("a.md").subject == "a.md")
        #expect(KelterError(.usage, "Wrong.", subject: "title").about("a.md").subject == "title")
    }
}
