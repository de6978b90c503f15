import ArgumentParser
import KelterModel
import KelterPipeline
import KelterSettings
import KelterStore

struct DeleteTenantCommand: ExecutableCommand {
    static let configuration = CommandConfiguration(
        commandName: "delete-tenant",
        abstract: "Removes a tenant with its documents, keys, uploads and schema, for good.",
        discussion: """
            Without --confirm it says what would go and refuses (exit code 4). Refused as well while a worker holds one \
            of the tenant's runs.
            """,
        aliases: ["delete_tenant"]
    )

    @Option(help: "The tenant's schema.")
    var schema: String

    @Option(help: ArgumentHelp("The name of the schema again.", valueName: "schema"))
    var confirm: String?

    @Flag(name: .customLong("keep-objects"), help: "Leave the uploaded files in the object store.")
    var keepObjects = false

    @OptionGroup var gate: BackupGate
    @OptionGroup var common: CommonOptions

    func execute(_ terminal: Terminal) async throws(KelterError) -> KelterModel.ExitCode {
        let services = try Services()
        let store = try await services.unverifiedStore(connections: 1, role: .owner)
        let record = try await store.registeredTenant(schema: schema)
        let settings = services.settings
        let others = settings.routing.spaces.map(\.schema).filter { $0 != settings.profile.vectorSpace }
        let contents = try await store.contents(of: record.tenant, others: others)
        let summary =
            "\(contents.documents) documents, \(contents.chunks) chunks, \(contents.embeddings) vectors, "
            + "\(contents.runs) runs and \(contents.apiKeys) API keys"
        guard confirm == schema else {
            throw KelterError(
                .confirmationRequired,
                "Deleting the tenant \(record.tenant.key) removes \(summary), with its schema and uploads.",
                subject: "--confirm",
                fix: "Add --confirm \(schema) to delete it."
            )
        }
        try await gate.check(store)
        try await store.deleteTenant(record, others: others)
        await store.close()
        // After the rows: a file without a row is rubbish, a row without its file is a loss.
        if !keepObjects { try services.objects.removeAll(of: record.tenant) }
        terminal.print(
            json: .object([
                ("schema", .string(schema)), ("tenant_id", .string(record.tenant.key)),
                ("documents", .int(contents.documents)), ("chunks", .int(contents.chunks)),
                ("embeddings", .int(contents.embeddings)), ("runs", .int(contents.runs)),
                ("api_keys", .int(contents.apiKeys)), ("objects_removed", .bool(!keepObjects)),
            ]),
            text: "The tenant \(record.tenant.key) is gone: \(summary)."
        )
        return .done
    }
}
