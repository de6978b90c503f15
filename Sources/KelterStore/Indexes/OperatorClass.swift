import KelterModel

/// The operator class of a vector index, which decides the distance it orders by.
struct OperatorClass: Sendable, Equatable {
    let name: String
    /// The name with its schema, as it stands in a statement.
    let qualifiedName: String
    /// The operator of that distance.
    let distance: String
    /// Whether it is not the class of cosine distance, which searches need.
    let isFallback: Bool

    /// Finds the class for an access method.
    ///
    /// - Parameters:
    ///   - method: `hnsw` or `ivfflat`.
    ///   - indexing: What the index holds.
    ///   - allowsFallback: Whether another class than that of cosine distance will do.
    ///   - connection: Where to look.
    /// - Returns: The best class there is.
    /// - Throws: ``DatabaseFailure``; a finding with ``ErrorCode/indexOperatorMissing``.
    static func find(
        method: String,
        indexing: VectorIndexing,
        allowsFallback: Bool,
        on connection: isolated Connection
    ) throws(DatabaseFailure) -> OperatorClass {
        let wanted = indexing.operatorClasses.prefix(allowsFallback ? 3 : 1)
        let rows = try connection.query(
            """
            SELECT o.opcname, format('%I.%I', n.nspname, o.opcname)
            FROM pg_opclass o JOIN pg_am am ON am.oid = o.opcmethod JOIN pg_namespace n ON n.oid = o.opcnamespace
            WHERE am.amname = $1 AND o.opcintype = 'public.\(indexing.type)'::regtype AND o.opcname = ANY ($2)
            """,
            [.text(method), .texts(wanted.map(\.name))]
        )
        for (name, distance) in wanted {
            for row in 0..<rows.count where rows.text(row, 0) == name {
                return OperatorClass(
                    name: name,
                    qualifiedName: rows.text(row, 1) ?? name,
                    distance: distance,
                    isFallback: name != indexing.cosineClass
                )
            }
        }
        throw .finding(
            KelterError(
                .indexOperatorMissing,
                "pgvector of this database has no operator class "
                    + wanted.map(\.name).joined(separator: ", ") + " for \(method).",
                subject: indexing.cosineClass,
                fix: allowsFallback
                    ? "Run ALTER EXTENSION vector UPDATE as the extension's owner."
                    : "Run ALTER EXTENSION vector UPDATE as the extension's owner, or use --allow-fallback."
            )
        )
    }
}
