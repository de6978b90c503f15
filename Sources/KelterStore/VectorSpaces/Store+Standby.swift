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
                let rows = try connection.query(
                    """
                    SELECT atttypmod FROM pg_attribute
                    WHERE attrelid = to_regclass($1) AND attname = 'embedding' AND NOT attisdropped
                    """,
                    [.text("\(standby).embeddings")]
                )
                guard rows.count > 0, let dimension = rows.int(0, 0),
                    let model = try VectorSpaceModel(schema: standby).read(on: connection)
                else { return nil }
                return StandbySpace(model: model, dimension: dimension)
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
    ///   ``ErrorCode/settingInvalid`` for a dimension that no index can hold.
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
        let (schema, standby) = (schema, try standbySchema)
        try await reporting { () async throws(DatabaseFailure) in
            try await registryTransaction { connection throws(DatabaseFailure) in
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
                    ALTER TABLE \(standby).embeddings ALTER COLUMN embedding SET STORAGE PLAIN;
                    \(StoreSchema.rowLevelSecurity(schemaName: standby.name, tables: ["embeddings"]))
                    \(StoreSchema.access(standby))
                    """
                )
                try connection.execute(
                    "INSERT INTO \(standby).vector_space (model) VALUES ($1) ON CONFLICT DO NOTHING",
                    [.text(space.model)]
                )
            }
        }
    }

    /// Builds the vector index of the space that stands by, where it is missing.
    ///
    /// Not concurrently: nothing searches it yet, and no ingestion writes to it.
    ///
    /// - Parameter hnsw: The parameters of the index.
    /// - Throws: ``KelterError`` of the database.
    package func indexStandby(hnsw: StoreSchema.HNSW) async throws(KelterError) {
        let standby = try standbySchema
        try await runTransactionScript(
            """
            BEGIN;
            CREATE INDEX IF NOT EXISTS embeddings_embedding_hnsw ON \(standby).embeddings
                USING hnsw (embedding public.vector_cosine_ops)
                WITH (m = \(hnsw.m), ef_construction = \(hnsw.efConstruction));
            COMMIT;
            ANALYZE \(standby).embeddings
            """
        )
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
