import ArgumentParser
import KelterLocal
import KelterModel

/// The embedded embedding endpoint, started as a daemon by `up`.
struct EmbeddingEndpointCommand: ExecutableCommand {
    static let configuration = CommandConfiguration(
        commandName: EmbeddingEndpointServer.commandName,
        abstract: "Serves the embedded embedding model on loopback.",
        shouldDisplay: false
    )

    @Option var home: String
    @Option var parts: String
    @Option var workers: Int?

    var handlesInterrupts: Bool { false }

    func execute(_ terminal: Terminal) async throws(KelterError) -> KelterModel.ExitCode {
        try EmbeddingEndpointServer.run(.init(home: home, parts: parts, workers: workers))
        return .done
    }
}

/// One inference process of the embedded embedding endpoint.
struct EmbeddingWorkerCommand: ExecutableCommand {
    static let configuration = CommandConfiguration(
        commandName: EmbeddingEngineWorker.commandName,
        abstract: "Computes embeddings for the embedded endpoint.",
        shouldDisplay: false
    )

    @Option var weights: String
    @Option var engine: String
    @Option var core: Int

    var handlesInterrupts: Bool { false }

    func execute(_ terminal: Terminal) async throws(KelterError) -> KelterModel.ExitCode {
        try EmbeddingEngineWorker.run(.init(weights: weights, engine: engine, core: core))
        return .done
    }
}
