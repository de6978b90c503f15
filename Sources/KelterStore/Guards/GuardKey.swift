package import KelterModel

/// What identifies one item in one scope, before anything of it is parsed.
package struct GuardKey: Sendable, Hashable {
    /// The scope: a collection, or `nil` for documents outside collections.
    package let collection: CollectionID?
    /// The item's name in the scope.
    package let externalID: String
    /// SHA-256 of the raw bytes.
    package let hash: ContentHash
    /// SHA-256 of the canonical metadata.
    package let metadataHash: ContentHash

    package init(collection: CollectionID?, externalID: String, hash: ContentHash, metadataHash: ContentHash) {
        self.collection = collection
        self.externalID = externalID
        self.hash = hash
        self.metadataHash = metadataHash
    }
}
