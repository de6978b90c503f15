import ArgumentParser
import KelterModel
import KelterPipeline
import KelterSettings
import KelterStore

struct BackfillScopeCommand: ExecutableCommand {
    static let configuration = CommandConfiguration(
        commandName: "backfill-scope",
        abstract: "Gives documents without a collection one, by rule.",
        discussion: """
            Documents without a collection stay valid; this is for those that should have one. Without --apply it says \
            what would be done. A document whose bytes or name are in the collection already stays where it is. \
            --undo RUN takes a backfill back.
            """,
        aliases: ["backfill_scope"]
    )

    @Option(help: "The tenant's key.")
    var tenant = "dev-tenant"

    @Option(help: ArgumentHelp("The collection the documents get.", valueName: "uuid"))
    var collection: String?

    @Option(name: .customLong("where-case"), help: "Only documents of this case.")
    var whereCase: String?

    @Option(name: .customLong("where-source"), help: "Only documents of this source.")
    var whereSource: String?

    @Option(name: .customLong("where-doc-class"), help: "Only documents of this class.")
    var whereDocClass: String?

    @Option(name: .customLong("where-workflow"), help: "Only documents of this workflow.")
    var whereWorkflow: String?

    @Option(name: .customLong("where-external-id-prefix"), help: "Only documents whose external_id begins so.")
    var wherePrefix: String?

    @Flag(help: "All documents without a collection, instead of a rule.")
    var all = false

    @Flag(help: "Do it.")
    var apply = false

    @Option(help: ArgumentHelp("Take the backfill of this run back.", valueName: "run"))
    var undo: String?

    @OptionGroup var common: CommonOptions

    func execute(_ terminal: Terminal) async throws(KelterError) -> KelterModel.ExitCode {
        let tenant = try Tenant(tenant)
        let services = try Services()
        if let undo {
            guard let run = RowID(undo), collection == nil, rule.isEmpty, !all else {
                throw KelterError(
                    .usage,
                    "--undo takes the run_id of a backfill and no rule.",
                    subject: "--undo",
                    fix: "Give the run_id that the backfill printed, alone."
                )
            }
            let store = try await services.store()
            let original = try await store.run(run, tenant: tenant)
            guard original.kind == "backfill-scope", let text = original.arguments["collection_id"]?.string,
                let collection = RowID(text)
            else {
                throw KelterError(
                    .runNotFound,
                    "Run \(run) is no backfill.",
                    subject: "--undo",
                    fix: "Give the run_id that the backfill printed."
                )
            }
            return try await work(services, store, kind: "backfill-scope-undo", collection, tenant, terminal) {
                position,
                own throws(KelterError) in
                try await store.undoBackfill(
                    of: run,
                    from: collection,
                    after: position,
                    run: own,
                    tenant: tenant
                )
            }
        }
        let collection = try target()
        let rule = rule
        let store = try await services.store()
        guard apply else {
            let plan = try await store.planBackfill(rule, into: collection, tenant: tenant)
            await store.close()
            terminal.print(
                json: .object([("matching", .int(plan.matching)), ("conflicts", .int(plan.conflicts))]),
                text: "\(plan.matching - plan.conflicts) documents would get the collection \(collection), "
                    + "\(plan.conflicts) would stay because of a conflict. Add --apply to do it."
            )
            return .done
        }
        return try await work(services, store, kind: "backfill-scope", collection, tenant, terminal) {
            position,
            own throws(KelterError) in
            try await store.backfill(rule, into: collection, after: position, run: own, tenant: tenant)
        }
    }

    private var rule: ScopeRule {
        ScopeRule(
            caseID: whereCase,
            source: whereSource,
            docClass: whereDocClass.map { lowercasedASCII(trimmed($0)) },
            workflowID: whereWorkflow,
            externalIDPrefix: wherePrefix
        )
    }

    private func target() throws(KelterError) -> CollectionID {
        guard let collection, let id = RowID(collection) else {
            throw KelterError(
                .invalidCollectionID,
                "There is no collection to move documents into.",
                subject: "--collection",
                fix: "Give the collection's UUID."
            )
        }
        guard rule.isEmpty == all else {
            throw KelterError(
                .usage,
                all ? "--all and a rule contradict each other." : "There is no rule.",
                subject: "--all",
                fix: "Give at least one --where-… option, or --all for every document without a collection."
            )
        }
        return id
    }
}

extension BackfillScopeCommand {
    private typealias Step = @Sendable (RowID?, RowID) async throws(KelterError) -> ScopeMove

    /// Moves documents group by group under a run of its own.
    private func work(
        _ services: Services,
        _ store: Store,
        kind: String,
        _ collection: CollectionID,
        _ tenant: Tenant,
        _ terminal: Terminal,
        step: @escaping Step
    ) async throws(KelterError) -> KelterModel.ExitCode {
        let run = newRowID()
        try await store.beginRun(
            RunRecord(id: run, kind: kind, arguments: .object([("collection_id", .string(collection.description))])),
            tenant: tenant
        )
        let counts = LiveValue((moved: 0, conflicts: 0))
        let objects = services.objects
        let scope = kind == "backfill-scope" ? collection : nil
        var failure: KelterError?
        do throws(KelterError) {
            try await ProgressLine(terminal: terminal) { _ in "\(counts.value.moved) documents moved" }
                .during { () throws(KelterError) in
                    var position: RowID?
                    repeat {
                        guard !Task.isCancelled else {
                            throw KelterError(.interrupted, "The run was interrupted.", fix: "Repeat the command.")
                        }
                        let result = try await step(position, run)
                        for upload in result.uploads { try objects.setCollection(scope, of: upload) }
                        counts.update { $0 = ($0.moved + result.moved.count, $0.conflicts + result.conflicts.count) }
                        position = result.last
                    } while position != nil
                }
        } catch {
            failure = error
        }
        let (moved, conflicts) = counts.value
        let (status, reason) = (
            failure.map { $0.code == .interrupted ? RunStatus.interrupted : .failed } ?? .succeeded,
            failure?.description
        )
        try await uncancelled { () throws(KelterError) in
            try await store.finishRun(
                run,
                status: status,
                totals: .object([("moved", .int(moved)), ("conflicts", .int(conflicts))]),
                error: reason,
                tenant: tenant
            )
        }
        await store.close()
        if let failure { throw failure }
        terminal.print(
            json: .object([
                ("run_id", .string(run.description)), ("moved", .int(moved)), ("conflicts", .int(conflicts)),
            ]),
            text: "\(moved) documents moved, \(conflicts) left because of a conflict. Run \(run)"
                + (scope == nil ? "." : "; `kelter backfill-scope --undo \(run)` takes it back.")
        )
        return .done
    }
}
