import HTTPTypes
import KelterModel
package import KelterPipeline
package import KelterStore
import Synchronization

/// The figures of the service, for Prometheus; SPEC section 8.
///
/// Labels never name tenants, cases or documents.
package final class ServiceMetrics: Sendable {
    private static let requests = Counter(
        "kelter_http_requests_total",
        help: "HTTP requests answered.",
        labels: ["method", "route", "status"]
    )
    private static let requestSeconds = Histogram(
        "kelter_http_request_seconds",
        help: "Time from a request's head to its answer.",
        labels: ["route"]
    )
    private static let uploadedBytes = Counter("kelter_upload_bytes_total", help: "Bytes of uploaded files.")
    private static let runs = Counter("kelter_runs_total", help: "Runs worked on, by how they ended.", labels: ["end"])
    private static let runSeconds = Histogram(
        "kelter_run_seconds",
        help: "Time spent on a run.",
        bounds: [0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300]
    )
    private static let documents = Counter(
        "kelter_documents_total",
        help: "Documents worked on, by outcome.",
        labels: ["outcome"]
    )
    private static let chunks = Counter("kelter_chunks_total", help: "Chunks stored.")
    private static let stageSeconds = Gauge(
        "kelter_stage_seconds",
        help: "Time documents spent in a stage of the pipeline.",
        labels: ["stage"]
    )
    private static let stageDocuments = Gauge(
        "kelter_stage_documents",
        help: "Documents that went through a stage.",
        labels: ["stage"]
    )
    private static let queue = Gauge("kelter_queue_runs", help: "Runs that wait and are worked on.", labels: ["state"])
    private static let endpoint = Gauge(
        "kelter_embedding_endpoint",
        help: "What was exchanged with the embedding endpoint.",
        labels: ["what"]
    )
    private static let pool = Gauge(
        "kelter_database_connections",
        help: "Database connections of this process.",
        labels: ["state"]
    )
    private static let poolWaiting = Gauge(
        "kelter_database_waiting",
        help: "Calls that wait for a database connection."
    )

    /// Reads figures that are kept elsewhere when they are asked for.
    package struct Sources: Sendable {
        package var store: Store
        package var ingestions: [Ingestion]

        package init(store: Store, ingestions: [Ingestion]) {
            self.store = store
            self.ingestions = ingestions
        }
    }

    private let metrics = Metrics()
    private let sources: Sources

    package init(sources: Sources) {
        self.sources = sources
    }

    /// The methods that are told apart: callers may send any word.
    private static let methods: Set<String> = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]

    func count(request method: String, path: String, status: Int, duration: Duration) {
        let method = Self.methods.contains(method) ? method : Metrics.overflow
        metrics.add(to: Self.requests, method, path, String(status))
        metrics.observe(duration.seconds, in: Self.requestSeconds, path)
    }

    func count(uploadedBytes: Int) {
        metrics.add(Double(uploadedBytes), to: Self.uploadedBytes)
    }

    /// Counts what a worker tells.
    package func count(_ event: RunWorker.Event) {
        switch event {
        case .claimed, .helped, .leftAlone, .troubled: break
        case .finished(_, let report, let duration):
            metrics.add(to: Self.runs, report.status.rawValue)
            metrics.observe(duration.seconds, in: Self.runSeconds)
            for document in report.documents { metrics.add(to: Self.documents, document.outcome.rawValue) }
            metrics.add(Double(report.chunks), to: Self.chunks)
        case .postponed: metrics.add(to: Self.runs, "postponed")
        case .abandoned: metrics.add(to: Self.runs, "abandoned")
        }
    }

    /// All figures as text.
    func text() async -> String {
        // A database that does not answer leaves the queue's figures as they were.
        if let tenants = try? await sources.store.tenants(),
            let depth = try? await sources.store.queueDepth(of: tenants.map(\.tenant))
        {
            metrics.set(Self.queue, to: Double(depth.queued), "queued")
            metrics.set(Self.queue, to: Double(depth.running), "running")
        }
        let pool = sources.store.connections
        metrics.set(Self.pool, to: Double(pool.busy), "busy")
        metrics.set(Self.pool, to: Double(pool.idle), "idle")
        metrics.set(Self.poolWaiting, to: Double(pool.waiting))
        for stage in Stage.allCases {
            let times = sources.ingestions.map { $0.stageTimes.total(stage) }
            metrics.set(Self.stageSeconds, to: times.reduce(0) { $0 + $1.time.seconds }, stage.rawValue)
            metrics.set(Self.stageDocuments, to: Double(times.reduce(0) { $0 + $1.count }), stage.rawValue)
        }
        for (name, values) in Dictionary(grouping: sources.ingestions.flatMap(\.endpointFigures), by: \.name) {
            metrics.set(Self.endpoint, to: Double(values.reduce(0) { $0 + $1.value }), name)
        }
        return metrics.text
    }
}

extension HTTPService {
    /// `GET /metrics`.
    func metricsText() async -> Reply {
        Reply(.ok, body: Array(await metrics.text().utf8), contentType: Metrics.contentType)
    }
}
