import KelterModel

/// Moves documents of a tenant from one scope to another inside a transaction.
struct ScopeMover: Sendable {
    let schema: SQLIdentifier
    let tenant: Tenant
    let from: CollectionID?
    let to: CollectionID?
    let run: RowID?

    /// The conditions of a rule on documents `d` without collection.
    func condition(_ rule: ScopeRule, in statement: inout Statement) -> String {
        var conditions = ["d.tenant_id = \(statement.bind(.uuid(tenant.rowID)))", "d.collection_id IS NULL"]
        for (column, value) in [
            ("case_id", rule.caseID), ("source", rule.source), ("doc_class", rule.docClass),
            ("workflow_id", rule.workflowID),
        ] {
            if let value { conditions.append("d.\(column) = \(statement.bind(.text(value)))") }
        }
        if let prefix = rule.externalIDPrefix {
            conditions.append("starts_with(d.external_id, \(statement.bind(.text(prefix))))")
        }
        return conditions.joined(separator: " AND ")
    }

    /// Whether the other scope holds the bytes or a name of document `d` already: what the guards forbid.
    ///
    /// One question for each guard, in the words of its index.
    func conflict(in statement: inout Statement) -> String {
        let tenant = statement.bind(.uuid(tenant.rowID))
        let scope = to.map { "o.collection_id = \(statement.bind(.uuid($0)))" } ?? "o.collection_id IS NULL"
        let other = "SELECT FROM \(schema).documents o WHERE o.tenant_id = \(tenant) AND \(scope)"
        return """
            EXISTS (\(other) AND o.hash = d.hash) OR EXISTS (\(other) AND o.external_id = d.external_id) OR EXISTS (
                SELECT FROM \(schema).sources s JOIN \(schema).sources o ON o.external_id = s.external_id
                WHERE s.document_id = d.id AND o.tenant_id = \(tenant) AND \(scope)
            )
            """
    }

    /// Moves the documents that meet a condition and have no conflict.
    func move(
        where condition: String,
        limit: Int,
        _ statement: Statement,
        on connection: isolated Connection
    ) throws(DatabaseFailure) -> ScopeMove {
        var statement = statement
        try connection.run("SET LOCAL statement_timeout TO 0")
        let rows = try connection.query(
            """
            SELECT d.id, d.external_id, \(conflict(in: &statement)) FROM \(schema).documents d
            WHERE \(condition) ORDER BY d.id LIMIT \(limit) FOR UPDATE OF d
            """,
            statement.parameters
        )
        var result = ScopeMove()
        var items: [RunItem] = []
        for row in 0..<rows.count {
            guard let id = rows.uuid(row, 0), let name = rows.text(row, 1) else { continue }
            let isConflict = rows.bool(row, 2) == true
            result.last = id
            if isConflict { result.conflicts.append(id) } else { result.moved.append(id) }
            items.append(
                RunItem(
                    collection: to,
                    externalID: name,
                    outcome: isConflict ? .skipped : .updated,
                    detail: isConflict ? "the scope holds these bytes or a name of theirs already" : nil,
                    document: id
                )
            )
        }
        try update(result.moved, on: connection)
        if let run { try Ledger(run: run, tenant: tenant, schema: schema).record(items, on: connection) }
        return result
    }

    private func update(_ documents: [RowID], on connection: isolated Connection) throws(DatabaseFailure) {
        guard !documents.isEmpty else { return }
        if let to {
            try connection.execute(
                "INSERT INTO \(schema).collections (tenant_id, id) VALUES ($1, $2) ON CONFLICT DO NOTHING",
                [.uuid(tenant.rowID), .uuid(to)]
            )
        }
        let parameters: [Parameter] = [.uuid(tenant.rowID), .uuids(documents), .uuid(to)]
        for statement in [
            "UPDATE \(schema).documents SET collection_id = $3, updated_at = now() WHERE tenant_id = $1 AND id = ANY ($2)",
            "UPDATE \(schema).sources SET collection_id = $3 WHERE tenant_id = $1 AND document_id = ANY ($2)",
            "UPDATE \(schema).chunks SET collection_id = $3 WHERE tenant_id = $1 AND document_id = ANY ($2)",
            """
            UPDATE \(schema).embeddings e SET collection_id = $3 FROM \(schema).chunks c
            WHERE c.id = e.chunk_id AND c.tenant_id = $1 AND c.document_id = ANY ($2)
            """,
        ] {
            try connection.execute(statement, parameters)
        }
    }
}
