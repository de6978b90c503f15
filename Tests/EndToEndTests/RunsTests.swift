import KelterModel
import KelterStore
import KelterTestSupport
import Testing

/// `kelter runs`: the ledger shown, its dead letters retried and dropped.
@Suite("Runs")
struct RunsTests {
    private func outcomes(_ report: JSONValue) -> [String: Int] {
        (report["outcomes"]?.members ?? []).reduce(into: [:]) { result, member in
            if let count = member.value.int, count > 0 { result[member.name] = count }
        }
    }

    @Test("dead letters are listed, retried from the files as they are now, and dropped")
    func deadLetters() async throws {
        try await World.with { world in
            for number in 0..<300 { try world.write("doc-\(number).txt", "Anlage \(number) läuft.") }
            for number in 0..<4 {
                try world.write("kaputt-\(number).txt", "Anlage \(number) steht.")
                try world.write("kaputt-\(number).txt.meta.json", "{")
            }
            let first = try await world.kelter("ingest", world.documents, "--json")
            #expect(first.exitCode == 1)
            let run = try #require(try first.json["run_id"]?.string)
            #expect(outcomes(try first.json) == ["inserted": 300, "failed": 4])

            let list = try await world.kelter("runs", "list", "--json").json["runs"]?[0]
            #expect(list?["run_id"]?.string == run && list?["status"]?.string == "partial")
            #expect(list?["dead_letters"]?.int == 4 && list?["totals"]?["found"]?.int == 304)
            let shown = try await world.kelter("runs", "show", run, "--json").json
            #expect(
                shown["items"]?.array?.compactMap { $0["external_id"]?.string } == (0..<4).map { "kaputt-\($0).txt" }
            )
            #expect(Set(shown["items"]?.array?.compactMap { $0["code"]?.string } ?? []) == ["invalid_metadata"])
            #expect(shown["parts"]?["added"]?.int == 2 && shown["parts"]?["finished"]?.int == 2)
            let text = try await world.kelter("runs", "show", run).output
            #expect(
                text.contains("4 dead letters: 'kelter runs retry \(run)'") && text.contains("300 inserted, 4 failed")
            )

            // One is put right, one is dropped, two stay broken.
            try world.write("kaputt-0.txt.meta.json", #"{"external_id": "heil"}"#)
            let drop = try await world.kelter("runs", "drop", run, "--item", "kaputt-1.txt", "--json").json
            #expect(drop["dropped"]?.int == 1 && drop["dead_letters"]?.int == 3)
            let requests = world.endpoint.log.inputs
            let retried = try await world.kelter("runs", "retry", run, "--json")
            #expect(retried.exitCode == 1)
            let report = try retried.json
            #expect(report["run_id"]?.string == run && report["balanced"] == .bool(true))
            #expect(report["found"]?.int == 304 && outcomes(report) == ["inserted": 301, "failed": 3])
            // What was done is not done again: one text, and the two of the probe.
            #expect(world.endpoint.log.inputs - requests <= 3)
            #expect(try await world.count("SELECT count(*) FROM rag.documents WHERE external_id = 'heil'") == 1)
            let attempts = try await world.rows(
                "SELECT external_id, attempts FROM rag.run_items WHERE path LIKE 'kaputt%' ORDER BY path"
            )
            #expect(
                attempts == [["heil", "2"], ["kaputt-1.txt", "1"], ["kaputt-2.txt", "2"], ["kaputt-3.txt", "2"]]
            )

            // What was dropped is retried by name only.
            for number in 1..<4 { try world.write("kaputt-\(number).txt.meta.json", "{}") }
            let named = try await world.kelter("runs", "retry", run, "--item", "kaputt-1.txt", "--json").json
            #expect(outcomes(named) == ["inserted": 302, "failed": 2] && named["status"]?.string == "partial")
            let rest = try await world.kelter("runs", "retry", run, "--json")
            #expect(rest.exitCode == 0, "\(rest.messages)")
            let whole = try rest.json
            #expect(outcomes(whole) == ["inserted": 304] && whole["status"]?.string == "succeeded")
            let nothing = try await world.kelter("runs", "retry", run, "--json").json
            #expect(outcomes(nothing) == ["inserted": 304] && nothing["balanced"] == .bool(true))
            #expect(try await world.kelter("runs", "list", "--json").json["runs"]?[0]?["dead_letters"]?.int == 0)
            try await IndependentCheck(world).run()
        }
    }

    @Test("a run of the queue that failed goes back into it, and one that did not is left alone")
    func queued() async throws {
        try await World.with { world in
            let (failed, done) = (RowID.version7(milliseconds: 1), RowID.version7(milliseconds: 2))
            let tenant = try Tenant("dev-tenant").rowID
            for (run, status) in [(failed, "failed"), (done, "succeeded")] {
                try await world.database.store.runScript(
                    """
                    INSERT INTO rag.runs (id, tenant_id, kind, status, finished_at, attempts, lease_token, error)
                    VALUES ('\(run)', '\(tenant)', 'upload', '\(status)', now(), 5, 5, 'x')
                    """
                )
            }
            let retried = try await world.kelter("runs", "retry", failed.description, "--json")
            let answer = try retried.json
            #expect(retried.exitCode == 0 && answer["status"]?.string == "queued")
            let rows = try await world.rows("SELECT status, attempts, finished_at, error FROM rag.runs ORDER BY id")
            #expect(rows[0] == ["queued", "0", nil, nil] && rows[1][0] == "succeeded")
            let refused = try await world.kelter("runs", "retry", done.description)
            #expect(refused.exitCode == 2 && refused.messages.contains("succeeded"), "\(refused.messages)")
        }
    }

    @Test(
        "what cannot be meant is refused",
        arguments: [
            (["show", "x"], "USAGE"), (["show", "01900000-0000-7000-8000-000000000000"], "RUN_NOT_FOUND"),
            (["drop", "01900000-0000-7000-8000-000000000000"], "USAGE"), (["list", "--limit", "0"], "USAGE"),
            (["show", "01900000-0000-7000-8000-000000000000", "--outcome", "gone"], "USAGE"),
        ]
    )
    func refused(arguments: [String], code: String) async throws {
        try await World.with { world in
            let result = try await KelterProcess.run(["runs"] + arguments, environment: world.environment)
            #expect(result.exitCode != 0 && result.messages.contains(code), "\(result.messages)")
        }
    }
}
