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
            return try await ScopeMoving(
                store: store,
                objects: services.objects,
                tenant: tenant,
                scope: nil,
                record: RunRecord(
                    id: newRowID(),
                    kind: "backfill-scope-undo",
                    arguments: .object([("run_id", .string(run.description))])
                )
            ) { position, own throws(KelterError) in
                try await store.undoBackfill(of: run, from: collection, after: position, run: own, tenant: tenant)
            }.run(terminal)
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
        return try await ScopeMoving(
            store: store,
            objects: services.objects,
            tenant: tenant,
            scope: collection,
            record: RunRecord(
                id: newRowID(),
                kind: "backfill-scope",
                arguments: .object([
                    ("collection_id", .string(collection.description)), ("case_id", .optional(rule.caseID)),
                    ("source", .optional(rule.source)), ("doc_class", .optional(rule.docClass)),
                    ("workflow_id", .optional(rule.workflowID)),
                    ("external_id_prefix", .optional(rule.externalIDPrefix)),
                ])
            )
        ) { position, own throws(KelterError) in
            try await store.backfill(rule, into: collection, after: position, run: own, tenant: tenant)
        }.run(terminal)
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

/// One backfill, or the taking back of one, under a run of its own.
///
/// First the rows move, group by group; then the stored metadata of the uploads among them follow. A run that ended in
/// between is taken up again by the same command.
private struct ScopeMoving: Sendable {
    let store: Store
    let objects: ObjectStore
    let tenant: Tenant
    /// Where the documents go; `nil` for none.
    let scope: CollectionID?
    let record: RunRecord
    /// Moves the next group under a run.
    let step: @Sendable (RowID?, RowID) async throws(KelterError) -> ScopeMove

    func run(_ terminal: Terminal) async throws(KelterError) -> KelterModel.ExitCode {
        let (run, _) = try await store.beginOrResume(record, tenant: tenant)
        let counts = LiveValue((moved: 0, conflicts: 0))
        var stale: [ItemProblem] = []
        var failure: KelterError?
        do throws(KelterError) {
            try await ProgressLine(terminal: terminal) { _ in "\(counts.value.moved) documents moved" }
                .during { () throws(KelterError) in try await move(run, counts) }
            stale = try await updateMetadata(run)
        } catch {
            failure = error
        }
        try await finish(run, counts.value, failure: failure)
        await store.close()
        if let failure {
            terminal.note("run \(run): \(counts.value.moved) documents moved so far")
            throw failure
        }
        report(run, counts.value, stale, terminal)
        return stale.isEmpty ? .done : .someItemsFailed
    }

    private func move(
        _ run: RowID,
        _ counts: LiveValue<(moved: Int, conflicts: Int)>
    ) async throws(KelterError) {
        var position: RowID?
        repeat {
            guard !Task.isCancelled else {
                throw KelterError(.interrupted, "The run was interrupted.", fix: "Repeat the command to complete it.")
            }
            let result = try await step(position, run)
            counts.update { $0 = ($0.moved + result.moved.count, $0.conflicts + result.conflicts.count) }
            position = result.last
        } while position != nil
    }

    /// Makes the stored metadata name the new scope; what cannot be written costs no other file.
    private func updateMetadata(_ run: RowID) async throws(KelterError) -> [ItemProblem] {
        var problems: [ItemProblem] = []
        for upload in try await store.movedUploads(of: run, tenant: tenant) {
            do throws(KelterError) {
                try objects.setCollection(scope, of: upload)
            } catch {
                problems.append(
                    ItemProblem(externalID: upload.externalID, code: error.code.rawValue, detail: error.detail)
                )
            }
        }
        return problems
    }

    private func finish(
        _ run: RowID,
        _ counts: (moved: Int, conflicts: Int),
        failure: KelterError?
    ) async throws(KelterError) {
        let status = failure.map { $0.code == .interrupted ? RunStatus.interrupted : .failed } ?? .succeeded
        let (store, tenant, reason) = (store, tenant, failure?.description)
        do throws(KelterError) {
            try await uncancelled { () throws(KelterError) in
                try await store.finishRun(
                    run,
                    status: status,
                    totals: .object([("moved", .int(counts.moved)), ("conflicts", .int(counts.conflicts))]),
                    error: reason,
                    tenant: tenant
                )
            }
        } catch {
            throw failure ?? error
        }
    }

    private func report(
        _ run: RowID,
        _ counts: (moved: Int, conflicts: Int),
        _ stale: [ItemProblem],
        _ terminal: Terminal
    ) {
        var lines = [
            "\(counts.moved) documents moved, \(counts.conflicts) left because of a conflict. Run \(run)"
                + (scope == nil ? "." : "; `kelter backfill-scope --undo \(run)` takes it back.")
        ]
        lines += stale.map { "stored metadata not updated: \($0.externalID): \($0.code): \($0.detail)" }
        terminal.print(
            json: .object([
                ("run_id", .string(run.description)), ("moved", .int(counts.moved)),
                ("conflicts", .int(counts.conflicts)), ("metadata_failures", .array(stale.map(\.json))),
            ]),
            text: lines.joined(separator: "\n")
        )
    }
}
