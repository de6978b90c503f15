import KelterModel
import KelterPipeline

/// Shows how a run gets on: some lines that stay where they are on a terminal, a line now and then elsewhere.
struct ProgressView: Sendable {
    let terminal: Terminal
    let monitor: RunMonitor
    /// What has been seen is kept here.
    let timeline: RunTimeline

    private static let interval = Duration.milliseconds(200)
    /// So many intervals between two lines that stay.
    private static let ticksPerLine = 50

    /// Runs the body while showing its progress.
    func during<Value: Sendable>(
        _ body: @Sendable () async throws(KelterError) -> Value
    ) async throws(KelterError) -> Value {
        let view = Task { await show() }
        let result: Result<Value, KelterError>
        do throws(KelterError) { result = .success(try await body()) } catch { result = .failure(error) }
        view.cancel()
        await view.value
        timeline.add(monitor.sample)
        return try result.get()
    }

    private func show() async {
        var rates = RecentRates()
        var tick = 0
        timeline.add(monitor.sample)
        while (try? await Task.sleep(for: Self.interval)) != nil {
            let sample = monitor.sample
            timeline.add(sample)
            rates.add(sample)
            tick += 1
            let lines = Self.lines(sample, rates, isWalkFinished: monitor.isWalkFinished)
            if terminal.isInteractive {
                terminal.draw([Self.bar(sample) + " " + lines[0]] + lines.dropFirst().map { Self.margin + $0 })
            } else if tick % Self.ticksPerLine == 0 {
                terminal.note(lines.joined(separator: "; "))
            }
        }
        if terminal.isInteractive { terminal.draw([]) }
    }

    private static let barWidth = 24
    /// What stands below the bar.
    private static let margin = String(repeating: " ", count: barWidth + 3)

    private static func bar(_ sample: RunSample) -> String {
        let share = sample.found == 0 ? 0 : min(1, Double(sample.finished) / Double(sample.found))
        let filled = Int(share * Double(barWidth))
        return "[\(String(repeating: "█", count: filled))\(String(repeating: "░", count: barWidth - filled))]"
    }

    /// How far it is, what has come of it, what the endpoint does, and large texts under way.
    static func lines(_ sample: RunSample, _ rates: RecentRates, isWalkFinished: Bool) -> [String] {
        var files = "\(grouped(sample.finished))/\(grouped(sample.found))\(isWalkFinished ? "" : "+") files"
        files += ", \(spoken(bytes: sample.bytes))"
        if let rate = rates.perSecond(\.finished) { files += ", \(grouped(Int(rate.rounded()))) files/s" }
        if let rate = rates.perSecond(\.bytes), rate >= 1 { files += ", \(spoken(bytes: Int(rate)))/s" }
        let left = sample.found - sample.finished
        if isWalkFinished, left > 0, let rate = rates.perSecond(\.finished), rate > 0 {
            files += ", \(spoken(.seconds(Int((Double(left) / rate).rounded(.up))))) left"
        }
        var stored = "\(grouped(sample.chunks)) chunks, \(grouped(sample.embeddings)) vectors"
        if let rate = rates.perSecond(\.embeddings) { stored += ", \(grouped(Int(rate.rounded()))) vectors/s" }
        if sample.failed > 0 { stored += ", \(grouped(sample.failed)) failed" }
        var endpoint = "endpoint: \(sample.requestsInFlight) of \(sample.window) requests under way"
        if sample.throttles > 0 {
            endpoint += ", throttled \(grouped(sample.throttles)) times, "
            endpoint += "\(spoken(.milliseconds(sample.throttledMilliseconds))) lost"
        }
        if sample.outages > 0 { endpoint += ", away \(sample.outages) times" }
        return [files, stored, endpoint] + largeTexts(sample)
    }

    private static func largeTexts(_ sample: RunSample) -> [String] {
        guard let first = sample.largeTexts.first else { return [] }
        let name = first.externalID.count > 40 ? "…" + first.externalID.suffix(39) : first.externalID
        let others = sample.largeTexts.count - 1
        let rest = others > 0 ? ", and \(others) more large texts" : ""
        return ["\(name): \(Int(first.share * 100)) % \(first.step.rawValue)\(rest)"]
    }

    /// A number with thin spaces between thousands.
    private static func grouped(_ number: Int) -> String {
        let digits = Array(String(number))
        return digits.indices.map { index in
            (index > 0 && (digits.count - index) % 3 == 0 ? "\u{202F}" : "") + String(digits[index])
        }.joined()
    }
}

/// The rates of the last ten seconds: what the next ones will be like.
struct RecentRates {
    private static let window = 10_000
    private var samples: [RunSample] = []

    mutating func add(_ sample: RunSample) {
        samples.append(sample)
        // One that is older stays, as the beginning of the span.
        while samples.count > 2, sample.milliseconds - samples[1].milliseconds > Self.window { samples.removeFirst() }
    }

    /// How much a figure grows in a second; `nil` before anything can be said.
    func perSecond(_ value: (RunSample) -> Int) -> Double? {
        guard let first = samples.first, let last = samples.last, last.milliseconds - first.milliseconds > 900 else {
            return nil
        }
        return Double(value(last) - value(first)) / Double(last.milliseconds - first.milliseconds) * 1000
    }
}
