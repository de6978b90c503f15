import KelterModel

/// How vectors of one width are stored, indexed and looked up.
///
/// The column is a `vector(n)` of float32 at any width. pgvector indexes a `vector` of up to 2000 dimensions and a
/// `halfvec` of up to 4000 (`HNSW_MAX_DIM` and `IVFFLAT_MAX_DIM`, and twice as much in their type information for
/// `halfvec`). Above 2000 dimensions the index is therefore on the column's values in half precision. PostgreSQL uses it
/// only for an order by the very same expression; distances that are shown come from the column.
struct VectorIndexing: Sendable, Equatable {
    /// The width of the vectors, 1 to ``widest``.
    let dimension: Int

    /// The most dimensions that an index on `vector` takes.
    static let widestSingle = 2000
    /// The most dimensions that any index takes.
    static let widest = 4000

    /// Whether the index holds half-precision values.
    var isHalf: Bool { dimension > Self.widestSingle }

    /// The name of the type that the index holds.
    var type: String { isHalf ? "halfvec" : "vector" }

    /// The bytes of one vector in the index.
    var indexedBytes: Int { dimension * (isHalf ? 2 : 4) }
}

extension VectorIndexing {
    /// What an index orders, as an operand in a statement: the column itself, or its value in half precision.
    ///
    /// - Parameter column: Such as `e.embedding`.
    /// - Returns: The expression, in parentheses unless it is a column.
    func operand(_ column: String) -> String {
        isHalf ? "(\(column)::public.halfvec(\(dimension)))" : column
    }

    /// The distance by which an index gives its rows in order.
    ///
    /// - Parameters:
    ///   - column: Such as `e.embedding`.
    ///   - distance: The operator, such as `<=>`.
    ///   - parameter: The placeholder of the vector looked for, such as `$1`.
    /// - Returns: The expression for `ORDER BY`.
    func indexed(_ column: String, _ distance: String, _ parameter: String) -> String {
        let value = "\(parameter)::public.vector" + (isHalf ? "::public.halfvec(\(dimension))" : "")
        return "\(operand(column)) \(distance) \(value)"
    }

    /// The distance between the stored float32 vectors, whatever the index holds.
    ///
    /// - Parameters:
    ///   - column: Such as `e.embedding`.
    ///   - distance: The operator, such as `<=>`.
    ///   - parameter: The placeholder of the vector looked for, such as `$1`.
    /// - Returns: The expression.
    static func exact(_ column: String, _ distance: String, _ parameter: String) -> String {
        "\(column) \(distance) \(parameter)::public.vector"
    }

    /// What is indexed, as `pg_get_indexdef` gives it for an index's only column.
    var definedKey: String { isHalf ? "(embedding::halfvec(\(dimension)))" : "embedding" }
}

extension VectorIndexing {
    /// The operator class for cosine distance, which searches need.
    var cosineClass: String { type + "_cosine_ops" }

    /// All operator classes with the operators of their distances, the best first; of unit vectors all three give the
    /// same order.
    var operatorClasses: [(name: String, distance: String)] {
        [(cosineClass, "<=>"), (type + "_l2_ops", "<->"), (type + "_ip_ops", "<#>")]
    }

    /// Key and operator class of the index that the schema script creates.
    var declaredKey: String {
        operand("embedding") + " " + (isHalf ? "public." : "") + cosineClass
    }
}

extension VectorIndexing {
    /// How the column is stored.
    ///
    /// Vectors are incompressible. As long as a row fits into a page of 8 KB they belong in it; wider ones lie beside
    /// the table.
    var storage: (name: String, catalogLetter: String) { isHalf ? ("EXTERNAL", "e") : ("PLAIN", "p") }

    /// About the bytes of a row in the table itself.
    var rowBytes: Int { isHalf ? 112 : dimension * 4 + 64 }

    /// The parallel workers that the table allows; `nil` for PostgreSQL's own choice.
    ///
    /// That choice looks at the table without the vectors beside it, which is too small for any worker. How many there
    /// really are is limited by the server's and the session's settings.
    var parallelWorkers: Int? { isHalf ? 16 : nil }
}

extension VectorIndexing {
    /// The oldest pgvector that has the index: HNSW came with 0.5.0, `halfvec` with 0.7.0.
    var oldestVersion: [Int] { isHalf ? [0, 7, 0] : [0, 5, 0] }

    /// ``oldestVersion`` as text, and what needs it.
    var versionDemand: String {
        let version = oldestVersion.map(String.init).joined(separator: ".")
        return "pgvector \(version) or newer is needed " + (isHalf ? "to index \(dimension) dimensions" : "for HNSW")
    }

    /// Refuses a database whose pgvector cannot index this width.
    ///
    /// Only ``isHalf`` is looked at: whatever made the tables has asked for the rest.
    ///
    /// - Throws: ``DatabaseFailure``; a finding with ``ErrorCode/pgvectorTooOld``.
    func requireVersion(on connection: isolated Connection) throws(DatabaseFailure) {
        guard isHalf else { return }
        let rows = try connection.query(
            """
            SELECT extversion, string_to_array(substring(extversion FROM '^[0-9]+(?:\\.[0-9]+)*'), '.')::int[]
                < ARRAY[\(oldestVersion.map(String.init).joined(separator: ", "))]
            FROM pg_extension WHERE extname = 'vector'
            """
        )
        guard rows.count > 0, rows.bool(0, 1) == true, let version = rows.text(0, 0) else { return }
        throw .finding(
            KelterError(
                .pgvectorTooOld,
                "\(versionDemand), this is \(version).",
                subject: "EMBEDDINGS_DIM",
                fix: "Run ALTER EXTENSION vector UPDATE after an upgrade."
            )
        )
    }
}
