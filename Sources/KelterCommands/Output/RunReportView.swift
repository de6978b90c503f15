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
            lines += plan(report.estimate ?? PlanEstimate())
        } else {
            var stored = "\(report.chunks) chunks, \(report.embeddings) embeddings"
            if report.embeddingsEmpty > 0 { stored += " and \(report.embeddingsEmpty) empty ones" }
            lines.append(
                "  \(stored) stored; \(report.embeddingInputs) texts sent in \(report.embeddingRequests) requests, "
                    + "\(report.cacheHits) vectors reused"
            )
            lines += report.costs.flatMap(endpoint)
            lines.append("  totals \(report.isBalanced ? "add up" : "DO NOT ADD UP")")
        }
        lines += problems("failed", report.failures) { [$0.externalID, $0.code, $0.detail] }
        lines += problems("skipped", report.skipped) { [$0.externalID, $0.code] }
        lines += problems("near duplicates", report.nearDuplicates) { [$0.externalID, $0.detail] }
        return lines.joined(separator: "\n")
    }

    private func plan(_ estimate: PlanEstimate) -> [String] {
        var expected =
            estimate.milliseconds.map { "about \(spoken(.milliseconds($0)))" }
            ?? "no run to tell the time by"
        if let price = estimate.price, price > 0 { expected += ", \(amount(price))" }
        return [
            "  \(report.chunks) chunks, of which \(estimate.inputs) would be sent: \(estimate.tokens) tokens in "
                + "at least \(estimate.requests) requests",
            "  \(expected); nothing was stored",
        ]
    }

    /// What there is to say of an endpoint beyond the usual.
    private func endpoint(_ costs: EmbeddingCosts) -> [String] {
        var lines: [String] = []
        if let price = costs.price, let saved = costs.priceSaved {
            lines.append(
                "  \(costs.profile): \(costs.tokens) tokens cost \(amount(price)); the cache saved \(costs.tokensSaved) "
                    + "tokens, \(amount(saved))"
            )
        }
        if costs.throttles > 0 {
            lines.append(
                "  \(costs.profile): throttled \(costs.throttles) times, \(spoken(costs.throttledTime)) lost to it"
            )
        }
        if costs.outages > 0 { lines.append("  \(costs.profile): the endpoint was away \(costs.outages) times") }
        if costs.fallbackInputs > 0 {
            lines.append("  \(costs.profile): \(costs.fallbackInputs) texts embedded by the fallback model")
        }
        if let problem = costs.fallbackProblem { lines.append("  warning: \(problem)") }
        if costs.suspectedTruncations > 0 {
            lines.append(
                "  warning: EMBEDDING_TRUNCATION: \(costs.model) says it has read \(costs.truncatedTokens) tokens fewer "
                    + "than it was sent in \(costs.suspectedTruncations) requests; see 'kelter check'"
            )
        }
        if costs.uncached > 0 { lines.append("  \(costs.uncached) vectors could not be entered in the cache") }
        return lines
    }

    /// A price with as many decimals as small amounts need.
    private func amount(_ value: Double) -> String {
        let digits = value >= 100 ? 100.0 : 1_000_000.0
        return "\((value * digits).rounded() / digits)"
    }

    /// A list of at most twenty; `--json` and `--report` have all of them.
    private func problems(_ title: String, _ items: [ItemProblem], row: (ItemProblem) -> [String]) -> [String] {
        guard !items.isEmpty else { return [] }
        var lines = ["", "\(title):", table(items.prefix(20).map(row), indent: "  ")]
        if items.count > 20 { lines.append("  … and \(items.count - 20) more; --json or --report lists all") }
        return lines
    }
}
