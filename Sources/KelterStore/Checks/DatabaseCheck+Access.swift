import KelterModel

extension DatabaseCheck {
    static func rowLevelSecurity(
        _ connection: isolated Connection,
        _ scope: CheckScope
    ) throws(DatabaseFailure) -> Finding {
        // Permissive policies are joined with OR: one that is too wide opens the table beside any other.
        let rows = try connection.query(
            """
            SELECT format('%I.%I', n.nspname, c.relname), n.nspname = $1, c.relrowsecurity, c.relforcerowsecurity,
                p.name, p.is_whole, p.is_bound
            FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
            JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'tenant_id' AND NOT a.attisdropped
            LEFT JOIN LATERAL (
                SELECT quote_ident(polname) AS name,
                    polname = 'tenant_isolation' AND polcmd = '*' AND polroles = ARRAY[0::oid] AS is_whole,
                    bool_and(e IS NULL OR e ~ 'kelter\\.tenant_id' AND e ~ 'tenant_id = ' AND e !~ ' OR ')
                        AND polqual IS NOT NULL AS is_bound
                FROM pg_policy, unnest(ARRAY[pg_get_expr(polqual, polrelid), pg_get_expr(polwithcheck, polrelid)]) e
                WHERE polrelid = c.oid AND polpermissive GROUP BY polname, polcmd, polroles, polqual
            ) p ON true
            WHERE c.relkind IN ('r', 'p') AND (n.nspname = $1 AND a.atttypid = 'uuid'::regtype
                OR n.nspname = 'public' AND c.relname = 'api_keys') ORDER BY 1, 5
            """,
            [.text(scope.schema.name)]
        )
        var tables: [String: ProtectedTable] = [:]
        for row in 0..<rows.count {
            guard let name = rows.text(row, 0) else { continue }
            var table = tables[name] ?? ProtectedTable(isInSchema: rows.bool(row, 1) == true)
            table.isEnabled = rows.bool(row, 2) == true
            table.isForced = rows.bool(row, 3) == true
            if let policy = rows.text(row, 4) {
                if rows.bool(row, 5) == true, rows.bool(row, 6) == true {
                    table.isIsolated = true
                } else if policy == "tenant_isolation" || rows.bool(row, 6) != true {
                    table.widePolicies.append(policy)
                }
            }
            tables[name] = table
        }
        let faulty = tables.filter { !$0.value.problems.isEmpty }.sorted { $0.key < $1.key }
        guard !faulty.isEmpty else {
            return .ok("\(tables.count) tables with a tenant_id are protected, also from their owner")
        }
        let drops = faulty.flatMap { name, table in table.widePolicies.map { "DROP POLICY \($0) ON \(name);" } }
        var commands = drops.isEmpty ? [] : ["'\(drops.joined(separator: " "))' as \(scope.options.roles.owner)"]
        if faulty.contains(where: { $0.value.isInSchema }) { commands.append("'kelter schema apply'") }
        if faulty.contains(where: { !$0.value.isInSchema }) { commands.append("'kelter migrate-schemas --shared'") }
        return .failed(
            faulty.map { "\($0.key): \($0.value.problems.joined(separator: ", "))" }.joined(separator: "; "),
            fix: "Run \(commands.joined(separator: ", then "))."
        )
    }

    /// How a table with a `tenant_id` is protected.
    private struct ProtectedTable {
        let isInSchema: Bool
        var isEnabled = false
        var isForced = false
        var isIsolated = false
        var widePolicies: [String] = []

        var problems: [String] {
            var problems: [String] = []
            if !isEnabled { problems.append("row level security is off") }
            if !isForced { problems.append("it is not forced on the owner") }
            if !isIsolated { problems.append("no policy tenant_isolation for kelter.tenant_id") }
            problems += widePolicies.map { "policy \($0) does not keep tenants apart" }
            return problems
        }
    }

    /// How many relations, functions and schemas of the vector space and of `public` a role owns; `$1` is the schema.
    private static func owned(by role: String) -> String {
        """
        (SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
            WHERE c.relowner = \(role) AND n.nspname IN ($1, 'public') AND c.relkind NOT IN ('i', 'I', 'c'))
        + (SELECT count(*) FROM pg_proc f JOIN pg_namespace n ON n.oid = f.pronamespace
            WHERE f.proowner = \(role) AND n.nspname IN ($1, 'public'))
        + (SELECT count(*) FROM pg_namespace n WHERE n.nspowner = \(role) AND n.nspname IN ($1, 'public'))
        """
    }

    static func roles(
        _ connection: isolated Connection,
        _ scope: CheckScope
    ) throws(DatabaseFailure) -> Finding {
        let names = scope.options.roles
        let rows = try connection.query(
            """
            SELECT r.oid IS NULL, coalesce(r.rolsuper, false), coalesce(r.rolbypassrls, false),
                coalesce(r.rolcreaterole, false), \(owned(by: "r.oid")),
                coalesce(NOT r.rolsuper AND pg_has_role(r.oid, o.oid, 'MEMBER'), false)
            FROM unnest($2::text[]) WITH ORDINALITY k(name, place)
            LEFT JOIN pg_roles r ON r.rolname = k.name LEFT JOIN pg_roles o ON o.rolname = $3 ORDER BY k.place
            """,
            [.text(scope.schema.name), .texts([names.owner, names.app, names.reader]), .text(names.owner)]
        )
        var problems: [String] = []
        for (row, name) in [names.owner, names.app, names.reader].enumerated() {
            let isOwner = row == 0
            if rows.bool(row, 0) == true { problems.append("\(name) does not exist") }
            if rows.bool(row, 1) == true { problems.append("\(name) is a superuser") }
            if rows.bool(row, 2) == true { problems.append("\(name) has BYPASSRLS") }
            if rows.bool(row, 3) == true { problems.append("\(name) has CREATEROLE") }
            if !isOwner, let count = rows.int(row, 4), count > 0 { problems.append("\(name) owns \(count) objects") }
            if !isOwner, rows.bool(row, 5) == true { problems.append("\(name) is a member of \(names.owner)") }
        }
        problems += try connection.privilegeProblems(scope)
        guard problems.isEmpty else {
            return .failed(problems.joined(separator: "; "), fix: "Run 'kelter roles apply'.")
        }
        return .ok("\(names.owner), \(names.app) and \(names.reader) have the rights they need and no others")
    }

    static func connectionRole(
        _ connection: isolated Connection,
        _ scope: CheckScope
    ) throws(DatabaseFailure) -> Finding {
        let rows = try connection.query(
            """
            SELECT r.rolname, r.rolsuper, r.rolbypassrls,
                coalesce(c.relrowsecurity AND NOT row_security_active(c.oid), false), \(owned(by: "r.oid"))
            FROM pg_roles r LEFT JOIN pg_class c ON c.oid = to_regclass($2) WHERE r.rolname = current_user
            """,
            [.text(scope.schema.name), scope.table("documents")]
        )
        let name = rows.text(0, 0) ?? "the role"
        var problems: [String] = []
        if rows.bool(0, 1) == true {
            problems.append("is a superuser")
        } else if rows.bool(0, 2) == true {
            problems.append("has BYPASSRLS")
        } else if rows.bool(0, 3) == true {
            problems.append("is not bound by row level security")
        }
        if let count = rows.int(0, 4), count > 0 { problems.append("owns \(count) objects") }
        guard problems.isEmpty else {
            return .failed(
                "\(name) \(problems.joined(separator: " and "))",
                fix: "Point RAG_DATABASE_URL at \(scope.options.roles.app); RAG_OWNER_DATABASE_URL is for migrations."
            )
        }
        return .ok("\(name) is bound by row level security and owns nothing")
    }
}

extension Connection {
    /// What the application's and the reader's roles may not do although they must, or may although they must not.
    fileprivate func privilegeProblems(_ scope: CheckScope) throws(DatabaseFailure) -> [String] {
        let names = scope.options.roles
        let rows = try query(
            """
            SELECT coalesce(bool_or(NOT has_schema_privilege(a.oid, n.oid, 'USAGE')), false),
                coalesce(bool_or(NOT has_schema_privilege(r.oid, n.oid, 'USAGE')), false),
                string_agg(c.relname, ', ' ORDER BY c.relname) FILTER (WHERE NOT (
                    has_table_privilege(a.oid, c.oid, 'SELECT') AND has_table_privilege(a.oid, c.oid, 'INSERT')
                    AND CASE WHEN c.relname = 'vector_space' THEN has_any_column_privilege(a.oid, c.oid, 'UPDATE')
                        ELSE has_table_privilege(a.oid, c.oid, 'UPDATE') AND has_table_privilege(a.oid, c.oid, 'DELETE')
                        END)),
                string_agg(c.relname, ', ' ORDER BY c.relname)
                    FILTER (WHERE NOT has_table_privilege(r.oid, c.oid, 'SELECT')),
                string_agg(c.relname, ', ' ORDER BY c.relname)
                    FILTER (WHERE NOT r.rolsuper
                        AND has_table_privilege(r.oid, c.oid, 'INSERT, UPDATE, DELETE, TRUNCATE'))
            FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
            LEFT JOIN pg_roles a ON a.rolname = $2 LEFT JOIN pg_roles r ON r.rolname = $3
            WHERE n.nspname = $1 AND c.relkind IN ('r', 'p') AND c.relname = ANY ($4)
            """,
            [
                .text(scope.schema.name), .text(names.app), .text(names.reader), .texts(StoreSchema.allTableNames),
            ]
        )
        var problems: [String] = []
        for (column, name) in [names.app, names.reader].enumerated() where rows.bool(0, column) == true {
            problems.append("\(name) may not use the schema \(scope.schema.name)")
        }
        if let tables = rows.text(0, 2) { problems.append("\(names.app) may not read and write \(tables)") }
        if let tables = rows.text(0, 3) { problems.append("\(names.reader) may not read \(tables)") }
        if let tables = rows.text(0, 4) { problems.append("\(names.reader) may write \(tables)") }
        return problems
    }
}
