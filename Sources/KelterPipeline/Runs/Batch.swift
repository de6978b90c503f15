import KelterModel
import KelterStore

/// The course of one batch: walk, read, probe, process, account.
actor Batch {
    /// How many entries of the walk are read, hashed and probed together.
    private static let entriesPerStep = 256
    /// Items in flight: enough to fill transactions and embedding requests.
    private static let itemsInFlight = 512

    let ingestion: Ingestion
    let request: IngestRequest
    let run: RowID
    let progress: RunProgress
    private let claims = ContentClaims()
    private let ledger: LedgerWriter
    /// What works on the items of each profile, by its name.
    private var processors: [String: ItemProcessor] = [:]
    private(set) var tree: FileTree
    /// Digests of the identities seen, to refuse a second file with the same one.
    private var seen: Set<Identity> = []
    /// External identifiers found, by scope: only kept to find out what is gone.
    private(set) var present: [Place: Set<String>] = [:]
    /// Those of them that are stored: what has moved goes from its old place only then.
    private(set) var stored: [Place: Set<String>] = [:]
    /// Entries that failed before their identity was known.
    private(set) var unidentified = 0

    /// A scope in a vector space.
    struct Place: Hashable {
        let space: String
        let collection: CollectionID?
    }

    private struct Identity: Hashable {
        let collection: CollectionID?
        let externalID: String
    }

    private struct Admitted {
        let item: IngestItem
        let verdicts: [GuardVerdict]
        let processor: ItemProcessor
    }

    init(ingestion: Ingestion, request: IngestRequest, tree: FileTree, run: RowID, progress: RunProgress) {
        self.ingestion = ingestion
        self.request = request
        self.tree = tree
        self.run = run
        self.progress = progress
        ledger = LedgerWriter(store: ingestion.stages.store, tenant: request.caller.tenant, run: run)
    }

    private var mustStop: Bool {
        Task.isCancelled || progress.snapshot.error != nil
    }

    /// Works through the inputs until they are done or the run has to end.
    func work() async {
        await withTaskGroup(of: Void.self) { group in
            var inFlight = 0
            while !mustStop {
                let entries = await nextEntries()
                if entries.isEmpty {
                    progress.update { $0.isWalkFinished = true }
                    break
                }
                for admitted in await admit(entries) {
                    let keys = admitted.item.keys.map { ContentClaims.Key(collection: $0.collection, hash: $0.hash) }
                    let ticket = claims.enqueue(keys)
                    if inFlight >= Self.itemsInFlight {
                        await group.next()
                        inFlight -= 1
                    }
                    inFlight += 1
                    group.addTask { await self.finish(admitted, ticket) }
                }
                if progress.snapshot.error != nil { group.cancelAll() }
            }
            if progress.snapshot.error != nil { group.cancelAll() }
            for await _ in group where progress.snapshot.error != nil { group.cancelAll() }
        }
    }

    /// Writes the last ledger rows.
    func finishLedger() async throws(KelterError) {
        try await ledger.flush()
    }

    private func nextEntries() async -> [FoundEntry] {
        let current = tree
        let (entries, rest) = await ingestion.io.run {
            var tree = current
            let entries = tree.next(Self.entriesPerStep)
            return (entries, tree)
        }
        tree = rest
        return entries
    }

    /// Reads, hashes and probes entries; those that end here are accounted for, the others are returned in order.
    private func admit(_ entries: [FoundEntry]) async -> [Admitted] {
        var files: [FoundFile] = []
        for entry in entries {
            switch entry {
            case .file(let file):
                files.append(file)
            case .skipped(let path, let reason):
                await account([nil], .skipped, ItemProblem(externalID: path, code: reason.rawValue, detail: ""))
            case .failed(let path, let error):
                unidentified += 1
                await account([nil], .failed, problem(path, error))
            }
        }
        let items = await read(files)
        var admitted: [Admitted?] = Array(repeating: nil, count: items.count)
        for indices in Dictionary(grouping: items.indices, by: { items[$0].profile.name }).values {
            do throws(KelterError) {
                let processor = try await processor(for: items[indices[0]].profile)
                let keys = indices.flatMap { items[$0].keys }
                var verdicts = try await processor.store.probe(keys, tenant: request.caller.tenant)[...]
                for index in indices {
                    let count = items[index].scope.targets.count
                    admitted[index] = Admitted(
                        item: items[index],
                        verdicts: Array(verdicts.prefix(count)),
                        processor: processor
                    )
                    verdicts = verdicts.dropFirst(count)
                }
            } catch {
                progress.end(with: error)
                let reason = error.code == .interrupted ? SkipReason.interrupted : .runEnded
                for index in indices { await account(items[index], .skipped(reason)) }
            }
        }
        // In the order of the walk: of files with the same bytes the first is the document.
        return admitted.compactMap { $0 }
    }

    private func processor(for profile: EmbeddingProfile) async throws(KelterError) -> ItemProcessor {
        if let processor = processors[profile.name] { return processor }
        let processor = ingestion.processor(
            of: try await ingestion.catalog.stages(for: profile),
            tenant: request.caller.tenant,
            run: run,
            isPlan: request.plan
        )
        processors[profile.name] = processor
        return processor
    }

    private func read(_ files: [FoundFile]) async -> [IngestItem] {
        let reader = ItemReader(
            caller: request.caller,
            routing: ingestion.catalog.routing,
            profileName: request.profile,
            naming: .relativePath(root: tree.root),
            metadataPath: nil,
            maximumBytes: Ingestion.maximumFileBytes
        )
        let io = ingestion.io
        let shares = files.shares(ingestion.jobs)
        let results = await withTaskGroup(of: (Int, [Result<[IngestItem], ItemFailure>]).self) { group in
            for (index, share) in shares.enumerated() {
                group.addTask { (index, await io.run { share.map(reader.read) }) }
            }
            return await group.reduce(into: [Int: [Result<[IngestItem], ItemFailure>]]()) { $0[$1.0] = $1.1 }
        }
        var items: [IngestItem] = []
        for result in shares.indices.flatMap({ results[$0] ?? [] }) {
            switch result {
            case .success(let parts):
                progress.update { $0.bytes += parts.first?.content.size ?? 0 }
                for item in parts {
                    if let error = claimIdentity(of: item) {
                        let path = item.file.relativePath
                        await account(item.scope.targets, .failed, problem(path, error))
                    } else {
                        items.append(item)
                    }
                }
            case .failure(let failure):
                unidentified += 1
                await account([nil], .failed, problem(failure.externalID, failure.error))
            }
        }
        progress.update { $0.found += items.reduce(0) { $0 + $1.scope.targets.count } }
        return items
    }

    /// Two files of one batch that claim the same external identifier in a scope would replace each other for ever.
    private func claimIdentity(of item: IngestItem) -> KelterError? {
        for collection in item.scope.targets {
            guard seen.insert(Identity(collection: collection, externalID: item.externalID)).inserted else {
                return .nameTaken(item.externalID, path: item.file.relativePath)
            }
            if request.sync {
                let place = Place(space: item.profile.vectorSpace, collection: collection)
                present[place, default: []].insert(item.externalID)
            }
        }
        return nil
    }

    /// Processes one item to its end and accounts for it.
    private func finish(_ admitted: Admitted, _ ticket: ContentClaims.Ticket) async {
        defer { claims.release(ticket) }
        let item = admitted.item
        var verdicts = admitted.verdicts
        if await ticket.wait() {
            // The same bytes have just been worked on: ask again.
            do throws(KelterError) {
                verdicts = try await admitted.processor.store.probe(item.keys, tenant: request.caller.tenant)
            } catch {
                await account(item, .failed(error))
                return
            }
        }
        await account(item, await admitted.processor.process(item, verdicts: verdicts))
    }

    /// Counts the outcome of an item and records it where its documents' transaction has not.
    private func account(_ item: IngestItem, _ result: ItemResult) async {
        let targets = item.scope.targets
        switch result {
        case .done(let results, let reused):
            if request.sync {
                for (target, result) in zip(targets, results) where result.result.outcome != .failed {
                    let place = Place(space: item.profile.vectorSpace, collection: target)
                    stored[place, default: []].insert(item.externalID)
                }
            }
            progress.update { figures in
                figures.cacheHits += reused
                for result in results { figures.count(result.result, externalID: item.externalID) }
            }
            await record(
                zip(targets, results).filter { !$1.isRecorded }.map { RunItem(item, $0, $1.result) }
            )
        case .planned(let outcomes, let chunks, let tokens):
            progress.update { figures in
                for outcome in outcomes { figures.outcomes[outcome] += 1 }
                figures.chunks += chunks
                figures.plannedTokens += tokens
            }
        case .skipped(let reason):
            let problem = ItemProblem(externalID: item.externalID, code: reason.rawValue, detail: "")
            await settle(targets, .skipped, problem, bytes: item.content.size)
        case .failed(let error) where error.endsRun:
            // Not the item's fault: it is done when the command is repeated.
            progress.end(with: error)
            let problem = ItemProblem(externalID: item.externalID, code: SkipReason.runEnded.rawValue, detail: "")
            await settle(targets, .skipped, problem, bytes: item.content.size)
        case .failed(let error):
            await settle(targets, .failed, problem(item.externalID, error), bytes: item.content.size)
        }
    }

    /// Finds, counts and records an entry that ends before it becomes an item.
    private func account(_ targets: [CollectionID?], _ outcome: Outcome, _ problem: ItemProblem) async {
        progress.update { $0.found += targets.count }
        await settle(targets, outcome, problem, bytes: 0)
    }

    private func settle(
        _ targets: [CollectionID?],
        _ outcome: Outcome,
        _ problem: ItemProblem,
        bytes: Int
    ) async {
        for _ in targets { progress.count(outcome, problem: problem) }
        await record(targets.map { RunItem(problem, $0, outcome, bytes: bytes) })
    }

    private func record(_ items: [RunItem]) async {
        guard !request.plan, !items.isEmpty else { return }
        do throws(KelterError) { try await ledger.record(items) } catch { progress.end(with: error) }
    }

    private func problem(_ externalID: String, _ error: KelterError) -> ItemProblem {
        ItemProblem(externalID: externalID, code: error.code.rawValue, detail: error.detail)
    }
}
