package import KelterModel

/// The two approximate indexes of pgvector, with their build parameters.
package enum VectorIndexKind: Sendable, Equatable {
    /// A graph: `m` links per node, `efConstruction` candidates looked at while a node is inserted.
    case hnsw(m: Int = 32, efConstruction: Int = 200)
    /// Inverted lists around learned centres; `nil` takes their number from that of the rows.
    case ivfflat(lists: Int? = nil)

    /// The name for people.
    package var label: String {
        switch self {
        case .hnsw: "HNSW"
        case .ivfflat: "IVFFLAT"
        }
    }

    /// The access method in PostgreSQL.
    package var method: String {
        switch self {
        case .hnsw: "hnsw"
        case .ivfflat: "ivfflat"
        }
    }

    /// The name of this kind's index while it serves.
    package var servingName: String { "embeddings_embedding_" + method }

    /// The name until the index is verified.
    var buildingName: String { servingName + "_building" }

    /// The names under which an index can serve.
    static let servingNames = [Self.hnsw(), .ivfflat()].map(\.servingName)
    /// The names of what an interrupted rebuild leaves.
    static let leftOverNames = servingNames.flatMap { [$0 + "_building", retiredName(of: $0)] }

    /// The name of a replaced index until it is dropped.
    static func retiredName(of name: String) -> String { name + "_retired" }
}

extension VectorIndexKind {
    /// pgvector's `IVFFLAT_MAX_LISTS`.
    private static let maximumLists = 32_768

    /// The kind with its number of lists, as pgvector's documentation advises: rows / 1000 up to a million rows, the
    /// square root of the rows above.
    func resolved(rows: Int) -> Self {
        guard case .ivfflat(nil) = self else { return self }
        let lists = rows <= 1_000_000 ? rows / 1000 : Int(Double(rows).squareRoot())
        return .ivfflat(lists: min(max(lists, 1), Self.maximumLists))
    }

    /// The parameters as the index's `WITH` clause takes them.
    var parameters: [(name: String, value: Int)] {
        switch self {
        case .hnsw(let m, let efConstruction): [("m", m), ("ef_construction", efConstruction)]
        case .ivfflat(let lists): lists.map { [("lists", $0)] } ?? []
        }
    }

    /// Checks the parameters against pgvector's limits.
    ///
    /// - Throws: ``KelterError`` with ``ErrorCode/settingInvalid``.
    package func validate() throws(KelterError) {
        switch self {
        case .hnsw(let m, let efConstruction):
            guard (2...100).contains(m), (4...1000).contains(efConstruction), efConstruction >= 2 * m else {
                throw KelterError(
                    .settingInvalid,
                    "m = \(m) and ef_construction = \(efConstruction) are not valid for an HNSW index.",
                    subject: "RAG_HNSW_M, RAG_HNSW_EF_CONSTRUCTION",
                    fix: "Use m from 2 to 100 and ef_construction from twice m to 1000."
                )
            }
        case .ivfflat(let lists):
            guard (1...Self.maximumLists).contains(lists ?? 1) else {
                throw KelterError(
                    .settingInvalid,
                    "An IVFFLAT index cannot have \(lists ?? 0) lists.",
                    subject: "RAG_IVF_LISTS",
                    fix: "Use 1 to \(Self.maximumLists) lists, or leave the setting out."
                )
            }
        }
    }
}
