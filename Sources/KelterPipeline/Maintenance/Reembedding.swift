package import KelterChunking
package import KelterEmbedding
import KelterHashing
package import KelterModel
package import KelterStore
import Synchronization

/// Computes the vectors of stored documents again, from the text of their chunks: no source file is needed.
///
/// Documents are read in the order of their identifiers, embedded in groups whose texts share requests, and stored each
/// in whole. What is done is in the ledger, so that repeating an interrupted run completes it.
package struct Reembedding: Sendable {
    /// What to do.
    package struct Request: Sendable {
        package var selection: DocumentSelection
        package var target: EmbeddingTarget
        /// Texts a second at most; `nil` for no limit.
        package var rate: Double?
        /// Whether an interrupted run is left as it is, and all documents are done again.
        package var restarts: Bool

        package init(
            selection: DocumentSelection,
            target: EmbeddingTarget,
            rate: Double? = nil,
            restarts: Bool = false
        ) {
            self.selection = selection
            self.target = target
            self.rate = rate
            self.restarts = restarts
        }
    }

    /// The live figures of all tenants.
    package struct Progress: Sendable {
        /// Documents to do, as far as counted.
        package var found = 0
        package var documents = 0
        package var chunks = 0
        package var embeddingsEmpty = 0
        /// Documents that changed while their vectors were computed, and were left alone.
        package var changed = 0
        package var failures: [ItemProblem] = []
        /// Interrupted runs that were taken up again: what they had done is not done twice.
        package var resumedRuns: [RowID] = []
    }

    /// Documents that are embedded together.
    private static let documentsPerGroup = 32

    let store: Store
    let chunker: Chunker
    let embeddings: EmbeddingClient
    let profile: EmbeddingProfile
    private let figures = Figures()

    private final class Figures: Sendable {
        let state = Mutex(Progress())
    }

    /// Prepares a run.
    ///
    /// - Parameters:
    ///   - store: The database; its model is that of the vectors to be written.
    ///   - chunker: Makes the texts to embed.
    ///   - embeddings: The client of the model.
    ///   - profile: The profile of the model.
    package init(store: Store, chunker: Chunker, embeddings: EmbeddingClient, profile: EmbeddingProfile) {
        self.store = store
        self.chunker = chunker
        self.embeddings = embeddings
        self.profile = profile
    }

    /// The figures as they stand.
    package var progress: Progress { figures.state.withLock { $0 } }

    /// Recomputes the vectors of one tenant.
    ///
    /// A document that fails is recorded with its code and costs no other; a service that is away ends the run.
    ///
    /// - Parameters:
    ///   - request: What to do.
    ///   - tenant: Whose documents.
    /// - Returns: The run's identifier.
    /// - Throws: ``KelterError`` that ended the run; repeating the call goes on.
    package func run(_ request: Request, tenant: Tenant) async throws(KelterError) -> RowID {
        let record = RunRecord(id: newRowID(), kind: "reembed", arguments: arguments(request))
        let (run, isResumed) = try await store.beginOrResume(record, restarts: request.restarts, tenant: tenant)
        if isResumed { update { $0.resumedRuns.append(run) } }
        let failuresBefore = progress.failures.count
        var end: KelterError?
        do throws(KelterError) {
            let count = try await store.countToEmbed(
                request.selection,
                target: request.target,
                run: run,
                tenant: tenant
            )
            update { $0.found += count.documents }
            try await work(request, run: run, tenant: tenant)
        } catch {
            end = error
        }
        let failed = progress.failures.count - failuresBefore
        let status: RunStatus
        if let end {
            status = end.code == .interrupted ? .interrupted : .failed
        } else {
            status = failed > 0 ? .partial : .succeeded
        }
        let (store, reason) = (store, end?.description)
        do throws(KelterError) {
            try await uncancelled { () throws(KelterError) in
                try await store.finishRun(
                    run,
                    status: status,
                    totals: .object([("failed", .int(failed))]),
                    error: reason,
                    tenant: tenant
                )
            }
        } catch {
            throw end ?? error
        }
        if let end { throw end }
        return run
    }

    private func arguments(_ request: Request) -> JSONValue {
        .object([
            ("model", .string(profile.model)), ("dimension", .int(profile.dimension)),
            ("standby", .bool(request.target != .current)),
            ("collection_id", .optional(request.selection.collection?.description)),
            ("embedding_profile", .optional(request.selection.profile)),
        ])
    }

    private func work(_ request: Request, run: RowID, tenant: Tenant) async throws(KelterError) {
        let clock = ContinuousClock()
        var due = clock.now
        var position: RowID?
        while true {
            let documents = try await store.documentsToEmbed(
                request.selection,
                target: request.target,
                run: run,
                after: position,
                limit: Self.documentsPerGroup,
                tenant: tenant
            )
            guard let last = documents.last else { return }
            position = last.id
            if let rate = request.rate {
                do { try await clock.sleep(until: due) } catch { throw interruption }
                let texts = documents.reduce(0) { $0 + $1.chunks.count }
                due = max(due, clock.now) + .seconds(Double(texts) / rate)
            }
            let computed = try await compute(documents, run: run, tenant: tenant)
            guard !Task.isCancelled else { throw interruption }
            let changed = try await store.storeVectors(computed, target: request.target, run: run, tenant: tenant)
            let written = computed.filter { !changed.contains($0.document.id) }
            update { figures in
                figures.documents += written.count
                figures.changed += changed.count
                figures.chunks += written.reduce(0) { $0 + $1.vectors.count }
                figures.embeddingsEmpty += written.reduce(0) { $0 + $1.vectors.count { $0 == .empty } }
            }
        }
    }

    private var interruption: KelterError {
        KelterError(.interrupted, "The run was interrupted.", fix: "Repeat the command to complete it.")
    }

    /// The vectors of a group; documents that fail are recorded and left out.
    private func compute(
        _ documents: [StoredDocument],
        run: RowID,
        tenant: Tenant
    ) async throws(KelterError) -> [RecomputedDocument] {
        let results = await withTaskGroup(of: (Int, Result<RecomputedDocument, KelterError>).self) { group in
            for (index, document) in documents.enumerated() {
                group.addTask { (index, await self.compute(document)) }
            }
            var results: [Int: Result<RecomputedDocument, KelterError>] = [:]
            for await (index, result) in group { results[index] = result }
            return results
        }
        var computed: [RecomputedDocument] = []
        var failed: [RunItem] = []
        var problems: [ItemProblem] = []
        for (index, document) in documents.enumerated() {
            switch results[index] {
            case .success(let value)?: computed.append(value)
            case .failure(let error)?:
                if error.endsRun || error.code == .interrupted { throw error }
                failed.append(
                    RunItem(
                        collection: document.collection,
                        externalID: document.externalID,
                        outcome: .failed,
                        code: error.code,
                        detail: error.detail,
                        document: document.id
                    )
                )
                problems.append(
                    ItemProblem(externalID: document.externalID, code: error.code.rawValue, detail: error.detail)
                )
            case nil: break
            }
        }
        if !failed.isEmpty {
            try await store.recordItems(failed, run: run, tenant: tenant)
            update { [problems] in $0.failures += problems }
        }
        return computed
    }

    @concurrent
    private func compute(_ document: StoredDocument) async -> Result<RecomputedDocument, KelterError> {
        do throws(KelterError) {
            var inputs: [EmbeddingInput] = []
            var hashes: [ContentHash] = []
            for chunk in document.chunks {
                let (input, hash) = try input(of: chunk, in: document)
                inputs.append(EmbeddingInput(text: input.text, tokens: input.tokens))
                hashes.append(hash)
            }
            let vectors = try await embeddings.embed(inputs)
            return .success(RecomputedDocument(document: document, vectors: vectors, inputHashes: hashes))
        } catch {
            return .failure(error)
        }
    }

    /// The text that was embedded when the chunk was stored, or for another model the same with its prefix.
    private func input(
        of chunk: StoredDocument.Chunk,
        in document: StoredDocument
    ) throws(KelterError) -> (Chunker.Input, ContentHash) {
        let candidates = chunker.inputs(
            forStored: chunk.text,
            section: chunk.section,
            title: chunk.title ?? document.title,
            tableHeader: chunk.tableHeader
        )
        let hashes = try candidates.map { (candidate) throws(KelterError) in try SHA256.hash(candidate.text) }
        let index = hashes.firstIndex { $0 == chunk.inputHash } ?? 0
        guard candidates[index].tokens <= profile.maximumTokens else {
            throw KelterError(
                .chunkTooLong,
                "A chunk has \(candidates[index].tokens) tokens where the model \(profile.model) takes "
                    + "\(profile.maximumTokens).",
                fix: "Give the limit of the model with --input-limit, or ingest the file again, which cuts it anew."
            )
        }
        return (candidates[index], hashes[index])
    }

    private func update(_ body: (inout Progress) -> Void) {
        figures.state.withLock { body(&$0) }
    }
}
