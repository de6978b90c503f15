package import KelterModel

/// A part of a batch that this process works on until its lease ends.
package struct RunPart: Sendable {
    /// Its number and the fencing token.
    package let lease: PartLease
    /// The inputs, as they were given to ``Store/addParts(_:to:tenant:)``.
    package let entries: [JSONValue]
    /// How often the part has been taken up, this time included.
    package let attempts: Int
    /// The items that an earlier attempt has recorded, by path.
    package let recorded: [String: Int]
}

/// How far a batch's parts have come.
package struct PartCounts: Equatable, Sendable {
    /// All parts that were added.
    package var added = 0
    /// Those of them that are finished.
    package var finished = 0
    /// Those that a process works on.
    package var leased = 0
    /// The items of the finished parts.
    package var items = 0
    /// Whether there will be no more parts.
    package var isFound = false

    package init(added: Int = 0, finished: Int = 0, leased: Int = 0, items: Int = 0, isFound: Bool = false) {
        self.isFound = isFound
        self.added = added
        self.finished = finished
        self.leased = leased
        self.items = items
    }
}
