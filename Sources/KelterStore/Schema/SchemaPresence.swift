/// Whether a schema holds a vector store.
package enum SchemaPresence: Sendable, Equatable {
    /// Some or all of the tables are missing.
    case missing
    /// The tables are there, for vectors of this width.
    case present(dimension: Int)
}
