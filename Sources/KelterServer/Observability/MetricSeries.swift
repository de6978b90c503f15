/// The values of one metric for one combination of label values.
struct MetricSeries {
    enum Change {
        case add(Double)
        case set(Double)
        case observe(Double)
    }

    /// The number itself, or the sum of the values of a histogram.
    private(set) var value = 0.0
    /// The values of a histogram between its bounds, the last number those above all of them.
    private(set) var buckets: [UInt64]

    init(bounds: [Double]) {
        buckets = [UInt64](repeating: 0, count: bounds.count + 1)
    }

    mutating func apply(_ change: Change, bounds: [Double]) {
        switch change {
        case .add(let amount): value += amount
        case .set(let number): value = number
        case .observe(let number):
            value += number
            // Bounds are few: a search from below is as fast as halving.
            buckets[bounds.firstIndex { number <= $0 } ?? bounds.count] += 1
        }
    }
}
