import ArgumentParser
import KelterEmbedding
import KelterModel
import KelterPipeline
import KelterServer
import KelterSettings
import KelterStore
import Logging
import ServiceLifecycle

struct WorkerCommand: ExecutableCommand {
    static let configuration = CommandConfiguration(
        commandName: "worker",
        abstract: "Works on queued uploads and runs until it is stopped.",
        discussion: """
            Any number of workers may run, on any number of machines that share the database and the object store. \
            Ctrl-C finishes the run at hand, or gives it back to the queue after 20 seconds.
            """
    )

    @Option(help: "How many runs this process works on at a time.")
    var workers = 1

    @Option(help: "For how many seconds a run stays with a worker that has fallen silent.")
    var lease = 30

    @Flag(
        help: """
            Also take parts of batches that 'kelter ingest' processes coordinate. Their files must be seen from here \
            under the same paths, and the settings must be the same.
            """
    )
    var batches = false

    @OptionGroup var logging: LogOptions
    @OptionGroup var common: CommonOptions

    var handlesInterrupts: Bool { false }

    func execute(_ terminal: Terminal) async throws(KelterError) -> KelterModel.ExitCode {
        guard (1...64).contains(workers), (1...3600).contains(lease) else {
            throw KelterError(
                .usage,
                "A number is out of range.",
                subject: "--workers, --lease",
                fix: "Use 1 to 64 workers and 1 to 3600 seconds."
            )
        }
        let services = try Services()
        let logger = try logging.logger("kelter.worker")
        let store = try await services.serviceStore(connections: 2 + 2 * workers)
        let catalog = try await services.catalog(store: store, for: .batch)
        let made = try await services.workers(
            workers,
            lease: .seconds(lease),
            catalog: catalog,
            takesParts: batches
        ) { log($0, to: logger) }
        terminal.note("Waiting for runs. Ctrl-C ends the worker.")
        try await runUntilSignalled(made.workers.map { WorkerService($0) }, logger: logger)
        for ingestion in made.ingestions { await ingestion.catalog.close() }
        await catalog.close()
        if terminal.isJSON { terminal.print(JSONValue.object([("stopped", .bool(true))]).compactText) }
        return .done
    }
}
