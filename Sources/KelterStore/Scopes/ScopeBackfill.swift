package import KelterModel

/// Which documents without a collection get one: those that meet all conditions given.
package struct ScopeRule: Sendable, Equatable {
    package var caseID: String?
    package var source: String?
    package var docClass: String?
    package var workflowID: String?
    /// The beginning of the external identifier, such as a directory.
    package var externalIDPrefix: String?

    package init(
        caseID: String? = nil,
        source: String? = nil,
        docClass: String? = nil,
        workflowID: String? = nil,
        externalIDPrefix: String? = nil
    ) {
        self.caseID = caseID
        self.source = source
        self.docClass = docClass
        self.workflowID = workflowID
        self.externalIDPrefix = externalIDPrefix
    }

    /// Whether every document meets it.
    package var isEmpty: Bool { self == ScopeRule() }
}

/// What a move of documents between scopes did, or would do.
package struct ScopeMove: Sendable, Equatable {
    /// Documents that were moved, or would be.
    package var moved: [RowID] = []
    /// Documents that stay, because their bytes or a name of theirs are in the other scope already.
    package var conflicts: [RowID] = []
    /// The last document seen; `nil` when there are no more.
    package var last: RowID?
}

extension Store {
    /// How many documents without collection meet a rule, and how many of them could not be moved.
    package func planBackfill(
        _ rule: ScopeRule,
        into collection: CollectionID,
        tenant: Tenant
    ) async throws(KelterError) -> (matching: Int, conflicts: Int) {
        let mover = ScopeMover(schema: schema, tenant: tenant, from: nil, to: collection, run: nil)
        return try await tenantCall(tenant) { connection throws(DatabaseFailure) in
            try connection.run("SET LOCAL statement_timeout TO 0")
            var statement = Statement()
            let condition = mover.condition(rule, in: &statement)
            let rows = try connection.query(
                """
                SELECT count(*), count(*) FILTER (WHERE \(mover.conflict(in: &statement)))
                FROM \(mover.schema).documents d WHERE \(condition)
                """,
                statement.parameters
            )
            return (rows.int(0, 0) ?? 0, rows.int(0, 1) ?? 0)
        }
    }

    /// Gives the next documents without collection that meet a rule one, with their chunks, vectors and sources.
    ///
    /// Each call is one transaction, recorded item by item in the run's ledger, by which it can be taken back.
    ///
    /// - Parameters:
    ///   - rule: Which documents.
    ///   - collection: The collection, which is created when it is not there.
    ///   - position: The last document seen; `nil` at the beginning.
    ///   - limit: How many documents at most.
    ///   - run: The run.
    ///   - tenant: Whose documents.
    /// - Returns: What was moved.
    /// - Throws: ``KelterError`` of the database.
    package func backfill(
        _ rule: ScopeRule,
        into collection: CollectionID,
        after position: RowID?,
        limit: Int = 500,
        run: RowID,
        tenant: Tenant
    ) async throws(KelterError) -> ScopeMove {
        let mover = ScopeMover(schema: schema, tenant: tenant, from: nil, to: collection, run: run)
        return try await tenantCall(tenant) { connection throws(DatabaseFailure) in
            var statement = Statement()
            var condition = mover.condition(rule, in: &statement)
            if let position { condition += " AND d.id > \(statement.bind(.uuid(position)))" }
            return try mover.move(where: condition, limit: limit, statement, on: connection)
        }
    }

    /// Takes the next documents of an earlier backfill out of the collection again, if they are still in it.
    ///
    /// - Parameters:
    ///   - original: The backfill's run.
    ///   - collection: Its collection.
    ///   - position: The last document seen; `nil` at the beginning.
    ///   - limit: How many documents at most.
    ///   - run: The run of the undoing.
    ///   - tenant: Whose documents.
    /// - Returns: What was moved.
    /// - Throws: ``KelterError`` of the database.
    package func undoBackfill(
        of original: RowID,
        from collection: CollectionID,
        after position: RowID?,
        limit: Int = 500,
        run: RowID,
        tenant: Tenant
    ) async throws(KelterError) -> ScopeMove {
        let mover = ScopeMover(schema: schema, tenant: tenant, from: collection, to: nil, run: run)
        return try await tenantCall(tenant) { connection throws(DatabaseFailure) in
            var statement = Statement()
            var condition = """
                d.tenant_id = \(statement.bind(.uuid(tenant.rowID)))
                AND d.collection_id = \(statement.bind(.uuid(collection)))
                AND d.id IN (
                    SELECT i.document_id FROM \(mover.schema).run_items i
                    WHERE i.run_id = \(statement.bind(.uuid(original))) AND i.outcome = 'updated'
                )
                """
            if let position { condition += " AND d.id > \(statement.bind(.uuid(position)))" }
            return try mover.move(where: condition, limit: limit, statement, on: connection)
        }
    }

    /// The uploads among the documents that a backfill has moved, in the order of their documents.
    ///
    /// - Parameters:
    ///   - run: The backfill's run.
    ///   - tenant: Whose run.
    /// - Returns: Where their metadata lie.
    /// - Throws: ``KelterError`` of the database.
    package func movedUploads(of run: RowID, tenant: Tenant) async throws(KelterError) -> [UploadRecord] {
        let schema = schema
        return try await tenantCall(tenant) { connection throws(DatabaseFailure) in
            let rows = try connection.query(
                """
                SELECT i.document_id FROM \(schema).run_items i JOIN \(schema).uploads u
                    ON u.tenant_id = i.tenant_id AND u.document_id = i.document_id
                WHERE i.run_id = $1 AND i.tenant_id = $2 AND i.outcome = 'updated'
                """,
                [.uuid(run), .uuid(tenant.rowID)]
            )
            let documents = (0..<rows.count).compactMap { rows.uuid($0, 0) }
            return try Uploads.find(documents, tenant: tenant, schema: schema, on: connection)
        }
    }
}
