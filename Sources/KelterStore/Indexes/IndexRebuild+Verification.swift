import KelterModel

extension IndexRebuild {
    /// Compares the new index, still beside the old one, with exact search for a sample of the stored vectors.
    ///
    /// No statement names the index to use, and hiding the old one would need a lock that searches wait for. Instead
    /// the transaction declares reading any index to cost nothing: among indexes of equal cost PostgreSQL takes the
    /// newest (`get_relation_info` lists them by falling object identifier, and `add_path` keeps the first of equals).
    /// Whether it really does is read from the plan; if not, nothing is claimed about the index.
    ///
    /// - Throws: ``DatabaseFailure``; a finding with ``ErrorCode/indexNotVerified``.
    func verify(
        _ kind: VectorIndexKind,
        _ operatorClass: OperatorClass,
        on connection: isolated Connection
    ) throws(DatabaseFailure) -> IndexVerification {
        let new = try VectorIndex.list(schema, on: connection).first { $0.name == kind.buildingName }
        guard new?.isValid == true else {
            throw .finding(
                KelterError(
                    .indexNotVerified,
                    "The new \(kind.label) index of \(scope) is not valid.",
                    subject: scope,
                    fix: "Repeat the command and look into the server's log."
                )
            )
        }
        let verification = try measure(kind, operatorClass, on: connection)
        guard let recall = verification.recall, recall < request.minimumRecall else { return verification }
        let settings =
            if case .hnsw = kind { "RAG_HNSW_M, RAG_HNSW_EF_CONSTRUCTION or RAG_HNSW_EF_SEARCH" } else {
                "RAG_IVF_PROBES"
            }
        throw .finding(
            KelterError(
                .indexNotVerified,
                "The new \(kind.label) index of \(scope) finds \(percent(recall)) of the nearest vectors, "
                    + "at least \(percent(request.minimumRecall)) are wanted; the old index stays.",
                subject: scope,
                fix: "Raise \(settings), or accept a lower recall."
            )
        )
    }

    private func measure(
        _ kind: VectorIndexKind,
        _ operatorClass: OperatorClass,
        on connection: isolated Connection
    ) throws(DatabaseFailure) -> IndexVerification {
        let bound = try connection.query("SELECT row_security_active($1)", [.text(table)]).bool(0, 0) ?? true
        let sampler = IndexSampler(
            table: table,
            index: kind.buildingName,
            indexing: indexing,
            distance: operatorClass.distance,
            request: request,
            isBound: bound
        )
        var shares: [Double] = []
        if bound {
            let each = max(1, request.sampleSize / max(1, request.tenants.count))
            for tenant in request.tenants.shuffled() where shares.count < request.sampleSize {
                let count = min(each, request.sampleSize - shares.count)
                guard let found = try sampler.shares(count, tenant: tenant, on: connection) else { return Self.unused }
                shares += found
            }
        } else {
            guard let found = try sampler.shares(request.sampleSize, tenant: nil, on: connection) else {
                return Self.unused
            }
            shares = found
        }
        guard !shares.isEmpty else { return .notVerified("no visible rows") }
        return .recall(shares.reduce(0, +) / Double(shares.count), sample: shares.count)
    }

    private static let unused = IndexVerification.notVerified("the planner prefers another index")
}

/// Looks sampled vectors up, exactly and in the new index.
struct IndexSampler: Sendable {
    let table: String
    /// The name of the new index.
    let index: String
    /// What it holds.
    let indexing: VectorIndexing
    /// The operator of its distance.
    let distance: String
    let request: IndexRequest
    /// Whether row level security lets each transaction see one tenant's rows.
    let isBound: Bool

    /// Equal distances may differ in the last digits between the two ways.
    private static let tolerance = 1e-6

    /// The share of the true neighbours found, for each sampled vector.
    ///
    /// - Parameters:
    ///   - count: How many vectors to sample.
    ///   - tenant: Whose rows a bound role sees.
    ///   - connection: Where.
    /// - Returns: `nil` when the planner uses another index.
    /// - Throws: ``DatabaseFailure``.
    func shares(_ count: Int, tenant: Tenant?, on connection: isolated Connection) throws(DatabaseFailure) -> [Double]?
    {
        // One snapshot for both ways, whatever is written meanwhile.
        try connection.run("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        do throws(DatabaseFailure) {
            if let tenant { try connection.run("SET LOCAL kelter.tenant_id = '\(tenant.rowID)'") }
            let result = try compare(count, on: connection)
            try connection.run("COMMIT")
            return result
        } catch {
            connection.rollBack()
            throw error
        }
    }

    private func compare(_ count: Int, on connection: isolated Connection) throws(DatabaseFailure) -> [Double]? {
        let samples = try sample(count, on: connection)
        var exact: [[Double]] = []
        for sample in samples { exact.append(try distances(sample, isExact: true, on: connection)) }
        try connection.run(Self.preferNewestIndex)
        let goesOn = try connection.setVectorScan(efSearch: request.efSearch, probes: request.probes)
        if let first = samples.first, try !usesIndex(first, on: connection) { return nil }
        var shares: [Double] = []
        for (sample, exact) in zip(samples, exact) {
            let found = try distances(sample, isExact: false, on: connection)
            // A scan that cannot go on gives fewer rows when others' are filtered out: no fault of the index.
            let count = isBound && !goesOn ? min(exact.count, found.count) : exact.count
            guard count > 0 else { continue }
            let farthest = exact[count - 1] + Self.tolerance
            shares.append(Double(found.prefix(count).count { $0 <= farthest }) / Double(count))
        }
        return shares
    }

    private static let preferNewestIndex = """
        SET LOCAL enable_seqscan TO off; SET LOCAL enable_bitmapscan TO off; SET LOCAL enable_sort TO off;
        SET LOCAL seq_page_cost TO 0; SET LOCAL random_page_cost TO 0;
        SET LOCAL cpu_index_tuple_cost TO 0; SET LOCAL cpu_operator_cost TO 0
        """

    private typealias Sample = (chunk: RowID, vector: [Float])

    private func sample(_ count: Int, on connection: isolated Connection) throws(DatabaseFailure) -> [Sample] {
        // Zero vectors, which no index for cosine distance holds, have no neighbours.
        let rows = try connection.query(
            """
            SELECT chunk_id, embedding FROM \(table)
            WHERE chunk_id IN (SELECT chunk_id FROM \(table) ORDER BY random() LIMIT \(max(count, 0)))
                AND public.vector_norm(embedding) > 0
            """
        )
        return (0..<rows.count).compactMap { row in
            guard let chunk = rows.uuid(row, 0), let vector = rows.vector(row, 1) else { return nil }
            return (chunk, vector)
        }
    }

    /// The nearest other rows; the sampled one itself would be found by nearly any index.
    ///
    /// Whatever the index holds, the distances are those of the stored vectors, so that both ways can be compared.
    private func statement(isExact: Bool) -> String {
        let exact = "(" + VectorIndexing.exact("embedding", distance, "$1") + ")"
        // An expression that is not the index's own keeps the approximate indexes out.
        let order = isExact ? exact + " + 0" : indexing.indexed("embedding", distance, "$1")
        return """
            SELECT \(exact) FROM \(table) WHERE chunk_id <> $2 ORDER BY \(order) LIMIT \(IndexRebuild.neighbours)
            """
    }

    private func distances(
        _ sample: Sample,
        isExact: Bool,
        on connection: isolated Connection
    ) throws(DatabaseFailure) -> [Double] {
        let rows = try connection.query(statement(isExact: isExact), [.vector(sample.vector), .uuid(sample.chunk)])
        return (0..<rows.count).compactMap { rows.double($0, 0) }.filter { !$0.isNaN }
    }

    private func usesIndex(_ sample: Sample, on connection: isolated Connection) throws(DatabaseFailure) -> Bool {
        let plan = try connection.query(
            "EXPLAIN (COSTS OFF) " + statement(isExact: false),
            [.vector(sample.vector), .uuid(sample.chunk)]
        )
        return (0..<plan.count).contains { plan.text($0, 0)?.contains("Index Scan using \(index) on ") == true }
    }
}
