package import KelterModel
import Synchronization

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

    /// What is asked of all chunks together.
    package struct Summary: Sendable {
        /// The number of chunks.
        package private(set) var count = 0
        /// How many of them have no vector.
        package private(set) var empty = 0
        /// The widths of their vectors.
        fileprivate(set) var dimensions: Set<Int> = []

        package init() {}

        /// Counts one more chunk.
        package mutating func add(_ key: Key) {
            count += 1
            if key.dimension == 0 { empty += 1 } else { dimensions.insert(key.dimension) }
        }
    }

    /// What is known of all chunks.
    let summary: Summary
    /// Whether a text has the one character that PostgreSQL's `text` has not.
    let hasNUL: Bool
    private let loadKeys: @Sendable (Range<Int>) throws(KelterError) -> [Key]
    private let load: @Sendable (Range<Int>) throws(KelterError) -> [StoredChunk]
    private let isGivenUp: Flag?

    private final class Flag: Sendable {
        let isSet = Atomic(false)
    }

    /// Content that is in memory.
    package init(_ chunks: [StoredChunk]) {
        let keys = chunks.map { Key(inputHash: $0.inputHash, dimension: $0.vector.values?.count ?? 0) }
        summary = keys.reduce(into: Summary()) { $0.add($1) }
        hasNUL = chunks.contains { containsNUL($0.text) }
        loadKeys = { (range) throws(KelterError) in Array(keys[range]) }
        load = { (range) throws(KelterError) in Array(chunks[range]) }
        isGivenUp = nil
    }

    /// Content that lies elsewhere.
    ///
    /// - Parameters:
    ///   - summary: What is known of all chunks.
    ///   - keys: Returns the keys of the chunks of some ordinals.
    ///   - load: Returns the chunks of some ordinals, whose texts have no NUL.
    package init(
        _ summary: Summary,
        keys: @escaping @Sendable (Range<Int>) throws(KelterError) -> [Key],
        load: @escaping @Sendable (Range<Int>) throws(KelterError) -> [StoredChunk]
    ) {
        self.summary = summary
        hasNUL = false
        loadKeys = keys
        self.load = load
        isGivenUp = Flag()
    }

    /// Whether the chunks have to be loaded, which may fail, and may be given up.
    package var liesElsewhere: Bool { isGivenUp != nil }

    /// The number of chunks.
    package var count: Int { summary.count }

    /// A width of its vectors that is not this one; `nil` when all are.
    func otherDimension(than dimension: Int) -> Int? {
        summary.dimensions.first { $0 != dimension }
    }

    /// Ends a transaction that writes content which lies elsewhere: it is too long to be waited for.
    package func giveUp() {
        isGivenUp?.isSet.store(true, ordering: .relaxed)
    }

    /// Keys of chunks by their ordinals.
    ///
    /// - Throws: ``KelterError`` of the place where they lie.
    func keys(_ range: Range<Int>) throws(KelterError) -> [Key] { try loadKeys(range) }

    /// Chunks by their ordinals.
    ///
    /// - Throws: ``KelterError`` of the place where they lie, or with ``ErrorCode/interrupted``.
    func chunks(_ range: Range<Int>) throws(KelterError) -> [StoredChunk] {
        guard isGivenUp?.isSet.load(ordering: .relaxed) != true else {
            throw KelterError(.interrupted, "The document is no longer written.", fix: "Repeat the command to resume.")
        }
        return try load(range)
    }
}
