import ArgumentParser
import KelterHashing
import KelterModel
import KelterPipeline
import KelterSettings
import KelterStore

struct APIKeyCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "api-key",
        abstract: "Creates, lists and revokes a tenant's keys for the HTTP API.",
        subcommands: [Create.self, List.self, Revoke.self]
    )

    struct Create: ExecutableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Creates a key and prints it, once: the database keeps a digest only."
        )

        @Option(help: "The tenant's schema.")
        var schema = "dev"

        @Option(help: "What the key is for.")
        var label: String

        @Option(help: "After how many days it expires; default: never.")
        var days: Int?

        @OptionGroup var common: CommonOptions

        func execute(_ terminal: Terminal) async throws(KelterError) -> KelterModel.ExitCode {
            if let days, !(1...36_500).contains(days) {
                throw KelterError(.usage, "\(days) days are no lifetime.", subject: "--days", fix: "Give 1 to 36500.")
            }
            let store = try await Services().registryStore()
            let record = try await store.registeredTenant(schema: schema)
            let token = try SecretToken.make(id: newRowID())
            try await store.insertAPIKey(
                token.id,
                digest: token.digest,
                label: label,
                lifetimeDays: days,
                tenant: record.tenant
            )
            await store.close()
            terminal.print(
                json: .object([
                    ("id", .string(token.id.description)), ("key", .string(token.text)),
                    ("tenant_id", .string(record.tenant.key)), ("label", .string(label)),
                ]),
                text: token.text
            )
            terminal.note("Keep it now: it cannot be shown again. Send it as 'Authorization: Bearer …'.")
            return .done
        }
    }

    struct List: ExecutableCommand {
        static let configuration = CommandConfiguration(abstract: "Lists a tenant's keys, without their secrets.")

        @Option(help: "The tenant's schema.")
        var schema = "dev"

        @OptionGroup var common: CommonOptions

        func execute(_ terminal: Terminal) async throws(KelterError) -> KelterModel.ExitCode {
            let store = try await Services().registryStore()
            let record = try await store.registeredTenant(schema: schema)
            let keys = try await store.apiKeys(of: record.tenant)
            await store.close()
            terminal.print(
                json: .object([
                    (
                        "keys",
                        .array(
                            keys.map { key in
                                .object([
                                    ("id", .string(key.id.description)), ("label", .string(key.label)),
                                    ("created_at", .string(key.createdAt)), ("expires_at", .optional(key.expiresAt)),
                                    ("revoked_at", .optional(key.revokedAt)),
                                ])
                            }
                        )
                    )
                ]),
                text: keys.isEmpty
                    ? "There are no keys."
                    : table(
                        keys.map { key in
                            let state = key.revokedAt.map { "revoked \($0)" } ?? key.expiresAt.map { "until \($0)" }
                            return [key.id.description, key.createdAt, state ?? "valid", key.label]
                        }
                    )
            )
            return .done
        }
    }

    struct Revoke: ExecutableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Revokes a key for good; servers notice within five seconds."
        )

        @Argument(help: "The key's identifier, as `list` prints it.")
        var id: String

        @Option(help: "The tenant's schema.")
        var schema = "dev"

        @OptionGroup var common: CommonOptions

        func execute(_ terminal: Terminal) async throws(KelterError) -> KelterModel.ExitCode {
            guard let key = RowID(id) else {
                throw KelterError(.usage, "\"\(shortened(id))\" is no key's identifier.", fix: "See `api-key list`.")
            }
            let store = try await Services().registryStore()
            let record = try await store.registeredTenant(schema: schema)
            guard try await store.revokeAPIKey(key, tenant: record.tenant) else {
                throw KelterError(
                    .usage,
                    "The tenant \(record.tenant.key) has no key \(key).",
                    fix: "See `kelter api-key list --schema \(schema)`."
                )
            }
            await store.close()
            terminal.print(
                json: .object([("id", .string(key.description)), ("revoked", .bool(true))]),
                text: "The key \(key) is revoked."
            )
            return .done
        }
    }
}
