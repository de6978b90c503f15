import KelterEmbedding
package import KelterModel
import KelterStore

/// One file to upload.
package struct UploadRequest: Sendable {
    package var caller: Caller
    package var path: String
    /// A metadata file that takes the place of the file's own sidecar.
    package var metadataPath: String?
    /// The external identifier; `nil` takes that of the metadata, else the digest of SPEC section 4.
    package var externalID: String?
    /// The embedding profile; `nil` leaves it to the metadata and the routing rules.
    package var profile: String?

    package init(
        caller: Caller,
        path: String,
        metadataPath: String? = nil,
        externalID: String? = nil,
        profile: String? = nil
    ) {
        self.caller = caller
        self.path = path
        self.metadataPath = metadataPath
        self.externalID = externalID
        self.profile = profile
    }
}

extension Ingestion {
    /// Uploads one file: into the object store with its metadata, and into the database.
    ///
    /// - Parameters:
    ///   - request: The file.
    ///   - objects: Where the raw bytes and the metadata are kept.
    /// - Returns: The report; a failure of the file itself is in it.
    /// - Throws: ``KelterError`` when the file or its metadata cannot be read, the scope is malformed, or a service is
    ///   unavailable.
    package func upload(_ request: UploadRequest, objects: ObjectStore) async throws(KelterError) -> UploadReport {
        let clock = ContinuousClock()
        let start = clock.now
        let (items, scope) = try await read(request)
        let item = items[0]
        let tenant = request.caller.tenant
        let run = newRowID()
        var report = UploadReport(
            run: run,
            outcome: .failed,
            externalID: item.externalID,
            hash: item.content.hash,
            scope: scope
        )

        var work: [(item: IngestItem, verdicts: [GuardVerdict], processor: ItemProcessor)] = []
        for item in items {
            let processor = processor(
                of: try await catalog.stages(for: item.profile),
                tenant: tenant,
                run: run
            )
            work.append((item, try await processor.store.probe(item.keys, tenant: tenant), processor))
        }
        try await stages.store.beginRun(
            RunRecord(
                id: run,
                caseID: item.caseID.description,
                kind: "upload",
                arguments: .object([("external_id", .string(item.externalID)), ("scope", scope.json)])
            ),
            tenant: tenant
        )
        var outcomes: [Outcome] = []
        for part in work {
            report.outcome = .failed
            let result = await part.processor.process(part.item, verdicts: part.verdicts)
            do throws(KelterError) {
                try await account(result, part.item, request: request, objects: objects, in: &report)
            } catch {
                report.outcome = .failed
                report.error = error
            }
            outcomes.append(report.outcome)
            if report.error != nil { break }
        }
        report.outcome = outcomes.max { $0.severity < $1.severity } ?? .failed
        report.costs = await costs(tenant: tenant)
        report.embeddingInputs = report.costs.reduce(0) { $0 + $1.inputs }
        report.embeddingRequests = report.costs.reduce(0) { $0 + $1.requests }
        report.duration = clock.now - start
        if report.error == nil, !Task.isCancelled {
            let names = items.flatMap { item in
                item.scope.targets.map { ItemName(externalID: item.externalID, collection: $0) }
            }
            let expected = Dictionary(names.map { ($0, Set(Outcome.allCases)) }) { first, _ in first }
            do throws(KelterError) {
                report.error = try await recount(run, expecting: expected, tenant: tenant)
            } catch {
                report.error = error
            }
        }
        let status: RunStatus =
            if Task.isCancelled { .interrupted } else { report.error == nil ? .succeeded : .failed }
        let store = stages.store
        do throws(KelterError) {
            try await uncancelled { [report] () throws(KelterError) in
                try await store.finishRun(
                    run,
                    status: status,
                    totals: report.json,
                    error: report.error?.description,
                    tenant: tenant
                )
            }
        } catch {
            report.error = report.error ?? error
        }
        return report
    }

    /// The parts of the file, at least one, and all scopes of it.
    private func read(
        _ request: UploadRequest
    ) async throws(KelterError) -> (items: [IngestItem], scope: CollectionScope) {
        try refuseDirectory(request.path)
        var tree = try FileTree(inputs: [request.path], opensContainers: false)
        guard case .file(let file)? = tree.next(1).first else { throw noDocument(request.path) }
        let reader = ItemReader(
            caller: request.caller,
            routing: catalog.routing,
            profileName: request.profile,
            naming: .upload(externalID: request.externalID),
            metadataPath: request.metadataPath,
            maximumBytes: Self.maximumFileBytes
        )
        let items: [IngestItem]
        do throws(ItemFailure) {
            items = try await io.run { reader.read(file) }.get().items
        } catch {
            throw error.error
        }
        let scope = items[0].scope
        let targets = items.flatMap(\.scope.targets)
        return (items, items.count == 1 ? scope : scope.only(targets))
    }

    private func account(
        _ result: ItemResult,
        _ item: IngestItem,
        request: UploadRequest,
        objects: ObjectStore,
        in report: inout UploadReport
    ) async throws(KelterError) {
        let tenant = request.caller.tenant
        var ledgerItems: [RunItem] = []
        switch result {
        case .done(let results, let reused):
            report.cacheHits += reused
            try await add(results.map(\.result), item, request: request, objects: objects, to: &report)
            ledgerItems = zip(item.scope.targets, results).filter { !$1.isRecorded }.map {
                RunItem(item, $0, $1.result)
            }
        case .skipped(.interrupted):
            throw KelterError(.interrupted, "The upload was interrupted.", fix: "Repeat the command.")
        case .skipped(let reason):
            report.outcome = .skipped
            report.skipReason = reason
            let problem = ItemProblem(externalID: item.externalID, code: reason.rawValue, detail: "")
            ledgerItems = item.scope.targets.map { RunItem(problem, $0, .skipped, bytes: item.content.size) }
        case .failed(let error):
            report.error = error.about(item.file.name)
            let problem = ItemProblem(externalID: item.externalID, code: error.code.rawValue, detail: error.detail)
            ledgerItems = item.scope.targets.map { RunItem(problem, $0, .failed, bytes: item.content.size) }
        case .planned:
            break
        }
        if !ledgerItems.isEmpty { try await stages.store.recordItems(ledgerItems, run: report.run, tenant: tenant) }
    }

    /// Adds the documents of an upload to its report and makes sure that their objects are in the store.
    private func add(
        _ results: [WriteResult],
        _ item: IngestItem,
        request: UploadRequest,
        objects: ObjectStore,
        to report: inout UploadReport
    ) async throws(KelterError) {
        for (collection, result) in zip(item.scope.targets, results) {
            report.chunks += result.chunks
            report.embeddings += result.embeddings
            report.embeddingsEmpty += result.embeddingsEmpty
            if let error = result.error { report.error = error }
            var path: String?
            // A duplicate's document is another source's, and so are its objects.
            if let document = result.document, result.duplicateOf == nil {
                path = try await placeObjects(
                    of: item,
                    document,
                    collection,
                    tenant: request.caller.tenant,
                    in: objects
                ).metadataPath
            }
            report.documents.append(
                UploadReport.Document(
                    document: result.document ?? result.duplicateOf,
                    collection: collection,
                    outcome: result.outcome,
                    duplicateOf: result.duplicateOf,
                    metadataPath: path
                )
            )
        }
        report.outcome = results.map(\.outcome).max { $0.severity < $1.severity } ?? .unchanged
    }
}

/// Refuses to upload a directory: that is a batch.
///
/// - Throws: ``KelterError`` with ``ErrorCode/missingFile``.
package func refuseDirectory(_ path: String) throws(KelterError) {
    if try isDirectory(resolvedPath(path), named: path) { throw noDocument(path) }
}

func noDocument(_ path: String) -> KelterError {
    KelterError(
        .missingFile,
        "It is a directory or a metadata file.",
        subject: path,
        fix: "Give one document; a directory is ingested with `kelter ingest`."
    )
}
