package import KelterModel

/// The chunks of a document with their vectors, ready to be stored; those of a large one lie in a file.
package struct DocumentContent: Sendable {
    /// What is asked of all chunks before they are written.
    package struct Key: Sendable {
        /// SHA-256 of the exact text that was embedded.
        package let inputHash: ContentHash
        /// The width of its vector; 0 for a chunk that only words can find.
        package let dimension: Int

        package init(inputHash: ContentHash, dimension: Int) {
            self.inputHash = inputHash
            self.dimension = dimension
        }
    }

    /// One for each chunk, by its ordinal.
    package let keys: [Key]
    /// Whether a text has the one character that PostgreSQL's `text` has not.
    let hasNUL: Bool
    private let load: @Sendable (Range<Int>) throws(KelterError) -> [StoredChunk]

    /// Content that is in memory.
    package init(_ chunks: [StoredChunk]) {
        keys = chunks.map { Key(inputHash: $0.inputHash, dimension: $0.vector.values?.count ?? 0) }
        hasNUL = chunks.contains { containsNUL($0.text) }
        load = { (range) throws(KelterError) in Array(chunks[range]) }
    }

    /// Content that lies elsewhere.
    ///
    /// - Parameters:
    ///   - keys: One for each chunk, by its ordinal.
    ///   - load: Returns the chunks of some ordinals, whose texts have no NUL.
    package init(keys: [Key], load: @escaping @Sendable (Range<Int>) throws(KelterError) -> [StoredChunk]) {
        self.keys = keys
        hasNUL = false
        self.load = load
    }

    /// The number of chunks.
    package var count: Int { keys.count }

    /// Chunks by their ordinals.
    ///
    /// - Throws: ``KelterError`` of the place where they lie.
    func chunks(_ range: Range<Int>) throws(KelterError) -> [StoredChunk] { try load(range) }
}
