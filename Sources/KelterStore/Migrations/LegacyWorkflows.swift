package import KelterModel

/// The tables of the former workflows in a tenant's schema, which `common.0001_drop_legacy_workflows` drops.
package enum LegacyWorkflows {
    /// The names of the tables.
    package static let tables = ["workflows_workflowtemplate", "workflows_workflowstep", "workflows_workflowinstance"]

    /// SQLSTATE raised by the migration when a table holds rows that no backup covers.
    static let uncoveredState = "KLT03"

    /// The name of a table's backup, such as `legacy_workflowinstance.csv`.
    static func fileName(of table: String) -> String {
        "legacy_\(table.dropFirst("workflows_".count)).csv"
    }
}

/// How many rows a former table holds.
package struct LegacyTableCount: Sendable, Equatable {
    package let table: String
    /// `nil` when there is no such table.
    package let rows: Int?

    package init(table: String, rows: Int?) {
        self.table = table
        self.rows = rows
    }
}

/// A backup of a former table, recorded in `public.legacy_backups`.
package struct LegacyBackup: Sendable, Equatable {
    package let table: String
    package let rows: Int
    /// The absolute path of the CSV file.
    package let file: String
    /// SHA-256 of the rows in whatever order, in hexadecimal.
    package let digest: String
}

extension Store {
    /// Counts the rows of the former workflow tables, all at one moment.
    ///
    /// - Parameter schema: The tenant's schema.
    /// - Returns: One count for each of ``LegacyWorkflows/tables``.
    /// - Throws: ``KelterError`` of the database.
    package func legacyWorkflowCounts(schema: String) async throws(KelterError) -> [LegacyTableCount] {
        let identifier = try SQLIdentifier(schema: schema, subject: "--schema")
        return try await reporting { () async throws(DatabaseFailure) in
            try await session { connection throws(DatabaseFailure) in
                try connection.legacyTransaction { connection throws(DatabaseFailure) in
                    var counts: [LegacyTableCount] = []
                    for table in LegacyWorkflows.tables {
                        let rows =
                            try connection.hasTable("\(identifier).\(table)")
                            ? try connection.query("SELECT count(*) FROM \(identifier).\(table)").int(0, 0) : nil
                        counts.append(LegacyTableCount(table: table, rows: rows))
                    }
                    return counts
                }
            }
        }
    }

    /// Writes each former workflow table that is there into a CSV file and records what the files cover.
    ///
    /// All tables are read at one moment. A file appears under its name when it is complete and durable; the
    /// record follows when all are.
    ///
    /// - Parameters:
    ///   - schema: The tenant's schema.
    ///   - directory: Where the files go; created when it is missing.
    ///   - isReplacing: Whether a file with other content may be overwritten. Default no.
    /// - Returns: One backup for each table that is there.
    /// - Throws: ``KelterError``: ``ErrorCode/migrationsPending`` without the ledger of backups,
    ///   ``ErrorCode/confirmationRequired`` for a file with other content, ``ErrorCode/backupFailed`` when one cannot
    ///   be written, and others of the database.
    package func backUpLegacyWorkflows(
        schema: String,
        to directory: String,
        isReplacing: Bool = false
    ) async throws(KelterError) -> [LegacyBackup] {
        let identifier = try SQLIdentifier(schema: schema, subject: "--schema")
        return try await reporting { () async throws(DatabaseFailure) in
            try await session { connection throws(DatabaseFailure) in
                try connection.legacyTransaction { connection throws(DatabaseFailure) in
                    try connection.backUpLegacyTables(identifier, to: directory, isReplacing: isReplacing)
                }
            }
        }
    }
}

extension Connection {
    /// Runs the closure on one snapshot, with the settings that make the text of a value the same everywhere.
    ///
    /// A row that a policy would hide fails the statement, as it would be lost otherwise.
    fileprivate func legacyTransaction<Value>(
        _ body: (isolated Connection) throws(DatabaseFailure) -> Value
    ) throws(DatabaseFailure) -> Value {
        try run(
            "BEGIN ISOLATION LEVEL REPEATABLE READ; SET LOCAL statement_timeout TO 0; SET LOCAL row_security TO off; "
                + "SET LOCAL timezone TO 'UTC'; SET LOCAL datestyle TO 'ISO, YMD'; "
                + "SET LOCAL intervalstyle TO 'postgres'; SET LOCAL bytea_output TO 'hex'; "
                + "SET LOCAL extra_float_digits TO 1"
        )
        do throws(DatabaseFailure) {
            let value = try body(self)
            try run("COMMIT")
            return value
        } catch {
            rollBack()
            throw error
        }
    }

    fileprivate func backUpLegacyTables(
        _ schema: SQLIdentifier,
        to directory: String,
        isReplacing: Bool
    ) throws(DatabaseFailure) -> [LegacyBackup] {
        try checkLegacyLedger()
        var written: [(table: String, file: BackupFile)] = []
        for table in LegacyWorkflows.tables where try hasTable("\(schema).\(table)") {
            let file = try BackupFile(directory: directory, name: LegacyWorkflows.fileName(of: table))
            try copyOut(try legacyCopy(table, schema: schema)) { (piece) throws(DatabaseFailure) in
                try file.append(piece)
            }
            try file.finish(isReplacing: isReplacing)
            written.append((table, file))
        }
        // Only now, so that a conflict over one file leaves all of them as they are.
        for (_, file) in written { try file.publish() }
        var backups: [LegacyBackup] = []
        for (table, file) in written {
            backups.append(try recordLegacyBackup(of: table, schema: schema, location: file.path))
        }
        return backups
    }

    private func checkLegacyLedger() throws(DatabaseFailure) {
        let rows = try query(
            """
            SELECT to_regclass('public.legacy_backups') IS NOT NULL
                AND to_regprocedure('public.kelter_table_digest(regclass)') IS NOT NULL
            """
        )
        guard rows.bool(0, 0) == true else {
            throw .finding(
                KelterError(
                    .migrationsPending,
                    "The database cannot record backups yet.",
                    subject: "public.legacy_backups",
                    fix: "Run `kelter migrate-schemas --shared`."
                )
            )
        }
    }

    /// The runbook's statement; the first column decides between rows of the same time, so that a repetition is equal.
    private func legacyCopy(_ table: String, schema: SQLIdentifier) throws(DatabaseFailure) -> String {
        let rows = try query(
            """
            SELECT EXISTS (SELECT FROM pg_attribute
                WHERE attrelid = to_regclass($1) AND attname = 'created_at' AND NOT attisdropped)
            """,
            [.text("\(schema).\(table)")]
        )
        let order = rows.bool(0, 0) == true ? "created_at, 1" : "1"
        return "COPY (SELECT * FROM \(schema).\(table) ORDER BY \(order)) TO STDOUT WITH (FORMAT csv, HEADER true)"
    }

    private func recordLegacyBackup(
        of table: String,
        schema: SQLIdentifier,
        location: String
    ) throws(DatabaseFailure) -> LegacyBackup {
        let rows = try query(
            """
            INSERT INTO public.legacy_backups (schema_name, table_name, row_count, digest, location)
            SELECT $1, $2, (SELECT count(*) FROM \(schema).\(table)), public.kelter_table_digest($3::text::regclass), $4
            RETURNING row_count, digest
            """,
            [.text(schema.name), .text(table), .text("\(schema).\(table)"), .text(location)]
        )
        return LegacyBackup(
            table: table,
            rows: rows.int(0, 0) ?? 0,
            file: location,
            digest: rows.text(0, 1) ?? ""
        )
    }
}
