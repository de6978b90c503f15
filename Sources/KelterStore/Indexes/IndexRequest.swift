package import KelterModel

/// What ``Store/rebuildVectorIndex(_:progress:)`` is to build, and what it may use for it.
package struct IndexRequest: Sendable {
    /// The kind and its parameters.
    ///
    /// Default HNSW with m = 32 and ef_construction = 200.
    package var kind: VectorIndexKind
    /// Whether L2 or inner product is taken when the operator class for cosine distance is missing.
    ///
    /// Default `false`.
    package var allowsFallback: Bool
    /// Whose rows the sample is taken from by a role that row level security binds; others see all rows.
    package var tenants: [Tenant]
    /// `RAG_MAINTENANCE_MEMORY`: the most memory in bytes that the build may take.
    ///
    /// A caller on the database's own machine gives a quarter of its memory. Default `nil`: the server's
    /// `maintenance_work_mem`, or 1 GiB on a server with `shared_buffers` of 1 GiB or more, if that is higher.
    package var memoryLimit: Int?
    /// Parallel workers besides the session itself, within what the server allows.
    ///
    /// Default `nil`: `max_parallel_maintenance_workers`, at least 4 unless that is 0.
    package var workers: Int?
    /// The `hnsw.ef_search` of the verification.
    ///
    /// Default 80.
    package var efSearch: Int
    /// The `ivfflat.probes` of the verification.
    ///
    /// Default 64.
    package var probes: Int
    /// How many vectors are looked up for the verification.
    ///
    /// Default 50.
    package var sampleSize: Int
    /// The least share of the true neighbours that the new index must find.
    ///
    /// Default `nil`: 0.9 for HNSW, 0.8 for IVFFLAT.
    package var acceptedRecall: Double?

    package init(
        kind: VectorIndexKind = .hnsw(),
        allowsFallback: Bool = false,
        tenants: [Tenant] = [],
        memoryLimit: Int? = nil,
        workers: Int? = nil,
        efSearch: Int = 80,
        probes: Int = 64,
        sampleSize: Int = 50,
        acceptedRecall: Double? = nil
    ) {
        self.kind = kind
        self.allowsFallback = allowsFallback
        self.tenants = tenants
        self.memoryLimit = memoryLimit
        self.workers = workers
        self.efSearch = efSearch
        self.probes = probes
        self.sampleSize = sampleSize
        self.acceptedRecall = acceptedRecall
    }

    /// The recall below which the old index stays.
    var minimumRecall: Double {
        if let acceptedRecall { return acceptedRecall }
        return if case .hnsw = kind { 0.9 } else { 0.8 }
    }
}
