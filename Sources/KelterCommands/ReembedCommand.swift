import ArgumentParser
import KelterEmbedding
import KelterModel
import KelterPipeline
import KelterSettings
import KelterStore

struct ReembedCommand: ExecutableCommand {
    static let configuration = CommandConfiguration(
        commandName: "reembed",
        abstract: "Computes the vectors of stored documents again, from the stored text of their chunks.",
        discussion: """
            Without --model the vectors that are searched are overwritten, document by document. With another model or \
            dimension a second vector space is filled beside them; `kelter vector-space` compares and switches. An \
            interrupted run is completed by repeating the command.
            """
    )

    @Option(help: "Only this tenant; default: all tenants.")
    var tenant: String?

    @Option(help: ArgumentHelp("Only this collection.", valueName: "uuid"))
    var collection: String?

    @Option(help: "Only documents of this embedding profile.")
    var profile: String?

    @Option(help: "Another model: fills the space that stands by.")
    var model: String?

    @Option(help: "The width of the other model's vectors.")
    var dimension: Int?

    @Option(
        name: .customLong("input-limit"),
        help: ArgumentHelp(
            "The tokens that the other model takes; of an unknown tokenizer a byte counts as one.",
            valueName: "tokens"
        )
    )
    var inputLimit: Int?

    @Flag(help: "Begin anew instead of completing an interrupted run.")
    var restart = false

    @Flag(
        name: .customLong("accept-drift"),
        help:
            "The model answers differently under its old name: fill the space that stands by with what it answers now."
    )
    var acceptDrift = false

    @Option(help: ArgumentHelp("At most so many texts a second, such as 20 or 0.5.", valueName: "texts"))
    var rate: Double?

    @Flag(
        name: .customLong("only-unnormalised"),
        help: "Bring vectors that are no unit vectors to length 1 where they are; no model is asked."
    )
    var onlyUnnormalised = false

    @OptionGroup var common: CommonOptions

    func execute(_ terminal: Terminal) async throws(KelterError) -> KelterModel.ExitCode {
        try checkOptions()
        let selection = DocumentSelection(collection: try collectionID(), profile: profile)
        return onlyUnnormalised ? try await normalise(terminal) : try await reembed(selection, terminal)
    }

    private func checkOptions() throws(KelterError) {
        let isPlain =
            [model, collection, profile].allSatisfy { $0 == nil } && dimension == nil && rate == nil
            && inputLimit == nil && !restart && !acceptDrift
        guard !onlyUnnormalised || isPlain
        else {
            throw KelterError(
                .usage,
                "--only-unnormalised asks no model and looks at all vectors of a tenant.",
                subject: "--only-unnormalised",
                fix: "Leave out all options but --tenant."
            )
        }
        guard inputLimit.map({ (32...1_000_000).contains($0) }) ?? true else {
            throw KelterError(
                .usage,
                "The limit is too small.",
                subject: "--input-limit",
                fix: "Give 32 tokens or more."
            )
        }
        guard rate.map({ $0 > 0 && $0.isFinite }) ?? true else {
            throw KelterError(.usage, "The rate is not above 0.", subject: "--rate", fix: "Give texts a second.")
        }
    }

    private func collectionID() throws(KelterError) -> CollectionID? {
        guard let collection else { return nil }
        guard let id = RowID(collection) else {
            throw KelterError(
                .invalidCollectionID,
                "\"\(shortened(collection))\" is no UUID.",
                subject: "--collection",
                fix: "Give the collection's UUID."
            )
        }
        return id
    }

    private func tenants(of store: Store) async throws(KelterError) -> [Tenant] {
        if let tenant { return [try Tenant(tenant)] }
        return try await store.knownTenants()
    }
}

extension ReembedCommand {
    private func normalise(_ terminal: Terminal) async throws(KelterError) -> KelterModel.ExitCode {
        let store = try await Services().store()
        let total = LiveValue(NormalisationReport())
        let tenants = try await tenants(of: store)
        try await ProgressLine(terminal: terminal) { _ in "\(total.value.normalised) vectors brought to length 1" }
            .during { () throws(KelterError) in
                for tenant in tenants {
                    var position: RowID?
                    repeat {
                        guard !Task.isCancelled else {
                            throw KelterError(.interrupted, "The run was interrupted.", fix: "Repeat the command.")
                        }
                        let (report, last) = try await store.normaliseVectors(after: position, tenant: tenant)
                        total.update { value in
                            value.normalised += report.normalised
                            value.removed += report.removed
                        }
                        position = last
                    } while position != nil
                }
            }
        await store.close()
        let report = total.value
        terminal.print(
            json: .object([("normalised", .int(report.normalised)), ("removed", .int(report.removed))]),
            text: report.normalised + report.removed == 0
                ? "All vectors are unit vectors."
                : "\(report.normalised) vectors brought to length 1, \(report.removed) without direction removed."
        )
        return .done
    }

    private func reembed(_ selection: DocumentSelection, _ terminal: Terminal) async throws(KelterError)
        -> KelterModel.ExitCode
    {
        let current = try Services()
        var flags: [String: String] = [:]
        if let model { flags["EMBEDDINGS_MODEL_PRIMARY"] = model }
        if let dimension { flags["EMBEDDINGS_DIM"] = String(dimension) }
        let services = try Services(flags: flags)
        let target = try await target(current, profile: services.settings.profile)
        var profile = services.settings.profile
        if let inputLimit { profile.maximumTokens = inputLimit }
        let store = try await current.store(model: services.settings.profile.model)
        let stages = try await services.stages(of: services.settings.profile, store: store, for: .batch)
        let contract = try await stages.embeddings.probe()
        _ = try await store.adoptFingerprint(
            model: services.settings.profile.model,
            reference: contract.reference,
            target: target
        )
        let work = Reembedding(
            store: store,
            chunker: stages.chunker,
            embeddings: stages.embeddings,
            profile: profile
        )
        let tenants = try await tenants(of: store)
        let request = Reembedding.Request(selection: selection, target: target, rate: rate, restarts: restart)
        try await ProgressLine(terminal: terminal) { elapsed in Self.line(work.progress, elapsed: elapsed) }
            .during { () throws(KelterError) in
                for tenant in tenants { _ = try await work.run(request, tenant: tenant) }
            }
        if target != .current, work.progress.failures.isEmpty {
            terminal.note("building the vector index of the space that stands by")
            let owner = try await current.unverifiedStore(connections: 2, role: .owner)
            let index = current.indexRequest(tenants: tenants)
            try await owner.indexStandby(index)
            await owner.close()
        }
        let requests = stages.embeddings.statistics.requests
        stages.embeddings.close()
        await store.close()
        return report(work.progress, target: target, profile: stages.profile, requests: requests, terminal)
    }

    /// The space that is searched, or for another model the one that stands by, which is created.
    private func target(_ services: Services, profile: EmbeddingProfile) async throws(KelterError) -> EmbeddingTarget {
        let store = try await services.store(connections: 1)
        let present = try await store.currentModel() ?? services.settings.profile.model
        await store.close()
        let isSame = present == profile.model && services.settings.profile.dimension == profile.dimension
        if isSame, !acceptDrift { return .current }
        let owner = try await services.unverifiedStore(connections: 1, role: .owner)
        try await owner.createStandby(StandbySpace(model: profile.model, dimension: profile.dimension))
        await owner.close()
        return .standby(dimension: profile.dimension)
    }

    private static func line(_ figures: Reembedding.Progress, elapsed: Duration) -> String {
        let rate = Double(figures.chunks) / max(Double(elapsed.milliseconds) / 1000, 0.001)
        return "\(figures.documents)/\(figures.found) documents  \(figures.chunks) chunks  \(Int(rate)) chunks/s"
            + (figures.failures.isEmpty ? "" : "  \(figures.failures.count) failed")
    }

    private func report(
        _ figures: Reembedding.Progress,
        target: EmbeddingTarget,
        profile: EmbeddingProfile,
        requests: Int,
        _ terminal: Terminal
    ) -> KelterModel.ExitCode {
        let space = target == .current ? "the searched space" : "the space that stands by"
        var lines = [
            "\(figures.documents) documents with \(figures.chunks) chunks embedded by \(profile.model) into \(space); "
                + "\(requests) requests."
        ]
        lines += figures.resumedRuns.map {
            "The interrupted run \($0) was completed; --restart does all documents again."
        }
        if figures.embeddingsEmpty > 0 { lines.append("\(figures.embeddingsEmpty) chunks got no vector.") }
        if figures.changed > 0 { lines.append("\(figures.changed) documents changed meanwhile and were left alone.") }
        lines += figures.failures.map { "failed: \($0.externalID): \($0.code): \($0.detail)" }
        if target != .current, figures.failures.isEmpty {
            lines.append("Compare with `kelter vector-space compare`, switch with `kelter vector-space switch`.")
        }
        terminal.print(
            json: .object([
                ("model", .string(profile.model)), ("dimension", .int(profile.dimension)),
                ("target", .string(target == .current ? "current" : "standby")),
                ("documents", .int(figures.documents)), ("chunks", .int(figures.chunks)),
                ("embeddings_empty", .int(figures.embeddingsEmpty)), ("changed", .int(figures.changed)),
                ("embedding_requests", .int(requests)),
                ("resumed_runs", .array(figures.resumedRuns.map { .string($0.description) })),
                ("failures", .array(figures.failures.map(\.json))),
            ]),
            text: lines.joined(separator: "\n")
        )
        return figures.failures.isEmpty ? .done : .someItemsFailed
    }
}
