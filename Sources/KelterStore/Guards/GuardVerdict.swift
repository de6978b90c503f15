package import KelterModel

/// What is to be done with an item, by the rules of SPEC section 4.
package enum GuardVerdict: Sendable, Equatable {
    /// The same bytes and metadata are stored under this name.
    case unchanged(document: RowID)
    /// The same bytes with other metadata, or of a deleted document that comes back.
    case updated(document: RowID)
    /// The same bytes are stored in the scope under another name; `linked` when this name already points to them.
    case duplicate(of: RowID, linked: Bool)
    /// The name is known with other bytes.
    case replaced(document: RowID)
    /// Neither the name nor the bytes are known.
    case new

    /// Whether the item must be parsed and embedded before it can be written.
    package var needsContent: Bool {
        switch self {
        case .replaced, .new: true
        case .unchanged, .updated, .duplicate: false
        }
    }
}
