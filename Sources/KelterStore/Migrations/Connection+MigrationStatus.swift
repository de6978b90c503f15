import KelterModel

extension Connection {
    /// Holds the ledger against the files; a schema without one has everything pending.
    func migrationStatus(_ set: MigrationSet, schema: SQLIdentifier) throws(DatabaseFailure) -> MigrationStatus {
        let ledger = try migrationLedger(schema)
        let checksums = try migrationChecksums(set)
        for (migration, checksum) in zip(set.migrations, checksums) {
            guard let entry = ledger[migration.name], entry.checksum != checksum else { continue }
            throw .finding(
                KelterError(
                    .migrationChanged,
                    "The migration \(migration.name) has been changed after it was applied to the schema "
                        + "\(schema.name) at \(entry.migration.appliedAt).",
                    subject: migration.name,
                    fix: "Restore the file as it was, and put the change into a new migration."
                )
            )
        }
        let names = Set(set.migrations.map(\.name))
        if let unknown = ledger.keys.filter({ !names.contains($0) }).min() {
            throw .finding(
                KelterError(
                    .migrationUnknown,
                    "The schema \(schema.name) has the migration \(unknown), which is not among these files.",
                    subject: unknown,
                    fix: "Use the version of kelter that applied it, or restore its file."
                )
            )
        }
        let pending = set.migrations.filter { ledger[$0.name] == nil }
        let applied = set.migrations.filter { ledger[$0.name] != nil }
        if let last = applied.last, let early = pending.first(where: { $0 < last }) {
            throw .finding(
                KelterError(
                    .migrationOutOfOrder,
                    "The migration \(early.name) comes before \(last.name), which the schema \(schema.name) has.",
                    subject: early.name,
                    fix: "Give it a number above \(last.number)."
                )
            )
        }
        return MigrationStatus(
            applied: applied.compactMap { ledger[$0.name]?.migration },
            pending: pending.map(\.name)
        )
    }

    private func migrationLedger(
        _ schema: SQLIdentifier
    ) throws(DatabaseFailure) -> [String: (checksum: String, migration: AppliedMigration)] {
        // An earlier version made tenants' schemas without migrations and without rights for the roles.
        let access = try query(
            "SELECT bool_and(has_schema_privilege(oid, 'USAGE')) FROM pg_namespace WHERE nspname = $1",
            [.text(schema.name)]
        )
        guard access.bool(0, 0) != false else {
            throw .finding(
                KelterError(
                    .databaseError,
                    "The role of this connection may not look into the schema \(schema.name), so that its migrations are "
                        + "unknown.",
                    subject: schema.name,
                    fix: "Run 'kelter migrate-schemas --tenant' as the schema's owner, then 'kelter roles apply' as an "
                        + "administrator."
                )
            )
        }
        let table = "\(schema).kelter_migrations"
        guard try query("SELECT to_regclass($1) IS NOT NULL", [.text(table)]).bool(0, 0) == true else { return [:] }
        let rows = try query(
            "SELECT name, checksum, duration_ms, \(Store.timestamp("applied_at")) FROM \(table)"
        )
        var ledger: [String: (checksum: String, migration: AppliedMigration)] = [:]
        for row in 0..<rows.count {
            let migration = AppliedMigration(
                name: rows.text(row, 0) ?? "",
                durationMilliseconds: rows.int(row, 2) ?? 0,
                appliedAt: rows.text(row, 3) ?? ""
            )
            ledger[migration.name] = (rows.text(row, 1) ?? "", migration)
        }
        return ledger
    }

    /// SHA-256 of each file; computed by the server, since the store has no digest of its own.
    private func migrationChecksums(_ set: MigrationSet) throws(DatabaseFailure) -> [String] {
        let rows = try query(
            """
            SELECT encode(sha256(convert_to(sql, 'UTF8')), 'hex')
            FROM unnest($1) WITH ORDINALITY AS file (sql, place) ORDER BY place
            """,
            [.texts(set.migrations.map(\.sql))]
        )
        return (0..<rows.count).map { rows.text($0, 0) ?? "" }
    }
}
