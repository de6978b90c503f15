import KelterModel

extension DatabaseCheck {
    static func rowsWithoutScope(
        _ connection: isolated Connection,
        _ scope: CheckScope
    ) throws(DatabaseFailure) -> Finding {
        // Row level security hides rows of no tenant from everyone it binds: only the column can rule them out.
        let columns = try connection.query(
            """
            SELECT c.relname FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
            JOIN pg_namespace n ON n.oid = c.relnamespace
            WHERE n.nspname = $1 AND c.relkind IN ('r', 'p') AND c.relname = ANY ($2) AND a.attname = 'tenant_id'
                AND NOT a.attnotnull
            ORDER BY 1
            """,
            [.text(scope.schema.name), .texts(StoreSchema.tableNames)]
        )
        let open = (0..<columns.count).compactMap { columns.text($0, 0) }
        guard open.isEmpty else {
            var found: [String] = []
            for table in open {
                let statement = "SELECT count(*) FROM \(scope.schema).\(table) WHERE tenant_id IS NULL"
                guard try connection.viewers(of: [table], in: scope) == [nil] else {
                    found.append("\(table) may have rows without a tenant")
                    continue
                }
                found.append("\(try connection.query(statement).int(0, 0) ?? 0) rows of \(table) without a tenant")
            }
            let statements = open.flatMap { table in
                [
                    "DELETE FROM \(scope.schema).\(table) WHERE tenant_id IS NULL",
                    "ALTER TABLE \(scope.schema).\(table) ALTER COLUMN tenant_id SET NOT NULL",
                ]
            }
            return .failed(
                "tenant_id can be NULL: \(found.joined(separator: "; "))",
                fix: "Run '\(statements.map { $0 + ";" }.joined(separator: " "))' as a superuser."
            )
        }
        let sums = try connection.sums(
            """
            SELECT count(*) FILTER (WHERE collection_id IS NULL), count(*) FROM \(scope.schema).documents
            WHERE deleted_at IS NULL AND ($1 IS NULL OR tenant_id = $1)
            """,
            of: ["documents"],
            in: scope
        )
        guard let sums else { return .unseen }
        return .ok("\(sums[0]) of \(sums[1]) documents have no collection; they stay valid")
    }

    static func scopeConsistency(
        _ connection: isolated Connection,
        _ scope: CheckScope
    ) throws(DatabaseFailure) -> Finding {
        // Another tenant's document is invisible to a role that row level security binds, and so differs as well.
        let sums = try connection.sums(
            """
            SELECT (
                SELECT count(*) FROM \(scope.schema).chunks c
                LEFT JOIN \(scope.schema).documents d ON d.id = c.document_id
                WHERE ($1 IS NULL OR c.tenant_id = $1)
                    AND (c.tenant_id, c.collection_id) IS DISTINCT FROM (d.tenant_id, d.collection_id)
            ), (
                SELECT count(*) FROM \(scope.schema).embeddings e
                LEFT JOIN \(scope.schema).chunks c ON c.id = e.chunk_id
                WHERE ($1 IS NULL OR e.tenant_id = $1)
                    AND (e.tenant_id, e.collection_id) IS DISTINCT FROM (c.tenant_id, c.collection_id)
            )
            """,
            of: scopedTables,
            in: scope
        )
        guard let sums else { return .unseen }
        guard sums[0] + sums[1] > 0 else {
            return .ok("documents, chunks and embeddings agree on tenant and collection")
        }
        let repairs = [
            ("chunks", "documents", "o.id = r.document_id"), ("embeddings", "chunks", "o.id = r.chunk_id"),
        ].map { table, origin, link in
            "UPDATE \(scope.schema).\(table) r SET (tenant_id, collection_id) = (o.tenant_id, o.collection_id) "
                + "FROM \(scope.schema).\(origin) o WHERE \(link) "
                + "AND (r.tenant_id, r.collection_id) IS DISTINCT FROM (o.tenant_id, o.collection_id);"
        }
        return .failed(
            "\(sums[0]) chunks differ from their document and \(sums[1]) embeddings from their chunk in tenant or "
                + "collection",
            fix: "If the documents are right, run '\(repairs.joined(separator: " "))' as a superuser."
        )
    }

    static func chunksEmbedded(
        _ connection: isolated Connection,
        _ scope: CheckScope
    ) throws(DatabaseFailure) -> Finding {
        let documents = "\(scope.schema).documents d WHERE d.deleted_at IS NULL AND ($1 IS NULL OR d.tenant_id = $1)"
        let sums = try connection.sums(
            """
            WITH chunk AS (
                SELECT c.id FROM \(scope.schema).chunks c WHERE c.document_id IN (SELECT d.id FROM \(documents))
            )
            SELECT (SELECT count(*) FROM \(documents)), (
                SELECT count(*) FROM \(documents)
                    AND NOT EXISTS (SELECT FROM \(scope.schema).chunks c WHERE c.document_id = d.id)
            ), count(*), count(*) FILTER (WHERE e.chunk_id IS NULL)
            FROM chunk LEFT JOIN \(scope.schema).embeddings e ON e.chunk_id = chunk.id
            """,
            of: scopedTables,
            in: scope
        )
        guard let sums else { return .unseen }
        guard sums[1] + sums[3] > 0 else {
            return .ok("\(sums[2]) chunks of \(sums[0]) documents, each with a vector")
        }
        return .warning(
            "\(sums[3]) of \(sums[2]) chunks have no vector and \(sums[1]) of \(sums[0]) documents no chunk",
            fix: "Run 'kelter reembed' for chunks whose vector is not empty; ingest documents without chunks again."
        )
    }

    static func unitVectors(
        _ connection: isolated Connection,
        _ scope: CheckScope
    ) throws(DatabaseFailure) -> Finding {
        let rows = try connection.estimatedRows("embeddings", width: scope.indexing.rowBytes, in: scope)
        let isSample = rows > scope.options.measuredVectors
        let share = isSample ? Double(scope.options.measuredVectors) / Double(rows) * 100 : 100
        let sums = try connection.sums(
            """
            SELECT count(*), count(*) FILTER (WHERE abs(public.vector_norm(embedding) - 1) > 1e-6)
            FROM \(scope.schema).embeddings \(isSample ? "TABLESAMPLE SYSTEM (\(share))" : "")
            WHERE $1 IS NULL OR tenant_id = $1
            """,
            of: ["embeddings"],
            in: scope
        )
        guard let sums else { return .unseen }
        let looked = isSample ? "\(sums[0]) vectors (a sample of about \(rows))" : "\(sums[0]) vectors"
        guard sums[1] > 0 else { return .ok("\(looked), all of length 1") }
        // In hundredths of a percent, rounded up: one in a million is not none.
        let hundredths = (sums[1] * 10_000 + sums[0] - 1) / sums[0]
        let percentage = "\(hundredths / 100).\(hundredths % 100 / 10)\(hundredths % 10) %"
        return .failed(
            "\(sums[1]) of \(looked) are not of length 1 (\(percentage))",
            fix: "Run 'kelter reembed --only-unnormalised'."
        )
    }
}
