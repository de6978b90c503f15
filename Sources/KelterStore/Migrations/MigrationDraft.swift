package import KelterModel

/// A migration that was derived from the difference between the declared schema and what the migrations produce.
package struct MigrationDraft: Sendable, Equatable {
    /// The name in the ledger.
    package let name: String
    /// The text.
    package let sql: String

    /// The name of its file.
    package var fileName: String { name + ".sql" }
}

extension Store {
    /// Compares the declared schema with what the migrations produce, and derives the next migration.
    ///
    /// Both are built in schemas of their own, in a transaction that is always rolled back; the result of the derived
    /// statements is compared again there.
    ///
    /// - Parameters:
    ///   - set: The migrations.
    ///   - declared: The declared schema; default: the embedded one.
    ///   - app: The app that the next migration belongs to.
    ///   - name: What follows its number; default: made of the table it is about.
    ///   - allowsDestructive: Whether tables and columns may be dropped.
    /// - Returns: The next migration; `nil` when there is no difference.
    /// - Throws: ``KelterError``: ``ErrorCode/migrationNotDerivable`` about what has to be written by hand,
    ///   ``ErrorCode/migrationInvalid`` for a declared schema that cannot be built, ``ErrorCode/migrationFailed`` for a
    ///   migration that fails, ``ErrorCode/usage`` for a name no file can have, and others of the database.
    package func draftMigration(
        _ set: MigrationSet,
        declared: String? = nil,
        app: String,
        name: String?,
        allowsDestructive: Bool
    ) async throws(KelterError) -> MigrationDraft? {
        try Self.checkDraftName(app, subject: "APP")
        // Unlike an app, it may begin with a digit.
        if let name { try Self.checkDraftName(name.isEmpty ? name : "x" + name, subject: "--name") }
        let declared = declared ?? MigrationSet.embeddedDeclaration(set.kind)
        if let obstacle = SQLStatements.obstacle(in: declared) {
            throw KelterError(
                .migrationInvalid,
                "The declared schema contains \(obstacle), but is built inside a transaction.",
                subject: "\(set.kind.rawValue).sql",
                fix: "Remove \(obstacle) from it."
            )
        }
        let derived = try await reporting { () async throws(DatabaseFailure) in
            try await session { connection throws(DatabaseFailure) in
                // Whatever a script sets must not reach the next user of the pool.
                defer { connection.close() }
                try connection.run("BEGIN; SET LOCAL statement_timeout TO 0")
                defer { connection.rollBack() }
                return try connection.deriveMigration(set, declared: declared, allowsDestructive: allowsDestructive)
            }
        }
        guard let derived else { return nil }
        let number = (set.migrations.map(\.number).max() ?? 0) + 1
        guard number <= 9999 else {
            throw KelterError(
                .migrationInvalid,
                "There is no number left for another migration.",
                subject: set.migrations.last?.name,
                fix: "Number it by hand."
            )
        }
        let digits = String(repeating: "0", count: 4 - String(number).count) + String(number)
        return MigrationDraft(name: "\(app).\(digits)_\(name ?? derived.name)", sql: derived.sql)
    }

    private static func checkDraftName(_ text: String, subject: String) throws(KelterError) {
        guard Migration.isPlainName(text) else {
            throw KelterError(
                .usage,
                "The file of a migration cannot be named so.",
                subject: subject,
                fix: "Use lower-case letters, digits and '_'; an app begins with a letter."
            )
        }
    }
}

extension Connection {
    /// The next migration's text and a name for it; `nil` when there is no difference.
    fileprivate func deriveMigration(
        _ set: MigrationSet,
        declared: String,
        allowsDestructive: Bool
    ) throws(DatabaseFailure) -> (name: String, sql: String)? {
        if set.kind == .tenant { try prepareRegistry() }
        let produced = try scratchSchema()
        for migration in set.migrations {
            try runInScratch(migration.sql, schema: produced) { state, message in
                KelterError(
                    .migrationFailed,
                    "The migration \(migration.name) fails in an empty schema (SQLSTATE \(state): \(message)).",
                    subject: migration.name,
                    fix: "Run it against a database with the extensions it needs, or correct it."
                )
            }
        }
        let present = try schemaCatalog(of: produced)
        let wanted = try scratchSchema()
        try runInScratch(declared, schema: wanted) { state, message in
            KelterError(
                .migrationInvalid,
                "The declared schema cannot be built (SQLSTATE \(state): \(message)).",
                subject: "\(set.kind.rawValue).sql",
                fix: "Correct it."
            )
        }
        let target = try schemaCatalog(of: wanted)
        guard !target.differences(from: present).isEmpty else { return nil }
        let comparison = SchemaComparison(declared: target, present: present)
        guard allowsDestructive || comparison.losses.isEmpty else {
            throw .finding(
                KelterError(
                    .migrationNotDerivable,
                    "The migration would drop \(comparison.losses.joined(separator: ", ")) with all data in it.",
                    subject: comparison.losses.first,
                    fix: "Pass --allow-destructive if that is meant; write a renaming by hand."
                )
            )
        }
        let sql = comparison.statements.map { $0 + ";\n" }.joined()
        try runInScratch(sql, schema: produced) { state, message in
            Self.notDerivable(target.differences(from: present), because: "SQLSTATE \(state): \(message)")
        }
        let left = target.differences(from: try schemaCatalog(of: produced))
        guard left.isEmpty else { throw .finding(Self.notDerivable(left, because: nil)) }
        return (Self.draftName(comparison), sql)
    }

    private static func notDerivable(_ objects: [String], because reason: String?) -> KelterError {
        let cause = reason.map { " (\($0))" } ?? ""
        return KelterError(
            .migrationNotDerivable,
            "The change of \(objects.joined(separator: ", ")) cannot be derived\(cause).",
            subject: objects.first,
            fix: "Write a migration for it by hand."
        )
    }

    /// `create_notes` or `alter_users` for a change of one table, `alter_schema` otherwise.
    private static func draftName(_ comparison: SchemaComparison) -> String {
        let tables = comparison.changedTables
        guard tables.count == 1, let table = tables.first, Migration.isPlainName(table) else { return "alter_schema" }
        if comparison.present.tables[table] == nil { return "create_\(table)" }
        return (comparison.declared.tables[table] == nil ? "drop_" : "alter_") + table
    }

    /// Gives the tenants' schemas the registry that they refer to, where there is none; rolled back with everything else.
    private func prepareRegistry() throws(DatabaseFailure) {
        guard try !hasTable("public.tenants") else { return }
        for migration in MigrationSet.embedded(.shared).migrations {
            try run("SET LOCAL search_path TO public, pg_temp")
            try run(migration.sql)
        }
    }

    private func scratchSchema() throws(DatabaseFailure) -> SQLIdentifier {
        let name = "kelter_scratch_" + RowID.version7(milliseconds: 0).description.filter { $0 != "-" }
        let schema: SQLIdentifier
        do throws(KelterError) {
            schema = try SQLIdentifier(schema: name)
        } catch {
            throw .finding(error)
        }
        try run("CREATE SCHEMA \(schema)")
        return schema
    }

    private func runInScratch(
        _ sql: String,
        schema: SQLIdentifier,
        _ describe: (_ state: String, _ message: String) -> KelterError
    ) throws(DatabaseFailure) {
        // The script before may have set anything.
        try run(
            "RESET ALL; SET LOCAL search_path TO \(Self.migrationPath(schema)); SET LOCAL statement_timeout TO 0; "
                + "SET LOCAL client_min_messages TO warning"
        )
        do throws(DatabaseFailure) {
            try run(sql)
        } catch {
            guard case .server(let state, let message) = error, !error.isTransient else { throw error }
            throw .finding(describe(state, message))
        }
    }
}
