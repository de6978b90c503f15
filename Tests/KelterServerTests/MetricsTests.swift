import Testing

@testable import KelterServer

@Suite("Metrics")
struct MetricsTests {
    private static let requests = Counter(
        "kelter_http_requests_total",
        help: "Requests answered.",
        labels: ["method", "status"]
    )
    private static let inFlight = Gauge("kelter_http_in_flight", help: "Requests being answered.")
    private static let seconds = Histogram(
        "kelter_http_request_seconds",
        help: "Time to the end of the answer.",
        labels: ["route"],
        bounds: [0.005, 0.1, 1]
    )

    @Test("Counters, gauges and histograms are rendered by name and label values")
    func rendering() {
        let metrics = Metrics()
        #expect(metrics.text == "")
        metrics.add(to: Self.requests, "POST", "201")
        metrics.add(2.5, to: Self.requests, "GET", "200")
        metrics.add(to: Self.requests, "GET", "200")
        metrics.add(3, to: Self.inFlight)
        metrics.add(-1, to: Self.inFlight)
        // A bound belongs to its bucket.
        for value in [0.001, 0.005, 0.0051, 1, 1.5] { metrics.observe(value, in: Self.seconds, "/documents") }
        metrics.observe(0.25, in: Self.seconds, "/ask")
        #expect(
            metrics.text == """
                # HELP kelter_http_in_flight Requests being answered.
                # TYPE kelter_http_in_flight gauge
                kelter_http_in_flight 2
                # HELP kelter_http_request_seconds Time to the end of the answer.
                # TYPE kelter_http_request_seconds histogram
                kelter_http_request_seconds_bucket{route="/ask",le="0.005"} 0
                kelter_http_request_seconds_bucket{route="/ask",le="0.1"} 0
                kelter_http_request_seconds_bucket{route="/ask",le="1"} 1
                kelter_http_request_seconds_bucket{route="/ask",le="+Inf"} 1
                kelter_http_request_seconds_sum{route="/ask"} 0.25
                kelter_http_request_seconds_count{route="/ask"} 1
                kelter_http_request_seconds_bucket{route="/documents",le="0.005"} 2
                kelter_http_request_seconds_bucket{route="/documents",le="0.1"} 3
                kelter_http_request_seconds_bucket{route="/documents",le="1"} 4
                kelter_http_request_seconds_bucket{route="/documents",le="+Inf"} 5
                kelter_http_request_seconds_sum{route="/documents"} 2.5111
                kelter_http_request_seconds_count{route="/documents"} 5
                # HELP kelter_http_requests_total Requests answered.
                # TYPE kelter_http_requests_total counter
                kelter_http_requests_total{method="GET",status="200"} 3.5
                kelter_http_requests_total{method="POST",status="201"} 1

                """
        )
    }

    @Test("Declared metrics appear before their first use")
    func declared() {
        let plain = Histogram("b_seconds", help: "B.", bounds: [1])
        let metrics = Metrics(declaring: [Self.requests.metric, plain.metric, Self.inFlight.metric])
        let start = """
            # HELP b_seconds B.
            # TYPE b_seconds histogram
            b_seconds_bucket{le="1"} 0
            b_seconds_bucket{le="+Inf"} 0
            b_seconds_sum 0
            b_seconds_count 0
            # HELP kelter_http_in_flight Requests being answered.
            # TYPE kelter_http_in_flight gauge
            kelter_http_in_flight 0
            # HELP kelter_http_requests_total Requests answered.
            # TYPE kelter_http_requests_total counter

            """
        #expect(metrics.text == start)
        metrics.add(0, to: Self.requests, "GET", "200")
        #expect(metrics.text == start + "kelter_http_requests_total{method=\"GET\",status=\"200\"} 0\n")
    }

    @Test("Label values and help texts are escaped")
    func escaping() {
        let counter = Counter("c_total", help: "A \"b\" \\ c\nd.", labels: ["l"])
        let metrics = Metrics()
        metrics.add(to: counter, "a\\b\"c\nd\r\ne\"\u{301}ü")
        #expect(
            metrics.text
                == "# HELP c_total A \"b\" \\\\ c\\nd.\n# TYPE c_total counter\n"
                + "c_total{l=\"a\\\\b\\\"c\\nd\r\\ne\\\"\u{301}ü\"} 1\n"
        )
    }

    @Test(
        "Numbers as Go reads them",
        arguments: [
            (0, "0"), (-3, "-3"), (0.1, "0.1"), (1e15, "1000000000000000"), (1e300, "1e+300"), (1e-7, "1e-07"),
            (.infinity, "+Inf"), (-.infinity, "-Inf"), (.nan, "NaN"),
        ]
    )
    func numbers(value: Double, text: String) {
        let metrics = Metrics()
        metrics.set(Self.inFlight, to: value)
        #expect(metrics.text.hasSuffix("\nkelter_http_in_flight \(text)\n"))
    }

    @Test("What would spoil a number is ignored")
    func ignored() {
        let metrics = Metrics()
        metrics.add(-1, to: Self.requests, "GET", "200")
        metrics.add(.nan, to: Self.requests, "GET", "200")
        metrics.observe(.nan, in: Self.seconds, "/")
        #expect(metrics.text == "")
    }

    @Test("Missing label values are empty, surplus ones dropped, long ones counted as other")
    func unfitting() {
        let metrics = Metrics()
        metrics.add(to: Self.requests, "GET")
        metrics.add(to: Self.requests, "GET", "200", "more")
        metrics.add(to: Self.requests, "GET", String(repeating: "x", count: 128))
        metrics.add(to: Self.requests, "GET", String(repeating: "x", count: 129))
        let lines = metrics.text.split(separator: "\n").dropFirst(2)
        #expect(
            lines == [
                "kelter_http_requests_total{method=\"GET\",status=\"\"} 1",
                "kelter_http_requests_total{method=\"GET\",status=\"200\"} 1",
                "kelter_http_requests_total{method=\"GET\",status=\"other\"} 1",
                "kelter_http_requests_total{method=\"GET\",status=\"\(String(repeating: "x", count: 128))\"} 1",
            ]
        )
    }

    @Test("Above 1,000 combinations of label values all go to one series")
    func cap() {
        let metrics = Metrics()
        for number in 0..<1500 { metrics.add(to: Self.requests, "GET", "\(number)") }
        metrics.add(to: Self.requests, "GET", "999")
        metrics.add(to: Self.requests, "GET", "1000")
        let lines = metrics.text.split(separator: "\n").dropFirst(2)
        #expect(lines.count == 1001)
        #expect(lines.contains("kelter_http_requests_total{method=\"GET\",status=\"999\"} 2"))
        #expect(lines.contains("kelter_http_requests_total{method=\"other\",status=\"other\"} 501"))
        #expect(!lines.contains { $0.contains("\"1000\"") })
    }

    @Test("Concurrent updates are all counted")
    func concurrency() async {
        let metrics = Metrics()
        await withTaskGroup(of: Void.self) { group in
            for task in 0..<8 {
                group.addTask { @concurrent in
                    for round in 0..<5000 {
                        metrics.add(to: Self.requests, "GET", "\(round % 3)")
                        metrics.add(task % 2 == 0 ? 1 : -1, to: Self.inFlight)
                        metrics.observe(0.5, in: Self.seconds, "/")
                        if round % 1000 == 0 { _ = metrics.text }
                    }
                }
            }
        }
        let lines = metrics.text.split(separator: "\n")
        #expect(lines.contains("kelter_http_requests_total{method=\"GET\",status=\"0\"} 13336"))
        #expect(lines.contains("kelter_http_requests_total{method=\"GET\",status=\"1\"} 13336"))
        #expect(lines.contains("kelter_http_requests_total{method=\"GET\",status=\"2\"} 13328"))
        #expect(lines.contains("kelter_http_in_flight 0"))
        #expect(lines.contains("kelter_http_request_seconds_bucket{route=\"/\",le=\"1\"} 40000"))
        #expect(lines.contains("kelter_http_request_seconds_sum{route=\"/\"} 20000"))
    }
}
