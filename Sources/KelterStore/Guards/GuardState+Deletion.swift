import KelterModel

extension GuardState {
    /// What the removal of a source does.
    enum Removal: Sendable, Equatable {
        /// There is no such source.
        case missing
        /// Other sources link the document; it stays.
        case unlinked(RowID)
        /// It was the last; the document is marked as deleted.
        case deleted(RowID)
    }

    /// Takes a source away; its document is marked as deleted when no other source links it.
    mutating func remove(_ source: Scoped) -> Removal {
        guard let id = sources[source], let document = documents[id], !document.isDeleted else { return .missing }
        return unlink(source, from: document)
    }
}
