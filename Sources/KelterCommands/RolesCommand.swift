import ArgumentParser
import KelterModel
import KelterSettings
import KelterStore

struct RolesCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "roles",
        abstract: "Prints or applies the SQL of the database's roles.",
        discussion: """
            kelter_owner owns schemas and tables, kelter_app reads and writes one tenant's rows at a time and owns \
            nothing, kelter_read reads. Each has an address of its own: RAG_OWNER_DATABASE_URL, RAG_DATABASE_URL and \
            RAG_READ_DATABASE_URL. Passwords are set with \\password in psql.
            """,
        subcommands: [Print.self, Apply.self]
    )

    struct Print: ExecutableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Prints SQL that an administrator runs with `psql -v ON_ERROR_STOP=1 -f -`."
        )

        @OptionGroup var common: CommonOptions

        func execute(_ terminal: Terminal) async throws(KelterError) -> KelterModel.ExitCode {
            let settings = try Services().settings
            let schema = settings.profile.vectorSpace
            let sql = try settings.routing.spaces.map { (space) throws(KelterError) in
                try RoleScript.sql(schema: space.schema)
            }
            .joined(separator: "\n")
            terminal.print(json: .object([("schema", .string(schema)), ("sql", .string(sql))]), text: sql)
            return .done
        }
    }

    struct Apply: ExecutableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Creates the roles and hands kelter's objects to kelter_owner; needs an administrator's address."
        )

        @Option(
            name: .customLong("admin-url"),
            help: "The administrator's address; default: RAG_OWNER_DATABASE_URL, else RAG_DATABASE_URL."
        )
        var administratorURL: String?

        @OptionGroup var common: CommonOptions

        func execute(_ terminal: Terminal) async throws(KelterError) -> KelterModel.ExitCode {
            let services = try Services(flags: administratorURL.map { ["RAG_OWNER_DATABASE_URL": $0] } ?? [:])
            for space in services.settings.routing.spaces {
                let profile = services.settings.routing.profiles.first { $0.vectorSpace == space.schema }
                let store = try await services.unverifiedStore(connections: 1, role: .owner, profile: profile)
                try await store.applyRoles()
                await store.close()
            }
            terminal.print(
                json: .object([
                    ("roles", .array(DatabaseRole.allCases.map { .string($0.rawValue) })), ("applied", .bool(true)),
                ]),
                text: "The roles \(DatabaseRole.allCases.map(\.rawValue).joined(separator: ", ")) are in place."
            )
            return .done
        }
    }
}
