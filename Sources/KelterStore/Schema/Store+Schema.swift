package import KelterModel

extension Store {
    /// Creates what is missing of the schema, its tables and indexes.
    ///
    /// - Parameter hnsw: The parameters of a new vector index; an existing one keeps its own.
    /// - Returns: The server's warnings, such as that of an old pgvector.
    /// - Throws: ``KelterError``: ``ErrorCode/schemaDimensionMismatch``, ``ErrorCode/pgvectorTooOld``,
    ///   ``ErrorCode/pgvectorMissing``, ``ErrorCode/databaseUnavailable`` or ``ErrorCode/databaseError``.
    @discardableResult
    package func applySchema(hnsw: StoreSchema.HNSW = .init()) async throws(KelterError) -> [String] {
        let sql = try StoreSchema.sql(schema: schema.name, dimension: configuration.dimension, hnsw: hnsw)
        let timeout = configuration.statementTimeoutMilliseconds
        return try await reporting { () async throws(DatabaseFailure) in
            try await session { connection throws(DatabaseFailure) in
                _ = connection.takeWarnings()
                try connection.run("SET statement_timeout TO 0")
                do throws(DatabaseFailure) {
                    try connection.run(sql)
                } catch {
                    connection.rollBack()
                    throw error.namingMissingExtension
                }
                try connection.run("SET statement_timeout TO \(timeout)")
                return connection.takeWarnings()
            }
        }
    }

    /// Looks for the tables and the width of the stored vectors.
    package func schemaPresence() async throws(KelterError) -> SchemaPresence {
        let schema = schema.name
        return try await reporting { () async throws(DatabaseFailure) in
            try await session { connection throws(DatabaseFailure) in
                let rows = try connection.query(
                    """
                    SELECT count(*), max(a.atttypmod) FILTER (WHERE c.relname = 'embeddings')
                    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
                    LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'embedding' AND NOT a.attisdropped
                    WHERE n.nspname = $1 AND c.relkind IN ('r', 'p') AND c.relname = ANY ($2)
                    """,
                    [.text(schema), .texts(StoreSchema.allTableNames)]
                )
                guard rows.int(0, 0) == StoreSchema.allTableNames.count, let dimension = rows.int(0, 1) else {
                    return .missing
                }
                return .present(dimension: dimension)
            }
        }
    }

    /// Checks that the schema can take vectors of the configured width.
    ///
    /// - Throws: ``KelterError`` with ``ErrorCode/schemaMissing`` or ``ErrorCode/schemaDimensionMismatch``.
    package func verifySchema() async throws(KelterError) {
        switch try await schemaPresence() {
        case .present(configuration.dimension): return
        case .present(let dimension):
            throw KelterError(
                .schemaDimensionMismatch,
                "Schema \(schema.name) holds vectors of \(dimension) dimensions, not \(configuration.dimension).",
                subject: "EMBEDDINGS_DIM",
                fix: "Use the model of that vector space, or another schema with RAG_VECTOR_SCHEMA."
            )
        case .missing:
            throw KelterError(
                .schemaMissing,
                "Schema \(schema.name) of \(place) has no vector store.",
                subject: "RAG_VECTOR_SCHEMA",
                fix: "Run 'kelter schema apply'."
            )
        }
    }

    /// Asks for the versions of PostgreSQL and pgvector.
    package func serverInfo() async throws(KelterError) -> ServerInfo {
        try await reporting { () async throws(DatabaseFailure) in
            try await session { connection throws(DatabaseFailure) in
                let rows = try connection.query(
                    """
                    SELECT current_setting('server_version'),
                        (SELECT extversion FROM pg_extension WHERE extname = 'vector')
                    """
                )
                return ServerInfo(version: rows.text(0, 0) ?? "", pgvector: rows.text(0, 1))
            }
        }
    }
}

extension DatabaseFailure {
    /// The failure with its cause named when the server has no pgvector to create.
    fileprivate var namingMissingExtension: DatabaseFailure {
        guard case .server(let state, let message) = self, state == "0A000" || state == "58P01",
            message.contains("extension")
        else { return self }
        return .finding(
            KelterError(
                .pgvectorMissing,
                "The server lacks an extension: \(message).",
                fix: "Install pgvector and pg_trgm on the database server."
            )
        )
    }
}
