import KelterHashing
import KelterModel
import KelterStore

/// The work of one process on one batch: take a part, read, probe, process, account.
actor Batch {
    /// Items in flight: enough to fill transactions and embedding requests.
    private static let itemsInFlight = 512

    let ingestion: Ingestion
    let request: IngestRequest
    let run: RowID
    let progress: RunProgress
    /// The batch root.
    let root: String
    private let inputs: any BatchInputs
    private let reader: PartReader
    /// Where a plan is kept; `nil` when things are done.
    private let plan: PlanBook?
    /// How many scopes planned files have, and the outcomes so far.
    private var planned: [String: (count: Int, outcomes: [CollectionID?: Outcome])] = [:]
    private let claims = ContentClaims()
    private let ledger: LedgerWriter
    /// What works on the items of each profile, by its name.
    private var processors: [String: ItemProcessor] = [:]
    /// The parts that this process works on, by the order in which it took them: it may lose one and take it again.
    private var open: [Int: OpenPart] = [:]
    private var opened = 0
    /// What a plan has found, by vector space.
    ///
    /// Only kept to find out what is gone; a run has it in the ledger.
    private(set) var present: [String: Set<SourceName>] = [:]
    /// Entries of a plan that failed before their identity was known.
    private(set) var unidentified = 0
    /// Digests of the identities seen, to refuse a second file with the same one.
    private var seen: Set<ContentHash> = []

    /// A part with inputs that have no outcome yet.
    private struct OpenPart {
        let part: InputPart
        /// Inputs and items that have no outcome yet.
        var pending: Int
        /// Items with an outcome, counted once per scope.
        var items = 0
        /// Whether an item was left undone, so that the part has to be taken up again.
        var isIncomplete = false
    }

    private struct Admitted {
        let item: IngestItem
        let part: Int
        let verdicts: [GuardVerdict]
        let processor: ItemProcessor
    }

    init(
        ingestion: Ingestion,
        request: IngestRequest,
        run: RowID,
        root: String,
        inputs: any BatchInputs,
        progress: RunProgress,
        plan: PlanBook? = nil
    ) {
        self.ingestion = ingestion
        self.request = request
        self.run = run
        self.root = root
        self.inputs = inputs
        self.progress = progress
        self.plan = plan
        reader = PartReader(ingestion: ingestion, request: request, root: root)
        ledger = LedgerWriter {
            [store = ingestion.stages.store, tenant = request.caller.tenant] (items) throws(KelterError) in
            try await store.recordItems(items, run: run, tenant: tenant)
        }
    }

    private var mustStop: Bool {
        Task.isCancelled || progress.snapshot.error != nil
    }

    /// Works on parts until there are none left or the run has to end.
    func work() async {
        await withTaskGroup(of: Void.self) { group in
            var inFlight = 0
            while !mustStop {
                guard let part = await next() else { break }
                for admitted in await admit(part) {
                    let keys = admitted.item.keys.map { ContentKey(collection: $0.collection, hash: $0.hash) }
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
        await giveBack()
    }

    /// The leases of the parts at hand.
    var leases: [PartLease] { open.values.compactMap(\.part.lease) }

    private func held() -> Int { leases.count }

    private func next() async -> InputPart? {
        do throws(KelterError) {
            guard var part = try await inputs.next(holding: { await self.held() }) else { return nil }
            opened += 1
            part.number = opened
            FailPoint.partTaken.pass()
            // An input that nobody knows how to read must not keep its part open.
            open[part.number] = OpenPart(part: part, pending: part.entries.count + 1)
            return part
        } catch {
            progress.end(with: error)
            return nil
        }
    }

    /// Reads, hashes and probes entries; those that end here are accounted for, the others are returned in order.
    private func admit(_ part: InputPart) async -> [Admitted] {
        var files: [FoundFile] = []
        for entry in part.entries {
            let place = part.place(of: entry.relativePath)
            switch entry {
            case .file(let file):
                files.append(file)
            case .skipped(let path, let reason):
                let problem = ItemProblem(externalID: path, code: reason.rawValue, detail: "")
                await account([nil], .skipped, problem, at: place, in: part.number)
            case .failed(let path, let error):
                await account([nil], .failed, self.problem(path, error), at: place, in: part.number)
            }
        }
        let items = await read(files, of: part)
        FailPoint.partRead.pass()
        var admitted: [Admitted?] = Array(repeating: nil, count: items.count)
        for indices in Dictionary(grouping: items.indices, by: { items[$0].profile.name }).values {
            do throws(KelterError) {
                let processor = try await processor(for: items[indices[0]].profile)
                let keys = indices.flatMap { items[$0].keys }
                var verdicts = try await processor.store.probe(keys, tenant: request.caller.tenant)[...]
                for index in indices {
                    let item = items[index]
                    let own = Array(verdicts.prefix(item.scope.targets.count))
                    verdicts = verdicts.dropFirst(own.count)
                    if let error = item.file.expected?.refusal(of: item, verdicts: own) {
                        await account(item, .failed(error), in: part.number)
                        continue
                    }
                    admitted[index] = Admitted(item: item, part: part.number, verdicts: own, processor: processor)
                }
            } catch {
                progress.end(with: error)
                let reason = error.code == .interrupted ? SkipReason.interrupted : .runEnded
                for index in indices { await account(items[index], .skipped(reason), in: part.number) }
            }
        }
        FailPoint.partProbed.pass()
        // The part itself.
        await settle(part.number)
        // In the order of the walk: of files with the same bytes the first is the document.
        return admitted.compactMap { $0 }
    }

    private func processor(for profile: EmbeddingProfile) async throws(KelterError) -> ItemProcessor {
        if let processor = processors[profile.name] { return processor }
        let processor = ingestion.processor(
            of: try await ingestion.catalog.stages(for: profile),
            tenant: request.caller.tenant,
            run: run,
            plan: plan
        )
        processors[profile.name] = processor
        return processor
    }

    private func read(_ files: [FoundFile], of part: InputPart) async -> [IngestItem] {
        let results: [Result<[IngestItem], ItemFailure>]
        do throws(KelterError) {
            results = try await reader.read(files)
        } catch {
            // Nothing is known about these files: the part has to be taken up again.
            progress.end(with: error)
            for _ in files { await settle(part.number, isComplete: false) }
            return []
        }
        var items: [IngestItem] = []
        for result in results {
            switch result {
            case .success(let found):
                let path = found.first?.file.relativePath ?? ""
                let targets = found.reduce(0) { $0 + $1.scope.targets.count }
                progress.update { $0.bytes += found.first?.content.size ?? 0 }
                if request.planWriter != nil { planned[path] = (targets, [:]) }
                // One pending entry becomes as many items.
                open[part.number]?.pending += found.count - 1
                if part.recorded[path] == targets {
                    // An attempt before this one has stored and recorded it.
                    for item in found { await settle(part.number, items: item.scope.targets.count) }
                    continue
                }
                for var item in found {
                    item.place = part.place(of: path)
                    item.place.space = item.profile.vectorSpace
                    if let error = claimIdentity(of: item) {
                        let problem = problem(path, error)
                        await account(item.scope.targets, .failed, problem, at: item.place, in: part.number)
                    } else {
                        items.append(item)
                    }
                }
            case .failure(let failure):
                let place = part.place(of: failure.externalID)
                if let recorded = part.recorded[failure.externalID] {
                    // Whatever has become of the file: an attempt before this one has its outcome.
                    await settle(part.number, items: recorded)
                    continue
                }
                if failure.isGone {
                    let problem = ItemProblem(
                        externalID: failure.externalID,
                        code: SkipReason.gone.rawValue,
                        detail: ""
                    )
                    await account([nil], .skipped, problem, at: place, in: part.number)
                    continue
                }
                if failure.error.endsRun || failure.error.code == .interrupted {
                    await leave(failure, in: part.number)
                    continue
                }
                let problem = problem(failure.externalID, failure.error)
                await account([nil], .failed, problem, at: place, in: part.number)
            }
        }
        progress.update { $0.found += items.reduce(0) { $0 + $1.scope.targets.count } }
        return items
    }

    /// Two files of one batch that claim the same external identifier in a scope would replace each other for ever.
    private func claimIdentity(of item: IngestItem) -> KelterError? {
        for collection in item.scope.targets {
            let identity = (collection?.description ?? "") + "\n" + item.externalID
            do throws(KelterError) {
                guard seen.insert(try SHA256.hash(identity)).inserted else {
                    return .nameTaken(item.externalID, path: item.file.relativePath)
                }
            } catch {
                return error
            }
            if request.plan, request.sync {
                let name = SourceName(collection: collection, externalID: item.externalID)
                present[item.profile.vectorSpace, default: []].insert(name)
            }
        }
        return nil
    }

    /// Processes one item to its end and accounts for it.
    private func finish(_ admitted: Admitted, _ ticket: ContentClaims.Ticket) async {
        defer { claims.release(ticket) }
        var item = admitted.item
        var verdicts = admitted.verdicts
        do throws(KelterError) {
            var isAskedAgain = await ticket.wait()
            // The one before it was left undone by what ends the run: a copy must not become the document in its place.
            guard progress.snapshot.error == nil else { return await leave(item, .runEnded, in: admitted.part) }
            if item.isRemembered, verdicts.contains(where: \.needsContent) {
                let hash = item.content.hash
                item = try await reader.reopen(item)
                if item.content.hash != hash { isAskedAgain = true }
            }
            // The same bytes have just been worked on, or they are others than they seemed.
            if isAskedAgain {
                verdicts = try await admitted.processor.store.probe(item.keys, tenant: request.caller.tenant)
            }
        } catch {
            await account(admitted.item, .failed(error), in: admitted.part)
            return
        }
        await account(item, await admitted.processor.process(item, verdicts: verdicts), in: admitted.part)
    }

    /// Counts the outcome of an item and records it where its documents' transaction has not.
    private func account(_ item: IngestItem, _ result: ItemResult, in part: Int) async {
        let targets = item.scope.targets
        let bytes = item.content.size
        switch result {
        case .done(let results, let reused):
            // Another process does the item, and counts it.
            let isLost = results.contains { $0.result.error?.code == .leaseLost }
            progress.update { figures in
                figures.cacheHits += reused
                guard !isLost else { return figures.found -= targets.count }
                for result in results { figures.count(result.result, externalID: item.externalID) }
            }
            if !isLost {
                await record(zip(targets, results).filter { !$1.isRecorded }.map { RunItem(item, $0, $1.result) })
            }
            if isLost { open[part] = nil } else { await settle(part, items: targets.count) }
        case .planned(let outcomes, let chunks):
            progress.update { figures in
                for outcome in outcomes { figures.outcomes[outcome] += 1 }
                figures.chunks += chunks
            }
            write(item, zip(targets, outcomes))
            await settle(part, items: targets.count)
        case .skipped(let reason) where reason == .interrupted || reason == .runEnded:
            await leave(item, reason, in: part)
        case .skipped(let reason):
            let problem = ItemProblem(externalID: item.externalID, code: reason.rawValue, detail: "")
            await end(targets, .skipped, problem, bytes: bytes, at: item.place, in: part)
        case .failed(let error) where error.endsRun:
            // Not the item's fault: it is done when the command is repeated.
            progress.end(with: error)
            await leave(item, .runEnded, in: part)
        case .failed(let error):
            await end(targets, .failed, problem(item.externalID, error), bytes: bytes, at: item.place, in: part)
        }
    }

    /// Writes a planned file down when all of its scopes have their outcome.
    private func write(_ item: IngestItem, _ outcomes: Zip2Sequence<[CollectionID?], [Outcome]>) {
        guard let writer = request.planWriter, var state = planned[item.file.relativePath] else { return }
        for (collection, outcome) in outcomes { state.outcomes.updateValue(outcome, forKey: collection) }
        planned[item.file.relativePath] = state
        guard state.outcomes.count == state.count else { return }
        planned[item.file.relativePath] = nil
        let expected = PlannedState(
            hash: item.content.hash,
            metadataHash: item.metadataHash,
            outcomes: state.outcomes
        )
        do throws(KelterError) { try writer.add(item.file, expected, root: root) } catch { progress.end(with: error) }
    }

    /// Counts an item that is not done, which leaves its part to be taken up again.
    private func leave(_ item: IngestItem, _ reason: SkipReason, in part: Int) async {
        let problem = ItemProblem(externalID: item.externalID, code: reason.rawValue, detail: "")
        for _ in item.scope.targets { progress.count(.skipped, problem: problem) }
        await settle(part, isComplete: false)
    }

    /// Counts a file that could not be read for what ends the run.
    private func leave(_ failure: ItemFailure, in part: Int) async {
        progress.end(with: failure.error)
        let reason = failure.error.code == .interrupted ? SkipReason.interrupted : .runEnded
        progress.update { $0.found += 1 }
        progress.count(
            .skipped,
            problem: ItemProblem(externalID: failure.externalID, code: reason.rawValue, detail: "")
        )
        await settle(part, isComplete: false)
    }

    /// Finds, counts and records an entry that ends before it becomes an item.
    private func account(
        _ targets: [CollectionID?],
        _ outcome: Outcome,
        _ problem: ItemProblem,
        at place: BatchPlace,
        in part: Int
    ) async {
        progress.update { $0.found += targets.count }
        await end(targets, outcome, problem, bytes: 0, at: place, in: part)
    }

    private func end(
        _ targets: [CollectionID?],
        _ outcome: Outcome,
        _ problem: ItemProblem,
        bytes: Int,
        at place: BatchPlace,
        in part: Int
    ) async {
        for _ in targets { progress.count(outcome, problem: problem) }
        if outcome == .failed, place.space == nil { unidentified += 1 }
        await record(targets.map { RunItem(problem, $0, outcome, bytes: bytes, place: place) })
        await settle(part, items: targets.count)
    }

    private func record(_ items: [RunItem]) async {
        guard !request.plan, !items.isEmpty else { return }
        do throws(KelterError) { try await ledger.record(items) } catch { progress.end(with: error) }
    }

    private func problem(_ externalID: String, _ error: KelterError) -> ItemProblem {
        ItemProblem(externalID: externalID, code: error.code.rawValue, detail: error.detail)
    }

    /// Notes that something of a part has its outcome, and closes the part with the last of it.
    private func settle(_ number: Int, items: Int = 0, isComplete: Bool = true) async {
        guard var part = open[number] else { return }
        part.pending -= 1
        part.items += items
        if !isComplete { part.isIncomplete = true }
        open[number] = part
        guard part.pending == 0, !part.isIncomplete else { return }
        guard let lease = part.part.lease else {
            open[number] = nil
            return
        }
        do throws(KelterError) {
            try await ledger.flush()
            // Where another process has taken it over, that one closes it.
            try await uncancelled { [run, request, ingestion, items = part.items] () throws(KelterError) in
                _ = try await ingestion.stages.store.finishPart(
                    lease,
                    items: items,
                    of: run,
                    tenant: request.caller.tenant
                )
            }
            FailPoint.partFinished.pass()
            open[number] = nil
        } catch {
            progress.end(with: error)
        }
    }

    /// Writes the last ledger rows and gives back what is not finished.
    private func giveBack() async {
        guard !request.plan else { return }
        let left = leases
        do throws(KelterError) {
            try await ledger.flush()
            guard !left.isEmpty else { return }
            try await uncancelled { [run, request, ingestion] () throws(KelterError) in
                try await ingestion.stages.store.releaseParts(
                    left,
                    of: run,
                    tenant: request.caller.tenant,
                    countsAttempt: false
                )
            }
        } catch {
            progress.end(with: error)
        }
    }
}
