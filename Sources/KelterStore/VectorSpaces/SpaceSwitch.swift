package import KelterModel

extension Store {
    /// Exchanges the space that is searched and the one that stands by; a second call takes it back.
    ///
    /// One transaction that waits for the writers and searches under way; those that come meanwhile go on with the new
    /// tables, and are refused when their model is another. Nothing is copied: the tables change their schemas. Needs
    /// the owner's role.
    ///
    /// - Parameter allowsMissing: Whether chunks that have a vector now may have none afterwards; words still find them.
    /// - Returns: The space that is searched now, and the chunks that have lost their vector.
    /// - Throws: ``KelterError`` with ``ErrorCode/vectorSpaceMissing``, ``ErrorCode/vectorSpaceIncomplete``,
    ///   ``ErrorCode/maintenanceBusy`` beside another switch, or ``ErrorCode/databaseError`` when the locks cannot be had
    ///   in time.
    package func switchSpaces(allowsMissing: Bool) async throws(KelterError) -> (space: StandbySpace, missing: Int) {
        guard let space = try await standbySpace() else { throw try Self.standbyMissing(standbySchema) }
        let (schema, standby) = (schema, try standbySchema)
        let missing = try await reporting { () async throws(DatabaseFailure) in
            try await registryTransaction { connection throws(DatabaseFailure) in
                // A repetition after a broken COMMIT would take the exchange back: its fate is asked for instead.
                connection.transactionID = try connection.query("SELECT pg_current_xact_id()::text").text(0, 0)
                try connection.lockSpaces(schema, standby)
                guard try connection.standbySpace(standby) == space else {
                    throw .finding(Self.switchedMeanwhile(schema))
                }
                let missing = try connection.missingChunks(schema, standby)
                guard missing.count == 0 || allowsMissing else {
                    throw .finding(Self.incomplete(space, missing, in: standby))
                }
                try connection.exchangeSpaces(schema, standby)
                return missing.count
            }
        }
        return (space, missing)
    }

    private static func switchedMeanwhile(_ schema: SQLIdentifier) -> KelterError {
        KelterError(
            .maintenanceBusy,
            "Another switch was faster.",
            subject: schema.name,
            fix: "See 'kelter vector-space show' for what is searched now."
        )
    }

    static func standbyMissing(_ standby: SQLIdentifier) -> KelterError {
        KelterError(
            .vectorSpaceMissing,
            "No vector space stands by.",
            subject: standby.name,
            fix: "Fill one with 'kelter reembed --model MODEL --dimension N'."
        )
    }

    private static func incomplete(
        _ space: StandbySpace,
        _ missing: (count: Int, tenant: RowID?),
        in standby: SQLIdentifier
    ) -> KelterError {
        let tenant = missing.tenant.map { " --tenant \($0)" } ?? ""
        return KelterError(
            .vectorSpaceIncomplete,
            "\(missing.count) chunks have no vector of the model \(shortened(space.model)) yet.",
            subject: standby.name,
            fix:
                "Run 'kelter reembed\(tenant) --model \(shortened(space.model)) --dimension \(space.dimension)' first, "
                + "or let words alone find them with --allow-missing."
        )
    }
}

extension Connection {
    /// The chunks whose vectors would be gone, and one of their tenants.
    fileprivate func missingChunks(
        _ schema: SQLIdentifier,
        _ standby: SQLIdentifier
    ) throws(DatabaseFailure) -> (count: Int, tenant: RowID?) {
        let rows = try query(
            """
            SELECT count(*), min(e.tenant_id::text)::uuid FROM \(schema).embeddings e
            WHERE NOT EXISTS (SELECT FROM \(standby).embeddings s WHERE s.chunk_id = e.chunk_id)
            """
        )
        return (rows.int(0, 0) ?? 0, rows.uuid(0, 1))
    }

    /// Keeps everybody else out of both spaces until the transaction ends, and shows the owner all tenants' rows.
    fileprivate func lockSpaces(_ schema: SQLIdentifier, _ standby: SQLIdentifier) throws(DatabaseFailure) {
        try run(
            """
            SET LOCAL lock_timeout TO '10s';
            SET LOCAL statement_timeout TO 0;
            -- The row that every writer reads first comes first: whoever waits for it holds nothing else.
            LOCK TABLE \(schema).vector_space, \(schema).chunks, \(schema).embeddings, \(standby).vector_space,
                \(standby).embeddings IN ACCESS EXCLUSIVE MODE;
            ALTER TABLE \(schema).collections NO FORCE ROW LEVEL SECURITY;
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
            DO $$
            DECLARE
                item record;
            BEGIN
                -- The older system's has a name of its own.
                FOR item IN
                    SELECT conname FROM pg_constraint WHERE contype = 'f' AND conrelid = '\(schema).embeddings'::regclass
                        AND confrelid = '\(schema).collections'::regclass
                LOOP
                    EXECUTE format('ALTER TABLE \(schema).embeddings DROP CONSTRAINT %I', item.conname);
                END LOOP;
            END
            $$;
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
                REFERENCES \(schema).collections (tenant_id, id) DEFERRABLE;
            ALTER TABLE \(schema).collections FORCE ROW LEVEL SECURITY;
            ALTER TABLE \(schema).chunks FORCE ROW LEVEL SECURITY;
            ALTER TABLE \(schema).embeddings FORCE ROW LEVEL SECURITY;
            ALTER TABLE \(standby).embeddings FORCE ROW LEVEL SECURITY
            """
        )
    }
}
