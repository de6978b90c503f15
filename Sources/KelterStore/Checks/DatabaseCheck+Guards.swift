import KelterModel

/// An index that keeps a document from being stored twice.
struct GuardIndex: Sendable {
    let name: String
    let columns: String
    let predicate: String

    static let nullScopeHash = Self(
        name: "documents_tenant_hash_null_collection_idx",
        columns: "tenant_id, hash",
        predicate: "(collection_id IS NULL)"
    )
    static let collectionHash = Self(
        name: "documents_tenant_collection_hash_idx",
        columns: "tenant_id, collection_id, hash",
        predicate: "(collection_id IS NOT NULL)"
    )
    static let all = [
        nullScopeHash,
        collectionHash,
        Self(
            name: "documents_tenant_external_id_null_collection_uk",
            columns: "tenant_id, external_id",
            predicate: "(collection_id IS NULL)"
        ),
        Self(
            name: "documents_tenant_collection_external_id_uk",
            columns: "tenant_id, collection_id, external_id",
            predicate: "(collection_id IS NOT NULL)"
        ),
    ]
}

extension DatabaseCheck {
    static func guardIndexes(
        _ connection: isolated Connection,
        _ scope: CheckScope
    ) throws(DatabaseFailure) -> Finding {
        var problems: [String] = []
        var statements: [String] = []
        for index in GuardIndex.all {
            guard let problem = try connection.problem(of: index, in: scope) else { continue }
            problems.append("\(index.name) \(problem.text)")
            if problem.isPresent { statements.append("DROP INDEX \(scope.schema).\(index.name)") }
        }
        guard problems.isEmpty else {
            return .failed(problems.joined(separator: "; "), fix: scope.recreation(dropping: statements))
        }
        return .ok("\(GuardIndex.all.count) unique and valid indexes, each for one kind of scope")
    }

    static func guardNullScope(
        _ connection: isolated Connection,
        _ scope: CheckScope
    ) throws(DatabaseFailure) -> Finding {
        try plan(connection, scope, of: .nullScopeHash)
    }

    static func guardCollectionScope(
        _ connection: isolated Connection,
        _ scope: CheckScope
    ) throws(DatabaseFailure) -> Finding {
        try plan(connection, scope, of: .collectionHash)
    }

    /// The runbook's EXPLAIN of the lookup that an index is for.
    private static func plan(
        _ connection: isolated Connection,
        _ scope: CheckScope,
        of index: GuardIndex
    ) throws(DatabaseFailure) -> Finding {
        let key = try connection.guardKey(index, in: scope)
        let inCollection = index.name == GuardIndex.collectionHash.name
        // A few rows are read whole, whatever the indexes, and all indexes that find them cost the same.
        let isSmall = key.documents < 1000
        if isSmall { try connection.run("SET LOCAL enable_seqscan TO off") }
        let answer = try connection.query(
            """
            EXPLAIN (FORMAT JSON) SELECT 1 FROM \(scope.schema).documents
            WHERE tenant_id = $1 AND collection_id \(inCollection ? "= $3" : "IS NULL") AND hash = $2
            """,
            [.uuid(key.tenant), .text(key.hash)] + (inCollection ? [.uuid(key.collection)] : [])
        )
        let text = answer.text(0, 0) ?? ""
        let scans = ((try? JSONReader.read(Array(text.utf8)))?[0]?["Plan"]).map(scans) ?? []
        let size = "\(key.documents) documents" + (isSmall ? ", sequential scans disabled" : "")
        if !scans.isEmpty, scans.allSatisfy({ $0.index == index.name }) {
            return .ok("\(scans.map(\.node).joined(separator: ", ")) using \(index.name) (\(size))")
        }
        let used = scans.map { $0.index ?? $0.node }.joined(separator: ", ")
        let detail = "the plan uses \(used.isEmpty ? "nothing" : used) instead of \(index.name) (\(size))"
        if let problem = try connection.problem(of: index, in: scope) {
            let statements = problem.isPresent ? ["DROP INDEX IF EXISTS \(scope.schema).\(index.name)"] : []
            return .failed(detail, fix: scope.recreation(dropping: statements))
        }
        if isSmall, !scans.isEmpty, scans.allSatisfy({ $0.index != nil }) {
            return .ok("\(used) costs as little as \(index.name), which is usable (\(size))")
        }
        return .failed(
            detail,
            fix: "Run 'ANALYZE \(scope.schema).documents;' as \(scope.options.roles.owner), and set the planner's "
                + "enable_ parameters back to on."
        )
    }

    /// The nodes of a plan that read a table or an index.
    private static func scans(_ node: JSONValue) -> [(node: String, index: String?)] {
        let below = (node["Plans"]?.array ?? []).flatMap(scans)
        guard let type = node["Node Type"]?.string, type.hasSuffix("Scan"), type != "Bitmap Heap Scan" else {
            return below
        }
        return [(type, node["Index Name"]?.string)] + below
    }
}

extension CheckScope {
    /// How the guard indexes come back after wrong ones are dropped.
    fileprivate func recreation(dropping statements: [String]) -> String {
        statements.isEmpty ? Self.schemaApply : fix(statements, thenApply: true)
    }
}

extension Connection {
    /// What is wrong with a guard index, and whether there is one.
    fileprivate func problem(
        of index: GuardIndex,
        in scope: CheckScope
    ) throws(DatabaseFailure) -> (text: String, isPresent: Bool)? {
        let rows = try query(
            """
            SELECT x.indisunique, x.indisvalid AND x.indisready, pg_get_expr(x.indpred, x.indrelid),
                (SELECT string_agg(a.attname, ', ' ORDER BY u.place)
                    FROM unnest(x.indkey::int2[]) WITH ORDINALITY u(number, place)
                    JOIN pg_attribute a ON a.attrelid = x.indrelid AND a.attnum = u.number)
            FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid
            WHERE x.indrelid = $1::regclass AND i.relname = $2
            """,
            [scope.table("documents"), .text(index.name)]
        )
        guard rows.count > 0 else { return ("is missing", false) }
        guard rows.bool(0, 0) == true else { return ("is not unique", true) }
        guard rows.bool(0, 1) == true else { return ("is not valid", true) }
        let (predicate, columns) = (rows.text(0, 2) ?? "none", rows.text(0, 3) ?? "none")
        guard columns == index.columns else { return ("is on (\(columns)) instead of (\(index.columns))", true) }
        guard predicate == index.predicate else {
            return ("is WHERE \(predicate) instead of \(index.predicate)", true)
        }
        return nil
    }

    /// A row of the scope with the most documents, or values that no row has; its tenant's rows stay visible.
    ///
    /// Where a tenant has a few documents every index on it finds them at the same cost.
    fileprivate func guardKey(
        _ index: GuardIndex,
        in scope: CheckScope
    ) throws(DatabaseFailure) -> (tenant: RowID, collection: RowID, hash: String, documents: Int) {
        let nobody = RowID(high: 0, low: 0)
        var largest = (
            tenant: scope.tenants.first ?? nobody, collection: nobody, hash: String(repeating: "0", count: 64),
            documents: 0
        )
        let viewers = try viewers(of: ["documents"], in: scope)
        for viewer in viewers {
            try enter(viewer)
            let rows = try query(
                """
                SELECT tenant_id, collection_id, min(hash), count(*) FROM \(scope.schema).documents
                WHERE \(index.predicate) AND ($1 IS NULL OR tenant_id = $1)
                GROUP BY 1, 2 ORDER BY 4 DESC LIMIT 1
                """,
                [.uuid(viewer)]
            )
            guard rows.count > 0, let tenant = rows.uuid(0, 0), let hash = rows.text(0, 2), let count = rows.int(0, 3),
                count > largest.documents
            else { continue }
            largest = (tenant, rows.uuid(0, 1) ?? nobody, hash, count)
        }
        if viewers != [nil] { try enter(largest.tenant) }
        return largest
    }
}
