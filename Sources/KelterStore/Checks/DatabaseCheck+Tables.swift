import KelterModel

extension DatabaseCheck {
    static func schemaTables(
        _ connection: isolated Connection,
        _ scope: CheckScope
    ) throws(DatabaseFailure) -> Finding {
        let rows = try connection.query(
            """
            SELECT c.relname, a.atttypmod
            FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
            LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND c.relname = 'embeddings' AND a.attname = 'embedding'
                AND NOT a.attisdropped
            WHERE n.nspname = $1 AND c.relkind IN ('r', 'p') AND c.relname = ANY ($2)
            """,
            [.text(scope.schema.name), .texts(StoreSchema.tableNames)]
        )
        let present = Set((0..<rows.count).compactMap { rows.text($0, 0) })
        let missing = StoreSchema.tableNames.filter { !present.contains($0) }
        guard missing.isEmpty else {
            return .failed(
                "\(scope.schema.name) lacks \(missing.joined(separator: ", "))",
                fix: CheckScope.schemaApply
            )
        }
        guard let dimension = (0..<rows.count).compactMap({ rows.int($0, 1) }).first else {
            return .failed(
                "\(scope.schema.name).embeddings has no column embedding",
                fix: scope.fix(["DROP TABLE \(scope.schema).embeddings"], thenApply: true)
            )
        }
        guard dimension == scope.dimension else {
            return .failed(
                "\(scope.schema.name).embeddings holds vectors of \(dimension) dimensions, not \(scope.dimension)",
                fix:
                    "Set EMBEDDINGS_MODEL_PRIMARY and EMBEDDINGS_DIM to that vector space, or RAG_VECTOR_SCHEMA to another."
            )
        }
        return .ok("\(present.count) tables in \(scope.schema.name), vectors of \(scope.dimension) dimensions")
    }

    static func collectionsKey(
        _ connection: isolated Connection,
        _ scope: CheckScope
    ) throws(DatabaseFailure) -> Finding {
        let columns = try connection.query(
            """
            SELECT column_name::text FROM information_schema.columns
            WHERE table_schema = $1 AND table_name = 'collections'
            """,
            [.text(scope.schema.name)]
        )
        let present = (0..<columns.count).compactMap { columns.text($0, 0) }
        let missing = ["tenant_id", "id", "label"].filter { !present.contains($0) }
        let key = try connection.query(
            """
            SELECT quote_ident(k.conname), string_agg(a.attname, ', ' ORDER BY u.place)
            FROM pg_constraint k, unnest(k.conkey) WITH ORDINALITY u(number, place), pg_attribute a
            WHERE k.conrelid = $1::regclass AND k.contype = 'p' AND a.attrelid = k.conrelid AND a.attnum = u.number
            GROUP BY k.conname
            """,
            [scope.table("collections")]
        )
        var problems: [String] = []
        var statements: [String] = []
        if !missing.isEmpty {
            problems.append("no column \(missing.joined(separator: ", "))")
            statements += missing.map { name in
                let type = name == "label" ? "text" : "uuid NOT NULL"
                return "ALTER TABLE \(scope.schema).collections ADD COLUMN \(name) \(type)"
            }
        }
        let found = key.count == 0 ? nil : key.text(0, 1)
        if found != "tenant_id, id" {
            problems.append("primary key (\(found ?? "none")) instead of (tenant_id, id)")
            if let name = key.count == 0 ? nil : key.text(0, 0) {
                statements.append("ALTER TABLE \(scope.schema).collections DROP CONSTRAINT \(name) CASCADE")
            }
            statements.append("ALTER TABLE \(scope.schema).collections ADD PRIMARY KEY (tenant_id, id)")
        }
        guard problems.isEmpty else {
            return .failed(
                "\(scope.schema.name).collections: \(problems.joined(separator: "; "))",
                fix: scope.fix(statements)
            )
        }
        return .ok("\(scope.schema.name).collections has tenant_id, id, label and the key (tenant_id, id)")
    }

    /// The tables whose rows belong to a collection.
    static let scopedTables = ["documents", "chunks", "embeddings"]

    static func scopeColumns(
        _ connection: isolated Connection,
        _ scope: CheckScope
    ) throws(DatabaseFailure) -> Finding {
        let rows = try connection.query(
            """
            SELECT c.relname FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
            WHERE a.attrelid IN ($1::regclass, $2::regclass, $3::regclass) AND a.attname = 'collection_id'
            """,
            scopedTables.map { scope.table($0) }
        )
        let present = (0..<rows.count).compactMap { rows.text($0, 0) }
        let missing = scopedTables.filter { !present.contains($0) }
        guard missing.isEmpty else {
            return .failed(
                "no column collection_id in \(missing.joined(separator: ", "))",
                fix: scope.fix(missing.map { "ALTER TABLE \(scope.schema).\($0) ADD COLUMN collection_id uuid" })
            )
        }
        return .ok("three rows: \(scopedTables.joined(separator: ", ")) have collection_id")
    }

    static func scopeForeignKeys(
        _ connection: isolated Connection,
        _ scope: CheckScope
    ) throws(DatabaseFailure) -> Finding {
        let rows = try connection.query(
            """
            SELECT format('%I.%I', n.nspname, c.relname), CASE n.nspname WHEN $1 THEN c.relname END,
                quote_ident(k.conname), k.convalidated,
                (SELECT string_agg(a.attname || '=' || b.attname, ' ' ORDER BY u.place)
                    FROM unnest(k.conkey, k.confkey) WITH ORDINALITY u(here, there, place)
                    JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = u.here
                    JOIN pg_attribute b ON b.attrelid = k.confrelid AND b.attnum = u.there)
            FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace
            WHERE k.confrelid = $2::regclass ORDER BY 1, 3
            """,
            [.text(scope.schema.name), scope.table("collections")]
        )
        var missing = scopedTables
        var problems: [String] = []
        var statements: [String] = []
        for row in 0..<rows.count {
            guard let relation = rows.text(row, 0), let name = rows.text(row, 2) else { continue }
            let place = missing.firstIndex { $0 == rows.text(row, 1) }
            guard let place, rows.text(row, 4) == "tenant_id=tenant_id collection_id=id" else {
                problems.append("\(name) of \(relation) is not one of the three")
                statements.append("ALTER TABLE \(relation) DROP CONSTRAINT \(name)")
                continue
            }
            missing.remove(at: place)
            if rows.bool(row, 3) != true {
                problems.append("\(name) of \(relation) is not validated")
                statements += unforced("VALIDATE CONSTRAINT \(name)", on: relation, scope)
            }
        }
        let absent = try connection.query(
            "SELECT t FROM unnest($1::text[]) t WHERE to_regclass(format('%I.%I', $2::text, t)) IS NULL",
            [.texts(missing), .text(scope.schema.name)]
        )
        let unborn = (0..<absent.count).compactMap { absent.text($0, 0) }
        problems += unborn.map { "there is no table \($0)" }
        for table in missing where !unborn.contains(table) {
            problems.append("\(table) does not reference collections by (tenant_id, collection_id)")
            statements += unforced(
                "ADD CONSTRAINT \(table)_collection_fk FOREIGN KEY (tenant_id, collection_id) REFERENCES "
                    + "\(scope.schema).collections (tenant_id, id) DEFERRABLE",
                on: "\(scope.schema).\(table)",
                scope
            )
        }
        guard problems.isEmpty else {
            return .failed(
                "\(rows.count) rows: \(problems.joined(separator: "; "))",
                fix: statements.isEmpty
                    ? CheckScope.schemaApply : scope.fix(statements, thenApply: !unborn.isEmpty)
            )
        }
        return .ok("three rows: \(scopedTables.joined(separator: ", ")) reference collections")
    }

    /// A change that validates rows, with the policies out of the way: they would hide the rows from their owner, and
    /// nothing would be validated.
    private static func unforced(_ change: String, on relation: String, _ scope: CheckScope) -> [String] {
        let tables = [relation, "\(scope.schema).collections"]
        return tables.map { "ALTER TABLE \($0) NO FORCE ROW LEVEL SECURITY" } + ["ALTER TABLE \(relation) \(change)"]
            + tables.map { "ALTER TABLE \($0) FORCE ROW LEVEL SECURITY" }
    }
}
