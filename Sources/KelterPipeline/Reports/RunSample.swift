import KelterEmbedding
package import KelterModel

/// A run at a moment: what it has done so far, and what the endpoint is doing.
package struct RunSample: Equatable, Sendable {
    /// Milliseconds since the run began.
    package var milliseconds = 0
    /// Items found and items with their outcome, counted once per scope.
    package var found = 0
    package var finished = 0
    package var failed = 0
    /// Bytes of the files read.
    package var bytes = 0
    package var chunks = 0
    package var embeddings = 0
    package var requests = 0
    /// Requests under way, and how many may be.
    package var requestsInFlight = 0
    package var window = 0
    package var throttles = 0
    /// Milliseconds in which only a throttle kept requests from being sent.
    package var throttledMilliseconds = 0
    package var outages = 0
    /// Large texts under way.
    package var largeTexts: [LargeTextProgress.State] = []

    package init() {}

    /// The sample as JSON.
    package var json: JSONValue {
        .object([
            ("ms", .int(milliseconds)), ("found", .int(found)), ("finished", .int(finished)), ("failed", .int(failed)),
            ("bytes", .int(bytes)), ("chunks", .int(chunks)), ("embeddings", .int(embeddings)),
            ("requests", .int(requests)), ("requests_in_flight", .int(requestsInFlight)), ("window", .int(window)),
            ("throttles", .int(throttles)), ("throttled_ms", .int(throttledMilliseconds)), ("outages", .int(outages)),
        ])
    }
}

/// Looks at a run while it goes on.
package struct RunMonitor: Sendable {
    private let progress: RunProgress
    private let catalog: StageCatalog
    private let largeTexts: LargeTextProgress
    private let start: ContinuousClock.Instant

    /// Begins to look.
    ///
    /// - Parameters:
    ///   - progress: The run's figures.
    ///   - ingestion: Whose endpoints and large texts it asks about.
    package init(progress: RunProgress, ingestion: Ingestion) {
        self.progress = progress
        catalog = ingestion.catalog
        largeTexts = ingestion.largeTexts
        start = .now
    }

    /// The run as it is now.
    package var sample: RunSample {
        let figures = progress.snapshot
        var sample = RunSample()
        sample.milliseconds = Int((ContinuousClock.now - start).milliseconds)
        // Until it is read nobody knows how many scopes an input has; most have one.
        sample.found = max(figures.inputs, figures.found + figures.done)
        sample.finished = figures.finished + figures.done
        sample.failed = figures.outcomes[.failed]
        sample.bytes = figures.bytes
        sample.chunks = figures.chunks
        sample.embeddings = figures.embeddings
        sample.largeTexts = largeTexts.underWay
        for statistics in catalog.statistics {
            sample.requests += statistics.requests
            sample.requestsInFlight += statistics.requestsInFlight
            sample.window += statistics.window
            sample.throttles += statistics.throttles
            sample.throttledMilliseconds += Int(statistics.throttledTime.milliseconds)
            sample.outages += statistics.outages
        }
        return sample
    }

    /// Whether all inputs have been found.
    package var isWalkFinished: Bool { progress.snapshot.isWalkFinished }
}
