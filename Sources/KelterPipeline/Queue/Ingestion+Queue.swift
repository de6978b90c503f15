package import KelterModel
package import KelterStore

/// How the work on a queued run ended.
package enum QueuedRunEnd: Sendable {
    /// Every document has its outcome.
    case done(QueuedRunReport)
    /// A service was unavailable or the work was interrupted; what is stored stays, and the run has to be done again.
    case postponed(KelterError)
}

extension Ingestion {
    /// How many documents of one run are worked on at a time: enough to fill embedding requests.
    private static let queuedDocumentsInFlight = 16

    /// Works on a run taken from the queue.
    ///
    /// - Parameters:
    ///   - claim: The run.
    ///   - objects: Where its files lie.
    /// - Returns: How it ended.
    package func work(on claim: ClaimedRun, objects: ObjectStore) async -> QueuedRunEnd {
        guard let work = QueuedWork(claim.run.arguments) else {
            return .postponed(
                KelterError(
                    .internalError,
                    "The run's arguments cannot be read.",
                    subject: "run \(claim.run.id)",
                    fix: "Work it with the version of kelter that queued it."
                )
            )
        }
        do throws(KelterError) {
            let worker = QueuedDocumentWorker(
                ingestion: self,
                objects: objects,
                claim: claim,
                processors: try await processors(for: work, claim)
            )
            try await worker.settle(work.documents)
            let earlier = try await worker.earlierOutcomes()
            let results = await withTaskGroup(of: (Int, Result<QueuedRunReport, KelterError>).self) { group in
                var results: [Int: Result<QueuedRunReport, KelterError>] = [:]
                for (index, document) in work.documents.enumerated() {
                    if index >= Self.queuedDocumentsInFlight, let next = await group.next() { results[next.0] = next.1 }
                    group.addTask { (index, await worker.ingest(document, earlier: earlier)) }
                }
                for await result in group { results[result.0] = result.1 }
                return results
            }
            var report = QueuedRunReport()
            for index in work.documents.indices {
                if let part = try results[index]?.get() { report.add(part) }
            }
            report.contradiction = try await recount(claim.run.id, expecting: report.outcomes, tenant: claim.tenant)
            // Of a run that does not add up everything stays to be looked at, and to be repeated.
            if report.contradiction != nil { report.leftovers = QueuedRunLeftovers() }
            return .done(report)
        } catch {
            return .postponed(error)
        }
    }
}

extension Ingestion {
    /// What works on the documents of a run, by the name of their profile.
    private func processors(
        for work: QueuedWork,
        _ claim: ClaimedRun
    ) async throws(KelterError) -> [String: ItemProcessor] {
        var processors: [String: ItemProcessor] = [:]
        for name in Set(work.documents.map { $0.profile ?? stages.profile.name }) {
            let profile = try catalog.routing.profile(for: RouteKeys(tenant: claim.tenant), named: name)
            processors[name] = processor(
                of: try await catalog.stages(for: profile),
                tenant: claim.tenant,
                run: claim.run.id
            )
        }
        return processors
    }

    /// Removes what a run that has ended left behind.
    ///
    /// - Throws: ``KelterError`` of the database or the object store; what stays is harmless.
    package func remove(
        _ leftovers: QueuedRunLeftovers,
        of claim: ClaimedRun,
        in objects: ObjectStore
    ) async throws(KelterError) {
        if !leftovers.documents.isEmpty {
            try await stages.store.forgetUploads(of: leftovers.documents, tenant: claim.tenant)
        }
        try await io.attempt { () throws(KelterError) in
            for path in leftovers.paths { try objects.remove(path) }
        }
    }
}

extension QueuedRunReport {
    fileprivate mutating func add(_ part: QueuedRunReport) {
        documents += part.documents
        chunks += part.chunks
        embeddings += part.embeddings
        embeddingsEmpty += part.embeddingsEmpty
        cacheHits += part.cacheHits
        leftovers.documents += part.leftovers.documents
        leftovers.paths += part.leftovers.paths
    }
}

/// Works on the documents of one claimed run.
private struct QueuedDocumentWorker: Sendable {
    let ingestion: Ingestion
    let objects: ObjectStore
    let claim: ClaimedRun
    let processors: [String: ItemProcessor]

    private var store: Store { ingestion.stages.store }
    private var tenant: Tenant { claim.tenant }

    /// Puts files that a killed process left staged in their places.
    func settle(_ documents: [QueuedDocument]) async throws(KelterError) {
        let (objects, run) = (objects, claim.run.id)
        try await ingestion.io.attempt { () throws(KelterError) in
            for document in documents {
                try objects.settle(run: run, content: document.contentPath, metadata: document.metadataPath)
            }
        }
    }

    /// What an earlier attempt at this run has written: a second one finds it unchanged and must not say so.
    func earlierOutcomes() async throws(KelterError) -> [ItemName: Outcome] {
        guard claim.attempts > 1 else { return [:] }
        let items = try await store.items(
            ofRun: claim.run.id,
            outcomes: [.inserted, .replaced, .updated],
            tenant: tenant
        )
        return Dictionary(
            items.map { (ItemName(externalID: $0.externalID, collection: $0.collection), $0.outcome) }
        ) { $1 }
    }

    /// Brings one document to its outcome.
    ///
    /// - Returns: A failure only when the whole run has to be done again.
    func ingest(_ document: QueuedDocument, earlier: [ItemName: Outcome]) async -> Result<QueuedRunReport, KelterError>
    {
        do throws(KelterError) {
            let item: IngestItem
            do throws(KelterError) {
                item = try await read(document)
            } catch {
                return .success(try await fail(document, error, bytes: nil))
            }
            guard let processor = processors[item.profile.name] else {
                throw KelterError(.internalError, "A profile of the run is not open.", subject: item.profile.name)
            }
            let verdicts = try await processor.store.probe(item.keys, tenant: tenant)
            switch await processor.process(item, verdicts: verdicts) {
            case .done(let results, let reused):
                return .success(try await finish(document, item, results, reused: reused, earlier: earlier))
            case .skipped(.interrupted):
                throw KelterError(.interrupted, "The work was interrupted.", fix: "It goes on by itself.")
            case .skipped(let reason):
                return .success(try await skip(document, reason, bytes: item.content.size))
            case .failed(let error)
            where error.endsRun || (error.mayPass && claim.attempts < RunWorker.maximumAttempts):
                throw error
            case .failed(let error):
                return .success(try await fail(document, error, bytes: item.content.size))
            case .planned:
                throw KelterError(.internalError, "A queued run was planned.")
            }
        } catch {
            return .failure(error)
        }
    }

    private func read(_ document: QueuedDocument) async throws(KelterError) -> IngestItem {
        let (objects, tenant) = (objects, tenant)
        let profile = try ingestion.catalog.routing.profile(
            for: RouteKeys(tenant: tenant),
            named: document.profile ?? ingestion.stages.profile.name
        )
        return try await ingestion.io.attempt { () throws(KelterError) in
            let path = objects.root + "/" + document.contentPath
            let content = try readFile(path, keepUpTo: ItemReader.keepUpTo, maximum: Ingestion.maximumFileBytes)
            guard content.hash == document.hash else { throw changed(document.fileName) }
            let sidecar = try Sidecar(bytes: try objects.readSmall(document.metadataPath), tenant: tenant)
            return IngestItem(
                externalID: document.externalID,
                file: FoundFile(path: path, relativePath: document.fileName, sidecarPath: nil, name: document.fileName),
                root: nil,
                sidecar: sidecar,
                scope: document.scope,
                profile: profile,
                caseID: document.caseID,
                content: content,
                metadataHash: try IngestItem.metadataHash(sidecar, document.caseID),
                documentIDs: document.targets.map { $0.isNew ? $0.document : nil }
            )
        }
    }

    /// Accounts for a document whose rows are written and puts its objects where they belong.
    private func finish(
        _ document: QueuedDocument,
        _ item: IngestItem,
        _ results: [ScopeResult],
        reused: Int,
        earlier: [ItemName: Outcome]
    ) async throws(KelterError) -> QueuedRunReport {
        var report = QueuedRunReport()
        report.cacheHits = reused
        var items: [RunItem] = []
        var places: Set<String> = []
        for (collection, scoped) in zip(item.scope.targets, results) {
            var result = scoped.result
            let name = ItemName(externalID: item.externalID, collection: collection)
            if result.outcome == .unchanged, let outcome = earlier[name], let id = result.document {
                result.outcome = outcome
                let space = processors[item.profile.name]?.store ?? store
                result.chunks = outcome == .updated ? 0 : try await space.chunkCount(of: id, tenant: tenant)
            } else if !scoped.isRecorded {
                items.append(RunItem(item, collection, result))
            }
            var record: UploadRecord?
            // A duplicate's document is another source's, and so are its objects.
            if let id = result.document, result.duplicateOf == nil {
                let placed = try await ingestion.placeObjects(of: item, id, collection, tenant: tenant, in: objects)
                places.formUnion([placed.contentPath, placed.metadataPath])
                record = placed
            }
            report.add(result, of: item, in: collection, accepted: document, metadataPath: record?.metadataPath)
        }
        if !items.isEmpty { try await store.recordItems(items, run: claim.run.id, tenant: tenant) }
        report.leftovers = leftovers(of: document, keeping: places, report)
        return report
    }

    /// The files and records of this upload that are of no use once its run has ended: those of identifiers that did not
    /// become documents, and the bytes that were copied to a document's place.
    ///
    /// The files of a run over documents that were uploaded before are theirs, and what failed is kept to be repeated.
    private func leftovers(
        of document: QueuedDocument,
        keeping places: Set<String>,
        _ report: QueuedRunReport
    ) -> QueuedRunLeftovers {
        guard claim.run.kind == QueuedWork.uploadKind, !report.documents.contains(where: { $0.outcome == .failed })
        else {
            return QueuedRunLeftovers()
        }
        let stored = Set(report.documents.map(\.id))
        return QueuedRunLeftovers(
            documents: document.documentIDs.filter { !stored.contains($0) },
            paths: [document.metadataPath, document.contentPath].filter { !places.contains($0) }
        )
    }

    private func skip(
        _ document: QueuedDocument,
        _ reason: SkipReason,
        bytes: Int
    ) async throws(KelterError) -> QueuedRunReport {
        try await close(document, .skipped, code: reason.rawValue, detail: nil, bytes: bytes)
    }

    private func fail(_ document: QueuedDocument, _ error: KelterError, bytes: Int?) async throws(KelterError)
        -> QueuedRunReport
    {
        try await close(document, .failed, code: error.code.rawValue, detail: error.detail, bytes: bytes)
    }

    private func close(
        _ document: QueuedDocument,
        _ outcome: Outcome,
        code: String,
        detail: String?,
        bytes: Int?
    ) async throws(KelterError) -> QueuedRunReport {
        var report = QueuedRunReport()
        var items: [RunItem] = []
        for (collection, id) in zip(document.scope.targets, document.documentIDs) {
            report.documents.append(
                QueuedRunReport.Document(
                    id: id,
                    externalID: document.externalID,
                    collection: collection,
                    outcome: outcome,
                    code: code,
                    detail: detail
                )
            )
            items.append(
                RunItem(
                    collection: collection,
                    externalID: document.externalID,
                    outcome: outcome,
                    code: ErrorCode(code),
                    detail: detail,
                    bytes: bytes
                )
            )
        }
        try await store.recordItems(items, run: claim.run.id, tenant: tenant)
        return report
    }
}

extension QueuedRunReport {
    fileprivate mutating func add(
        _ result: WriteResult,
        of item: IngestItem,
        in collection: CollectionID?,
        accepted: QueuedDocument,
        metadataPath: String?
    ) {
        chunks += result.chunks
        embeddings += result.embeddings
        embeddingsEmpty += result.embeddingsEmpty
        let position = item.scope.targets.firstIndex(of: collection) ?? 0
        documents.append(
            Document(
                id: result.document ?? result.duplicateOf ?? accepted.documentIDs[position],
                externalID: item.externalID,
                collection: collection,
                outcome: result.outcome,
                duplicateOf: result.duplicateOf,
                metadataPath: metadataPath,
                code: result.error?.code.rawValue,
                detail: result.error?.detail
            )
        )
    }
}

extension KelterError {
    /// Whether the same work may succeed later: the fault is not the document's.
    var mayPass: Bool {
        code.isPassingEmbeddingFailure || [.databaseError, .storeConflict, .objectStoreFailed].contains(code)
    }
}
