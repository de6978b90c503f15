/// Whose vectors they are that can stand for each other: the same text gives the same vector in one of these.
package struct CacheSpace: Sendable, Hashable {
    /// The model, by ``Store/adoptFingerprint(model:reference:target:tolerance:)``: its name may be pointed at another.
    package let fingerprint: String
    /// The width of the vectors, which some models cut to order.
    package let dimension: Int
    /// The version of what is put around a text before it is hashed and embedded: prefix and context header.
    package let template: String

    package init(fingerprint: String, dimension: Int, template: String) {
        self.fingerprint = fingerprint
        self.dimension = dimension
        self.template = template
    }
}

/// How many vectors a tenant has in the embedding cache for one space.
package struct CacheFigures: Sendable, Equatable {
    package let space: CacheSpace
    /// The model's name, where the fingerprint is that of the vector space that is searched now.
    package let model: String?
    package let entries: Int
    /// About what the entries take in the table and its indexes.
    package let bytes: Int
    /// When the entry that was not used for the longest time was used, as RFC 3339 in UTC; to the day.
    package let oldestUse: String
    /// When an entry was used last, as RFC 3339 in UTC; to the day.
    package let newestUse: String
}

/// What was removed from the embedding cache.
package struct CachePruning: Sendable, Equatable {
    package var entries = 0
    /// About what they took in the table and its indexes.
    package var bytes = 0

    package init(entries: Int = 0, bytes: Int = 0) {
        self.entries = entries
        self.bytes = bytes
    }
}
