import ArgumentParser
import KelterModel
import KelterSettings
import KelterStore

struct LegacyWorkflowsCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "legacy-workflows",
        abstract: "Counts and backs up the former workflow tables, which the migrations drop.",
        subcommands: [Count.self, Backup.self],
        aliases: ["legacy_workflows"]
    )

    struct Count: ExecutableCommand {
        static let configuration = CommandConfiguration(abstract: "Says how many rows the tables hold.")

        @Option(help: "The tenant's schema.")
        var schema: String

        @OptionGroup var common: CommonOptions

        func execute(_ terminal: Terminal) async throws(KelterError) -> KelterModel.ExitCode {
            let store = try await Services().unverifiedStore(connections: 1, role: .owner)
            let counts = try await store.legacyWorkflowCounts(schema: schema)
            await store.close()
            terminal.print(
                json: .object([
                    ("schema", .string(schema)),
                    ("tables", .object(counts.map { ($0.table, $0.rows.map { .int($0) } ?? .null) })),
                ]),
                text: table(counts.map { [$0.table, $0.rows.map { "\($0) rows" } ?? "not there"] })
            )
            return .done
        }
    }

    struct Backup: ExecutableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Writes each table into a CSV file and records what the files cover."
        )

        @Option(help: "The tenant's schema.")
        var schema: String

        @Option(help: ArgumentHelp("Where the files go.", valueName: "directory"))
        var out: String

        @Flag(help: "Overwrite files with other content.")
        var replace = false

        @OptionGroup var common: CommonOptions

        func execute(_ terminal: Terminal) async throws(KelterError) -> KelterModel.ExitCode {
            let store = try await Services().unverifiedStore(connections: 1, role: .owner)
            // The record of the backup is kept in a table of the shared schema.
            try await store.prepareRegistry()
            let backups = try await store.backUpLegacyWorkflows(schema: schema, to: out, isReplacing: replace)
            await store.close()
            terminal.print(
                json: .object([
                    ("schema", .string(schema)),
                    (
                        "files",
                        .array(
                            backups.map {
                                .object([
                                    ("table", .string($0.table)), ("rows", .int($0.rows)), ("file", .string($0.file)),
                                    ("digest", .string($0.digest)),
                                ])
                            }
                        )
                    ),
                ]),
                text: backups.isEmpty
                    ? "There are no workflow tables in \(schema)."
                    : table(backups.map { [$0.file, "\($0.rows) rows of \($0.table)"] })
            )
            return .done
        }
    }
}
