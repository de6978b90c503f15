import KelterModel

/// The operator class of a vector index, which decides the distance it orders by.
struct OperatorClass: Sendable, Equatable {
    let name: String
    /// The name with its schema, as it stands in a statement.
    let qualifiedName: String
    /// The operator of that distance.
    let distance: String

    /// The class that searches need.
    static let cosine = "vector_cosine_ops"
    /// All classes, the best first; of unit vectors all three give the same order.
    private static let distances = [(cosine, "<=>"), ("vector_l2_ops", "<->"), ("vector_ip_ops", "<#>")]

    var isFallback: Bool { name != Self.cosine }

    /// Finds the class for an access method.
    ///
    /// - Parameters:
    ///   - method: `hnsw` or `ivfflat`.
    ///   - allowsFallback: Whether another class than that of cosine distance will do.
    ///   - connection: Where to look.
    /// - Returns: The best class there is.
    /// - Throws: ``DatabaseFailure``; a finding with ``ErrorCode/indexOperatorMissing``.
    static func find(
        method: String,
        allowsFallback: Bool,
        on connection: isolated Connection
    ) throws(DatabaseFailure) -> OperatorClass {
        let wanted = allowsFallback ? distances : Array(distances.prefix(1))
        let rows = try connection.query(
            """
            SELECT o.opcname, format('%I.%I', n.nspname, o.opcname)
            FROM pg_opclass o JOIN pg_am am ON am.oid = o.opcmethod JOIN pg_namespace n ON n.oid = o.opcnamespace
            WHERE am.amname = $1 AND o.opcintype = 'public.vector'::regtype AND o.opcname = ANY ($2)
            """,
            [.text(method), .texts(wanted.map(\.0))]
        )
        for (name, distance) in wanted {
            for row in 0..<rows.count where rows.text(row, 0) == name {
                return OperatorClass(name: name, qualifiedName: rows.text(row, 1) ?? name, distance: distance)
            }
        }
        throw .finding(
            KelterError(
                .indexOperatorMissing,
                "pgvector of this database has no operator class "
                    + wanted.map(\.0).joined(separator: ", ") + " for \(method).",
                subject: wanted[0].0,
                fix: allowsFallback
                    ? "Run ALTER EXTENSION vector UPDATE as the extension's owner."
                    : "Run ALTER EXTENSION vector UPDATE as the extension's owner, or use --allow-fallback."
            )
        )
    }
}
