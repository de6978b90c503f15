import KelterModel
import KelterPipeline

/// Shows how a run gets on: a bar on a terminal, a line now and then elsewhere.
struct ProgressView: Sendable {
    let terminal: Terminal
    let progress: RunProgress

    /// Runs the body while showing its progress.
    func during<Value: Sendable>(
        _ body: @Sendable () async throws(KelterError) -> Value
    ) async throws(KelterError) -> Value {
        let (progress, width) = (progress, terminal.isInteractive ? 24 : 0)
        return try await ProgressLine(terminal: terminal) { elapsed in
            Self.line(progress.snapshot, elapsed: elapsed, width: width)
        }.during(body)
    }

    /// One line: bar, items, failures, rate and, once everything has been found, the time left.
    static func line(_ figures: RunProgress.Snapshot, elapsed: Duration, width: Int) -> String {
        let seconds = max(Double(elapsed.milliseconds) / 1000, 0.001)
        let share = figures.found == 0 ? 0 : min(1, Double(figures.finished) / Double(figures.found))
        var parts: [String] = []
        if width > 0 {
            let filled = Int(share * Double(width))
            parts.append("[\(String(repeating: "█", count: filled))\(String(repeating: "░", count: width - filled))]")
        }
        parts.append("\(figures.finished)/\(figures.found)\(figures.isWalkFinished ? "" : "+") files")
        parts.append("\(figures.chunks) chunks")
        parts.append("\(Int(Double(figures.finished) / seconds)) files/s")
        if figures.outcomes[.failed] > 0 { parts.append("\(figures.outcomes[.failed]) failed") }
        if figures.isWalkFinished, figures.finished > 0, figures.finished < figures.found {
            let left = seconds / Double(figures.finished) * Double(figures.found - figures.finished)
            parts.append("\(spoken(.seconds(Int(left.rounded(.up))))) left")
        }
        return parts.joined(separator: "  ")
    }
}
