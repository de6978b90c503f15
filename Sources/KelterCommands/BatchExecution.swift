import Glibc
import KelterModel
import KelterPipeline
import KelterServer
import KelterSettings
import KelterStore

/// The execution of one batch by a command: progress, report, exit code.
struct BatchExecution {
    let services: Services
    let catalog: StageCatalog
    let jobs: Int?
    let reportDirectory: String?

    /// Performs a batch and prints its report.
    ///
    /// - Parameters:
    ///   - request: The batch; the inputs and the scope of one that resumes a run are those of the run.
    ///   - terminal: Where its progress and its report are shown.
    /// - Returns: What the process ends with.
    /// - Throws: ``KelterError`` when the run could not be begun or recorded.
    func perform(_ request: IngestRequest, _ terminal: Terminal) async throws(KelterError) -> KelterModel.ExitCode {
        let result = try await run(request, terminal)
        terminal.print(json: result.json, text: RunReportView(report: result, isPlan: request.plan).text)
        return result.exitCode
    }

    /// Performs a batch.
    ///
    /// - Parameters:
    ///   - request: The batch; the inputs and the scope of one that resumes a run are those of the run.
    ///   - terminal: Where its progress and the reason of its end are shown.
    /// - Returns: The report.
    /// - Throws: ``KelterError`` when the run could not be begun or recorded.
    func run(_ request: IngestRequest, _ terminal: Terminal) async throws(KelterError) -> IngestReport {
        let request = try await resumed(request, terminal)
        try services.checkProfile(request.profile, tenant: request.caller.tenant)
        let buckets = request.inputs.contains(where: S3Location.isOne) ? try services.buckets() : nil
        let ingestion = Ingestion(catalog: catalog, jobs: jobs ?? availableCores(), buckets: buckets)
        let progress = RunProgress()
        let timeline = RunTimeline()
        var started = timespec()
        clock_gettime(CLOCK_REALTIME, &started)
        let monitor = RunMonitor(progress: progress, ingestion: ingestion)
        let view = ProgressView(terminal: terminal, monitor: monitor, timeline: timeline)
        let result = try await view.during { () throws(KelterError) in
            try await ingestion.ingest(request, progress: progress)
        }
        if result.embeddingInputs > 0 { await services.pruneCaches(catalog, tenant: request.caller.tenant) }
        await catalog.close()
        if let reportDirectory {
            let command = "kelter " + CommandLine.arguments.dropFirst().joined(separator: " ")
            let context = ReportPage.Context(command: command, started: utcText(started))
            try writeReport(result, timeline: timeline, context: context, to: reportDirectory)
        }
        if let error = result.error { terminal.note(error.description) }
        return result
    }

    /// The request of the run to resume, in place of the command's own inputs and scope; the digest of the settings goes
    /// with those of a new one.
    private func resumed(
        _ request: IngestRequest,
        _ terminal: Terminal
    ) async throws(KelterError) -> IngestRequest {
        let digest = JSONValue.string(try services.settingsDigest())
        guard let run = request.resume else {
            var request = request
            request.arguments = request.arguments.adding("settings", digest)
            return request
        }
        let record = try await catalog.standard.store.run(run, tenant: request.caller.tenant)
        guard record.kind == "ingest" else {
            throw KelterError(
                .runNotFound,
                "Run \(run) is no batch.",
                subject: "--resume",
                fix: "Give the run_id that `kelter ingest` printed."
            )
        }
        if let known = record.arguments["settings"], known != digest {
            terminal.note("The settings have changed since run \(run) began: the rest is done with the present ones.")
        }
        var resumed = try IngestArguments(record.arguments).request(resuming: run)
        resumed.retry = request.retry
        return resumed
    }
}
