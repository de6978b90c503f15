package import KelterModel

/// The last outcome of one item in one scope.
package struct RunItem: Sendable {
    package var collection: CollectionID?
    package var externalID: String
    package var outcome: Outcome
    /// Why it failed or was skipped.
    package var code: ErrorCode?
    /// The reason in words.
    package var detail: String?
    package var document: RowID?
    /// The size of the raw bytes.
    package var bytes: Int?
    /// The chunks of the content that was written.
    package var chunks: Int?
    /// Those of them that have a vector.
    package var embeddings: Int?
    /// Whether it is a failure that nobody will retry.
    package internal(set) var isDropped = false
    /// Where the item stands in its batch.
    package var place: BatchPlace

    package init(
        collection: CollectionID?,
        externalID: String,
        outcome: Outcome,
        code: ErrorCode? = nil,
        detail: String? = nil,
        document: RowID? = nil,
        bytes: Int? = nil,
        chunks: Int? = nil,
        embeddings: Int? = nil,
        place: BatchPlace = BatchPlace()
    ) {
        self.collection = collection
        self.externalID = externalID
        self.outcome = outcome
        self.code = code
        self.detail = detail
        self.document = document
        self.bytes = bytes
        self.chunks = chunks
        self.embeddings = embeddings
        self.place = place
    }
}
