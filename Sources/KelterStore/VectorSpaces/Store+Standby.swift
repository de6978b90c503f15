package import KelterModel

/// The space that stands by for another model, beside the one that is searched.
package struct StandbySpace: Sendable, Equatable {
    package let model: String
    package let dimension: Int

    package init(model: String, dimension: Int) {
        self.model = model
        self.dimension = dimension
    }
}

extension Store {
    /// The schema of the space that stands by: that of the current space with `_standby` behind it.
    var standbySchema: SQLIdentifier {
        get throws(KelterError) { try SQLIdentifier(schema: schema.name + "_standby") }
    }

    /// The schema and the dimension of a space.
    func place(of target: EmbeddingTarget) throws(KelterError) -> (schema: SQLIdentifier, dimension: Int) {
        switch target {
        case .current: (schema, configuration.dimension)
        case .standby(let dimension): (try standbySchema, dimension)
        }
    }

    /// The model that the current space is stamped with; `nil` before the first write.
    package func currentModel() async throws(KelterError) -> String? {
        let schema = schema
        return try await reporting { () async throws(DatabaseFailure) in
            try await session { connection throws(DatabaseFailure) in
                try VectorSpaceModel(schema: schema).read(on: connection)
            }
        }
    }

    /// The space that stands by; `nil` when there is none.
    package func standbySpace() async throws(KelterError) -> StandbySpace? {
        let standby = try standbySchema
        return try await reporting { () async throws(DatabaseFailure) in
            try await session { connection throws(DatabaseFailure) in
                try connection.standbySpace(standby)
            }
        }
    }

    /// Creates the space that stands by, unless it is there for the same model.
    ///
    /// Its table has the columns of the current one and goes with the same chunks; it gets its vector index when it is
    /// filled. Needs the owner's role.
    ///
    /// - Parameter space: Model and dimension.
    /// - Throws: ``KelterError`` with ``ErrorCode/maintenanceBusy`` when another model's space stands by, and
    ///   ``ErrorCode/settingInvalid`` for a dimension that no index can hold, or ``ErrorCode/pgvectorTooOld`` for one
    ///   that this pgvector cannot index.
    package func createStandby(_ space: StandbySpace) async throws(KelterError) {
        if let present = try await standbySpace() {
            guard present != space else { return }
            throw KelterError(
                .maintenanceBusy,
                "A space of \(present.dimension) dimensions for the model \(shortened(present.model)) stands by already.",
                subject: try standbySchema.name,
                fix: "Fill that one, or remove it with 'kelter vector-space drop'."
            )
        }
        try StoreSchema.check(dimension: space.dimension)
        let indexing = VectorIndexing(dimension: space.dimension)
        let (schema, standby) = (schema, try standbySchema)
        try await reporting { () async throws(DatabaseFailure) in
            try await registryTransaction { connection throws(DatabaseFailure) in
                try indexing.requireVersion(on: connection)
                try connection.run(
                    """
                    SELECT pg_advisory_xact_lock(\(StoreSchema.advisoryKey));
                    CREATE SCHEMA IF NOT EXISTS \(standby);
                    CREATE TABLE IF NOT EXISTS \(standby).vector_space (LIKE \(schema).vector_space INCLUDING ALL);
                    CREATE TABLE IF NOT EXISTS \(standby).embeddings (
                        chunk_id uuid PRIMARY KEY,
                        tenant_id uuid NOT NULL,
                        collection_id uuid,
                        embedding public.vector(\(space.dimension)) NOT NULL,
                        CONSTRAINT embeddings_chunk_fk FOREIGN KEY (tenant_id, chunk_id)
                            REFERENCES \(schema).chunks (tenant_id, id) ON DELETE CASCADE
                    );
                    ALTER TABLE \(standby).embeddings ALTER COLUMN embedding SET STORAGE \(indexing.storage.name);
                    \(StoreSchema.fingerprint(of: standby))
                    \(StoreSchema.rowLevelSecurity(schemaName: standby.name, tables: ["embeddings"]))
                    \(StoreSchema.access(standby))
                    """
                )
                if let workers = indexing.parallelWorkers {
                    try connection.run("ALTER TABLE \(standby).embeddings SET (parallel_workers = \(workers))")
                }
                try connection.execute(
                    "INSERT INTO \(standby).vector_space (model) VALUES ($1) ON CONFLICT DO NOTHING",
                    [.text(space.model)]
                )
            }
        }
    }

    /// Builds the vector index of the space that stands by, where it is missing.
    ///
    /// As ``rebuildVectorIndex(_:progress:)`` does: whoever replaces or deletes documents meanwhile does not wait.
    ///
    /// - Parameters:
    ///   - request: What to build and what to use for it.
    ///   - progress: Called at each step.
    /// - Throws: ``KelterError`` with ``ErrorCode/vectorSpaceMissing``, and as for the current space.
    package func indexStandby(
        _ request: IndexRequest,
        progress: @escaping @Sendable (IndexProgress) -> Void = { _ in }
    ) async throws(KelterError) {
        guard let space = try await standbySpace() else { throw try Self.standbyMissing(standbySchema) }
        try request.kind.validate()
        let standby = try standbySchema
        let rebuild = IndexRebuild(schema: standby, dimension: space.dimension, request: request, progress: progress)
        try await reporting { () async throws(DatabaseFailure) in
            let present = try await session { connection throws(DatabaseFailure) in
                try VectorIndex.list(standby, on: connection)
            }
            if present.contains(where: \.isValid) { return }
            _ = try await pool.withConnection { connection throws(DatabaseFailure) in
                try rebuild.run(on: connection)
            }.get()
        }
    }

    /// Removes the space that stands by, with its vectors.
    ///
    /// - Returns: Whether there was one.
    /// - Throws: ``KelterError`` of the database.
    package func dropStandby() async throws(KelterError) -> Bool {
        guard try await standbySpace() != nil else { return false }
        let standby = try standbySchema
        try await runTransactionScript(
            """
            BEGIN;
            DROP TABLE \(standby).embeddings, \(standby).vector_space;
            DROP SCHEMA \(standby);
            COMMIT
            """
        )
        return true
    }
}

extension Connection {
    /// The space in this schema; `nil` when there is none.
    func standbySpace(_ standby: SQLIdentifier) throws(DatabaseFailure) -> StandbySpace? {
        let rows = try query(
            """
            SELECT atttypmod FROM pg_attribute
            WHERE attrelid = to_regclass($1) AND attname = 'embedding' AND NOT attisdropped
            """,
            [.text("\(standby).embeddings")]
        )
        guard rows.count > 0, let dimension = rows.int(0, 0),
            let model = try VectorSpaceModel(schema: standby).read(on: self)
        else { return nil }
        return StandbySpace(model: model, dimension: dimension)
    }
}
