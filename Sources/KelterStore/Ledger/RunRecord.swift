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
    package internal(set) var startedAt: String?
    /// RFC 3339, in UTC; set by the database.
    package internal(set) var finishedAt: String?

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
