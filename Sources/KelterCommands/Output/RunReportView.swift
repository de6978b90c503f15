import KelterModel
import KelterPipeline

/// A batch's report as text.
struct RunReportView {
    let report: IngestReport
    let isPlan: Bool

    var text: String {
        var lines: [String] = []
        let title = isPlan ? "Plan" : "Run \(report.run) \(report.status.rawValue)"
        lines.append(
            "\(title): \(report.found) files in \(spoken(report.duration)), \(spoken(bytes: report.bytes)) read"
        )
        let outcomes = Outcome.allCases.filter { report.outcomes[$0] > 0 }
        lines.append(
            "  "
                + (outcomes.isEmpty
                    ? "nothing found" : outcomes.map { "\(report.outcomes[$0]) \($0)" }.joined(separator: ", "))
        )
        if isPlan {
            lines.append(
                "  would embed \(report.chunks) chunks with \(report.plannedTokens ?? 0) tokens; nothing was stored"
            )
        } else {
            var stored = "\(report.chunks) chunks, \(report.embeddings) embeddings"
            if report.embeddingsEmpty > 0 { stored += " and \(report.embeddingsEmpty) empty ones" }
            lines.append(
                "  \(stored) stored; \(report.embeddingInputs) texts sent in \(report.embeddingRequests) requests, "
                    + "\(report.cacheHits) vectors reused"
            )
            lines.append("  totals \(report.isBalanced ? "add up" : "DO NOT ADD UP")")
        }
        lines += problems("failed", report.failures) { [$0.externalID, $0.code, $0.detail] }
        lines += problems("skipped", report.skipped) { [$0.externalID, $0.code] }
        return lines.joined(separator: "\n")
    }

    /// A list of at most twenty; `--json` and `--report` have all of them.
    private func problems(_ title: String, _ items: [ItemProblem], row: (ItemProblem) -> [String]) -> [String] {
        guard !items.isEmpty else { return [] }
        var lines = ["", "\(title):", table(items.prefix(20).map(row), indent: "  ")]
        if items.count > 20 { lines.append("  … and \(items.count - 20) more; --json or --report lists all") }
        return lines
    }
}
