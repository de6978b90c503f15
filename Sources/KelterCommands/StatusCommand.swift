import ArgumentParser
import KelterLocal
import KelterModel
import KelterPipeline
import KelterSettings
import KelterStore

struct StatusCommand: ExecutableCommand {
    static let configuration = CommandConfiguration(
        commandName: "status",
        abstract: "Says which services run and where."
    )

    @OptionGroup var common: CommonOptions

    func execute(_ terminal: Terminal) async throws(KelterError) -> KelterModel.ExitCode {
        try await Self.report(Services(), terminal)
    }

    /// Prints what runs; also the last word of `up` and `down`.
    static func report(_ services: Services, _ terminal: Terminal) async throws(KelterError) -> KelterModel.ExitCode {
        let postgres = try await database(services)
        let embeddings = endpoint(services)
        let objects = services.objects.root
        terminal.print(
            json: .object([
                (
                    "postgres",
                    .object([
                        ("running", .bool(postgres.isRunning)), ("url", .string(postgres.url)),
                        ("version", .optional(postgres.server?.version)),
                        ("pgvector", .optional(postgres.server?.pgvector)),
                    ])
                ),
                (
                    "embeddings",
                    .object([
                        ("running", .bool(embeddings.isRunning)), ("base_url", .optional(embeddings.baseURL)),
                        ("model", .string(services.settings.profile.model)),
                        ("dimension", .int(services.settings.profile.dimension)),
                    ])
                ),
                ("object_store", .string(objects)),
            ]),
            text: table([
                [
                    "postgres", postgres.isRunning ? "running" : "stopped", postgres.url,
                    postgres.server.map { "PostgreSQL \($0.version), pgvector \($0.pgvector ?? "not installed")" }
                        ?? "",
                ],
                [
                    "embeddings", embeddings.isRunning ? "running" : "stopped", embeddings.baseURL ?? "-",
                    "\(services.settings.profile.model), \(services.settings.profile.dimension) dimensions",
                ],
                ["objects", "", objects],
            ])
        )
        return .done
    }

    private static func database(
        _ services: Services
    ) async throws(KelterError) -> (isRunning: Bool, url: String, server: ServerInfo?) {
        if services.settings.isDatabaseConfigured {
            let store = try await services.unverifiedStore()
            // Whether it answers is the question, so that no answer is no error here.
            let server = try? await store.serverInfo()
            await store.close()
            return (server != nil, maskedPassword(services.settings.database.url ?? ""), server)
        }
        let status = services.postgres.status()
        guard status.running else { return (false, status.url, nil) }
        let store = try await services.unverifiedStore(role: .owner)
        let server = try? await store.serverInfo()
        await store.close()
        return (server != nil, status.url, server)
    }

    /// A configured endpoint is not asked: that could cost money.
    private static func endpoint(_ services: Services) -> (isRunning: Bool, baseURL: String?) {
        if let configured = services.settings.endpointBaseURL { return (true, maskedPassword(configured)) }
        let status = services.embeddings.status()
        return (status.running, status.running ? status.baseURL : nil)
    }
}
