import Synchronization

/// The process's counters, gauges and histograms, and their text for Prometheus.
///
/// Metrics are declared as constants and used with the values of their labels, in the order of their names; missing
/// values are empty and surplus ones dropped, because a metric must not stop the server. A metric appears with its
/// first use, or from the start when it is passed to the initialiser.
///
/// Memory is bounded: one metric keeps 1,000 combinations of label values. All further ones are added to one series
/// whose label values are `other`, and a value longer than 128 bytes counts as `other`.
final class Metrics: Sendable {
    static let maximumSeries = 1000
    static let maximumValueBytes = 128
    static let overflow = "other"
    /// The media type of ``text``.
    static let contentType = "text/plain; version=0.0.4; charset=utf-8"

    private let families = Mutex<[String: MetricFamily]>([:])

    /// Begins with these metrics; those without labels stand at 0.
    init(declaring metrics: [Metric] = []) {
        families.withLock { families in
            for metric in metrics { families[metric.name] = MetricFamily(metric) }
        }
    }

    /// Adds to a counter; an amount that is negative or not a number is ignored.
    func add(_ amount: Double = 1, to counter: Counter, _ labels: String...) {
        guard amount >= 0 else { return }
        apply(.add(amount), to: counter.metric, labels)
    }

    /// Adds to a gauge, or takes away.
    func add(_ amount: Double, to gauge: Gauge, _ labels: String...) {
        apply(.add(amount), to: gauge.metric, labels)
    }

    func set(_ gauge: Gauge, to value: Double, _ labels: String...) {
        apply(.set(value), to: gauge.metric, labels)
    }

    /// Counts one value of a histogram; one that is not a number is ignored.
    func observe(_ value: Double, in histogram: Histogram, _ labels: String...) {
        guard !value.isNaN else { return }
        apply(.observe(value), to: histogram.metric, labels)
    }

    /// All metrics in the Prometheus text exposition format 0.0.4, by name and then by label values.
    var text: String {
        // Copied, so that updates do not wait for the text.
        let families = families.withLock { Array($0.values) }
        var output = ""
        for family in families.sorted(by: { $0.metric.name < $1.metric.name }) { family.write(to: &output) }
        return output
    }

    private func apply(_ change: MetricSeries.Change, to metric: Metric, _ labels: [String]) {
        families.withLock { families in
            families[metric.name, default: MetricFamily(metric)].apply(change, labels)
        }
    }
}
