/// Where an item stands in its batch.
package struct BatchPlace: Hashable, Sendable {
    /// Where its input lies below the root of the batch; empty for an item that is no file of a batch.
    package var path: String
    /// The part in which it was found, under the lease of whoever works on it; `nil` outside parts.
    package var lease: PartLease?
    /// The vector space it belongs to; `nil` for an input that never came so far.
    package var space: String?
    /// How often the input has been worked on in this run, this time included.
    package var attempts: Int

    package init(path: String = "", lease: PartLease? = nil, space: String? = nil, attempts: Int = 1) {
        self.attempts = attempts
        self.path = path
        self.lease = lease
        self.space = space
    }
}

/// A process's right to a part of a batch, until another one has taken it over.
package struct PartLease: Hashable, Sendable {
    /// The number of the part in its run, from 0.
    package let part: Int
    /// The fencing token: a later lease of the part has a higher one, and the database refuses the words of an earlier.
    package let token: Int

    package init(part: Int, token: Int) {
        self.part = part
        self.token = token
    }
}
