import ArgumentParser
import KelterLocal
import KelterModel
import KelterPipeline
import KelterSettings
import KelterStore

struct UpCommand: ExecutableCommand {
    static let configuration = CommandConfiguration(
        commandName: "up",
        abstract: "Starts the embedded PostgreSQL and embedding endpoint.",
        discussion:
            "Does nothing where they run already. Services configured by RAG_DATABASE_URL or LITELLM_BASE_URL are left alone."
    )

    @OptionGroup var common: CommonOptions

    func execute(_ terminal: Terminal) async throws(KelterError) -> KelterModel.ExitCode {
        let services = try Services()
        if !services.settings.isDatabaseConfigured {
            try await services.provisionEmbeddedServer()
        }
        if !services.settings.isEndpointConfigured { _ = try await services.embeddings.start() }
        return try await StatusCommand.report(services, terminal)
    }
}

struct DownCommand: ExecutableCommand {
    static let configuration = CommandConfiguration(
        commandName: "down",
        abstract: "Stops the embedded PostgreSQL and embedding endpoint; the data stays."
    )

    @OptionGroup var common: CommonOptions

    func execute(_ terminal: Terminal) async throws(KelterError) -> KelterModel.ExitCode {
        let services = try Services()
        try await services.embeddings.stop()
        try await services.postgres.stop()
        return try await StatusCommand.report(services, terminal)
    }
}
