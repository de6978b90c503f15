import ArgumentParser
import KelterModel
import KelterSettings
import KelterStore

struct SchemaCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "schema",
        abstract: "Prints or applies the SQL of a vector space.",
        subcommands: [Print.self, Apply.self]
    )

    /// What both commands take.
    struct Target: ParsableArguments {
        @Option(help: "The schema of the vector space; default: RAG_VECTOR_SCHEMA.")
        var schema: String?

        @Option(help: "The width of its vectors; default: EMBEDDINGS_DIM.")
        var dimension: Int?

        var flags: [String: String] {
            var flags: [String: String] = [:]
            if let schema { flags["RAG_VECTOR_SCHEMA"] = schema }
            if let dimension { flags["EMBEDDINGS_DIM"] = String(dimension) }
            return flags
        }
    }

    struct Print: ExecutableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Prints SQL that `psql -v ON_ERROR_STOP=1 -f -` runs as it is, as often as one likes."
        )

        @OptionGroup var target: Target
        @OptionGroup var common: CommonOptions

        func execute(_ terminal: Terminal) async throws(KelterError) -> KelterModel.ExitCode {
            let services = try Services(flags: target.flags)
            let settings = services.settings
            let sql = try StoreSchema.sql(
                schema: settings.vectorSchema,
                dimension: settings.profile.dimension,
                hnsw: services.hnsw
            )
            terminal.print(
                json: .object([
                    ("schema", .string(settings.vectorSchema)), ("dimension", .int(settings.profile.dimension)),
                    ("sql", .string(sql)),
                ]),
                text: sql
            )
            return .done
        }
    }

    struct Apply: ExecutableCommand {
        static let configuration = CommandConfiguration(abstract: "Creates what is missing of a vector space.")

        @OptionGroup var target: Target
        @OptionGroup var common: CommonOptions

        func execute(_ terminal: Terminal) async throws(KelterError) -> KelterModel.ExitCode {
            let services = try Services(flags: target.flags)
            let settings = services.settings
            let store = try await services.unverifiedStore(role: .owner)
            for warning in try await store.applySchema(hnsw: services.hnsw) { terminal.note("warning: \(warning)") }
            let server = try await store.serverInfo()
            await store.close()
            terminal.print(
                json: .object([
                    ("schema", .string(settings.vectorSchema)), ("dimension", .int(settings.profile.dimension)),
                    ("pgvector", .optional(server.pgvector)), ("applied", .bool(true)),
                ]),
                text: "Schema \(settings.vectorSchema) is in place with vector(\(settings.profile.dimension)), "
                    + "pgvector \(server.pgvector ?? "unknown")."
            )
            return .done
        }
    }
}
