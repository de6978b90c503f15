import KelterModel

/// A verdict with everything that follows from it for the stored documents.
enum GuardDecision: Sendable, Equatable {
    case unchanged(RowID)
    /// Other metadata.
    case updated(RowID)
    /// A deleted document comes back; it takes the item's name when that was another one.
    case revived(RowID, renamed: Bool)
    /// The item is a source of a document that bears another source's name.
    case linked(RowID)
    /// The item becomes a source of a live document with the same bytes and leaves the one it had.
    case duplicate(of: RowID, leaving: RowID?)
    /// The document gets the item's bytes; a deleted document with those bytes, which blocks them, goes for good.
    case replaced(RowID, purging: RowID?)
    /// Other sources keep the document as it is; the item becomes a new one.
    case split(from: RowID, purging: RowID?)
    /// The item becomes a source of a document that is nearly the same, and gives it its content and name; a deleted
    /// document with its bytes goes for good.
    case merged(into: RowID, leaving: RowID?, purging: RowID?)
    case inserted

    /// The decision as it is told to the caller.
    var verdict: GuardVerdict {
        switch self {
        case .unchanged(let id): .unchanged(document: id)
        case .updated(let id), .revived(let id, _): .updated(document: id)
        case .linked(let id): .duplicate(of: id, linked: true)
        case .duplicate(let id, _): .duplicate(of: id, linked: false)
        case .replaced(let id, _), .split(let id, _), .merged(let id, _, _): .replaced(document: id)
        case .inserted: .new
        }
    }

    /// The outcome of an item written by this decision.
    var outcome: Outcome {
        switch self {
        case .unchanged: .unchanged
        case .updated, .revived: .updated
        case .linked, .duplicate: .duplicate
        case .replaced, .split, .merged: .replaced
        case .inserted: .inserted
        }
    }
}
