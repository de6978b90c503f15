import ArgumentParser
import Glibc
import KelterModel
import KelterPipeline
import KelterSettings
import KelterStore

struct RebuildIndexCommand: ExecutableCommand {
    static let configuration = CommandConfiguration(
        commandName: "rebuild-rag-index",
        abstract: "Builds the vector index anew beside the old one, verifies it and exchanges them.",
        discussion: """
            RAG_INDEX_KIND is HNSW or IVFFLAT, with RAG_HNSW_M and RAG_HNSW_EF_CONSTRUCTION or RAG_IVF_LISTS. Searches and \
            writes go on meanwhile. A rebuild that was killed leaves the old index as it is; the next one removes its \
            remains.
            """,
        aliases: ["rebuild_rag_index"]
    )

    @Flag(
        name: .customLong("allow-fallback"),
        help: "Take L2 or inner product when pgvector has no operator class for cosine distance."
    )
    var allowFallback = false

    @Option(
        name: .customLong("accept-recall"),
        help: ArgumentHelp(
            "The least recall of the new index, 0 to 1; default: 0.9 for HNSW, 0.8 for IVFFLAT.",
            valueName: "share"
        )
    )
    var acceptedRecall: Double?

    @OptionGroup var gate: BackupGate
    @OptionGroup var common: CommonOptions

    func execute(_ terminal: Terminal) async throws(KelterError) -> KelterModel.ExitCode {
        guard acceptedRecall.map({ (0...1).contains($0) }) ?? true else {
            throw KelterError(
                .usage,
                "A recall is between 0 and 1.",
                subject: "--accept-recall",
                fix: "Give 0.9 or so."
            )
        }
        let services = try Services()
        // The second connection watches the build.
        let store = try await services.store(connections: 2, role: .owner)
        try await gate.check(store)
        var request = services.indexRequest(tenants: try await store.knownTenants())
        request.allowsFallback = allowFallback
        request.acceptedRecall = acceptedRecall
        let wanted = request
        let progress = LiveValue<IndexProgress?>(nil)
        let report = try await ProgressLine(terminal: terminal) { elapsed in
            Self.line(progress.value, elapsed: elapsed)
        }.during { () throws(KelterError) in
            try await store.rebuildVectorIndex(wanted) { step in progress.update { $0 = step } }
        }
        await store.close()
        terminal.print(
            json: json(report),
            text: (report.lines + ["\(report.rows) vectors in \(spoken(report.duration))"]).joined(separator: "\n")
        )
        return .done
    }

    private static func line(_ progress: IndexProgress?, elapsed: Duration) -> String {
        guard let progress else { return "preparing" }
        var text = progress.phase
        if progress.tuplesTotal > 0 {
            text += "  \(progress.tuplesDone)/\(progress.tuplesTotal) vectors"
        } else if progress.blocksTotal > 0 {
            text += "  \(progress.blocksDone)/\(progress.blocksTotal) pages"
        }
        return text + "  \(spoken(elapsed))"
    }

    private func json(_ report: IndexReport) -> JSONValue {
        .object([
            ("kind", .string(report.kind.label)), ("definition", .string(report.definition)),
            ("operator_class", .string(report.operatorClass)), ("fallback", .bool(report.isFallback)),
            ("rows", .int(report.rows)), ("recall", report.verification.recall.map { .double($0) } ?? .null),
            ("verification", .string(report.verification.description)),
            ("duration_ms", .int(report.duration.milliseconds)), ("memory_bytes", .int(report.memory)),
            ("workers", .int(report.workers)),
            ("removed_left_overs", .array(report.removedLeftOvers.map { .string($0) })),
            ("replaced", .array(report.replaced.map { .string($0) })),
            ("notes", .array(report.notes.map { .string($0) })),
        ])
    }
}

extension Services {
    /// The vector index that the settings ask for.
    ///
    /// - Parameter tenants: Whose vectors may be looked at to verify it.
    /// - Returns: The request.
    func indexRequest(tenants: [Tenant]) -> IndexRequest {
        let index = settings.index
        return IndexRequest(
            kind: index.kind == .hnsw
                ? .hnsw(m: index.m, efConstruction: index.efConstruction) : .ivfflat(lists: index.lists),
            tenants: tenants,
            memoryLimit: index.maintenanceMemory ?? localMemoryLimit,
            efSearch: index.efSearch,
            probes: index.probes
        )
    }

    /// A quarter of the machine's memory where the server is on it; of another machine nothing is known.
    private var localMemoryLimit: Int? {
        settings.isDatabaseConfigured ? nil : sysconf(Int32(_SC_PHYS_PAGES)) * sysconf(Int32(_SC_PAGESIZE)) / 4
    }
}
