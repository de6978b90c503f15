import KelterModel
import KelterStore

/// A run of the ledger, as `kelter runs` shows it.
struct RunView {
    let run: RunRecord
    let deadLetters: Int

    /// One line of a list.
    var row: [String] {
        [
            run.id.description, run.kind, run.status.rawValue, run.startedAt ?? run.queuedAt ?? "",
            run.durationMilliseconds.map { spoken(.milliseconds($0)) } ?? "-",
            run.totals?["found"]?.int.map { "\($0) items" } ?? "-",
            deadLetters == 0 ? "" : letters,
        ]
    }

    private var letters: String { deadLetters == 1 ? "1 dead letter" : "\(deadLetters) dead letters" }

    var json: JSONValue { .object(members) }

    private var members: [(name: String, value: JSONValue)] {
        [
            ("run_id", .string(run.id.description)), ("kind", .string(run.kind)), ("case", .optional(run.caseID)),
            ("status", .string(run.status.rawValue)), ("queued_at", .optional(run.queuedAt)),
            ("started_at", .optional(run.startedAt)), ("finished_at", .optional(run.finishedAt)),
            ("duration_ms", run.durationMilliseconds.map { .int($0) } ?? .null), ("error", .optional(run.error)),
            ("dead_letters", .int(deadLetters)), ("totals", run.totals ?? .null),
        ]
    }

    /// One run with everything that is known of it.
    func json(totals: RunTotals, parts: PartCounts, items: [RunItem]) -> JSONValue {
        .object(
            members + [
                ("arguments", run.arguments), ("outcomes", totals.outcomes.json), ("chunks", .int(totals.chunks)),
                (
                    "parts",
                    .object([
                        ("added", .int(parts.added)), ("finished", .int(parts.finished)),
                        ("leased", .int(parts.leased)),
                    ])
                ),
                ("items", .array(items.map(\.json))),
            ]
        )
    }

    func text(totals: RunTotals, parts: PartCounts, items: [RunItem]) -> String {
        var lines = ["Run \(run.id): \(run.kind), \(run.status.rawValue)"]
        let times = [("queued", run.queuedAt), ("started", run.startedAt), ("finished", run.finishedAt)]
        lines.append("  " + times.compactMap { name, time in time.map { "\(name) \($0)" } }.joined(separator: ", "))
        let outcomes = Outcome.allCases.filter { totals.outcomes[$0] > 0 }
        lines.append(
            "  "
                + (outcomes.isEmpty
                    ? "no items yet" : outcomes.map { "\(totals.outcomes[$0]) \($0)" }.joined(separator: ", "))
        )
        if parts.added > parts.finished {
            lines.append("  \(parts.finished) of \(parts.added) parts done, \(parts.leased) being worked on")
        }
        if let error = run.error { lines.append("  \(error)") }
        if !items.isEmpty { lines += ["", table(items.prefix(100).map(\.row), indent: "  ")] }
        if items.count > 100 { lines.append("  … and \(items.count - 100) more; --json lists all") }
        if deadLetters > 0 {
            lines += ["", "\(letters): 'kelter runs retry \(run.id)' or 'kelter runs drop \(run.id) --all'"]
        }
        return lines.joined(separator: "\n")
    }
}

extension RunItem {
    fileprivate var row: [String] {
        [
            externalID, collection?.description ?? "", isDropped ? "\(outcome), dropped" : "\(outcome)",
            code?.rawValue ?? "", detail ?? "",
        ]
    }

    fileprivate var json: JSONValue {
        .object([
            ("external_id", .string(externalID)), ("collection_id", .optional(collection?.description)),
            ("path", .string(place.path)), ("outcome", .string(outcome.rawValue)), ("code", .optional(code?.rawValue)),
            ("detail", .optional(detail)), ("document_id", .optional(document?.description)),
            ("bytes", bytes.map { .int($0) } ?? .null), ("attempts", .int(place.attempts)),
            ("dropped", .bool(isDropped)),
        ])
    }
}
