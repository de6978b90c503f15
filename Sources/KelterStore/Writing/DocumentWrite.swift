package import KelterModel

/// The columns of a document that come from its metadata.
package struct DocumentAttributes: Sendable {
    package var title: String?
    package var language: String?
    package var source: String?
    package var originURI: String?
    package var caseID: String?
    package var workflowID: String?
    package var process: String?
    package var docClass: String?
    package var mediaType: String?
    package var embeddingProfile: String?
    package var embeddingModel: String?
    package var vectorSpace: String?
    /// Everything else of the sidecar, an object.
    package var metadata: JSONValue

    package init(
        title: String? = nil,
        language: String? = nil,
        source: String? = nil,
        originURI: String? = nil,
        caseID: String? = nil,
        workflowID: String? = nil,
        process: String? = nil,
        docClass: String? = nil,
        mediaType: String? = nil,
        embeddingProfile: String? = nil,
        embeddingModel: String? = nil,
        vectorSpace: String? = nil,
        metadata: JSONValue = .object([])
    ) {
        self.title = title
        self.language = language
        self.source = source
        self.originURI = originURI
        self.caseID = caseID
        self.workflowID = workflowID
        self.process = process
        self.docClass = docClass
        self.mediaType = mediaType
        self.embeddingProfile = embeddingProfile
        self.embeddingModel = embeddingModel
        self.vectorSpace = vectorSpace
        self.metadata = metadata
    }

    /// The columns in the order of ``columns``.
    var texts: [String?] {
        [
            title, language, source, originURI, caseID, workflowID, process, docClass, mediaType, embeddingProfile,
            embeddingModel, vectorSpace,
        ]
    }

    /// The names of the text columns.
    static let columns = [
        "title", "language", "source", "origin_uri", "case_id", "workflow_id", "process", "doc_class", "media_type",
        "embedding_profile", "embedding_model", "vector_space_id",
    ]
}

/// A chunk with its vector, ready to be stored.
package struct StoredChunk: Sendable {
    /// Position in the document, from 0 without gaps.
    package var ordinal: Int
    /// The stored text, without NUL.
    package var text: String
    /// Tokens of the embedded text.
    package var tokens: Int
    /// SHA-256 of the exact text that was embedded.
    package var inputHash: ContentHash
    /// Section path, title, byte range and the like, an object.
    package var metadata: JSONValue
    /// The vector; an empty one gives a chunk that only words can find.
    package var vector: UnitVector

    package init(
        ordinal: Int,
        text: String,
        tokens: Int,
        inputHash: ContentHash,
        metadata: JSONValue,
        vector: UnitVector
    ) {
        self.ordinal = ordinal
        self.text = text
        self.tokens = tokens
        self.inputHash = inputHash
        self.metadata = metadata
        self.vector = vector
    }
}

/// One item in one scope, to be written.
package struct DocumentWrite: Sendable {
    /// The identifier of the document if one has to be made.
    package var newDocumentID: RowID
    /// The item's scope, name and hashes.
    package var key: GuardKey
    /// The columns from the metadata.
    package var attributes: DocumentAttributes
    /// The size of the raw bytes.
    package var bytes: Int
    /// The root of the batch it came from; `nil` for an upload.
    package var root: String?
    /// Where it stands in its batch.
    package var place: BatchPlace
    /// The chunks with their vectors; `nil` when the probe said that none are needed.
    package var content: DocumentContent?
    /// By what near duplicates are found; `nil` when nobody looks for them.
    package var near: NearDuplicateWrite?
    /// The stored document that it is nearly the same as and becomes a source of: with content it replaces that one's.
    package var nearDuplicateOf: NearDuplicate?

    package init(
        newDocumentID: RowID,
        key: GuardKey,
        attributes: DocumentAttributes,
        bytes: Int,
        root: String? = nil,
        place: BatchPlace = BatchPlace(),
        content: DocumentContent?
    ) {
        self.newDocumentID = newDocumentID
        self.key = key
        self.attributes = attributes
        self.bytes = bytes
        self.root = root
        self.place = place
        self.content = content
    }
}
