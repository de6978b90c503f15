package import KelterModel
import KelterParsing
package import KelterStore

/// Accepts uploads and runs for later work.
///
/// Checks what can be checked at once, makes the files durable, and enters the run. What has been accepted is not lost,
/// whatever happens to this process.
package struct Intake: Sendable {
    let store: Store
    let objects: ObjectStore
    let io: IOThreads
    /// The profiles, and the vector spaces in which documents may be already.
    let catalog: StageCatalog

    package init(store: Store, objects: ObjectStore, io: IOThreads, catalog: StageCatalog) {
        self.store = store
        self.objects = objects
        self.io = io
        self.catalog = catalog
    }

    /// Accepts what the same profiles as those of a search will be asked for.
    package init(store: Store, objects: ObjectStore, io: IOThreads, retrieval: Retrieval) {
        self.init(store: store, objects: objects, io: io, catalog: retrieval.catalog)
    }

    /// A run that was accepted.
    package struct Accepted: Sendable, Equatable {
        package let run: RowID
        package let documents: [QueuedDocument]
        package let invalidIDs: [String]
        /// RFC 3339 in UTC; empty until the run has been entered.
        package var queuedAt = ""
    }

    /// Who asks, beside the caller of each item.
    package struct Request: Sendable {
        package var caller: Caller
        package var traceID: String
        /// Runs with a higher number go first; default 0.
        package var priority = 0

        package init(caller: Caller, traceID: String, priority: Int = 0) {
            self.caller = caller
            self.traceID = traceID
            self.priority = priority
        }
    }

    /// Makes the answer that repetitions of a request get; `nil` without an idempotency key.
    package typealias Reply = @Sendable (Accepted) -> IdempotentReply?
}

extension Intake {
    /// Accepts one uploaded file.
    ///
    /// - Parameters:
    ///   - incoming: The bytes as received.
    ///   - content: What ``IncomingObject/finish()`` returned.
    ///   - fileName: The file's name.
    ///   - metadata: The `metadata` field, a JSON object; `nil` without one.
    ///   - request: Who uploads it.
    ///   - reply: The answer to be stored with the run.
    /// - Returns: The run, which a worker will take.
    /// - Throws: ``KelterError``: ``ErrorCode/sidecarInvalid``, ``ErrorCode/unsupportedMediaType``, one of the scope's
    ///   codes, or that of a service.
    package func accept(
        _ incoming: IncomingObject,
        content: IncomingObject.Content,
        fileName: String,
        metadata: [UInt8]?,
        request: Request,
        reply: Reply
    ) async throws(KelterError) -> Accepted {
        let tenant = request.caller.tenant
        var sidecar = Sidecar()
        if let metadata { sidecar = try Sidecar(bytes: metadata, tenant: tenant) }
        try DocumentParser().checkMediaType(
            beginning: content.beginning,
            name: fileName,
            mediaType: sidecar.mediaType
        )
        let scope = try CollectionScope.resolve(request.caller.inputs(with: sidecar))
        let caseID = sidecar.caseID ?? request.caller.caseID
        let derived = try uploadIdentifier(fileName: fileName, size: content.size, beginning: content.beginning)
        let externalID = sidecar.externalID ?? derived
        var document = QueuedDocument(
            contentPath: "",
            metadataPath: "",
            fileName: fileName,
            externalID: externalID,
            caseID: caseID,
            scope: scope,
            targets: [],
            hash: content.hash,
            profile: try profile(of: scope, sidecar, named: nil, tenant: tenant).name
        )
        try await assignTargets(to: &document, sidecar: sidecar, tenant: tenant)
        let run = newRowID()
        try place(&document, run: run, tenant: tenant)
        // Only new documents have a place of their own already; the others' objects are the old ones until the rows
        // have changed.
        let uploads = document.targets.prefix(1).filter(\.isNew).map { target in
            UploadRecord(
                document: target.document,
                caseID: caseID,
                externalID: externalID,
                fileName: fileName,
                contentPath: document.contentPath,
                metadataPath: document.metadataPath,
                bytes: content.size,
                hash: content.hash
            )
        }
        let stored = sidecar.stored(externalID: externalID, collection: scope.targets.first ?? nil)
        try await io.attempt { () throws(KelterError) in try incoming.keep(for: run, metadata: stored) }
        var accepted = Accepted(run: run, documents: [document], invalidIDs: [])
        do throws(KelterError) {
            accepted.queuedAt = try await enqueue(
                accepted,
                kind: QueuedWork.uploadKind,
                uploads: uploads,
                request,
                reply
            )
        } catch {
            // Without the database nobody knows whether the run was entered: its worker needs the files then, and if it was
            // not, housekeeping finds them.
            if error.code != .databaseUnavailable, error.code != .interrupted {
                await io.run { [objects] in objects.discard(run: run) }
            }
            throw error
        }
        let (objects, placed) = (objects, document)
        // The run is entered; should the files not get to their places now, its worker puts them there.
        try? await io.attempt { () throws(KelterError) in
            try objects.settle(run: run, content: placed.contentPath, metadata: placed.metadataPath)
        }
        return accepted
    }

    /// Accepts a run over documents that were uploaded before.
    ///
    /// - Parameters:
    ///   - identifiers: The documents, as the caller wrote them.
    ///   - profile: The embedding profile; `nil` leaves it to the metadata and the rules.
    ///   - request: Who asks, into which scope.
    ///   - reply: The answer to be stored with the run.
    /// - Returns: The run, which a worker will take, and which identifiers are none.
    /// - Throws: ``KelterError`` with ``ErrorCode/validationError`` when none of the identifiers is a document, one of the
    ///   scope's codes, or that of a service.
    package func accept(
        documents identifiers: [String],
        profile: String?,
        request: Request,
        reply: Reply
    ) async throws(KelterError) -> Accepted {
        let tenant = request.caller.tenant
        if let profile { _ = try catalog.routing.profile(for: RouteKeys(tenant: tenant), named: profile) }
        // Malformed scopes are told before any document is looked at.
        _ = try CollectionScope.resolve(request.caller.scope)
        var seen: Set<RowID> = []
        let wanted = identifiers.compactMap { RowID(trimmed($0)) }.filter { seen.insert($0).inserted }
        let found = try await store.uploads(of: wanted, tenant: tenant)
        let stored = try await store.existingDocuments(found.map(\.document), tenant: tenant)
        var documents: [QueuedDocument] = []
        for upload in found {
            let isStored = stored.contains(upload.document)
            documents.append(try await queued(upload, isStored: isStored, profile: profile, caller: request.caller))
        }
        let known = Set(found.map(\.document))
        let invalid = identifiers.filter { text in RowID(trimmed(text)).map { !known.contains($0) } ?? true }
        guard !documents.isEmpty else {
            throw KelterError(
                .validationError,
                "None of the document_ids is a document of this tenant.",
                subject: "document_ids",
                fix: "Give identifiers that an upload returned."
            )
        }
        let run = newRowID()
        var accepted = Accepted(run: run, documents: documents, invalidIDs: invalid)
        accepted.queuedAt = try await enqueue(accepted, kind: QueuedWork.ingestionKind, uploads: [], request, reply)
        return accepted
    }

    private func queued(
        _ upload: UploadRecord,
        isStored: Bool,
        profile: String?,
        caller: Caller
    ) async throws(KelterError) -> QueuedDocument {
        let (objects, tenant) = (objects, caller.tenant)
        let sidecar = try await io.attempt { () throws(KelterError) in
            try Sidecar(bytes: try objects.readSmall(upload.metadataPath), tenant: tenant)
        }
        let scope = try CollectionScope.resolve(caller.inputs(with: sidecar))
        var document = QueuedDocument(
            contentPath: upload.contentPath,
            metadataPath: upload.metadataPath,
            fileName: upload.fileName,
            externalID: upload.externalID,
            caseID: upload.caseID,
            scope: scope,
            targets: [],
            hash: upload.hash,
            profile: try self.profile(of: scope, sidecar, named: profile, tenant: tenant).name
        )
        // An upload whose first run failed keeps the identifier it was promised.
        let promised = isStored ? nil : upload.document
        try await assignTargets(to: &document, sidecar: sidecar, tenant: tenant, promised: promised)
        return document
    }

    /// Gives each scope its document: the one that is there, or a new identifier.
    private func assignTargets(
        to document: inout QueuedDocument,
        sidecar: Sidecar,
        tenant: Tenant,
        promised: RowID? = nil
    ) async throws(KelterError) {
        let metadataHash = try IngestItem.metadataHash(sidecar, document.caseID)
        let keys = document.scope.targets.map {
            GuardKey(
                collection: $0,
                externalID: document.externalID,
                hash: document.hash,
                metadataHash: metadataHash
            )
        }
        let profile = try catalog.routing.profile(for: RouteKeys(tenant: tenant), named: document.profile)
        let verdicts = try await catalog.stages(for: profile).store.probe(keys, tenant: tenant)
        document.targets = verdicts.enumerated().map { index, verdict in
            if let known = verdict.document { return QueuedDocument.Target(document: known, isNew: false) }
            let id = (index == 0 ? promised : nil) ?? newRowID()
            return QueuedDocument.Target(document: id, isNew: true)
        }
    }

    /// Chooses the places of an upload's files: a new document's own, or those of the run where a document is there.
    private func place(
        _ document: inout QueuedDocument,
        run: RowID,
        tenant: Tenant
    ) throws(KelterError) {
        guard let first = document.targets.first, first.isNew else {
            let staged = StagedUpload(run: run)
            (document.contentPath, document.metadataPath) = (staged.content, staged.metadata)
            return
        }
        let location = try objects.location(
            tenant: tenant,
            caseID: document.caseID,
            document: first.document,
            fileName: document.fileName
        )
        (document.contentPath, document.metadataPath) = (location.content, location.metadata)
    }

    private func enqueue(
        _ accepted: Accepted,
        kind: String,
        uploads: [UploadRecord],
        _ request: Request,
        _ reply: Reply
    ) async throws(KelterError) -> String {
        let work = QueuedWork(
            documents: accepted.documents,
            invalidIDs: accepted.invalidIDs,
            profile: accepted.documents.first?.profile ?? catalog.standard.profile.name
        )
        return try await store.enqueue(
            RunSubmission(
                run: RunRecord(
                    id: accepted.run,
                    caseID: request.caller.caseID.description,
                    kind: kind,
                    status: .queued,
                    arguments: work.json
                ),
                priority: request.priority,
                traceID: request.traceID,
                uploads: uploads
            ),
            completing: reply(accepted),
            tenant: request.caller.tenant
        )
    }

    /// The one profile of all scopes of a document.
    private func profile(
        of scope: CollectionScope,
        _ sidecar: Sidecar,
        named explicit: String?,
        tenant: Tenant
    ) throws(KelterError) -> EmbeddingProfile {
        let profiles = try scope.targets.map { (collection) throws(KelterError) in
            try catalog.routing.profile(
                for: RouteKeys(tenant: tenant, collection: collection, sidecar: sidecar),
                named: explicit ?? sidecar.embeddingProfile
            )
        }
        guard Set(profiles.map(\.name)).count == 1 else {
            throw KelterError(
                .routeConflict,
                "The collections are routed to different embedding profiles: "
                    + "\(Set(profiles.map(\.name)).sorted().joined(separator: ", ")).",
                subject: "collection_ids",
                fix: "Upload the file into the collections of each profile by itself."
            )
        }
        return profiles[0]
    }
}

extension Caller {
    /// The caller's own values stand in for the metadata's of the same strength; headers are the weakest of all.
    func inputs(with sidecar: Sidecar) -> ScopeInputs {
        ScopeInputs(
            list: scope.list ?? sidecar.scope.list,
            body: scope.body ?? sidecar.scope.body,
            headers: scope.headers
        )
    }
}

extension GuardVerdict {
    /// The document that is there already.
    fileprivate var document: RowID? {
        switch self {
        case .unchanged(let id), .updated(let id), .duplicate(let id, _), .replaced(let id): id
        case .new: nil
        }
    }
}
