package import KelterModel

/// One item that was not stored, and why.
package struct ItemProblem: Equatable, Sendable {
    package let externalID: String
    /// A code for failures, a reason for what was skipped.
    package let code: String
    package let detail: String

    package init(externalID: String, code: String, detail: String) {
        self.externalID = externalID
        self.code = code
        self.detail = detail
    }

    /// The problem as a failure in a report.
    package var json: JSONValue {
        .object([("external_id", .string(externalID)), ("code", .string(code)), ("detail", .string(detail))])
    }
}

/// What a batch did, as `ingest --json` prints it; SPEC section 10.
package struct IngestReport: Sendable {
    package var run: RowID
    package var status: RunStatus
    /// Items found, counted once per scope.
    package var found = 0
    package var outcomes = OutcomeCounts()
    /// Whether the totals add up and equal those counted again in the database.
    package var isBalanced = false
    package var chunks = 0
    package var embeddings = 0
    package var embeddingsEmpty = 0
    package var embeddingInputs = 0
    package var embeddingRequests = 0
    /// Chunks whose vectors were taken from the database instead of the endpoint.
    package var cacheHits = 0
    /// Bytes of the files read.
    package var bytes = 0
    package var duration = Duration.zero
    package var failures: [ItemProblem] = []
    package var skipped: [ItemProblem] = []
    /// Documents that are nearly the same as others.
    package var nearDuplicates: [ItemProblem] = []
    /// Why the run ended early, if it did.
    package var error: KelterError?
    /// What a plan expects of a run.
    package var estimate: PlanEstimate?
    /// What the embedding endpoint was asked for, by profile.
    package var costs: [EmbeddingCosts] = []

    package init(run: RowID, status: RunStatus) {
        self.run = run
        self.status = status
    }

    /// The report as JSON.
    package var json: JSONValue {
        var members: [(name: String, value: JSONValue)] = [
            ("run_id", .string(run.description)),
            ("status", .string(status.rawValue)),
            ("found", .int(found)),
            ("outcomes", outcomes.json),
            ("balanced", .bool(isBalanced)),
            ("chunks", .int(chunks)),
            ("embeddings", .int(embeddings)),
            ("embeddings_empty", .int(embeddingsEmpty)),
            ("embedding_inputs", .int(embeddingInputs)),
            ("embedding_requests", .int(embeddingRequests)),
            ("cache_hits", .int(cacheHits)),
            ("bytes", .int(bytes)),
            ("duration_ms", .int(duration.milliseconds)),
            ("failures", .array(failures.map(\.json))),
            (
                "skipped",
                .array(
                    skipped.map {
                        .object([("external_id", .string($0.externalID)), ("reason", .string($0.code))])
                    }
                )
            ),
        ]
        members.append(("near_duplicates", .array(nearDuplicates.map(\.json))))
        members.append(("endpoint", .array(costs.map(\.json))))
        if let estimate {
            members += [("planned_tokens", .int(estimate.tokens)), ("estimate", estimate.json)]
        }
        if let error { members.append(("error", error.json)) }
        return .object(members)
    }

    /// What the process ends with.
    package var exitCode: ExitCode {
        if status == .interrupted { return .interrupted }
        if let error { return error.code.exitCode }
        return status == .succeeded ? .done : .someItemsFailed
    }
}

/// What one upload did, as `upload --json` prints it; SPEC section 10.
package struct UploadReport: Sendable {
    /// One document per scope.
    package struct Document: Equatable, Sendable {
        package let document: RowID?
        package let collection: CollectionID?
        package let outcome: Outcome
        package let duplicateOf: RowID?
        /// Path of the stored metadata relative to the object store.
        package let metadataPath: String?
    }

    package var run: RowID
    package var outcome: Outcome
    package var externalID: String
    package var hash: ContentHash?
    package var scope: CollectionScope
    package var documents: [Document] = []
    package var chunks = 0
    package var embeddings = 0
    package var embeddingsEmpty = 0
    package var embeddingInputs = 0
    package var embeddingRequests = 0
    package var cacheHits = 0
    /// What the embedding endpoint was asked for, by profile.
    package var costs: [EmbeddingCosts] = []
    package var duration = Duration.zero
    package var error: KelterError?
    /// Why the file was skipped, if it was.
    package var skipReason: SkipReason?

    /// The report as JSON.
    package var json: JSONValue {
        var members: [(name: String, value: JSONValue)] = [
            ("run_id", .string(run.description)),
            ("outcome", .string(outcome.rawValue)),
            ("external_id", .string(externalID)),
            ("hash", .optional(hash?.hex)),
            ("scope", scope.json),
            ("documents", .array(documents.map(\.json))),
            ("chunks", .int(chunks)),
            ("embeddings", .int(embeddings)),
            ("embeddings_empty", .int(embeddingsEmpty)),
            ("embedding_inputs", .int(embeddingInputs)),
            ("embedding_requests", .int(embeddingRequests)),
            ("cache_hits", .int(cacheHits)),
            ("endpoint", .array(costs.map(\.json))),
            ("meta_json", .optional(documents.first?.metadataPath)),
            ("duration_ms", .int(duration.milliseconds)),
        ]
        if let skipReason { members.append(("reason", .string(skipReason.rawValue))) }
        if let error { members.append(("error", error.json)) }
        return .object(members)
    }
}

extension UploadReport.Document {
    fileprivate var json: JSONValue {
        var members: [(name: String, value: JSONValue)] = [
            ("document_id", .optional(document?.description)),
            ("collection_id", .optional(collection?.description)),
            ("outcome", .string(outcome.rawValue)),
        ]
        if let duplicateOf { members.append(("duplicate_of", .string(duplicateOf.description))) }
        if let metadataPath { members.append(("meta_json", .string(metadataPath))) }
        return .object(members)
    }
}

extension KelterError {
    /// The error as JSON: `{code, detail}`.
    package var json: JSONValue {
        .object([("code", .string(code.rawValue)), ("detail", .string(detail))])
    }
}

extension Duration {
    /// Whole milliseconds.
    package var milliseconds: Int64 {
        components.seconds * 1000 + components.attoseconds / 1_000_000_000_000_000
    }
}
