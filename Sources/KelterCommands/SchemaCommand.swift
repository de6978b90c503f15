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
        @Option(help: "The schema of the vector space; default: those of all profiles.")
        var schema: String?

        @Option(help: "The width of its vectors; default: as its profile says, else EMBEDDINGS_DIM.")
        var dimension: Int?

        /// Profiles that stand for the spaces asked for, each with one of them.
        func spaces(_ settings: Settings) throws(KelterError) -> [EmbeddingProfile] {
            var profiles: [EmbeddingProfile] = []
            for space in settings.routing.spaces where schema == nil || schema == space.schema {
                var profile = settings.profile
                (profile.vectorSpace, profile.dimension) = (space.schema, dimension ?? space.dimension)
                profiles.append(profile)
            }
            guard schema != nil || dimension == nil || profiles.count == 1 else {
                throw KelterError(
                    .usage,
                    "There are several vector spaces.",
                    subject: "--dimension",
                    fix: "Name one with --schema."
                )
            }
            if profiles.isEmpty, let schema {
                try checkSchema(schema)
                var profile = settings.profile
                profile.vectorSpace = schema
                if let dimension { profile.dimension = dimension }
                profiles = [profile]
            }
            return profiles
        }
    }

    struct Print: ExecutableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Prints SQL that `psql -v ON_ERROR_STOP=1 -f -` runs as it is, as often as one likes."
        )

        @OptionGroup var target: Target
        @OptionGroup var common: CommonOptions

        func execute(_ terminal: Terminal) async throws(KelterError) -> KelterModel.ExitCode {
            let services = try Services()
            let spaces = try target.spaces(services.settings)
            let sql = try spaces.map { (space) throws(KelterError) in
                try StoreSchema.sql(schema: space.vectorSpace, dimension: space.dimension, hnsw: services.hnsw)
            }
            .joined(separator: "\n")
            terminal.print(
                json: .object([
                    ("schema", .string(spaces[0].vectorSpace)), ("dimension", .int(spaces[0].dimension)),
                    ("schemas", .array(spaces.map { .string($0.vectorSpace) })), ("sql", .string(sql)),
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
            let services = try Services()
            let spaces = try target.spaces(services.settings)
            var pgvector: String?
            for space in spaces {
                let store = try await services.unverifiedStore(role: .owner, profile: space)
                for warning in try await store.applySchema(hnsw: services.hnsw) { terminal.note("warning: \(warning)") }
                pgvector = try await store.serverInfo().pgvector
                await store.close()
            }
            terminal.print(
                json: .object([
                    ("schema", .string(spaces[0].vectorSpace)), ("dimension", .int(spaces[0].dimension)),
                    ("schemas", .array(spaces.map { .string($0.vectorSpace) })), ("pgvector", .optional(pgvector)),
                    ("applied", .bool(true)),
                ]),
                text: spaces.map {
                    "Schema \($0.vectorSpace) is in place with vector(\($0.dimension)), "
                        + "pgvector \(pgvector ?? "unknown")."
                }
                .joined(separator: "\n")
            )
            return .done
        }
    }
}
