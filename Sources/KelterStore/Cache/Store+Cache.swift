package import KelterModel

extension Store {
    /// The vectors that texts got before, so that they need not be embedded again.
    ///
    /// One statement for any number of texts; what is returned is held in memory twice for a moment. An entry of another
    /// width or length is not returned. Reading notes that an entry is used, once a day.
    ///
    /// - Parameters:
    ///   - hashes: SHA-256 of the texts as they are sent to the model.
    ///   - space: Whose vectors.
    ///   - tenant: Whose texts: those of other tenants are not found.
    /// - Returns: The vectors that are there, with the bits they were stored with; ``UnitVector/empty`` for a text that
    ///   has no direction.
    /// - Throws: ``KelterError`` of the database.
    package func cachedVectors(
        _ hashes: [ContentHash],
        in space: CacheSpace,
        tenant: Tenant
    ) async throws(KelterError) -> [ContentHash: UnitVector] {
        guard !hashes.isEmpty else { return [:] }
        let cache = EmbeddingCache(schema: schema, tenant: tenant)
        return try await tenantCall(tenant) { connection throws(DatabaseFailure) in
            try cache.read(hashes, in: space, on: connection)
        }
    }

    /// Keeps vectors for ``cachedVectors(_:in:tenant:)``.
    ///
    /// Transactions of 2 MB; entries that are there stay as they are. A crash of the server may lose the last moments.
    ///
    /// - Parameters:
    ///   - vectors: The texts' hashes and their vectors; of a hash that occurs twice one vector stays.
    ///   - space: Whose vectors.
    ///   - tenant: Whose texts.
    /// - Throws: ``KelterError`` with ``ErrorCode/vectorDimensionMismatch`` for another width than the space's and
    ///   ``ErrorCode/embeddingInvalid`` for another length than 1, then nothing is kept; or that of the database, then
    ///   some may be.
    package func cacheVectors(
        _ vectors: [(hash: ContentHash, vector: UnitVector)],
        in space: CacheSpace,
        tenant: Tenant
    ) async throws(KelterError) {
        guard !vectors.isEmpty else { return }
        for (_, vector) in vectors {
            guard let values = vector.values else { continue }
            guard values.count == space.dimension else {
                throw KelterError(
                    .vectorDimensionMismatch,
                    "A vector has \(values.count) dimensions where the embedding cache expects \(space.dimension).",
                    subject: "EMBEDDINGS_DIM",
                    fix: "Set EMBEDDINGS_DIM to the model's dimension."
                )
            }
            guard EmbeddingCache.isUnit(values) else {
                throw KelterError(
                    .embeddingInvalid,
                    "A vector for the embedding cache is not of length 1.",
                    fix: "Normalise it first; nothing was kept."
                )
            }
        }
        let cache = EmbeddingCache(schema: schema, tenant: tenant)
        let size = max(1, EmbeddingCache.numbersPerStatement / max(space.dimension, 1))
        var position = 0
        while position < vectors.count {
            let part = vectors[position..<min(position + size, vectors.count)]
            try await tenantCall(tenant) { connection throws(DatabaseFailure) in
                try cache.insert(part, in: space, on: connection)
            }
            position += size
        }
    }

    /// What a tenant has in the embedding cache, by space.
    ///
    /// - Parameter tenant: Whose entries.
    /// - Returns: The figures of each space, those of the vector space that is searched now first.
    /// - Throws: ``KelterError`` of the database.
    package func cacheFigures(tenant: Tenant) async throws(KelterError) -> [CacheFigures] {
        let schema = schema
        return try await tenantCall(tenant) { connection throws(DatabaseFailure) in
            try connection.run("SET LOCAL statement_timeout TO 0")
            let rows = try connection.query(
                """
                SELECT k.fingerprint, k.template, k.dimension, s.model, k.entries, k.bytes,
                    \(Self.timestamp("k.oldest")), \(Self.timestamp("k.newest"))
                FROM (
                    SELECT fingerprint, template, dimension, count(*) AS entries,
                        sum(\(EmbeddingCache.size))::bigint AS bytes, min(used_at) AS oldest, max(used_at) AS newest
                    FROM \(schema).embedding_cache WHERE tenant_id = $1 GROUP BY fingerprint, template, dimension
                ) k LEFT JOIN \(schema).vector_space s ON s.fingerprint = k.fingerprint
                ORDER BY s.model IS NULL, k.fingerprint, k.template, k.dimension
                """,
                [.uuid(tenant.rowID)]
            )
            return (0..<rows.count).map { row in
                CacheFigures(
                    space: CacheSpace(
                        fingerprint: rows.text(row, 0) ?? "",
                        dimension: rows.int(row, 2) ?? 0,
                        template: rows.text(row, 1) ?? ""
                    ),
                    model: rows.text(row, 3),
                    entries: rows.int(row, 4) ?? 0,
                    bytes: rows.int(row, 5) ?? 0,
                    oldestUse: rows.text(row, 6) ?? "",
                    newestUse: rows.text(row, 7) ?? ""
                )
            }
        }
    }
}
