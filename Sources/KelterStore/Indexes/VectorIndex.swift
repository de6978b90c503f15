package import KelterModel

/// One vector index on the embeddings.
package struct VectorIndex: Sendable, Equatable {
    package let name: String
    /// `hnsw` or `ivfflat`.
    package let method: String
    /// Such as `vector_cosine_ops`.
    package let operatorClass: String
    /// The statement that would create it.
    package let definition: String
    /// Whether searches may use it and writers maintain it.
    package let isValid: Bool
    /// The name as it stands in a statement.
    let quotedName: String

    /// Whether the name is one that only an interrupted rebuild leaves, or the index is unfinished.
    var isLeftOver: Bool { !isValid || VectorIndexKind.leftOverNames.contains(name) }
}

extension Store {
    /// Lists the vector indexes on the embeddings, also those that are invalid or that another system made.
    ///
    /// - Returns: The indexes by name; none when there is no table.
    /// - Throws: ``KelterError`` with ``ErrorCode/databaseUnavailable`` or ``ErrorCode/databaseError``.
    package func vectorIndexes() async throws(KelterError) -> [VectorIndex] {
        let schema = schema
        return try await reporting { () async throws(DatabaseFailure) in
            try await session { connection throws(DatabaseFailure) in
                try VectorIndex.list(schema, on: connection)
            }
        }
    }
}

extension VectorIndex {
    /// The indexes that depend on the column `embedding`, also through an expression.
    static func list(
        _ schema: SQLIdentifier,
        on connection: isolated Connection
    ) throws(DatabaseFailure) -> [VectorIndex] {
        let rows = try connection.query(
            """
            SELECT c.relname, am.amname, o.opcname, pg_get_indexdef(i.indexrelid), i.indisvalid AND i.indisready,
                quote_ident(c.relname)
            FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_am am ON am.oid = c.relam
            JOIN pg_opclass o ON o.oid = i.indclass[0]
            WHERE i.indrelid = to_regclass($1) AND am.amname IN ('hnsw', 'ivfflat') AND EXISTS (
                SELECT FROM pg_depend d
                JOIN pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
                WHERE d.classid = 'pg_class'::regclass AND d.objid = i.indexrelid
                    AND d.refclassid = 'pg_class'::regclass AND d.refobjid = i.indrelid AND a.attname = 'embedding'
            )
            ORDER BY c.relname
            """,
            [.text("\(schema).embeddings")]
        )
        return (0..<rows.count).map { row in
            VectorIndex(
                name: rows.text(row, 0) ?? "",
                method: rows.text(row, 1) ?? "",
                operatorClass: rows.text(row, 2) ?? "",
                definition: rows.text(row, 3) ?? "",
                isValid: rows.bool(row, 4) ?? false,
                quotedName: rows.text(row, 5) ?? ""
            )
        }
    }
}
