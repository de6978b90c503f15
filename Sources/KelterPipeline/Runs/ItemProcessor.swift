import KelterEmbedding
import KelterModel
import KelterStore

/// What became of one item.
enum ItemResult: Sendable {
    /// One result per scope, in the order of the item's targets.
    case done([ScopeResult], reused: Int)
    case skipped(SkipReason)
    case failed(KelterError)
    /// Parsed and chunked, not embedded: what a plan shows.
    case planned([Outcome], chunks: Int)
}

/// What became of one item in one scope.
struct ScopeResult: Sendable {
    let result: WriteResult
    /// Whether the transaction that wrote the document has recorded the outcome in the ledger.
    let isRecorded: Bool
}

/// Brings one item from its bytes to its rows; the order of the stages is here and nowhere else.
///
/// guard → parse → chunk → embed → write. A scope whose write lost a race starts over with the guard.
struct ItemProcessor: Sendable {
    let producer: ContentProducer
    let writer: StoreWriter
    let store: Store
    let tenant: Tenant
    let profile: EmbeddingProfile
    /// Where a plan is kept; `nil` when things are done.
    let plan: PlanBook?
    let nearDuplicates: NearDuplicatePolicy
    let nearClaims: NearClaims
    /// Bytes of documents between reading and writing.
    let memory: Budget
    let times: StageTimes
    /// Milliseconds since 1970.
    let now: @Sendable () -> UInt64

    /// How often an item starts over when other writers are in the way.
    private static let attempts = 4

    /// Processes an item whose guards have just been asked.
    @concurrent
    func process(_ item: IngestItem, verdicts first: [GuardVerdict]) async -> ItemResult {
        defer { producer.largeTexts.end(item.externalID) }
        do throws(KelterError) {
            var verdicts = first
            var course = Course(targets: item.keys.count)
            for attempt in 0..<Self.attempts {
                if attempt > 0 { verdicts = try await store.probe(item.keys, tenant: tenant) }
                course.settle(verdicts)
                if !course.pending.isEmpty {
                    if Task.isCancelled { return .skipped(.interrupted) }
                    if let result = try await pass(item, verdicts, &course) { return result }
                }
                if course.pending.isEmpty { return .done(course.finished, reused: course.reused) }
            }
            throw KelterError(
                .storeConflict,
                "Other writers changed the same documents \(Self.attempts) times in a row.",
                subject: item.externalID,
                fix: "Ingest the file again."
            )
        } catch {
            return error.code == .interrupted || Task.isCancelled ? .skipped(.interrupted) : .failed(error)
        }
    }

    /// How far an item has come in each of its scopes.
    private struct Course {
        private var results: [ScopeResult?]
        var reused = 0

        init(targets: Int) {
            results = Array(repeating: nil, count: targets)
        }

        var pending: [Int] { results.indices.filter { results[$0] == nil } }
        var finished: [ScopeResult] { results.compactMap { $0 } }

        /// Ends the scopes in which nothing is to be written.
        mutating func settle(_ verdicts: [GuardVerdict]) {
            for index in pending {
                switch verdicts[index] {
                case .unchanged(let document):
                    let result = WriteResult(outcome: .unchanged, document: document)
                    results[index] = ScopeResult(result: result, isRecorded: false)
                case .duplicate(let document, linked: true):
                    let result = WriteResult(outcome: .duplicate, duplicateOf: document)
                    results[index] = ScopeResult(result: result, isRecorded: false)
                default:
                    break
                }
            }
        }

        mutating func finish(_ index: Int, _ result: WriteResult) {
            if !result.needsContent { results[index] = ScopeResult(result: result, isRecorded: true) }
        }
    }

    /// One pass over the scopes that are left; returns a result when it is one for all of them.
    private func pass(
        _ item: IngestItem,
        _ verdicts: [GuardVerdict],
        _ course: inout Course
    ) async throws(KelterError) -> ItemResult? {
        guard course.pending.contains(where: { verdicts[$0].needsContent }) else {
            if plan != nil { return .planned(verdicts.map(\.outcome), chunks: 0) }
            try await write(item, nil, verdicts, &course)
            return nil
        }
        var planned = verdicts.map(\.outcome)
        if let plan {
            // A copy of what the plan has already would be a duplicate.
            let new = course.pending.filter { verdicts[$0].needsContent }
            let contents = new.map { ContentKey(collection: item.keys[$0].collection, hash: item.keys[$0].hash) }
            let repeated = zip(new, plan.claim(contents)).filter(\.1).map(\.0)
            for index in repeated { planned[index] = .duplicate }
            if repeated.count == new.count { return .planned(planned, chunks: 0) }
        }
        var next = course
        let result: Result<ItemResult?, KelterError> = await memory.with(producer.memory(for: item)) {
            do throws(KelterError) {
                return .success(try await press(item, verdicts, planned, &next))
            } catch {
                return .failure(error)
            }
        }
        course = next
        return try result.get()
    }

    private func press(
        _ item: IngestItem,
        _ verdicts: [GuardVerdict],
        _ planned: [Outcome],
        _ course: inout Course
    ) async throws(KelterError) -> ItemResult? {
        let prepared = try await times.measure(.parse) { () async throws(KelterError) in
            try await producer.prepare(item)
        }
        FailPoint.itemChunked.pass()
        guard !prepared.isEmpty else { return .skipped(.noText) }
        let previous = verdicts.compactMap(\.previousDocument)
        if let plan {
            let chunks = try await producer.findMissing(prepared, previous: previous) {
                plan.add($0, profile: profile.name)
            }
            return .planned(planned, chunks: chunks)
        }
        let targets = course.pending.filter { verdicts[$0].needsContent }
        let ticket = claim(prepared.signature, item, targets)
        defer { ticket.map(nearClaims.release) }
        _ = await ticket?.wait()
        let near = ticket == nil ? [:] : try await found(prepared.signature, item, targets)
        guard nearDuplicates.strategy != .skip || near.count < targets.count else {
            try await write(item, prepared, verdicts, near: near, &course)
            return nil
        }
        let embedded = try await times.measure(.embed) { () async throws(KelterError) in
            try await producer.embed(prepared, of: item, previous: previous)
        }
        course.reused = embedded.reused
        try await write(item, prepared, content: embedded.content, verdicts, near: near, &course)
        return nil
    }

    /// Puts an item behind those of this process that may turn out to be nearly the same and are not stored yet.
    private func claim(
        _ signature: NearDuplicateSignature?,
        _ item: IngestItem,
        _ targets: [Int]
    ) -> NearClaims.Ticket? {
        guard nearDuplicates.strategy == .skip || nearDuplicates.strategy == .replace, let signature else { return nil }
        let keys = targets.flatMap { target in
            signature.bands.map { NearKey(collection: item.scope.targets[target], band: $0) }
        }
        return nearClaims.enqueue(Array(Set(keys)))
    }

    /// The stored documents that an item is nearly the same as, by the place of their scopes.
    private func found(
        _ signature: NearDuplicateSignature?,
        _ item: IngestItem,
        _ targets: [Int]
    ) async throws(KelterError) -> [Int: NearDuplicate] {
        var near: [Int: NearDuplicate] = [:]
        guard let signature else { return near }
        for target in targets {
            near[target] = try await store.nearDuplicate(
                of: signature,
                named: item.keys[target].externalID,
                in: item.scope.targets[target],
                threshold: nearDuplicates.threshold,
                tenant: tenant
            )
        }
        return near
    }

    private func write(
        _ item: IngestItem,
        _ prepared: PreparedContent?,
        content: DocumentContent? = nil,
        _ verdicts: [GuardVerdict],
        near: [Int: NearDuplicate] = [:],
        _ course: inout Course
    ) async throws(KelterError) {
        let keys = item.keys
        let pending = course.pending
        let attributes = attributes(of: item, prepared)
        let reportsFrom = nearDuplicates.strategy == .report ? nearDuplicates.threshold : nil
        let writes = pending.map { index in
            let isSkipped = nearDuplicates.strategy == .skip && near[index] != nil
            var write = DocumentWrite(
                newDocumentID: item.newDocumentID(index) ?? .version7(milliseconds: now()),
                key: keys[index],
                attributes: attributes,
                bytes: item.content.size,
                root: item.root,
                place: item.place,
                content: verdicts[index].needsContent && !isSkipped ? content : nil
            )
            write.near = prepared?.signature.map { NearDuplicateWrite(signature: $0, reportsFrom: reportsFrom) }
            write.nearDuplicateOf = near[index]
            return write
        }
        let results = try await times.measure(.store) { () async throws(KelterError) in
            let result: Result<[WriteResult], KelterError> = await withTaskCancellationHandler {
                do throws(KelterError) { return .success(try await writer.write(writes)) } catch {
                    return .failure(error)
                }
            } onCancel: {
                content?.giveUp()
            }
            return try result.get()
        }
        for (index, result) in zip(pending, results) { course.finish(index, result) }
    }

    private func attributes(of item: IngestItem, _ content: PreparedContent?) -> DocumentAttributes {
        var metadata = item.sidecar.attributes
        if let repairs = content?.repairs, !repairs.isEmpty {
            metadata = metadata.adding(Repair.metadataName, Repair.json(repairs))
        }
        return DocumentAttributes(
            title: content?.title ?? item.sidecar.title,
            language: content?.language ?? item.sidecar.language,
            source: item.sidecar.source,
            originURI: item.sidecar.originURI,
            caseID: item.caseID.description,
            workflowID: item.sidecar.workflowID,
            process: item.sidecar.process,
            docClass: item.sidecar.docClass,
            mediaType: content?.mediaType ?? item.sidecar.mediaType,
            embeddingProfile: profile.name,
            embeddingModel: profile.model,
            vectorSpace: profile.vectorSpace,
            metadata: metadata
        )
    }
}

extension IngestItem {
    /// The identifier promised to a scope's document.
    fileprivate func newDocumentID(_ target: Int) -> RowID? {
        documentIDs.indices.contains(target) ? documentIDs[target] : nil
    }
}

extension GuardVerdict {
    /// What the verdict will lead to.
    var outcome: Outcome {
        switch self {
        case .unchanged: .unchanged
        case .updated: .updated
        case .duplicate: .duplicate
        case .replaced: .replaced
        case .new: .inserted
        }
    }

    /// The document this item had before.
    var previousDocument: RowID? {
        switch self {
        case .unchanged(let document), .updated(let document), .replaced(let document): document
        case .duplicate, .new: nil
        }
    }
}

extension RunItem {
    /// The ledger's row of an item's outcome in one scope.
    init(_ item: IngestItem, _ collection: CollectionID?, _ result: WriteResult) {
        self.init(
            collection: collection,
            externalID: item.externalID,
            outcome: result.outcome,
            code: result.error?.code,
            detail: result.error?.detail,
            document: result.document ?? result.duplicateOf,
            bytes: item.content.size,
            place: item.place
        )
    }

    /// The ledger's row of an entry that was not stored.
    init(
        _ problem: ItemProblem,
        _ collection: CollectionID?,
        _ outcome: Outcome,
        bytes: Int,
        place: BatchPlace = BatchPlace()
    ) {
        self.init(
            collection: collection,
            externalID: problem.externalID,
            outcome: outcome,
            code: ErrorCode(problem.code),
            detail: problem.detail,
            document: nil,
            bytes: bytes,
            place: place
        )
    }
}

/// A band of a signature in a scope.
struct NearKey: Hashable, Sendable {
    let collection: CollectionID?
    let band: Int
}

typealias NearClaims = Claims<NearKey>
