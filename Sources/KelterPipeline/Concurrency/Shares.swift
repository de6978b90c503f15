extension Array {
    /// The elements in order, divided into at most `count` runs of nearly equal length; none is empty.
    func shares(_ count: Int) -> [ArraySlice<Element>] {
        let number = Swift.min(Swift.max(1, count), self.count)
        return (0..<number).map { self[$0 * self.count / number..<($0 + 1) * self.count / number] }
    }
}
