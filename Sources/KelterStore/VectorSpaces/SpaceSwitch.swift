package import KelterModel

extension Store {
    /// Exchanges the space that is searched and the one that stands by; a second call takes it back.
    ///
    /// One transaction that waits for the writers and searches under way; those that come meanwhile go on with the new
    /// tables, and are refused when their model is another. Nothing is copied: the tables change their schemas. Needs
    /// the owner's role.
    ///
    /// - Returns: The space that is searched now.
    /// - Throws: ``KelterError`` with ``ErrorCode/vectorSpaceMissing``, ``ErrorCode/vectorSpaceIncomplete`` when chunks
    ///   have a vector now and would have none, or ``ErrorCode/databaseError`` when the locks cannot be had in time.
    package func switchSpaces() async throws(KelterError) -> StandbySpace {
        guard let space = try await standbySpace() else { throw try Self.standbyMissing(standbySchema) }
        let (schema, standby) = (schema, try standbySchema)
        try await reporting { () async throws(DatabaseFailure) in
            try await registryTransaction { connection throws(DatabaseFailure) in
                try connection.lockSpaces(schema, standby)
                let missing =
                    try connection.query(
                        """
                        SELECT count(*) FROM \(schema).embeddings e
                        WHERE NOT EXISTS (SELECT FROM \(standby).embeddings s WHERE s.chunk_id = e.chunk_id)
                        """
                    ).int(0, 0) ?? 0
                guard missing == 0 else { throw .finding(Self.incomplete(space, missing: missing, in: standby)) }
                try connection.exchangeSpaces(schema, standby)
            }
            // Outside the exclusive lock: it reads all rows.
            try await session { connection throws(DatabaseFailure) in
                try connection.run("SET statement_timeout TO 0")
                try connection.run("ALTER TABLE \(schema).embeddings VALIDATE CONSTRAINT embeddings_collection_fk")
                try connection.run("SET statement_timeout TO \(configuration.statementTimeoutMilliseconds)")
            }
        }
        return space
    }

    static func standbyMissing(_ standby: SQLIdentifier) -> KelterError {
        KelterError(
            .vectorSpaceMissing,
            "No vector space stands by.",
            subject: standby.name,
            fix: "Fill one with 'kelter reembed --model MODEL --dimension N'."
        )
    }

    private static func incomplete(_ space: StandbySpace, missing: Int, in standby: SQLIdentifier) -> KelterError {
        KelterError(
            .vectorSpaceIncomplete,
            "\(missing) chunks have no vector of the model \(shortened(space.model)) yet.",
            subject: standby.name,
            fix: "Run 'kelter reembed --model \(shortened(space.model)) --dimension \(space.dimension)' first."
        )
    }
}

extension Connection {
    /// Keeps everybody else out of both spaces until the transaction ends, and shows the owner all tenants' rows.
    fileprivate func lockSpaces(_ schema: SQLIdentifier, _ standby: SQLIdentifier) throws(DatabaseFailure) {
        try run(
            """
            SET LOCAL lock_timeout TO '10s';
            SET LOCAL statement_timeout TO 0;
            -- The row that every writer reads first comes first: whoever waits for it holds nothing else.
            LOCK TABLE \(schema).vector_space, \(schema).chunks, \(schema).embeddings, \(standby).vector_space,
                \(standby).embeddings IN ACCESS EXCLUSIVE MODE;
            ALTER TABLE \(schema).chunks NO FORCE ROW LEVEL SECURITY;
            ALTER TABLE \(schema).embeddings NO FORCE ROW LEVEL SECURITY;
            ALTER TABLE \(standby).embeddings NO FORCE ROW LEVEL SECURITY
            """
        )
    }

    fileprivate func exchangeSpaces(_ schema: SQLIdentifier, _ standby: SQLIdentifier) throws(DatabaseFailure) {
        let between = "\"\(schema.name)_between\""
        try run(
            """
            UPDATE \(standby).embeddings s SET collection_id = c.collection_id
                FROM \(schema).chunks c WHERE c.id = s.chunk_id AND s.collection_id IS DISTINCT FROM c.collection_id;
            ALTER TABLE \(schema).embeddings DROP CONSTRAINT embeddings_collection_fk;
            CREATE SCHEMA \(between);
            ALTER TABLE \(schema).embeddings SET SCHEMA \(between);
            ALTER TABLE \(schema).vector_space SET SCHEMA \(between);
            ALTER TABLE \(standby).embeddings SET SCHEMA \(schema);
            ALTER TABLE \(standby).vector_space SET SCHEMA \(schema);
            ALTER TABLE \(between).embeddings SET SCHEMA \(standby);
            ALTER TABLE \(between).vector_space SET SCHEMA \(standby);
            DROP SCHEMA \(between);
            ALTER TABLE \(schema).embeddings ADD CONSTRAINT embeddings_collection_fk
                FOREIGN KEY (tenant_id, collection_id)
                REFERENCES \(schema).collections (tenant_id, id) DEFERRABLE NOT VALID;
            ALTER TABLE \(schema).chunks FORCE ROW LEVEL SECURITY;
            ALTER TABLE \(schema).embeddings FORCE ROW LEVEL SECURITY;
            ALTER TABLE \(standby).embeddings FORCE ROW LEVEL SECURITY
            """
        )
    }
}
