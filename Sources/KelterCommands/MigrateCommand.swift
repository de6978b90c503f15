import ArgumentParser
import KelterModel
import KelterPipeline
import KelterSettings
import KelterStore

/// Where migrations come from.
struct MigrationOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp("Read migrations from DIR/shared and DIR/tenant; default: those built in.", valueName: "dir")
    )
    var migrations: String?

    func set(_ kind: MigrationSet.Kind) throws(KelterError) -> MigrationSet {
        guard let migrations else { return .embedded(kind) }
        return try MigrationSet(directory: migrations, kind: kind)
    }
}

struct MigrateCommand: ExecutableCommand {
    static let configuration = CommandConfiguration(
        commandName: "migrate-schemas",
        abstract: "Runs the pending migrations of the shared schema, or of the tenants' schemas.",
        discussion: """
            Each migration is one transaction, recorded with its checksum in the schema's kelter_migrations. Safe to \
            repeat, also at the same time. The vector space has its own script: `kelter schema apply`.
            """,
        aliases: ["migrate_schemas"]
    )

    @Flag(help: "The schema public: tenants, domains, keys, backups.")
    var shared = false

    @Flag(help: "The schemas of all tenants, or of one with --schema.")
    var tenant = false

    @Option(help: "Only this tenant's schema.")
    var schema: String?

    @Flag(help: "Say what would run; change nothing.")
    var plan = false

    @OptionGroup var source: MigrationOptions
    @OptionGroup var gate: BackupGate
    @OptionGroup var common: CommonOptions

    /// What happened in one schema.
    private struct Result {
        let schema: String
        let applied: [AppliedMigration]
        let pending: [String]
    }

    func execute(_ terminal: Terminal) async throws(KelterError) -> KelterModel.ExitCode {
        guard shared != tenant, schema == nil || tenant else {
            throw KelterError(
                .usage,
                "It is not said which schemas are meant.",
                subject: "--shared, --tenant",
                fix: "Give --shared, or --tenant with or without --schema."
            )
        }
        let set = try source.set(shared ? .shared : .tenant)
        let store = try await Services().unverifiedStore(connections: 1, role: .owner)
        let schemas = try await schemas(store)
        // The tenants' migrations refer to the registry.
        if tenant { try await store.requireMigrations(.shared, schema: TenantRecord.publicSchema) }
        var results: [Result] = []
        var plans: [String: [String]] = [:]
        for schema in schemas { plans[schema] = try await store.migrationStatus(set, schema: schema).pending }
        // Where nothing would be changed, no backup is needed.
        if !plan, plans.values.contains(where: { !$0.isEmpty }) { try await gate.check(store) }
        for schema in schemas {
            if plan {
                results.append(Result(schema: schema, applied: [], pending: plans[schema] ?? []))
                continue
            }
            let applied = try await store.migrate(set, schema: schema) { migration in
                terminal.note("\(schema): \(migration.name) applied in \(migration.durationMilliseconds) ms")
            }
            try await store.grantAccess(to: schema)
            results.append(Result(schema: schema, applied: applied, pending: []))
        }
        await store.close()
        terminal.print(json: json(results), text: text(results))
        return .done
    }

    private func schemas(_ store: Store) async throws(KelterError) -> [String] {
        if shared { return [TenantRecord.publicSchema] }
        if let schema { return [try await store.registeredTenant(schema: schema).schema] }
        return try await store.tenants().map(\.schema).filter { $0 != TenantRecord.publicSchema }
    }

    private func text(_ results: [Result]) -> String {
        guard !results.isEmpty else { return "There are no tenants." }
        return results.map { result in
            let names = plan ? result.pending : result.applied.map(\.name)
            let verb = plan ? "would run" : "applied"
            return "\(result.schema): " + (names.isEmpty ? "nothing to do" : "\(verb) \(names.joined(separator: ", "))")
        }.joined(separator: "\n")
    }

    private func json(_ results: [Result]) -> JSONValue {
        .object([
            ("plan", .bool(plan)),
            (
                "schemas",
                .array(
                    results.map { result in
                        .object([
                            ("schema", .string(result.schema)),
                            ("applied", .array(result.applied.map { .string($0.name) })),
                            ("pending", .array(result.pending.map { .string($0) })),
                        ])
                    }
                )
            ),
        ])
    }
}

struct MakeMigrationsCommand: ExecutableCommand {
    static let configuration = CommandConfiguration(
        commandName: "make-migrations",
        abstract: "Compares the declared schemas with what the migrations produce, and writes the next migration.",
        discussion: """
            Both are built in schemas of their own that never become visible. For whoever changes Kelter itself: the \
            declared schemas are Sources/KelterStore/Schema/Declared, the migrations Sources/KelterStore/Migrations/SQL.
            """,
        aliases: ["make_migrations", "makemigrations"]
    )

    @Argument(help: "The app that the migration belongs to; default: customers for shared, users for tenant.")
    var app: String?

    @Option(help: "What follows the migration's number; default: made of what changes.")
    var name: String?

    @Option(help: ArgumentHelp("Read DIR/shared.sql and DIR/tenant.sql; default: those built in.", valueName: "dir"))
    var declared: String?

    @Flag(name: .customLong("allow-destructive"), help: "Let the migration drop tables and columns.")
    var allowDestructive = false

    @Flag(help: "Write nothing; exit code 1 when there are changes.")
    var check = false

    @OptionGroup var source: MigrationOptions
    @OptionGroup var common: CommonOptions

    func execute(_ terminal: Terminal) async throws(KelterError) -> KelterModel.ExitCode {
        let store = try await Services().unverifiedStore(connections: 1, role: .owner)
        var drafts: [(kind: MigrationSet.Kind, draft: MigrationDraft)] = []
        for kind in MigrationSet.Kind.allCases {
            let draft = try await store.draftMigration(
                try source.set(kind),
                declared: try declaration(kind),
                app: app ?? (kind == .shared ? "customers" : "users"),
                name: name,
                allowsDestructive: allowDestructive
            )
            if let draft { drafts.append((kind, draft)) }
        }
        await store.close()
        var written: [String] = []
        if !check {
            for (kind, draft) in drafts { written.append(try write(draft, kind)) }
        }
        terminal.print(
            json: .object([
                ("changes", .bool(!drafts.isEmpty)), ("written", .array(written.map { .string($0) })),
                ("sql", .array(drafts.map { .string($0.draft.sql) })),
            ]),
            text: drafts.isEmpty
                ? "No changes detected"
                : check
                    ? drafts.map { "-- \($0.kind.rawValue)/\($0.draft.fileName)\n\($0.draft.sql)" }.joined(
                        separator: "\n"
                    )
                    : written.map { "\($0) written" }.joined(separator: "\n")
        )
        return drafts.isEmpty || !check ? .done : .someItemsFailed
    }

    private func declaration(_ kind: MigrationSet.Kind) throws(KelterError) -> String? {
        guard let declared else { return nil }
        let path = "\(declared)/\(kind.rawValue).sql"
        return try readSmallFile(path)
    }

    private func write(_ draft: MigrationDraft, _ kind: MigrationSet.Kind) throws(KelterError) -> String {
        let directory = source.migrations ?? "Sources/KelterStore/Migrations/SQL"
        return try writeNewFile(draft.sql, to: "\(directory)/\(kind.rawValue)/\(draft.fileName)")
    }
}
