package import KelterModel

/// One uploaded file that a queued run brings into the database.
package struct QueuedDocument: Sendable, Equatable {
    /// Where its bytes and its metadata lie, relative to the object store.
    package var contentPath: String
    package var metadataPath: String
    package var fileName: String
    package var externalID: String
    package var caseID: CaseID
    /// The scope as it was resolved when the run was accepted.
    package var scope: CollectionScope
    /// The documents, one per collection of the scope, in its order.
    package var targets: [Target]
    /// SHA-256 of the bytes.
    package var hash: ContentHash
    /// The name of its embedding profile; `nil` for the default one, in runs that an older version has queued.
    package var profile: String?

    package init(
        contentPath: String,
        metadataPath: String,
        fileName: String,
        externalID: String,
        caseID: CaseID,
        scope: CollectionScope,
        targets: [Target],
        hash: ContentHash,
        profile: String? = nil
    ) {
        self.contentPath = contentPath
        self.metadataPath = metadataPath
        self.fileName = fileName
        self.externalID = externalID
        self.caseID = caseID
        self.scope = scope
        self.targets = targets
        self.hash = hash
        self.profile = profile
    }
}

extension QueuedDocument {
    /// The document of one scope, as it was known when the run was accepted.
    package struct Target: Sendable, Equatable {
        package let document: RowID
        /// Whether the document is still to be made, with this identifier.
        package let isNew: Bool
    }

    /// The documents' identifiers, in the order of the scope.
    package var documentIDs: [RowID] { targets.map(\.document) }

    /// The document as the run's arguments keep it.
    var json: JSONValue {
        .object([
            ("content", .string(contentPath)), ("metadata", .string(metadataPath)), ("file_name", .string(fileName)),
            ("external_id", .string(externalID)), ("case_id", .string(caseID.description)), ("scope", scope.json),
            (
                "targets",
                .array(
                    targets.map {
                        .object([("document_id", .string($0.document.description)), ("is_new", .bool($0.isNew))])
                    }
                )
            ),
            ("hash", .string(hash.hex)),
            ("embedding_profile", .optional(profile)),
        ])
    }

    /// Reads ``json``.
    init?(_ json: JSONValue) {
        guard let content = json["content"]?.string, let metadata = json["metadata"]?.string,
            let fileName = json["file_name"]?.string, let externalID = json["external_id"]?.string,
            let caseID = json["case_id"]?.string.flatMap({ try? CaseID($0) }),
            let scope = json["scope"].flatMap({ CollectionScope(json: $0) }),
            let targets = json["targets"]?.array?.compactMap(Target.init), targets.count == scope.targets.count,
            let hash = json["hash"]?.string.flatMap({ ContentHash(hex: $0) })
        else { return nil }
        self.init(
            contentPath: content,
            metadataPath: metadata,
            fileName: fileName,
            externalID: externalID,
            caseID: caseID,
            scope: scope,
            targets: targets,
            hash: hash,
            profile: json["embedding_profile"]?.string
        )
    }
}

extension QueuedDocument.Target {
    fileprivate init?(_ json: JSONValue) {
        guard let document = json["document_id"]?.string.flatMap({ RowID($0) }), let isNew = json["is_new"]?.bool else {
            return nil
        }
        self.init(document: document, isNew: isNew)
    }
}

/// What a queued run is to do; kept in the ledger as the run's arguments.
package struct QueuedWork: Sendable, Equatable {
    /// The kind of a run that brings in what has just been uploaded.
    package static let uploadKind = "upload"
    /// The kind of a run over documents that were uploaded before.
    package static let ingestionKind = "ingestion"

    package var documents: [QueuedDocument]
    /// What the request named without there being such a document.
    package var invalidIDs: [String]
    /// The name of the embedding profile.
    package var profile: String

    package init(documents: [QueuedDocument], invalidIDs: [String] = [], profile: String) {
        self.documents = documents
        self.invalidIDs = invalidIDs
        self.profile = profile
    }

    /// The run's arguments; `document_ids` at the top is what a hard deletion looks for.
    package var json: JSONValue {
        .object([
            ("document_ids", .array(documents.flatMap(\.documentIDs).map { .string($0.description) })),
            ("invalid_document_ids", .array(invalidIDs.map { .string($0) })),
            ("embedding_profile", .string(profile)),
            ("documents", .array(documents.map(\.json))),
        ])
    }

    /// Reads ``json``; `nil` for the arguments of a run that was not queued.
    package init?(_ json: JSONValue) {
        guard let items = json["documents"]?.array, let profile = json["embedding_profile"]?.string else { return nil }
        let documents = items.compactMap { QueuedDocument($0) }
        guard documents.count == items.count else { return nil }
        self.init(
            documents: documents,
            invalidIDs: json["invalid_document_ids"]?.array?.compactMap(\.string) ?? [],
            profile: profile
        )
    }
}
