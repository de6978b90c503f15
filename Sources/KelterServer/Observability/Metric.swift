/// What a metric is: its name, its documentation, its labels and its kind.
///
/// A constant of the program; nothing of it is checked. Names must match `[a-zA-Z_:][a-zA-Z0-9_:]*`, those of labels
/// `[a-zA-Z_][a-zA-Z0-9_]*` without `le`. A name ends in its base unit, as in `kelter_http_request_seconds`.
struct Metric: Sendable {
    enum Kind: String, Sendable {
        case counter
        case gauge
        case histogram
    }

    let name: String
    /// One line for people.
    let help: String
    let labels: [String]
    let kind: Kind
    /// The upper bounds of the buckets, ascending and without the infinite one; empty for what has none.
    let bounds: [Double]
}

/// A number that only grows, such as requests answered; its name ends in `_total`.
struct Counter: Sendable {
    let metric: Metric

    init(_ name: String, help: String, labels: [String] = []) {
        metric = Metric(name: name, help: help, labels: labels, kind: .counter, bounds: [])
    }
}

/// A number that goes up and down, such as requests in flight.
struct Gauge: Sendable {
    let metric: Metric

    init(_ name: String, help: String, labels: [String] = []) {
        metric = Metric(name: name, help: help, labels: labels, kind: .gauge, bounds: [])
    }
}

/// A distribution counted in buckets, such as the durations of requests.
struct Histogram: Sendable {
    /// From 5 ms to 10 s, in seconds: the usual bounds of Prometheus clients.
    static let secondsBounds = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10]

    let metric: Metric

    init(_ name: String, help: String, labels: [String] = [], bounds: [Double] = secondsBounds) {
        metric = Metric(name: name, help: help, labels: labels, kind: .histogram, bounds: bounds)
    }
}
