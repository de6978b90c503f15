import KelterModel

extension DatabaseCheck {
    static func pgvectorVersion(
        _ connection: isolated Connection,
        _ scope: CheckScope
    ) throws(DatabaseFailure) -> Finding {
        let rows = try connection.query("SELECT extversion FROM pg_extension WHERE extname = 'vector'")
        guard rows.count > 0, let version = rows.text(0, 0) else {
            return .failed(
                "pgvector is not installed in this database",
                fix: "Run 'CREATE EXTENSION vector SCHEMA public;' as a superuser, then 'kelter schema apply'."
            )
        }
        let numbers = version.split(separator: ".").map { Int($0.prefix { ("0"..."9").contains($0) }) ?? 0 }
        let update = "run 'ALTER EXTENSION vector UPDATE;' as a superuser, then 'kelter rebuild-rag-index'."
        if numbers.lexicographicallyPrecedes([0, 5, 0]) {
            return .failed(
                "pgvector \(version) is older than 0.5.0 and has no HNSW",
                fix: "Install pgvector 0.8.4 or newer, \(update)"
            )
        }
        if numbers.lexicographicallyPrecedes(scope.indexing.oldestVersion) {
            return .failed(
                "\(scope.indexing.versionDemand), this is \(version)",
                fix: "Install pgvector 0.8.4 or newer, \(update)"
            )
        }
        if numbers.lexicographicallyPrecedes([0, 8, 4]) {
            return .warning(
                "pgvector \(version) is older than 0.8.4, which fixed corruption of HNSW indexes",
                fix: "Install pgvector 0.8.4 or newer, \(update)"
            )
        }
        return .ok("pgvector \(version)")
    }

    static func pgvectorSchema(
        _ connection: isolated Connection,
        _ scope: CheckScope
    ) throws(DatabaseFailure) -> Finding {
        let names = ["vector", "pg_trgm"]
        let rows = try connection.query(
            """
            SELECT e.name, n.nspname FROM unnest($1::text[]) e(name)
            LEFT JOIN pg_extension x ON x.extname = e.name LEFT JOIN pg_namespace n ON n.oid = x.extnamespace
            WHERE n.nspname IS DISTINCT FROM 'public' ORDER BY 1
            """,
            [.texts(names)]
        )
        let elsewhere = (0..<rows.count).map { (name: rows.text($0, 0) ?? "", schema: rows.text($0, 1)) }
        guard !elsewhere.isEmpty else { return .ok("\(names.joined(separator: " and ")) are in public") }
        let moves = elsewhere.filter { $0.schema != nil }.map { "ALTER EXTENSION \($0.name) SET SCHEMA public;" }
        let found = elsewhere.map { extensionRow in
            extensionRow.schema.map { "\(extensionRow.name) is in \($0), not public" }
                ?? "\(extensionRow.name) is not installed"
        }
        return .failed(
            found.joined(separator: "; "),
            fix: moves.count == elsewhere.count
                ? "Run '\(moves.joined(separator: " "))' as a superuser." : CheckScope.schemaApply
        )
    }

    static func pgvectorOperatorClass(
        _ connection: isolated Connection,
        _ scope: CheckScope
    ) throws(DatabaseFailure) -> Finding {
        let name = scope.indexing.cosineClass
        let rows = try connection.query(
            """
            SELECT opc.opcname, am.amname FROM pg_catalog.pg_opclass opc
            JOIN pg_catalog.pg_am am ON am.oid = opc.opcmethod
            WHERE opc.opcname = $1 AND am.amname = 'hnsw'
            """,
            [.text(name)]
        )
        guard rows.count > 0 else {
            return .failed(
                "there is no operator class \(name) for hnsw",
                fix: "Run 'ALTER EXTENSION vector UPDATE;' as a superuser, then 'kelter rebuild-rag-index'."
            )
        }
        return .ok("\(name) is available for hnsw")
    }

    static func vectorIndex(
        _ connection: isolated Connection,
        _ scope: CheckScope
    ) throws(DatabaseFailure) -> Finding {
        let rows = try connection.query(
            """
            SELECT i.relname, am.amname, o.opcname, coalesce(array_to_string(i.reloptions, ' '), ''),
                x.indpred IS NOT NULL, replace(pg_get_indexdef(x.indexrelid, 1, true), 'public.', '')
            FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid JOIN pg_am am ON am.oid = i.relam
            JOIN pg_opclass o ON o.oid = x.indclass[0]
            LEFT JOIN pg_attribute a ON a.attrelid = x.indrelid AND a.attnum = x.indkey[0]
            WHERE x.indrelid = $1::regclass AND (a.attname = 'embedding' OR x.indkey[0] = 0 AND $2)
                AND am.amname IN ('hnsw', 'ivfflat') AND x.indisvalid AND x.indisready
            ORDER BY 1
            """,
            [scope.table("embeddings"), .bool(scope.indexing.isHalf)]
        )
        let names = (0..<rows.count).compactMap { rows.text($0, 0) }
        guard let name = names.first else {
            return .failed("\(scope.schema.name).embeddings has no valid vector index", fix: CheckScope.rebuildIndex)
        }
        guard names.count == 1 else {
            return .failed(
                "\(names.count) vector indexes where one is enough: \(names.joined(separator: ", "))",
                fix: CheckScope.rebuildIndex
            )
        }
        let (method, operators) = (rows.text(0, 1) ?? "", rows.text(0, 2) ?? "")
        let options = rows.text(0, 3)?.split(separator: " ").map(String.init) ?? []
        let key = rows.text(0, 5) ?? ""
        let definition = "\(name) USING \(method) (\(key) \(operators)) WITH (\(options.joined(separator: ", ")))"
        guard key == scope.indexing.definedKey else {
            return .failed(
                "\(definition) is not on \(scope.indexing.definedKey), which searches order by",
                fix: CheckScope.rebuildIndex
            )
        }
        guard operators == scope.indexing.cosineClass else {
            return .failed("\(definition) does not compare by cosine", fix: CheckScope.rebuildIndex)
        }
        guard rows.bool(0, 4) == false else {
            return .failed("\(definition) leaves rows out", fix: CheckScope.rebuildIndex)
        }
        guard method == "hnsw" else {
            return .warning(
                "\(definition) is a temporary fallback for HNSW",
                fix: "Run 'RAG_INDEX_KIND=HNSW kelter rebuild-rag-index'."
            )
        }
        // pgvector's own defaults hold for what the definition does not name.
        let m = options.first { $0.hasPrefix("m=") } ?? "m=16"
        let effort = options.first { $0.hasPrefix("ef_construction=") } ?? "ef_construction=64"
        let wanted = ["m=\(scope.options.hnsw.m)", "ef_construction=\(scope.options.hnsw.efConstruction)"]
        guard [m, effort] == wanted else {
            return .failed(
                "\(name) has \(m) \(effort) instead of \(wanted.joined(separator: " "))",
                fix: CheckScope.rebuildIndex
            )
        }
        guard name == "embeddings_embedding_hnsw" else {
            return .failed("\(name) is not named embeddings_embedding_hnsw", fix: CheckScope.rebuildIndex)
        }
        return .ok(definition)
    }

    static func invalidIndexes(
        _ connection: isolated Connection,
        _ scope: CheckScope
    ) throws(DatabaseFailure) -> Finding {
        let rows = try connection.query(
            """
            SELECT quote_ident(i.relname), am.amname IN ('hnsw', 'ivfflat'), i.relname ~ '_cc(new|old)[0-9]*$'
            FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid JOIN pg_am am ON am.oid = i.relam
            JOIN pg_namespace n ON n.oid = i.relnamespace
            WHERE n.nspname = $1 AND NOT (x.indisvalid AND x.indisready) ORDER BY 1
            """,
            [.text(scope.schema.name)]
        )
        guard rows.count > 0 else { return .ok("every index in \(scope.schema.name) is valid") }
        let names = (0..<rows.count).compactMap { rows.text($0, 0) }
        var commands = (0..<rows.count).contains { rows.bool($0, 1) == true } ? ["'kelter rebuild-rag-index'"] : []
        for (row, name) in names.enumerated() where rows.bool(row, 1) != true {
            // What REINDEX CONCURRENTLY leaves behind stands beside the index it was to replace.
            let verb = rows.bool(row, 2) == true ? "DROP" : "REINDEX"
            commands.append("'\(verb) INDEX CONCURRENTLY \(scope.schema).\(name);' as \(scope.options.roles.owner)")
        }
        return .failed(
            "not valid: \(names.joined(separator: ", "))",
            fix: "Unless one is being built now, run \(commands.joined(separator: ", "))."
        )
    }
}
