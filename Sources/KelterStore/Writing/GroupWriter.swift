import KelterModel

/// Writes one group of items in one transaction.
///
/// The order of the steps: locks, state, decisions, then the difference between the state before and after, so that a
/// document that changes twice in a group is written once. Old chunks go and new ones come in the same transaction:
/// readers see one generation or the other.
struct GroupWriter: Sendable {
    let schema: SQLIdentifier
    let ledgerSchema: SQLIdentifier
    let group: [DocumentWrite]
    let run: RowID?
    let tenant: Tenant
    let dimension: Int
    /// The model of the vectors; `nil` when it is not looked at.
    let model: String?
    /// The fingerprint of the vectors' model; `nil` when it is not looked at.
    let fingerprint: String?
    /// How long one statement may take.
    ///
    /// The vector index makes the time of a statement grow with its rows.
    let statementTimeoutMilliseconds: Int64

    /// Runs inside an open transaction of the tenant.
    func write(on connection: isolated Connection) throws(DatabaseFailure) -> [WriteResult] {
        let keys = group.map(\.key)
        try VectorSpaceModel(schema: schema).check(model, fingerprint: fingerprint, stamps: true, on: connection)
        try lock(keys, on: connection)
        FailPoint.groupLocked.pass()
        let before = try GuardQuery.lockedState(
            connection,
            schema: schema,
            keys: keys,
            documents: group.compactMap(\.nearDuplicateOf?.document),
            tenant: tenant
        )
        var state = before
        let refused = try refusals(on: connection)
        var results: [WriteResult] = []
        for (index, item) in group.enumerated() {
            if let error = refused[index] {
                results.append(.failed(error))
                continue
            }
            var decision = state.decision(for: item.key)
            var isNearGone = false
            if let near = item.nearDuplicateOf, decision.verdict.needsContent {
                let replaces = item.content != nil
                if let merged = state.decision(for: item.key, near: near.document, replaces: replaces) {
                    decision = merged
                } else {
                    isNearGone = true
                }
            }
            var result = WriteResult(outcome: decision.outcome)
            if isNearGone || decision.verdict.needsContent && item.content == nil {
                result.needsContent = true
            } else {
                let document = state.apply(decision, key: item.key, item: index, newDocument: item.newDocumentID)
                result.document = document
                result.nearDuplicate = item.nearDuplicateOf
                if case .duplicate(let original, _) = decision.verdict { result.duplicateOf = original }
                if decision.verdict.needsContent, let content = item.content {
                    result.chunks = content.count
                    result.embeddingsEmpty = content.summary.empty
                    result.embeddings = content.count - result.embeddingsEmpty
                }
            }
            results.append(result)
        }
        let keepable = try keepableChunks(from: before, to: state, on: connection)
        try writeDocuments(from: before, to: state, on: connection)
        FailPoint.documentsWritten.pass()
        try writeContent(from: before, to: state, keeping: keepable, on: connection)
        try writeSources(state, on: connection)
        try writeNearDuplicates(from: before, to: state, &results, on: connection)
        FailPoint.groupWritten.pass()
        if let run { try writeItems(results, run: run, on: connection) }
        FailPoint.groupRecorded.pass()
        return results
    }

    /// Enters what documents with new content are found by, and finds those that are nearly the same.
    private func writeNearDuplicates(
        from before: GuardState,
        to state: GuardState,
        _ results: inout [WriteResult],
        on connection: isolated Connection
    ) throws(DatabaseFailure) {
        let finder = NearDuplicates(schema: schema, tenant: tenant)
        let changed = state.documents.values.compactMap { document in
            document.contentItem.flatMap { index in group[index].near.map { (document, index, $0) } }
        }.sorted { $0.0.id < $1.0.id }
        let replaced = state.documents.values.filter { $0.contentItem != nil && before.documents[$0.id] != nil }
        try finder.enter(
            changed.map { ($0.0.id, $0.2.signature) },
            replacing: replaced.map(\.id),
            on: connection
        )
        let asked = changed.compactMap { document, index, near in
            near.reportsFrom.map { (document, index, near.signature, $0) }
        }
        let questions = asked.map {
            NearDuplicates.Question(signature: $0.2, scope: $0.0.scope, except: $0.0.externalID, threshold: $0.3)
        }
        for (question, answer) in zip(asked, try finder.find(questions, on: connection)) {
            results[question.1].nearDuplicate = answer ?? results[question.1].nearDuplicate
        }
    }

    /// Takes the advisory locks and notes the transaction's identifier, by which its fate can be asked for later.
    private func lock(_ keys: [GuardKey], on connection: isolated Connection) throws(DatabaseFailure) {
        let chunks = group.reduce(0) { $0 + ($1.content?.count ?? 0) }
        try connection.run(
            "SET LOCAL statement_timeout TO "
                + "\(statementTimeoutMilliseconds + Int64(chunks) * VectorStaging.millisecondsPerVector)"
        )
        let rows = try connection.query(
            """
            SELECT pg_current_xact_id()::text, count(*)
            FROM (SELECT pg_advisory_xact_lock(k) FROM unnest($1::bigint[]) k) l
            """,
            [.ints(AdvisoryLock.keys(keys, tenant: tenant))]
        )
        connection.transactionID = rows.text(0, 0)
    }

    /// What must not be written, by its place in the group: parts that another process works on by now, and names that
    /// other files of the batch have.
    private func refusals(on connection: isolated Connection) throws(DatabaseFailure) -> [Int: KelterError] {
        guard let run else { return [:] }
        let ledger = Ledger(run: run, tenant: tenant, schema: ledgerSchema)
        let lost = try ledger.lostLeases(group.compactMap(\.place.lease), on: connection)
        let keys = group.map { Ledger.Key(scope: $0.key.collection, name: $0.key.externalID, path: $0.place.path) }
        let taken = try ledger.takenNames(keys, on: connection)
        var refusals: [Int: KelterError] = [:]
        for (index, item) in group.enumerated() {
            if let lease = item.place.lease, lost.contains(lease) {
                refusals[index] = .leaseLost(part: lease.part, run: run)
            } else if taken.contains(keys[index]) {
                refusals[index] = .nameTaken(item.key.externalID, path: item.place.path)
            }
        }
        return refusals
    }

    private func writeItems(
        _ results: [WriteResult],
        run: RowID,
        on connection: isolated Connection
    ) throws(DatabaseFailure) {
        let items = zip(group, results).filter { !$1.needsContent && $1.error == nil }.map { item, result in
            RunItem(
                collection: item.key.collection,
                externalID: item.key.externalID,
                outcome: result.outcome,
                code: result.nearDuplicate == nil ? nil : .nearDuplicate,
                detail: result.nearDuplicate?.text,
                document: result.document,
                bytes: item.bytes,
                chunks: result.chunks,
                embeddings: result.embeddings,
                place: item.place
            )
        }
        try Ledger(run: run, tenant: tenant, schema: ledgerSchema).record(items, on: connection)
    }
}
