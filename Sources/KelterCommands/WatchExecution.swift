import KelterModel
import KelterPipeline

/// `ingest --watch`: keeps the database in step with a directory until it is interrupted.
struct WatchExecution {
    let services: Services
    let jobs: Int?
    let reportDirectory: String?
    /// How long nothing must change before it is ingested, and between two looks.
    let interval: Duration

    /// A change that does not come to rest is ingested after so many looks all the same.
    private static let longestUnrest = 10
    /// How long to wait after a service was unavailable.
    private static let pause = Duration.seconds(30)

    /// Watches and ingests until the task is cancelled.
    ///
    /// A batch that ends early is repeated after a while when a service was the reason, and with the next change when a
    /// guard was.
    ///
    /// - Returns: What the process ends with: 0, or that of a batch that was interrupted.
    /// - Throws: ``KelterError`` of the first batch, so that what can never work is told at once.
    func perform(_ request: IngestRequest, _ terminal: Terminal) async throws(KelterError) -> KelterModel.ExitCode {
        let watch = TreeWatch(request)
        var (known, last): (ContentHash?, IngestReport?)
        var batches = 0
        while !Task.isCancelled {
            let state: ContentHash
            do throws(KelterError) {
                state = try await settled(watch, unlike: known)
            } catch {
                guard batches > 0 else { throw error }
                terminal.note(error.description)
                try? await Task.sleep(for: Self.pause)
                continue
            }
            guard state != known else { continue }
            do throws(KelterError) {
                let catalog = try await services.catalog(for: .batch)
                let execution = BatchExecution(
                    services: services,
                    catalog: catalog,
                    jobs: jobs,
                    reportDirectory: reportDirectory
                )
                let report = try await execution.run(request, terminal)
                batches += 1
                last = report
                if !terminal.isJSON { terminal.print(RunReportView(report: report, isPlan: false).text) }
                let isUnavailable = report.error?.code.exitCode == .serviceUnavailable
                known = isUnavailable ? nil : state
                if isUnavailable { try? await Task.sleep(for: Self.pause) }
            } catch {
                guard batches > 0 else { throw error }
                terminal.note(error.description)
                try? await Task.sleep(for: Self.pause)
            }
        }
        if terminal.isJSON {
            let report = last?.json ?? .null
            terminal.print(JSONValue.object([("batches", .int(batches)), ("last", report)]).compactText)
        }
        return last?.status == .interrupted ? .interrupted : .done
    }

    /// The state of the inputs when it has not changed for an interval; at once when it is the known one.
    private func settled(_ watch: TreeWatch, unlike known: ContentHash?) async throws(KelterError) -> ContentHash {
        let clock = ContinuousClock()
        var start = clock.now
        var state = try await watch.state()
        for _ in 0..<Self.longestUnrest {
            // A large tree is not looked at all the time.
            try? await Task.sleep(for: max(interval, (clock.now - start) * 20))
            if state == known || Task.isCancelled { return known ?? state }
            start = clock.now
            let next = try await watch.state()
            if next == state { return state }
            state = next
        }
        return state
    }
}
