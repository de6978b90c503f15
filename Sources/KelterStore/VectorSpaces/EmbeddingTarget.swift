package import KelterModel

/// Where recomputed vectors go.
package enum EmbeddingTarget: Sendable, Equatable {
    /// Over those that are searched now.
    case current
    /// Into the space that stands by for another model, of this dimension.
    case standby(dimension: Int)
}

/// A document whose vectors are to be recomputed.
package struct StoredDocument: Sendable {
    package let id: RowID
    /// Grows with each change of its content.
    package let generation: Int
    package let externalID: String
    package let collection: CollectionID?
    package let title: String?
    package var chunks: [Chunk] = []

    /// One of its chunks.
    package struct Chunk: Sendable {
        package let id: RowID
        package let text: String
        /// The heading path, outermost first; empty for chunks of the older system.
        package let section: [String]
        package let title: String?
        /// SHA-256 of the text that was embedded; `nil` for chunks of the older system.
        package let inputHash: ContentHash?
        /// The names of columns that were embedded before the text.
        package let tableHeader: String?
    }
}

/// The new vectors of one document, in the order of its chunks.
package struct RecomputedDocument: Sendable {
    package let document: StoredDocument
    package let vectors: [UnitVector]
    /// SHA-256 of the texts that were embedded now.
    package let inputHashes: [ContentHash]

    package init(document: StoredDocument, vectors: [UnitVector], inputHashes: [ContentHash]) {
        self.document = document
        self.vectors = vectors
        self.inputHashes = inputHashes
    }
}
