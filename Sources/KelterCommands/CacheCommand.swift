import ArgumentParser
import KelterEmbedding
import KelterModel
import KelterPipeline
import KelterSettings
import KelterStore

struct CacheCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "cache",
        abstract: "Shows or prunes the cache of embedded texts.",
        discussion: """
            A text that was embedded once is not paid for again: its vector is kept by the tenant, the model's fingerprint \
            and the SHA-256 of the exact text. Batches prune the cache by EMBEDDINGS_CACHE_MAX_DAYS and \
            EMBEDDINGS_CACHE_MAX_MB.
            """,
        subcommands: [Show.self, Prune.self]
    )

    /// Whose cache, of which profile's space.
    struct Selection: ParsableArguments {
        @Option(help: "Only this tenant; default: all tenants.")
        var tenant: String?

        @Option(help: "The embedding profile whose vector space has the cache; default: the default profile.")
        var profile: String?

        func open(_ services: Services) async throws(KelterError) -> (store: Store, tenants: [Tenant]) {
            let profile = try services.settings.routing.profile(named: self.profile)
            let store = try await services.store(profile: profile)
            if let tenant { return (store, [try Tenant(tenant)]) }
            return (store, try await store.knownTenants())
        }
    }

    struct Show: ExecutableCommand {
        static let configuration = CommandConfiguration(abstract: "Shows what is in the cache.")

        @OptionGroup var selection: Selection
        @OptionGroup var common: CommonOptions

        func execute(_ terminal: Terminal) async throws(KelterError) -> KelterModel.ExitCode {
            let (store, tenants) = try await selection.open(try Services())
            var rows: [(tenant: Tenant, figures: CacheFigures)] = []
            for tenant in tenants {
                rows += try await store.cacheFigures(tenant: tenant).map { (tenant, $0) }
            }
            await store.close()
            let lines = rows.map { tenant, figures in
                [
                    tenant.key, figures.model ?? "an earlier model", "\(figures.entries) texts",
                    spoken(bytes: figures.bytes), "last used \(figures.newestUse)",
                ]
            }
            terminal.print(
                json: .object([("cache", .array(rows.map { Self.json($0.tenant, $0.figures) }))]),
                text: rows.isEmpty ? "The cache is empty." : table(lines, indent: "")
            )
            return .done
        }

        private static func json(_ tenant: Tenant, _ figures: CacheFigures) -> JSONValue {
            .object([
                ("tenant", .string(tenant.key)), ("model", .optional(figures.model)),
                ("fingerprint", .string(figures.space.fingerprint)), ("dimension", .int(figures.space.dimension)),
                ("template", .string(figures.space.template)), ("entries", .int(figures.entries)),
                ("bytes", .int(figures.bytes)), ("oldest_use", .string(figures.oldestUse)),
                ("newest_use", .string(figures.newestUse)),
            ])
        }
    }

    struct Prune: ExecutableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Removes entries that were not used for long, and what is beyond the size, least used first."
        )

        @OptionGroup var selection: Selection

        @Option(
            name: .customLong("unused-days"),
            help: "Entries not used for so many days; default: EMBEDDINGS_CACHE_MAX_DAYS."
        )
        var days: Int?

        @Option(
            name: .customLong("max-mb"),
            help: "The size that is left to each tenant; default: EMBEDDINGS_CACHE_MAX_MB."
        )
        var megabytes: Int?

        @Flag(name: .customLong("other-models"), help: "Also all entries of models that the space is no longer of.")
        var otherModels = false

        @OptionGroup var common: CommonOptions

        func execute(_ terminal: Terminal) async throws(KelterError) -> KelterModel.ExitCode {
            guard days ?? 0 >= 0, megabytes ?? 0 >= 0 else {
                throw KelterError(
                    .usage,
                    "A number is negative.",
                    subject: "--unused-days, --max-mb",
                    fix: "Give 0 or more."
                )
            }
            let services = try Services()
            let (store, tenants) = try await selection.open(services)
            let fingerprint = otherModels ? try await store.spaceStamp()?.fingerprint : nil
            let total = LiveValue((entries: 0, bytes: 0))
            let settings = services.settings.embedding
            try await ProgressLine(terminal: terminal) { _ in "\(total.value.entries) entries removed" }
                .during { () throws(KelterError) in
                    for tenant in tenants {
                        let pruning = try await store.pruneCache(
                            unusedFor: days.map { .seconds($0 * 86_400) } ?? settings.cacheAge,
                            maximumBytes: megabytes.map { $0 << 20 } ?? settings.cacheBytes,
                            keeping: fingerprint,
                            tenant: tenant
                        )
                        total.update {
                            ($0.entries, $0.bytes) = ($0.entries + pruning.entries, $0.bytes + pruning.bytes)
                        }
                    }
                }
            await store.close()
            let (entries, bytes) = total.value
            terminal.print(
                json: .object([("removed", .int(entries)), ("bytes", .int(bytes))]),
                text: "\(entries) entries with \(spoken(bytes: bytes)) removed."
            )
            return .done
        }
    }
}

extension Services {
    /// Keeps the caches of a run within their bounds; that it fails harms nothing.
    func pruneCaches(_ catalog: StageCatalog, tenant: Tenant) async {
        guard settings.embedding.usesCache else { return }
        for stages in await catalog.opened() {
            _ = try? await stages.store.pruneCache(
                unusedFor: settings.embedding.cacheAge,
                maximumBytes: settings.embedding.cacheBytes,
                tenant: tenant
            )
        }
    }
}
