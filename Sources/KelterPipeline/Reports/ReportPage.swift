package import KelterModel

/// The report of a batch as a page that needs nothing but itself: no script, no font, no address.
package struct ReportPage {
    /// What a report does not say itself.
    package struct Context: Sendable {
        /// The command as it was given.
        package let command: String
        /// When the process began, in words of the reader's choice.
        package let started: String

        package init(command: String, started: String) {
            self.command = command
            self.started = started
        }
    }

    /// Single problems that are listed; report.json has all.
    private static let problemsListed = 2_000

    private let report: IngestReport
    private let samples: [RunSample]
    private let context: Context

    package init(report: IngestReport, samples: [RunSample], context: Context) {
        self.report = report
        self.samples = samples
        self.context = context
    }

    /// The page in HTML.
    package var html: String {
        """
        <!DOCTYPE html>
        <html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
        <title>kelter: run \(report.run) \(report.status.rawValue)</title>
        <style>\(Self.style)</style></head><body>
        <h1><span class="status \(report.status.rawValue)">\(report.status.rawValue)</span> run \(report.run)</h1>
        <p>\(HTMLText.escaped(context.started)), \(HTMLText.duration(milliseconds: Int(report.duration.milliseconds)));
        <code>\(HTMLText.escaped(context.command))</code></p>
        \(error)\(outcomes)\(figures)\(timeline)\(problems("Failures", report.failures))\(problems("Skipped", report.skipped))
        \(problems("Near duplicates", report.nearDuplicates))
        </body></html>

        """
    }

    private var error: String {
        guard let error = report.error else { return "" }
        return "<p class=\"error\"><b>\(error.code)</b> \(HTMLText.escaped(error.detail))</p>\n"
    }

    private var outcomes: String {
        let total = max(report.found, 1)
        let rows = Outcome.allCases.filter { report.outcomes[$0] > 0 }.map { outcome in
            let count = report.outcomes[outcome]
            let share = Double(count) / Double(total)
            return """
                <tr><th scope="row">\(outcome.rawValue)</th><td>\(HTMLText.number(count))</td>
                <td>\(HTMLText.number(share * 100)) %</td>
                <td><span class="bar" style="width:\(Int((min(share, 1) * 200).rounded()))px"></span></td></tr>

                """
        }.joined()
        return """
            <h2>Outcomes</h2><table><thead><tr><th scope="col">outcome</th><th scope="col">items</th>
            <th scope="col">share</th><td></td></tr></thead><tbody>
            \(rows)</tbody><tfoot><tr><th scope="row">found</th><td>\(HTMLText.number(report.found))</td><td></td>
            <td>\(report.isBalanced ? "the totals add up" : "<b>the totals do not add up</b>")</td></tr></tfoot></table>

            """
    }

    private var figures: String {
        let seconds = max(Double(report.duration.milliseconds) / 1000, 0.001)
        var rows: [(String, String)] = [
            ("read", "\(HTMLText.number(report.bytes)) bytes"),
            ("rate", "\(HTMLText.number(Double(report.found) / seconds)) items/s"),
            ("chunks", HTMLText.number(report.chunks)),
            ("embeddings", "\(HTMLText.number(report.embeddings)), \(HTMLText.number(report.embeddingsEmpty)) empty"),
            ("texts sent", HTMLText.number(report.embeddingInputs)),
            ("requests", HTMLText.number(report.embeddingRequests)),
            ("vectors reused", HTMLText.number(report.cacheHits)),
        ]
        for costs in report.costs {
            rows.append(("\(costs.profile): tokens", HTMLText.number(costs.tokens)))
            if let price = costs.price { rows.append(("\(costs.profile): price", "\(price)")) }
            if costs.throttles > 0 {
                let lost = HTMLText.duration(milliseconds: Int(costs.throttledTime.milliseconds))
                rows.append(("\(costs.profile): throttled", "\(HTMLText.number(costs.throttles)) times, \(lost) lost"))
            }
            if costs.outages > 0 {
                rows.append(("\(costs.profile): endpoint away", "\(HTMLText.number(costs.outages)) times"))
            }
            if let problem = costs.fallbackProblem { rows.append(("\(costs.profile): fallback", problem.description)) }
        }
        return "<h2>Figures</h2><table><tbody>"
            + rows.map {
                "<tr><th scope=\"row\">\(HTMLText.escaped($0.0))</th><td>\(HTMLText.escaped($0.1))</td></tr>\n"
            }.joined() + "</tbody></table>\n"
    }

    private var timeline: String {
        guard samples.count > 2 else { return "" }
        let pairs = zip(samples, samples.dropFirst())
        let times = samples.dropFirst().map(\.milliseconds)
        func rates(_ value: (RunSample) -> Int) -> [Double] {
            pairs.map { Double(value($1) - value($0)) / Double(max($1.milliseconds - $0.milliseconds, 1)) * 1000 }
        }
        // Where requests had to wait for an allowance or for an endpoint that was away.
        let held = pairs.filter {
            $1.throttledMilliseconds > $0.throttledMilliseconds || $1.outages > $0.outages
        }.map { $0.milliseconds..<max($1.milliseconds, $0.milliseconds + 1) }
        let plots = [
            Plot(
                title: "Items and vectors per second",
                times: times,
                lines: [
                    .init(name: "items", style: "first", values: rates(\.finished)),
                    .init(name: "vectors", style: "second", values: rates(\.embeddings)),
                ]
            ),
            Plot(
                title: "Requests under way, and how many were allowed",
                times: times,
                lines: [
                    .init(
                        name: "under way",
                        style: "first",
                        values: samples.dropFirst().map { Double($0.requestsInFlight) }
                    ),
                    .init(name: "allowed", style: "second", values: samples.dropFirst().map { Double($0.window) }),
                ],
                shaded: held
            ),
            Plot(
                title: "Items found and finished",
                times: times,
                lines: [
                    .init(name: "finished", style: "first", values: samples.dropFirst().map { Double($0.finished) }),
                    .init(name: "found", style: "second", values: samples.dropFirst().map { Double($0.found) }),
                ]
            ),
        ]
        let note =
            held.isEmpty ? "" : "<p>Shaded: requests waited for a throttle or for an endpoint that was away.</p>\n"
        return "<h2>Timeline</h2>\n" + plots.map(\.svg).joined() + note
    }

    private func problems(_ title: String, _ problems: [ItemProblem]) -> String {
        guard !problems.isEmpty else { return "" }
        var left = Self.problemsListed
        let groups = Dictionary(grouping: problems, by: \.code).sorted {
            ($1.value.count, $0.key) < ($0.value.count, $1.key)
        }
        let parts = groups.map { code, items in
            let listed = items.prefix(left)
            left -= listed.count
            let rows = listed.map {
                "<tr><th scope=\"row\">\(HTMLText.escaped($0.externalID))</th><td>\(HTMLText.escaped($0.detail))</td></tr>\n"
            }.joined()
            let rest =
                listed.count < items.count
                ? "<p>… and \(HTMLText.number(items.count - listed.count)) more; report.json has all.</p>" : ""
            return """
                <details\(groups.count == 1 ? " open" : "")><summary>\(HTMLText.escaped(code)):
                \(HTMLText.number(items.count))</summary><table><tbody>
                \(rows)</tbody></table>\(rest)</details>

                """
        }
        return "<h2>\(title)</h2>\n" + parts.joined()
    }

    private static let style = """
        :root{color-scheme:light dark;--text:#1b1b1b;--ground:#fff;--line:#ccc;--first:#0b5cad;--second:#b3541e;--held:#eee}
        @media(prefers-color-scheme:dark){:root{--text:#e6e6e6;--ground:#181818;--line:#444;--first:#6db1f5;\
        --second:#f0a070;--held:#2c2c2c}}
        body{font:15px/1.5 system-ui,sans-serif;color:var(--text);background:var(--ground);max-width:50rem;margin:2rem auto;\
        padding:0 1rem}
        h1{font-size:1.3rem}h2{font-size:1.1rem;margin-top:2rem}
        .status{border:2px solid;border-radius:4px;padding:0 .4em}
        .succeeded{color:#1a7f37}.partial{color:#9a6700}.failed,.interrupted,.error b{color:#c9302c}
        table{border-collapse:collapse}th,td{padding:.15em .8em .15em 0;text-align:left;vertical-align:top;\
        overflow-wrap:anywhere}
        tbody tr{border-top:1px solid var(--line)}tfoot tr{border-top:2px solid var(--line)}th{font-weight:600}
        td{font-variant-numeric:tabular-nums}
        .bar{display:inline-block;height:.7em;background:var(--first)}
        figure{margin:1rem 0}figcaption span{margin-left:1em}figcaption .first::before,figcaption .second::before\
        {content:"— ";font-weight:700}
        figcaption .first{color:var(--first)}figcaption .second{color:var(--second)}
        svg text{font-size:11px;fill:var(--text)}.grid{stroke:var(--line);stroke-width:.5}.held{fill:var(--held)}
        polyline{fill:none;stroke-width:1.5}polyline.first{stroke:var(--first)}polyline.second{stroke:var(--second)}
        @media print{details{display:block}}
        """
}

/// Writes `report.json`, the report with its timeline, and `report.html` into a directory, which is made if it is missing.
///
/// - Throws: ``KelterError`` with ``ErrorCode/objectStoreFailed``.
package func writeReport(
    _ report: IngestReport,
    timeline: RunTimeline,
    context: ReportPage.Context,
    to directory: String
) throws(KelterError) {
    let files = ObjectStore(root: (try? resolvedPath(directory)) ?? directory)
    guard case .object(let members) = report.json else { return }
    try files.write(.object(members + [("timeline", timeline.json)]), to: "report.json")
    let page = ReportPage(report: report, samples: timeline.samples, context: context)
    try files.write(Array(page.html.utf8), to: "report.html")
}
