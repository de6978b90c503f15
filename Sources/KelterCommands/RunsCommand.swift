import ArgumentParser
import KelterModel
import KelterPipeline
import KelterStore

struct RunsCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "runs",
        abstract: "Shows runs, and retries or drops their dead letters.",
        discussion: """
            Every batch, upload and queued run is in the ledger, with the outcome of each item in each collection. Failed \
            items are dead letters until they are retried or dropped.
            """,
        subcommands: [List.self, Show.self, Retry.self, Drop.self]
    )

    /// Which run of which tenant.
    struct Selection: ParsableArguments {
        @Argument(help: "The identifier of the run, as it was printed.")
        var run: String

        @Option(help: "The tenant's key.")
        var tenant = "dev-tenant"

        func identifiers() throws(KelterError) -> (run: RowID, tenant: Tenant) {
            guard let run = RowID(run) else {
                throw KelterError(
                    .usage,
                    "\"\(shortened(run))\" is not a run.",
                    subject: "RUN",
                    fix: "List the runs with 'kelter runs list'."
                )
            }
            return (run, try Tenant(tenant))
        }
    }

    struct List: ExecutableCommand {
        static let configuration = CommandConfiguration(abstract: "Lists the newest runs, newest first.")

        @Option(help: "The tenant's key.")
        var tenant = "dev-tenant"

        @Option(help: "How many at most.")
        var limit = 20

        @OptionGroup var common: CommonOptions

        func execute(_ terminal: Terminal) async throws(KelterError) -> KelterModel.ExitCode {
            guard (1...10_000).contains(limit) else {
                throw KelterError(.usage, "\(limit) is out of range.", subject: "--limit", fix: "Use 1 to 10000.")
            }
            let tenant = try Tenant(tenant)
            let store = try await Services().store()
            let runs = try await store.latestRuns(limit: limit, tenant: tenant)
            let letters = try await store.deadLetters(of: runs.map(\.id), tenant: tenant)
            await store.close()
            let views = runs.map { RunView(run: $0, deadLetters: letters[$0.id] ?? 0) }
            terminal.print(
                json: .object([("runs", .array(views.map(\.json)))]),
                text: views.isEmpty ? "There are no runs." : table(views.map(\.row))
            )
            return .done
        }
    }

    struct Show: ExecutableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Shows one run: how it stands, its totals, and what failed."
        )

        @OptionGroup var selection: Selection

        @Option(
            help: ArgumentHelp("Items with this outcome instead of the failed ones; repeatable.", valueName: "outcome")
        )
        var outcome: [String] = []

        @OptionGroup var common: CommonOptions

        func execute(_ terminal: Terminal) async throws(KelterError) -> KelterModel.ExitCode {
            let (id, tenant) = try selection.identifiers()
            let outcomes = try self.outcome.map { (name) throws(KelterError) in
                guard let outcome = Outcome(rawValue: name) else {
                    throw KelterError(
                        .usage,
                        "\"\(shortened(name))\" is not an outcome.",
                        subject: "--outcome",
                        fix: "Use one of these: \(Outcome.allCases.map(\.rawValue).joined(separator: ", "))."
                    )
                }
                return outcome
            }
            let store = try await Services().store()
            let run = try await store.run(id, tenant: tenant)
            let letters = try await store.deadLetters(of: [id], tenant: tenant)[id] ?? 0
            let totals = try await store.totals(ofRun: id, tenant: tenant)
            let parts = try await store.partCounts(of: id, tenant: tenant)
            let items = try await store.items(
                ofRun: id,
                outcomes: outcomes.isEmpty ? [.failed] : outcomes,
                tenant: tenant
            )
            await store.close()
            let view = RunView(run: run, deadLetters: letters)
            terminal.print(
                json: view.json(totals: totals, parts: parts, items: items),
                text: view.text(totals: totals, parts: parts, items: items)
            )
            return .done
        }
    }

    struct Retry: ExecutableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Works on the dead letters of a run again.",
            discussion: """
                Those of a batch are worked on at once, from their files as they are now. A run of the queue goes back into \
                it, for the next worker.
                """
        )

        @OptionGroup var selection: Selection

        @Option(help: ArgumentHelp("Only the item with this external_id; repeatable.", valueName: "external_id"))
        var item: [String] = []

        @Option(help: "Files read, hashed and parsed at a time; default: the number of cores.")
        var jobs: Int?

        @Option(help: ArgumentHelp("Write report.json into this directory.", valueName: "directory"))
        var report: String?

        @OptionGroup var common: CommonOptions

        func execute(_ terminal: Terminal) async throws(KelterError) -> KelterModel.ExitCode {
            let (id, tenant) = try selection.identifiers()
            let services = try Services()
            let store = try await services.store()
            let run = try await store.run(id, tenant: tenant)
            guard run.kind == "ingest" else {
                let isQueued = try await store.requeueFailed(id, tenant: tenant)
                await store.close()
                guard isQueued else {
                    throw KelterError(
                        .usage,
                        "The run \(id) is no run of the queue that has failed, but \(run.kind), \(run.status.rawValue).",
                        subject: "RUN",
                        fix: "Repeat the command that began it."
                    )
                }
                terminal.print(
                    json: .object([("run_id", .string(id.description)), ("status", .string(RunStatus.queued.rawValue))]
                    ),
                    text: "The run \(id) waits for a worker again."
                )
                return .done
            }
            await store.close()
            let request = IngestRequest(
                caller: Caller(tenant: tenant, caseID: try CaseID(run.caseID ?? "local")),
                inputs: [],
                resume: id,
                retry: item.isEmpty ? .all : .named(item)
            )
            let catalog = try await services.catalog(for: .batch)
            let execution = BatchExecution(services: services, catalog: catalog, jobs: jobs, reportDirectory: report)
            return try await execution.perform(request, terminal)
        }
    }

    struct Drop: ExecutableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Drops dead letters: they stay in the ledger as failed, and are not retried unless by name."
        )

        @OptionGroup var selection: Selection

        @Option(help: ArgumentHelp("The item with this external_id; repeatable.", valueName: "external_id"))
        var item: [String] = []

        @Flag(help: "All dead letters of the run.")
        var all = false

        @OptionGroup var common: CommonOptions

        func execute(_ terminal: Terminal) async throws(KelterError) -> KelterModel.ExitCode {
            guard all == item.isEmpty else {
                throw KelterError(
                    .usage,
                    "What is to be dropped is not said, or twice.",
                    subject: "--item, --all",
                    fix: "Name items with --item, or give --all."
                )
            }
            let (id, tenant) = try selection.identifiers()
            let store = try await Services().store()
            let count = try await store.dropDeadLetters(all ? nil : item, of: id, tenant: tenant)
            let left = try await store.deadLetters(of: [id], tenant: tenant)[id] ?? 0
            await store.close()
            terminal.print(
                json: .object([
                    ("run_id", .string(id.description)), ("dropped", .int(count)), ("dead_letters", .int(left)),
                ]),
                text: "\(count) dead letters dropped, \(left) left."
            )
            return .done
        }
    }
}
