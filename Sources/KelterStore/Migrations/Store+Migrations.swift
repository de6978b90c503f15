package import KelterModel

extension Store {
    /// Holds a schema's ledger against the files.
    ///
    /// - Parameters:
    ///   - set: The migrations.
    ///   - schema: The schema, which need not exist yet.
    /// - Returns: What has run and what has not.
    /// - Throws: ``KelterError``: ``ErrorCode/migrationChanged``, ``ErrorCode/migrationUnknown`` or
    ///   ``ErrorCode/migrationOutOfOrder`` about the migration, and others of the database.
    package func migrationStatus(_ set: MigrationSet, schema: String) async throws(KelterError) -> MigrationStatus {
        let identifier = try SQLIdentifier(schema: schema, subject: "--schema")
        return try await reporting { () async throws(DatabaseFailure) in
            try await session { connection throws(DatabaseFailure) in
                try connection.migrationStatus(set, schema: identifier)
            }
        }
    }

    /// Refuses to go on with a schema that lacks migrations of this program.
    ///
    /// - Parameters:
    ///   - kind: Which migrations.
    ///   - schema: The schema.
    /// - Throws: ``KelterError`` with ``ErrorCode/migrationsPending``, and as ``migrationStatus(_:schema:)``.
    package func requireMigrations(_ kind: MigrationSet.Kind, schema: String) async throws(KelterError) {
        guard let next = try await migrationStatus(.embedded(kind), schema: schema).pending.first else { return }
        throw KelterError(
            .migrationsPending,
            "The migration \(next) has not run in the schema \(schema).",
            subject: schema,
            fix: "Run 'kelter migrate-schemas --\(kind.rawValue)'."
        )
    }

    /// Runs what is pending in a schema, each migration in a transaction of its own, in order, on one session.
    ///
    /// Several calls at once end as one: each transaction takes the schema's lock and then looks at the ledger again. A
    /// migration that fails leaves nothing; those before it stay.
    ///
    /// - Parameters:
    ///   - set: The migrations.
    ///   - schema: The schema; created when it is missing.
    ///   - progress: Is told each migration once it is committed.
    /// - Returns: What this call has applied.
    /// - Throws: ``KelterError``: ``ErrorCode/migrationFailed``, ``ErrorCode/legacyRowsWithoutBackup``, those of
    ///   ``migrationStatus(_:schema:)``, and others of the database.
    @discardableResult
    package func migrate(
        _ set: MigrationSet,
        schema: String,
        progress: @Sendable (AppliedMigration) -> Void = { _ in }
    ) async throws(KelterError) -> [AppliedMigration] {
        let identifier = try SQLIdentifier(schema: schema, subject: "--schema")
        let run = MigrationRun()
        do throws(DatabaseFailure) {
            try await session { connection throws(DatabaseFailure) in
                try connection.migrate(set, schema: identifier, run: run, progress: progress)
            }
        } catch {
            throw run.error(error, schema: schema, place: place)
        }
        return run.applied
    }
}

extension Connection {
    fileprivate func migrate(
        _ set: MigrationSet,
        schema: SQLIdentifier,
        run: MigrationRun,
        progress: @Sendable (AppliedMigration) -> Void
    ) throws(DatabaseFailure) {
        // A schema that is up to date needs no lock and no privilege to create anything.
        if try migrationStatus(set, schema: schema).pending.isEmpty { return }
        // What a migration may have set in its session must not reach the next user of the pool.
        defer { close() }
        while let applied = try applyNext(of: set, schema: schema, run: run) {
            run.finish(applied)
            progress(applied)
        }
    }

    /// Applies the first pending migration; `nil` when there is none.
    private func applyNext(
        of set: MigrationSet,
        schema: SQLIdentifier,
        run migrationRun: MigrationRun
    ) throws(DatabaseFailure) -> AppliedMigration? {
        migrationRun.begin(nil)
        // The ledger must be read as it is after the wait for the lock, not as it was at the first statement.
        try run(
            "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE; SET LOCAL statement_timeout TO 0; "
                + "SET LOCAL lock_timeout TO 0; SET LOCAL search_path TO \(Self.migrationPath(schema))"
        )
        let applied: AppliedMigration?
        do throws(DatabaseFailure) {
            try prepareLedger(schema)
            let pending = try migrationStatus(set, schema: schema).pending.first
            if let migration = set.migrations.first(where: { $0.name == pending }) {
                migrationRun.begin(migration.name)
                applied = try apply(migration, schema: schema)
            } else {
                applied = nil
            }
        } catch {
            rollBack()
            throw error
        }
        do throws(DatabaseFailure) {
            try run("COMMIT")
        } catch {
            guard error.isConnectionLoss, let name = applied?.name else {
                rollBack()
                throw error
            }
            // A repetition would not know whether this call or another one applied it.
            throw .finding(
                KelterError(
                    .databaseUnavailable,
                    "The connection broke while the migration \(name) was being committed in \(schema.name).",
                    subject: "RAG_DATABASE_URL",
                    fix: "Run the migrations again; they go on after the last one that was committed."
                )
            )
        }
        return applied
    }

    /// Where unqualified names of a migration lead: the schema first, then `public` with the extensions.
    static func migrationPath(_ schema: SQLIdentifier) -> String {
        schema.name == TenantRecord.publicSchema ? "public, pg_temp" : "\(schema), public, pg_temp"
    }

    private func prepareLedger(_ schema: SQLIdentifier) throws(DatabaseFailure) {
        _ = try query(
            "SELECT pg_advisory_xact_lock(hashtextextended('kelter.migrations.' || $1, 0))",
            [.text(schema.name)]
        )
        // Without the question, the privilege to create schemas would be needed for one that is there.
        if try query("SELECT to_regnamespace($1) IS NULL", [.text(schema.description)]).bool(0, 0) == true {
            try run("CREATE SCHEMA \(schema)")
        }
        try run(
            """
            CREATE TABLE IF NOT EXISTS \(schema).kelter_migrations (
                name text PRIMARY KEY,
                checksum text NOT NULL,
                applied_at timestamptz NOT NULL DEFAULT now(),
                duration_ms bigint NOT NULL
            )
            """
        )
    }

    private func apply(_ migration: Migration, schema: SQLIdentifier) throws(DatabaseFailure) -> AppliedMigration {
        let start = ContinuousClock.now
        try run(migration.sql)
        let (seconds, attoseconds) = start.duration(to: .now).components
        let milliseconds = Int(seconds * 1000 + attoseconds / 1_000_000_000_000_000)
        let rows = try query(
            """
            INSERT INTO \(schema).kelter_migrations (name, checksum, duration_ms)
            VALUES ($1, encode(sha256(convert_to($2, 'UTF8')), 'hex'), $3)
            RETURNING \(Store.timestamp("applied_at"))
            """,
            [.text(migration.name), .text(migration.sql), .int(milliseconds)]
        )
        return AppliedMigration(
            name: migration.name,
            durationMilliseconds: milliseconds,
            appliedAt: rows.text(0, 0) ?? ""
        )
    }
}
