import Foundation
import KelterModel
import KelterStore
import Testing

@testable import KelterPipeline

@Suite struct ReportTests {
    private func sample(_ milliseconds: Int, _ finished: Int) -> RunSample {
        var sample = RunSample()
        sample.milliseconds = milliseconds
        sample.found = 100_000
        sample.finished = finished
        sample.embeddings = finished * 2
        sample.window = 16
        sample.requestsInFlight = 12
        sample.throttledMilliseconds = milliseconds / 1000 == 7 ? milliseconds : 0
        return sample
    }

    @Test(arguments: [1, 2, 50, 700, 100_000])
    func `A timeline keeps its ends, its order and its bound, however long the run`(count: Int) {
        let timeline = RunTimeline()
        for number in 0..<count { timeline.add(sample(number * 200, number)) }
        let kept = timeline.samples
        #expect(kept.count <= RunTimeline.capacity && kept.count >= min(count, RunTimeline.capacity / 2))
        #expect(kept.first?.finished == 0 && kept.last?.finished == count - 1)
        #expect(zip(kept, kept.dropFirst()).allSatisfy { $0.milliseconds < $1.milliseconds })
        // Evenly: no gap is much longer than the others.
        let gaps = zip(kept, kept.dropFirst()).map { $1.milliseconds - $0.milliseconds }
        if let longest = gaps.dropLast(2).max(), let shortest = gaps.dropLast(2).min() {
            #expect(longest <= 4 * shortest)
        }
    }

    /// The names of the elements that are open after a page, which should be none.
    private func unclosed(_ html: String) -> [String] {
        let void: Set<Substring> = ["meta", "rect", "line", "polyline", "!DOCTYPE"]
        var open: [String] = []
        for piece in html.split(separator: "<").dropFirst(html.hasPrefix("<") ? 0 : 1) {
            guard let end = piece.firstIndex(of: ">") else { return open + ["<" + piece] }
            let tag = piece[..<end]
            let name = tag.prefix { $0.isLetter || $0.isNumber || $0 == "!" || $0 == "/" }
            if name.hasPrefix("/") {
                guard open.popLast() == String(name.dropFirst()) else { return open + [String(tag)] }
            } else if !void.contains(name), !tag.hasSuffix("/") {
                open.append(String(name))
            }
        }
        return open
    }

    private func report(failures: Int) -> IngestReport {
        var report = IngestReport(run: newRowID(), status: failures > 0 ? .partial : .succeeded)
        report.outcomes[.inserted] = 99_000
        report.outcomes[.failed] = failures
        report.found = 99_000 + failures
        report.isBalanced = true
        report.duration = .seconds(3725)
        report.failures = (0..<failures).map {
            ItemProblem(
                externalID: "ordner/datei-\($0).pdf",
                code: $0 % 3 == 0 ? "A" : "B",
                detail: "Das Format ist unbekannt."
            )
        }
        return report
    }

    private func page(_ report: IngestReport, _ samples: [RunSample]) -> String {
        let context = ReportPage.Context(command: "kelter ingest docs", started: "2026-11-25 14:00:00 UTC")
        return ReportPage(report: report, samples: samples, context: context).html
    }

    @Test func `The page says what the report says, is whole and stays small`() {
        let samples = (0..<600).map { sample($0 * 6000, $0 * 160) }
        for failures in [0, 1, 37, 10_000] {
            let html = page(report(failures: failures), samples)
            #expect(unclosed(html).isEmpty)
            #expect(html.utf8.count < 400_000, "\(html.utf8.count)")
            #expect(!html.contains("http") && !html.contains("<script") && !html.contains("src="))
            #expect(html.contains("99\u{202F}000") && html.contains("the totals add up") && html.contains("1:02:05"))
            #expect(html.contains(failures > 0 ? ">partial<" : ">succeeded<"))
        }
        let many = page(report(failures: 10_000), samples)
        #expect(many.contains("B:\n6\u{202F}666") && many.contains("report.json has all"))
        #expect(many.components(separatedBy: "<tr><th scope=\"row\">ordner/").count - 1 == 2_000)
        var broken = report(failures: 0)
        broken.isBalanced = false
        broken.status = .failed
        broken.error = KelterError(.runUnbalanced, "Part 3 is <missing>.")
        let html = page(broken, [])
        #expect(html.contains("do not add up") && html.contains("Part 3 is &lt;missing&gt;.") && unclosed(html).isEmpty)
    }

    @Test func `Hostile names show what they are`() {
        var report = report(failures: 0)
        report.failures = [
            ItemProblem(
                externalID: "<script>alert(1)</script>\"'&\u{202E}fdp.exe\u{0}\u{1B}[31m\u{200B}ü",
                code: "<b>",
                detail: "</table>"
            )
        ]
        let html = page(report, [])
        #expect(unclosed(html).isEmpty && !html.contains("<script>") && !html.contains("<b>:"))
        #expect(
            html.contains(
                #"&lt;script&gt;alert(1)&lt;/script&gt;&quot;&#39;&amp;\u{202E}fdp.exe\u{0}\u{1B}[31m\u{200B}ü"#
            )
        )
        #expect(html.contains("&lt;/table&gt;"))
    }

    @Test func `A plot's lines lie inside it, where their values say`() throws {
        let plot = Plot(
            title: "x",
            times: [0, 500, 1000],
            lines: [.init(name: "a", style: "first", values: [0, 10, 5])],
            shaded: [500..<1000]
        )
        // 700 wide for one second from 56, 120 high for ten from 128 upwards.
        #expect(plot.svg.contains(#"points="56.0,128.0 404.0,8.0 752.0,68.0""#), "\(plot.svg)")
        #expect(plot.svg.contains(#"class="held" x="404.0" y="8.0" width="348.0" height="120.0""#))
        for (value, rounded) in [(0.0, 1.0), (1, 1), (1.1, 2), (4.2, 5), (700, 1000), (0.03, 0.05)] {
            #expect(abs(Plot.round(up: value) - rounded) < 1e-9)
        }
    }
}
