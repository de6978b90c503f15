import KelterModel

/// The statements on a tenant's entries in the embedding cache, in an open transaction of the tenant.
struct EmbeddingCache: Sendable {
    let schema: SQLIdentifier
    let tenant: Tenant

    /// An entry's use is noted once in this time: more often would turn each reading into a writing.
    static let useResolution = "1 day"
    /// Lengths may differ from 1 by this; SPEC section 5.
    private static let lengthTolerance = 1e-6

    /// About what an entry takes: its vector, also where that lies outside the row, and row, key and index entries.
    static let size = "coalesce(pg_column_size(embedding), 0) + 256"

    /// The entries of `$1` to `$5`: tenant, hashes, fingerprint, template and dimension, in the order of the primary key.
    private static let condition = """
        tenant_id = $1 AND input_hash = ANY ($2) AND fingerprint = $3 AND template = $4 AND dimension = $5::bigint::int
        """

    /// Reads the vectors of some texts, in one statement.
    ///
    /// Entries that were not noted as used for a day are noted, and damaged ones removed, so that the next insertion
    /// brings them back; both leave alone what another session has locked, so that reading waits for nobody.
    func read(
        _ hashes: [ContentHash],
        in space: CacheSpace,
        on connection: isolated Connection
    ) throws(DatabaseFailure) -> [ContentHash: UnitVector] {
        let rows = try connection.query(
            """
            SELECT input_hash, embedding, used_at < now() - interval '\(Self.useResolution)'
            FROM \(schema).embedding_cache WHERE \(Self.condition)
            """,
            parameters(hashes, space)
        )
        var (vectors, stale, damaged) = ([ContentHash: UnitVector](), [ContentHash](), [ContentHash]())
        vectors.reserveCapacity(rows.count)
        for row in 0..<rows.count {
            guard let hash = rows.hash(row, 0) else { continue }
            guard let vector = Self.vector(of: rows, row, dimension: space.dimension) else {
                damaged.append(hash)
                continue
            }
            vectors[hash] = vector
            if rows.bool(row, 2) == true { stale.append(hash) }
        }
        guard !stale.isEmpty || !damaged.isEmpty else { return vectors }
        try releaseFromDisk(on: connection)
        if !stale.isEmpty {
            try connection.execute(
                "UPDATE \(schema).embedding_cache SET used_at = now() WHERE \(unlocked)",
                parameters(stale, space)
            )
        }
        if !damaged.isEmpty {
            try connection.execute(
                "DELETE FROM \(schema).embedding_cache WHERE \(unlocked)",
                parameters(damaged, space)
            )
        }
        return vectors
    }

    /// Those of the entries that nobody else has locked.
    private var unlocked: String {
        """
        tenant_id = $1 AND ctid = ANY (ARRAY(
            SELECT ctid FROM \(schema).embedding_cache WHERE \(Self.condition) FOR UPDATE SKIP LOCKED
        ))
        """
    }

    private func parameters(_ hashes: [ContentHash], _ space: CacheSpace) -> [Parameter] {
        [
            .uuid(tenant.rowID), .hashes(hashes), .text(space.fingerprint), .text(space.template),
            .int(space.dimension),
        ]
    }

    /// The vector as it was stored, bit for bit; `nil` for what cannot have been stored.
    private static func vector(of rows: borrowing Rows, _ row: Int, dimension: Int) -> UnitVector? {
        if rows.isNull(row, 1) { return .empty }
        guard let values = rows.vector(row, 1), values.count == dimension, isUnit(values) else { return nil }
        return .unit(values)
    }

    /// Whether the length is 1; not for NaN and infinity.
    static func isUnit(_ values: [Float]) -> Bool {
        var squares = 0.0
        for value in values { squares += Double(value) * Double(value) }
        return abs(squares.squareRoot() - 1) <= lengthTolerance
    }

    /// Lets COMMIT return before the disk has the transaction: what a crash of the server takes back in the cache costs
    /// the price of embedding it again, and makes nothing wrong.
    func releaseFromDisk(on connection: isolated Connection) throws(DatabaseFailure) {
        try connection.run("SET LOCAL synchronous_commit TO off")
    }
}

extension EmbeddingCache {
    /// So many numbers at most in one statement: 2 MB, which are sorted within PostgreSQL's default `work_mem`.
    static let numbersPerStatement = 1 << 19

    /// Adds the vectors of texts that have no entry; those that have one keep it.
    ///
    /// In the order of the key: two sessions that add the same texts wait for each other in one direction only. The
    /// vectors come as a parameter and not by COPY through a staging table, as those of documents do: emptying that table
    /// makes a COMMIT take 8 ms, which is most of the time for a batch of 64.
    func insert(
        _ vectors: ArraySlice<(hash: ContentHash, vector: UnitVector)>,
        in space: CacheSpace,
        on connection: isolated Connection
    ) throws(DatabaseFailure) {
        let type = try vectorType(on: connection)
        try releaseFromDisk(on: connection)
        try connection.execute(
            """
            INSERT INTO \(schema).embedding_cache
                (tenant_id, input_hash, fingerprint, template, dimension, embedding)
            SELECT $1, k.hash, $2, $3, $4::bigint::int, k.embedding
            FROM unnest($5::bytea[], $6::public.vector[]) k(hash, embedding) ORDER BY k.hash
            ON CONFLICT DO NOTHING
            """,
            [
                .uuid(tenant.rowID), .text(space.fingerprint), .text(space.template), .int(space.dimension),
                .hashes(vectors.map(\.hash)), .vectors(vectors.map(\.vector.values), type: type),
            ]
        )
    }

    private func vectorType(on connection: isolated Connection) throws(DatabaseFailure) -> UInt32 {
        if let type = connection.vectorType { return type }
        let rows = try connection.query("SELECT 'public.vector'::regtype::oid::bigint")
        let type = UInt32(truncatingIfNeeded: rows.int(0, 0) ?? 0)
        connection.vectorType = type
        return type
    }
}
