/// What happens to a document that is nearly the same as a stored one of its scope.
package struct NearDuplicatePolicy: Equatable, Sendable {
    package enum Strategy: String, CaseIterable, Sendable {
        /// Nobody looks.
        case off
        /// It is stored like any other, and told.
        case report
        /// It becomes another source of the stored one, whose content stays.
        case skip
        /// It becomes another source of the stored one, whose content it replaces.
        case replace
    }

    package var strategy: Strategy
    /// The estimated similarity from which on two documents are nearly the same.
    package var threshold: Double

    package init(_ strategy: Strategy = .report, threshold: Double = 0.97) {
        self.strategy = strategy
        self.threshold = threshold
    }
}
