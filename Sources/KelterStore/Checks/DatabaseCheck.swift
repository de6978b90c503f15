import KelterModel

/// One check of the database.
struct DatabaseCheck: Sendable {
    /// Stable, in kebab-case.
    let name: String
    /// Runs the check in an open read-only transaction.
    let run: @Sendable (isolated Connection, CheckScope) throws(DatabaseFailure) -> Finding

    /// All checks in the order in which they run and in which their fixes are to be applied.
    static let all = [
        DatabaseCheck(name: "pgvector-version", run: pgvectorVersion),
        DatabaseCheck(name: "pgvector-schema", run: pgvectorSchema),
        DatabaseCheck(name: "pgvector-operator-class", run: pgvectorOperatorClass),
        DatabaseCheck(name: "schema-tables", run: schemaTables),
        DatabaseCheck(name: "collections-key", run: collectionsKey),
        DatabaseCheck(name: "scope-columns", run: scopeColumns),
        DatabaseCheck(name: "scope-foreign-keys", run: scopeForeignKeys),
        DatabaseCheck(name: "guard-indexes", run: guardIndexes),
        DatabaseCheck(name: "guard-null-scope", run: guardNullScope),
        DatabaseCheck(name: "guard-collection-scope", run: guardCollectionScope),
        DatabaseCheck(name: "vector-index", run: vectorIndex),
        DatabaseCheck(name: "invalid-indexes", run: invalidIndexes),
        DatabaseCheck(name: "row-level-security", run: rowLevelSecurity),
        DatabaseCheck(name: "roles", run: roles),
        DatabaseCheck(name: "connection-role", run: connectionRole),
        DatabaseCheck(name: "rows-without-scope", run: rowsWithoutScope),
        DatabaseCheck(name: "scope-consistency", run: scopeConsistency),
        DatabaseCheck(name: "chunks-embedded", run: chunksEmbedded),
        DatabaseCheck(name: "unit-vectors", run: unitVectors),
    ]
}

/// What a check found, before it gets the check's name.
struct Finding: Sendable {
    let status: CheckResult.Status
    let detail: String
    let fix: String?

    static func ok(_ detail: String) -> Self {
        Self(status: .ok, detail: detail, fix: nil)
    }

    static func warning(_ detail: String, fix: String?) -> Self {
        Self(status: .warning, detail: detail, fix: fix)
    }

    static func failed(_ detail: String, fix: String?) -> Self {
        Self(status: .failed, detail: detail, fix: fix)
    }

    /// Row level security hides every row, so that nothing can be said about them.
    static let unseen = warning(
        "no tenant is known, so that no row could be looked at",
        fix: "Run 'kelter create-tenant' or name the tenant."
    )
}

/// What the checks are about.
struct CheckScope: Sendable {
    let schema: SQLIdentifier
    let dimension: Int
    let tenants: [RowID]
    let options: CheckOptions

    /// How vectors of the expected width are indexed.
    var indexing: VectorIndexing { VectorIndexing(dimension: dimension) }

    static let schemaApply = "Run 'kelter schema apply'."
    static let rebuildIndex = "Run 'kelter rebuild-rag-index'."

    /// A table of the vector space as a parameter that is cast to `regclass`.
    func table(_ name: String) -> Parameter {
        .text("\(schema).\(name)")
    }

    /// Statements for the owner of the tables, and `kelter schema apply` after them if that creates the rest.
    func fix(_ statements: [String], thenApply: Bool = false) -> String {
        let sql = statements.map { $0 + ";" }.joined(separator: " ")
        return "Run '\(sql)' as \(options.roles.owner)\(thenApply ? ", then 'kelter schema apply'" : "")."
    }
}

extension Connection {
    /// For whom statements on these tables must run so that they see all rows: once, as `nil`, or for each tenant.
    func viewers(of tables: [String], in scope: CheckScope) throws(DatabaseFailure) -> [RowID?] {
        let rows = try query(
            "SELECT bool_or(row_security_active(t::regclass)) FROM unnest($1::text[]) t",
            [.texts(tables.map { "\(scope.schema).\($0)" })]
        )
        return rows.bool(0, 0) == true ? scope.tenants : [nil]
    }

    /// Makes the rows of a tenant visible for the rest of the transaction.
    func enter(_ tenant: RowID?) throws(DatabaseFailure) {
        guard let tenant else { return }
        try run("SET LOCAL kelter.tenant_id = '\(tenant)'")
    }

    /// Adds up the row of counts that a statement gives for each viewer.
    ///
    /// - Parameters:
    ///   - sql: The statement; `$1` is the tenant, or NULL for all of them.
    ///   - tables: The tables it reads.
    ///   - scope: What is checked.
    /// - Returns: The sums, or `nil` when there is no viewer.
    /// - Throws: ``DatabaseFailure``.
    func sums(_ sql: String, of tables: [String], in scope: CheckScope) throws(DatabaseFailure) -> [Int]? {
        var sums: [Int]?
        for viewer in try viewers(of: tables, in: scope) {
            try enter(viewer)
            let rows = try query(sql, [.uuid(viewer)])
            let counts = (0..<rows.columns).map { rows.int(0, $0) ?? 0 }
            sums = sums.map { zip($0, counts).map { $0 + $1 } } ?? counts
        }
        return sums
    }

    /// About how many rows a table has for all tenants, without reading it, as the planner estimates it.
    ///
    /// - Parameters:
    ///   - table: The table.
    ///   - width: The bytes of a row, for a table that was never analysed.
    ///   - scope: What is checked.
    /// - Returns: The number; 0 for a table that is missing.
    /// - Throws: ``DatabaseFailure``.
    func estimatedRows(_ table: String, width: Int, in scope: CheckScope) throws(DatabaseFailure) -> Int {
        let rows = try query(
            """
            SELECT (pg_relation_size(oid) / block * CASE
                WHEN reltuples > 0 AND relpages > 0 THEN reltuples / relpages ELSE block / $2 END)::bigint
            FROM pg_class, LATERAL (SELECT current_setting('block_size')::float8 AS block)
            WHERE oid = to_regclass($1)
            """,
            [scope.table(table), .int(width)]
        )
        return rows.count == 0 ? 0 : rows.int(0, 0) ?? 0
    }
}
