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

    @Argument(
        help: "Files, directories, patterns as in 'docs/**/*.md', .jsonl files of records, or s3://bucket/directory/."
    )
    var paths: [String] = []

    @Option(help: ArgumentHelp("Also the files of a list, one path a line; - is standard input.", valueName: "file"))
    var filesFrom: String?

    @Flag(name: [.customLong("null"), .customShort("0")], help: "The paths of the list end with NUL.")
    var isNullSeparated = false

    @OptionGroup var caller: CallerOptions
    @OptionGroup var scope: ScopeOptions

    @Option(help: ArgumentHelp("Only files that match; repeatable.", valueName: "glob"))
    var include: [String] = []

    @Option(help: ArgumentHelp("No files that match; repeatable.", valueName: "glob"))
    var exclude: [String] = []

    @Flag(
        inversion: .prefixedNo,
        help: """
            Take a file with the size, times and number it had for unchanged; default: on file systems of this machine \
            and in buckets.
            """
    )
    var trustMtime: Bool?

    @Option(help: "Files read, hashed and parsed at a time; default: the number of cores.")
    var jobs: Int?

    @Option(help: "The embedding profile.")
    var profile: String?

    @Flag(help: "Find, parse, chunk and compare, but embed and store nothing.")
    var plan = false

    @Option(
        name: [.customShort("o"), .long],
        help: ArgumentHelp("Write the plan into this file, for --apply.", valueName: "file")
    )
    var output: String?

    @Option(help: ArgumentHelp("Carry out a plan; what has changed since is refused.", valueName: "file"))
    var apply: String?

    @Option(help: ArgumentHelp("Complete an interrupted or failed run with the inputs it was given.", valueName: "run"))
    var resume: String?

    @Flag(help: "Delete the sources below the batch root that are gone.")
    var sync = false

    @Flag(help: "Keep the database in step with the directory until Ctrl-C; implies --sync.")
    var watch = false

    @Option(help: ArgumentHelp("How long nothing may change before --watch ingests.", valueName: "seconds"))
    var watchInterval = 2

    @Option(help: ArgumentHelp("Refuse --sync above this share of the sources.", valueName: "percent"))
    var maxDelete = "10%"

    @Option(help: ArgumentHelp("Write report.json and report.html into this directory.", valueName: "directory"))
    var report: String?

    @Flag(help: "Do not wait for a deferred index build; indexes are kept in place, so there is none to wait for.")
    var noWaitIndex = false

    @OptionGroup var common: CommonOptions

    func execute(_ terminal: Terminal) async throws(KelterError) -> KelterModel.ExitCode {
        let services = try Services()
        var request = try IngestArguments(self).request()
        if let output {
            guard plan else {
                throw KelterError(.usage, "There is no plan to write.", subject: "--output", fix: "Add --plan.")
            }
            request.planWriter = try PlanWriter(output)
        }
        if let jobs, jobs < 1 {
            throw KelterError(.usage, "\(jobs) jobs are none.", subject: "--jobs", fix: "Give at least 1.")
        }
        if watch {
            guard !plan, resume == nil, apply == nil, watchInterval > 0 else {
                throw KelterError(
                    .usage,
                    "It goes with neither --plan, --resume nor --apply, and with an interval of at least 1.",
                    subject: "--watch",
                    fix: "Leave one of them out."
                )
            }
            let execution = WatchExecution(
                services: services,
                jobs: jobs,
                reportDirectory: report,
                interval: .seconds(watchInterval)
            )
            return try await execution.perform(request, terminal)
        }
        let catalog = try await services.catalog(for: .batch)
        let execution = BatchExecution(services: services, catalog: catalog, jobs: jobs, reportDirectory: report)
        return try await execution.perform(request, terminal)
    }
}
