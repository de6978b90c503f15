package import KelterModel

/// One ingestion batch or upload, as the ledger knows it.
package struct RunRecord: Sendable {
    package var id: RowID
    package var caseID: String?
    /// What kind of run it is, such as `upload` or `ingest`.
    package var kind: String
    package var status: RunStatus
    /// What is needed to resume it, an object.
    package var arguments: JSONValue
    /// The totals of a finished run.
    package var totals: JSONValue?
    /// Why it failed.
    package var error: String?
    /// RFC 3339, in UTC; set by the database.
    package internal(set) var queuedAt: String?
    /// RFC 3339, in UTC; set by the database, `nil` for a run that still waits.
    package internal(set) var startedAt: String?
    /// RFC 3339, in UTC; set by the database.
    package internal(set) var finishedAt: String?
    /// From its first start to its end; `nil` before that.
    package internal(set) var durationMilliseconds: Int?
    /// The trace of the request that asked for it.
    package internal(set) var traceID: String?

    package init(
        id: RowID,
        caseID: String? = nil,
        kind: String,
        status: RunStatus = .running,
        arguments: JSONValue = .object([]),
        totals: JSONValue? = nil,
        error: String? = nil
    ) {
        self.id = id
        self.caseID = caseID
        self.kind = kind
        self.status = status
        self.arguments = arguments
        self.totals = totals
        self.error = error
    }
}

extension RunRecord {
    /// What ``init(_:_:)`` reads.
    static let columns = """
        id, case_id, kind, status, arguments, totals, error, \(Store.timestamp("queued_at")),
        \(Store.timestamp("started_at")), \(Store.timestamp("finished_at")), trace_id,
        (extract(epoch FROM finished_at - started_at) * 1000)::bigint
        """
    static let columnCount = 12

    /// Reads a row of ``columns``.
    init?(_ rows: borrowing Rows, _ row: Int) {
        guard let id = rows.uuid(row, 0) else { return nil }
        self.init(
            id: id,
            caseID: rows.text(row, 1),
            kind: rows.text(row, 2) ?? "",
            status: rows.text(row, 3).flatMap(RunStatus.init) ?? .failed,
            arguments: rows.json(row, 4) ?? .object([]),
            totals: rows.json(row, 5),
            error: rows.text(row, 6)
        )
        queuedAt = rows.text(row, 7)
        startedAt = rows.text(row, 8)
        finishedAt = rows.text(row, 9)
        traceID = rows.text(row, 10)
        durationMilliseconds = rows.int(row, 11)
    }
}

/// What the ledger holds for a run.
package struct RunTotals: Equatable, Sendable {
    /// Items by outcome, counted once per scope.
    package let outcomes: OutcomeCounts
    /// Chunks that were written.
    package let chunks: Int
    /// Those of them that have a vector.
    package let embeddings: Int
    /// The sizes of the files, each counted once.
    package let bytes: Int
}
