/// One metric with all its series.
struct MetricFamily {
    let metric: Metric
    private var series: [[String]: MetricSeries] = [:]

    /// Begins without series, or at 0 for a metric without labels.
    init(_ metric: Metric) {
        self.metric = metric
        if metric.labels.isEmpty { series[[]] = MetricSeries(bounds: metric.bounds) }
    }

    /// Changes the series of these label values, or the one that takes what is over the limit.
    mutating func apply(_ change: MetricSeries.Change, _ values: [String]) {
        let values = fitting(values)
        if let index = series.index(forKey: values) {
            series.values[index].apply(change, bounds: metric.bounds)
            return
        }
        let isFull = series.count >= Metrics.maximumSeries
        let key = isFull ? [String](repeating: Metrics.overflow, count: metric.labels.count) : values
        series[key, default: MetricSeries(bounds: metric.bounds)].apply(change, bounds: metric.bounds)
    }

    /// As many values as the metric has labels, none of them too long.
    private func fitting(_ values: [String]) -> [String] {
        let count = metric.labels.count
        let isFitting = values.count == count && values.allSatisfy { $0.utf8.count <= Metrics.maximumValueBytes }
        if isFitting { return values }
        let short = values.prefix(count).map { $0.utf8.count <= Metrics.maximumValueBytes ? $0 : Metrics.overflow }
        return short + [String](repeating: "", count: count - short.count)
    }

    /// Appends the lines of the metric: HELP, TYPE and its series in the order of their label values.
    func write(to output: inout String) {
        let help = Self.escaped(metric.help, quotes: false)
        output += "# HELP \(metric.name) \(help)\n# TYPE \(metric.name) \(metric.kind.rawValue)\n"
        for (values, series) in series.sorted(by: { $0.key.lexicographicallyPrecedes($1.key) }) {
            let pairs = zip(metric.labels, values).map { "\($0)=\"\(Self.escaped($1, quotes: true))\"" }
            if metric.kind == .histogram {
                write(series, pairs, to: &output)
            } else {
                output += "\(metric.name)\(Self.braced(pairs)) \(Self.number(series.value))\n"
            }
        }
    }

    private func write(_ histogram: MetricSeries, _ pairs: [String], to output: inout String) {
        var count: UInt64 = 0
        for (bound, bucket) in zip(metric.bounds + [.infinity], histogram.buckets) {
            count += bucket
            output += "\(metric.name)_bucket\(Self.braced(pairs + ["le=\"\(Self.number(bound))\""])) \(count)\n"
        }
        output += "\(metric.name)_sum\(Self.braced(pairs)) \(Self.number(histogram.value))\n"
        output += "\(metric.name)_count\(Self.braced(pairs)) \(count)\n"
    }

    private static func braced(_ pairs: [String]) -> String {
        pairs.isEmpty ? "" : "{\(pairs.joined(separator: ","))}"
    }

    /// A text with its backslashes, line feeds and, in a label, quotes escaped; as bytes, for CR LF is one `Character`.
    private static func escaped(_ text: String, quotes: Bool) -> String {
        var output: [UInt8] = []
        for byte in text.utf8 {
            switch byte {
            case UInt8(ascii: "\n"): output.append(contentsOf: #"\n"#.utf8)
            case UInt8(ascii: "\\"): output.append(contentsOf: #"\\"#.utf8)
            case UInt8(ascii: "\"") where quotes: output.append(contentsOf: #"\""#.utf8)
            default: output.append(byte)
            }
        }
        return String(decoding: output, as: UTF8.self)
    }

    /// A number as the format's parsers, which are those of Go, read it.
    private static func number(_ value: Double) -> String {
        if value.isNaN { return "NaN" }
        if value.isInfinite { return value > 0 ? "+Inf" : "-Inf" }
        let text = "\(value)"
        return text.hasSuffix(".0") ? String(text.dropLast(2)) : text
    }
}
