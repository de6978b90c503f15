/// How far a rebuild is.
package struct IndexProgress: Sendable, Equatable {
    /// The server's name of the build's phase, or `removing left-overs`, `verifying`, `swapping` or
    /// `dropping the old index`.
    package let phase: String
    /// Rows indexed; 0 when the phase does not count them.
    package let tuplesDone: Int
    /// Rows to index; 0 when unknown.
    package let tuplesTotal: Int
    /// Pages of the table read; 0 when the phase does not count them.
    package let blocksDone: Int
    /// Pages of the table to read; 0 when unknown.
    package let blocksTotal: Int

    init(phase: String, tuplesDone: Int = 0, tuplesTotal: Int = 0, blocksDone: Int = 0, blocksTotal: Int = 0) {
        self.phase = phase
        self.tuplesDone = tuplesDone
        self.tuplesTotal = tuplesTotal
        self.blocksDone = blocksDone
        self.blocksTotal = blocksTotal
    }
}

/// What the comparison of a new index with exact search gave.
package enum IndexVerification: Sendable, Equatable, CustomStringConvertible {
    /// The mean share of the ten nearest vectors that the index finds, over so many sampled vectors.
    case recall(Double, sample: Int)
    /// There was nothing to compare with, for this reason; the index itself is complete.
    case notVerified(String)

    /// The recall, 0 to 1; `nil` when it was not measured.
    package var recall: Double? {
        guard case .recall(let recall, _) = self else { return nil }
        return recall
    }

    package var description: String {
        switch self {
        case .recall(let recall, let sample):
            "verified: recall@\(IndexRebuild.neighbours) \(percent(recall)) of \(sample) sampled vectors"
        case .notVerified(let reason): "not verified: \(reason)"
        }
    }
}

/// A share as a percentage with one decimal.
func percent(_ share: Double) -> String {
    let tenths = Int((share * 1000).rounded())
    return "\(tenths / 10).\(tenths % 10) %"
}

/// What a rebuild of the vector index did.
package struct IndexReport: Sendable, Equatable {
    /// What was built, with all parameters.
    package let kind: VectorIndexKind
    /// The table, such as `rag.embeddings`.
    package let scope: String
    /// The operator class of the new index.
    package let operatorClass: String
    /// Whether the operator class is not that of cosine distance.
    package let isFallback: Bool
    /// Rows in the new index.
    package let rows: Int
    package let verification: IndexVerification
    package let duration: Duration
    /// The `maintenance_work_mem` of the build in bytes.
    package let memory: Int
    /// What the build was estimated to need in bytes.
    package let neededMemory: Int
    /// Parallel workers that the build was allowed.
    package let workers: Int
    /// Remains of earlier rebuilds that were dropped before the build.
    package let removedLeftOvers: [String]
    /// Indexes that served before and were dropped after the swap.
    package let replaced: [String]
    /// What the user should know besides, each a sentence; a fallback begins with `FALLBACK`.
    package let notes: [String]

    /// Such as `using HNSW (scope: rag.embeddings, m=32 ef_construction=200)`.
    package var definition: String {
        let parameters = kind.parameters.map { "\($0.name)=\($0.value)" }.joined(separator: " ")
        return "using \(kind.label) (scope: \(scope), \(parameters))"
    }

    /// The report for people: definition, operator class, verification, what was removed, notes.
    package var lines: [String] {
        var lines = [definition, "operator class \(operatorClass)", verification.description]
        if !removedLeftOvers.isEmpty { lines.append("removed left-overs: " + removedLeftOvers.joined(separator: ", ")) }
        if !replaced.isEmpty { lines.append("replaced: " + replaced.joined(separator: ", ")) }
        return lines + notes
    }
}
