package import KelterModel

/// What became of one item.
package struct WriteResult: Sendable, Equatable {
    /// How it ended; ``Outcome/failed`` goes with an ``error``.
    package var outcome: Outcome
    /// The document the item belongs to now.
    package var document: RowID?
    /// The document that holds the same bytes under another name.
    package var duplicateOf: RowID?
    /// The chunks of the content that was written.
    package var chunks: Int = 0
    /// The chunks with a vector.
    package var embeddings: Int = 0
    /// The chunks without one.
    package var embeddingsEmpty: Int = 0
    /// The item came without content and lost a race: nothing was written or recorded for it, it must be run again
    /// with content.
    package var needsContent = false
    /// A document that is nearly the same.
    package var nearDuplicate: NearDuplicate?
    /// Why it failed.
    package var error: KelterError?

    package init(outcome: Outcome, document: RowID? = nil, duplicateOf: RowID? = nil) {
        self.outcome = outcome
        self.document = document
        self.duplicateOf = duplicateOf
    }

    /// The result of an item that was refused.
    static func failed(_ error: KelterError) -> WriteResult {
        var result = WriteResult(outcome: .failed)
        result.error = error
        return result
    }
}
