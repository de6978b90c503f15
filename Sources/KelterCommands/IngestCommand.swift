import ArgumentParser
import KelterEmbedding
import KelterModel
import KelterPipeline
import KelterSettings
import KelterStore

struct IngestCommand: ExecutableCommand {
    static let configuration = CommandConfiguration(
        commandName: "ingest",
        abstract: "Ingests files and directories as one batch.",
        discussion: """
            Every file ends in exactly one outcome per collection; a bad one never stops the others. Ctrl-C finishes \
            what has begun; repeating the command completes the rest, because what is stored is recognised.
            """
    )

    @Argument(help: "Files and directories.")
    var paths: [String] = []

    @OptionGroup var caller: CallerOptions
    @OptionGroup var scope: ScopeOptions

    @Option(help: ArgumentHelp("Only files that match; repeatable.", valueName: "glob"))
    var include: [String] = []

    @Option(help: ArgumentHelp("No files that match; repeatable.", valueName: "glob"))
    var exclude: [String] = []

    @Option(help: "Files read, hashed and parsed at a time; default: the number of cores.")
    var jobs: Int?

    @Option(help: "The embedding profile.")
    var profile: String?

    @Flag(help: "Find, parse, chunk and compare, but embed and store nothing.")
    var plan = false

    @Option(help: ArgumentHelp("Complete an interrupted or failed run with the inputs it was given.", valueName: "run"))
    var resume: String?

    @Flag(help: "Delete the sources below the batch root that are gone.")
    var sync = false

    @Option(help: ArgumentHelp("Refuse --sync above this share of the sources.", valueName: "percent"))
    var maxDelete = "10%"

    @Option(help: ArgumentHelp("Write report.json into this directory.", valueName: "directory"))
    var report: String?

    @Flag(help: "Do not wait for a deferred index build; indexes are kept in place, so there is none to wait for.")
    var noWaitIndex = false

    @OptionGroup var common: CommonOptions

    func execute(_ terminal: Terminal) async throws(KelterError) -> KelterModel.ExitCode {
        let services = try Services()
        let request = try IngestArguments(self).request()
        if let jobs, jobs < 1 {
            throw KelterError(.usage, "\(jobs) jobs are none.", subject: "--jobs", fix: "Give at least 1.")
        }
        try services.checkProfile(request.profile, tenant: request.caller.tenant)
        let catalog = try await services.catalog(for: .batch)
        let ingestion = Ingestion(catalog: catalog, jobs: jobs ?? availableCores())
        let resumed = try await resumedRequest(request, store: catalog.standard.store)
        let progress = RunProgress()
        let result = try await ProgressView(terminal: terminal, progress: progress).during { () throws(KelterError) in
            try await ingestion.ingest(resumed, progress: progress)
        }
        if result.embeddingInputs > 0 { await services.pruneCaches(catalog, tenant: resumed.caller.tenant) }
        await catalog.close()
        if let report { try writeReport(result, to: report) }
        terminal.print(json: result.json, text: RunReportView(report: result, isPlan: plan).text)
        if let error = result.error { terminal.note(error.description) }
        return result.exitCode
    }

    /// The request of the run to resume, in place of the command's own inputs and scope.
    private func resumedRequest(_ request: IngestRequest, store: Store) async throws(KelterError)
        -> IngestRequest
    {
        guard let run = request.resume else { return request }
        let record = try await store.run(run, tenant: request.caller.tenant)
        guard record.kind == "ingest" else {
            throw KelterError(
                .runNotFound,
                "Run \(run) is no batch.",
                subject: "--resume",
                fix: "Give the run_id that `kelter ingest` printed."
            )
        }
        return try IngestArguments(record.arguments).request(resuming: run)
    }

    private func writeReport(_ result: IngestReport, to directory: String) throws(KelterError) {
        let path = try? resolvedPath(directory)
        try ObjectStore(root: path ?? directory).write(result.json, to: "report.json")
    }
}
