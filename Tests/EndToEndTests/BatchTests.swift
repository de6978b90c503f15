import Foundation
import Glibc
import KelterHashing
import KelterModel
import KelterTestSupport
import Testing

/// `kelter ingest`: trees of thousands of files, bad ones among them, interrupted and repeated.
@Suite struct BatchTests {
    private func tree(_ world: World, files: Int) throws {
        for number in 0..<files {
            let paragraphs = (0..<4).map { paragraph in
                "Absatz \(paragraph) von Dokument \(number): die Prüfung der Anlage erfolgt jährlich. "
                    + "The inspection of machine \(number) is recorded in the log \(paragraph)."
            }
            try world.write("part-\(number / 100)/doc-\(number).txt", paragraphs.joined(separator: "\n\n"))
        }
    }

    private func outcomes(_ report: JSONValue) -> [String: Int] {
        (report["outcomes"]?.members ?? []).reduce(into: [:]) { result, member in
            if let count = member.value.int, count > 0 { result[member.name] = count }
        }
    }

    @Test func `Thousands of files are packed into few requests and a repetition sends none`() async throws {
        try await World.with { world in
            try tree(world, files: 2000)
            let result = try await world.kelter("ingest", world.documents, "--json")
            #expect(result.exitCode == 0, "\(result.messages)")
            let report = try result.json
            #expect(outcomes(report) == ["inserted": 2000])
            #expect(report["balanced"] == .bool(true) && report["status"]?.string == "succeeded")
            #expect(report["embedding_inputs"]?.int == 2000)
            // How full they are depends on how fast this machine parses while it runs the other tests; on a quiet one
            // nearly all hold 64 texts. Sent file by file they would be 2,000.
            #expect((1..<500).contains(report["embedding_requests"]?.int ?? 0))
            #expect(world.endpoint.connectionsAccepted <= 8)
            try await IndependentCheck(world).run()

            let requests = world.endpoint.log.requests
            let again = try await world.kelter("ingest", world.documents, "--json").json
            #expect(outcomes(again) == ["unchanged": 2000])
            #expect(world.endpoint.log.requests == requests)
        }
    }

    @Test func `A bad file never stops or loses another`() async throws {
        try await World.with { world in
            try tree(world, files: 120)
            try world.write(
                "bad/rubbish.txt",
                bytes: (0..<5000).map { UInt8(truncatingIfNeeded: $0 &* 167 ^ ($0 >> 3)) }
            )
            try world.write(
                "bad/damaged.txt",
                bytes: Array("Größe und Höhe der Anlage".utf8) + [0xFC] + Array(", geprüft".utf8)
            )
            try world.write("bad/empty.txt", "")
            try world.write("bad/spaces.md", " \n\t\n")
            try world.write("bad/picture.txt", bytes: [0x1A, 0x45, 0xDF, 0xA3, 0, 0, 0, 13])
            try world.write("bad/sidecar.md", "Text")
            try world.write("bad/sidecar.md.meta.json", #"{"tags": "no list"}"#)
            try world.write("bad/broken.md", "Text zwei")
            try world.write("bad/broken.meta.json", #"{"title": "#)
            try world.write("bad/foreign.md", "Text drei")
            try world.write("bad/foreign.md.meta.json", #"{"tenant_id": "somebody-else"}"#)
            try world.write("bad/orphan.meta.json", "{}")
            let paragraph = "<p>" + String(repeating: "Ein Satz über die Wartung der Anlage. ", count: 30) + "</p>\n"
            try world.write(
                "bad/large.html",
                "<html><body>" + String(repeating: paragraph, count: 44_000) + "</body></html>"
            )
            symlink("/etc/hostname", "\(world.documents)/bad/link.txt")

            let result = try await world.kelter("ingest", world.documents, "--json", "--report", world.home + "/report")
            #expect(result.exitCode == 1, "\(result.messages)")
            let report = try result.json
            #expect(report["status"]?.string == "partial" && report["balanced"] == .bool(true))
            let failures = (report["failures"]?.array ?? []).reduce(into: [String: String]()) {
                $0[$1["external_id"]?.string ?? ""] = $1["code"]?.string
            }
            #expect(failures["bad/rubbish.txt"] == "PARSER_BINARY_CONTENT")
            #expect(failures["bad/damaged.txt"] == "PARSER_INVALID_ENCODING")
            #expect(failures["bad/picture.txt"] == "unsupported_media_type")
            #expect(failures["bad/sidecar.md"] == "invalid_metadata")
            #expect(failures["bad/broken.md"] == "invalid_metadata")
            #expect(failures["bad/foreign.md"] == "invalid_metadata")
            let skipped = (report["skipped"]?.array ?? []).reduce(into: [String: String]()) {
                $0[$1["external_id"]?.string ?? ""] = $1["reason"]?.string
            }
            #expect(
                skipped == [
                    "bad/empty.txt": "no_text", "bad/spaces.md": "no_text", "bad/orphan.meta.json": "orphan_sidecar",
                    "bad/link.txt": "symbolic_link",
                ]
            )
            #expect(failures.count == 6)
            // The 50 MB page is read like any other.
            #expect(outcomes(report) == ["inserted": 121, "failed": 6, "skipped": 4])
            #expect(report["found"]?.int == 131)
            let written = try Data(contentsOf: URL(filePath: world.home + "/report/report.json"))
            let kept = try JSONReader.read([UInt8](written))
            #expect(kept.members?.filter { $0.name != "timeline" }.map(\.name) == report.members?.map(\.name))
            #expect(kept["outcomes"] == report["outcomes"] && kept["failures"] == report["failures"])
            #expect((kept["timeline"]?.array?.last?["finished"]?.int ?? 0) > 0)
            let page = try String(contentsOfFile: world.home + "/report/report.html", encoding: .utf8)
            #expect(page.contains("unsupported_media_type") && page.contains(">partial<"))
            try await IndependentCheck(world).run()
        }
    }

    @Test func `An unreadable file fails by itself`() async throws {
        try await World.with { world in
            try tree(world, files: 10)
            // Permissions do not keep root out; a process's own memory cannot be read from its start by anybody.
            let result = try await world.kelter("ingest", world.documents, "/proc/self/mem", "--json")
            #expect(result.exitCode == 1)
            let report = try result.json
            #expect(outcomes(report) == ["inserted": 10, "failed": 1] && report["balanced"] == .bool(true))
            #expect(report["failures"]?[0]?["code"]?.string == "INGEST_FILE_UNREADABLE")
        }
    }

    @Test func `Copies in one batch cost one embedding and the first by name is the document`() async throws {
        try await World.with { world in
            for name in ["b.txt", "a.txt", "c/d.txt", "c/e.txt"] { try world.write(name, "Dieselben Zeichen.") }
            let report = try await world.kelter("ingest", world.documents, "--json").json
            #expect(outcomes(report) == ["inserted": 1, "duplicate": 3])
            #expect(report["embedding_inputs"]?.int == 1)
            #expect(try await world.rows("SELECT external_id FROM rag.documents") == [["a.txt"]])
            #expect(try await world.count("SELECT count(*) FROM rag.sources") == 4)
            let again = try await world.kelter("ingest", world.documents, "--json").json
            #expect(outcomes(again) == ["unchanged": 1, "duplicate": 3])
        }
    }

    @Test func `Two files with one external identifier do not overwrite each other`() async throws {
        try await World.with { world in
            for name in ["a", "b"] {
                try world.write("\(name).txt", "Text von \(name).")
                try world.write("\(name).txt.meta.json", #"{"external_id": "same"}"#)
            }
            let report = try await world.kelter("ingest", world.documents, "--json").json
            #expect(outcomes(report) == ["inserted": 1, "failed": 1])
            #expect(report["failures"]?[0]?["external_id"]?.string == "b.txt")
        }
    }

    @Test func `Every scope of an item counts`() async throws {
        let a = "6f1c1d9e-0d5a-4b7e-9a53-2f1f6f0f7c11"
        let b = "0b6a1f0e-8c1f-4f0a-9a9e-7d0e4a5b6c7d"
        try await World.with { world in
            try world.write("a.txt", "Text eins.")
            try world.write("b.txt", "Text zwei.")
            try world.write("b.txt.meta.json", #"{"collection_ids": ["\#(a)", "\#(b)"]}"#)
            let report = try await world.kelter("ingest", world.documents, "--json").json
            #expect(report["found"]?.int == 3 && outcomes(report) == ["inserted": 3])
            #expect(report["embedding_inputs"]?.int == 2)
        }
    }

    @Test func `Ctrl-C stops cleanly and repeating the command completes the rest`() async throws {
        var options = FaultInjectingEndpoint.Options()
        options.latency = .milliseconds(150)
        try await World.with(options) { world in
            try tree(world, files: 1500)
            let run = try KelterProcess(["ingest", world.documents, "--json"], environment: world.environment)
            try await waitUntil("100 documents") { try await world.count("SELECT count(*) FROM rag.documents") >= 100 }
            run.send(SIGINT)
            let result = try await run.finish()
            #expect(result.exitCode == 130, "\(result.messages)")
            let report = try result.json
            let isInterrupted = report["status"]?.string == "interrupted" && report["balanced"] == .bool(true)
            #expect(isInterrupted, "\(result.messages) \(result.output.prefix(800))")
            let stored = try await world.count("SELECT count(*) FROM rag.documents")
            #expect(stored == report["outcomes"]?["inserted"]?.int && stored < 1500)
            try await IndependentCheck(world).run()

            let rest = try await world.kelter("ingest", world.documents, "--json").json
            #expect(outcomes(rest) == ["unchanged": stored, "inserted": 1500 - stored])
            try await IndependentCheck(world).run()
        }
    }

    @Test func `An interrupted run is completed by its identifier alone`() async throws {
        var options = FaultInjectingEndpoint.Options()
        options.latency = .milliseconds(150)
        try await World.with(options) { world in
            try tree(world, files: 800)
            let run = try KelterProcess(["ingest", world.documents, "--json"], environment: world.environment)
            try await waitUntil("50 documents") { try await world.count("SELECT count(*) FROM rag.documents") >= 50 }
            run.send(SIGTERM)
            let identifier = try await run.finish().json["run_id"]?.string ?? ""
            // A file that goes away in between was found all the same, and the run says what became of it.
            try FileManager.default.removeItem(atPath: "\(world.documents)/part-0/doc-99.txt")
            let stored = try await world.count("SELECT count(*) FROM rag.documents")
            let isStored = try await world.count(
                "SELECT count(*) FROM rag.documents WHERE external_id = 'part-0/doc-99.txt'"
            )
            #expect(stored < 800)
            // The run knows by a digest with which settings it began.
            let shown = try await world.kelter("runs", "show", identifier, "--json").json
            #expect(shown["arguments"]?["settings"]?.string?.count == 64, "\(shown)")
            let resumed = try await KelterProcess.run(
                ["ingest", "--resume", identifier, "--json"],
                environment: world.environment.merging(["EMBEDDINGS_BATCH_SIZE": "7"]) { $1 }
            )
            #expect(resumed.messages.contains("The settings have changed"), "\(resumed.messages)")
            let rest = try resumed.json
            #expect(rest["run_id"]?.string == identifier && rest["status"]?.string == "succeeded")
            #expect(rest["found"]?.int == 800 && rest["balanced"] == .bool(true))
            #expect(outcomes(rest) == (isStored == 1 ? ["inserted": 800] : ["inserted": 799, "skipped": 1]))
            #expect(rest["skipped"]?.array?.compactMap { $0["reason"]?.string } == (isStored == 1 ? [] : ["gone"]))
            #expect(try await world.count("SELECT count(*) FROM rag.documents") == 799 + isStored)
            #expect(try await world.rows("SELECT status FROM rag.runs") == [["succeeded"]])
        }
    }

    @Test func `A file that is gone when a run is resumed keeps the outcome it has`() async throws {
        try await World.with { world in
            try tree(world, files: 200)
            let killed = try await world.kelter(
                "ingest",
                world.documents,
                environment: ["KELTER_FAIL_POINT": "group_committed"]
            )
            #expect(killed.exitCode != 0)
            let stored = try await world.rows("SELECT external_id FROM rag.documents").compactMap { $0[0] }
            #expect(!stored.isEmpty && stored.count < 200)
            #expect(try await world.count("SELECT count(*) FROM rag.run_parts WHERE finished_at IS NOT NULL") == 0)
            for name in stored { try FileManager.default.removeItem(atPath: world.documents + "/" + name) }
            let run = try await world.rows("SELECT id FROM rag.runs")[0][0] ?? ""
            let report = try await world.kelter("ingest", "--resume", run, "--json").json
            #expect(outcomes(report) == ["inserted": 200] && report["balanced"] == .bool(true))
            #expect(report["status"]?.string == "succeeded" && report["skipped"]?.array?.isEmpty == true)
        }
    }

    @Test func `A killed run leaves nothing half written and a rerun completes it`() async throws {
        var options = FaultInjectingEndpoint.Options()
        options.latency = .milliseconds(50)
        try await World.with(options) { world in
            try tree(world, files: 1200)
            for _ in 0..<3 {
                let before = try await world.count("SELECT count(*) FROM rag.documents")
                let run = try KelterProcess(["ingest", world.documents, "--json"], environment: world.environment)
                // A debug build that shares two cores with eleven other tests takes its time to start.
                try await waitUntil("60 documents more", within: .seconds(300)) {
                    try await world.count("SELECT count(*) FROM rag.documents") >= before + 60
                }
                run.send(SIGKILL)
                _ = try await run.finish()
                try await IndependentCheck(world).run()
            }
            let report = try await world.kelter("ingest", world.documents, "--json").json
            #expect(report["status"]?.string == "succeeded")
            #expect(try await world.count("SELECT count(*) FROM rag.documents") == 1200)
            try await IndependentCheck(world).run()
        }
    }

    @Test func `A plan embeds and stores nothing`() async throws {
        try await World.with { world in
            try tree(world, files: 30)
            let plan = try await world.kelter("ingest", world.documents, "--plan", "--json").json
            #expect(outcomes(plan) == ["inserted": 30])
            #expect((plan["planned_tokens"]?.int ?? 0) > 30 * 40)
            #expect(world.endpoint.log.requests == 0)
            #expect(try await world.count("SELECT count(*) FROM rag.documents") == 0)
            #expect(try await world.count("SELECT count(*) FROM rag.runs") == 0)
        }
    }

    @Test func `Sync deletes what is gone, within its bound`() async throws {
        try await World.with { world in
            try tree(world, files: 40)
            _ = try await world.kelter("ingest", world.documents, "--json")
            for number in 0..<3 {
                try FileManager.default.removeItem(atPath: "\(world.documents)/part-0/doc-\(number).txt")
            }
            let plain = try await world.kelter("ingest", world.documents, "--json").json
            #expect(outcomes(plain) == ["unchanged": 37])
            let synced = try await world.kelter("ingest", world.documents, "--sync", "--json").json
            #expect(outcomes(synced) == ["unchanged": 37, "deleted": 3] && synced["balanced"] == .bool(true))
            #expect(try await world.count("SELECT count(*) FROM rag.documents WHERE deleted_at IS NULL") == 37)
            for number in 3..<13 {
                try FileManager.default.removeItem(atPath: "\(world.documents)/part-0/doc-\(number).txt")
            }
            let refused = try await world.kelter("ingest", world.documents, "--sync", "--json")
            #expect(refused.exitCode == 4)
            #expect(try refused.json["error"]?["code"]?.string == "SYNC_REFUSED")
            #expect(try await world.count("SELECT count(*) FROM rag.documents WHERE deleted_at IS NULL") == 37)
            let allowed = try await world.kelter("ingest", world.documents, "--sync", "--max-delete", "50%", "--json")
                .json
            #expect(outcomes(allowed) == ["unchanged": 27, "deleted": 10])
        }
    }

    @Test func `A flaky endpoint loses nothing`() async throws {
        var options = FaultInjectingEndpoint.Options()
        options.script = .fraction(0.3, seed: 7, of: [.status(500), .status(429), .cutConnection(after: 100), .reset])
        try await World.with(options) { world in
            try tree(world, files: 600)
            let report = try await world.kelter(
                "ingest",
                world.documents,
                "--json",
                environment: ["RAG_RETRY_ATTEMPTS": "12"]
            ).json
            #expect(outcomes(report) == ["inserted": 600])
            try await IndependentCheck(world).run()
        }
    }

    @Test func `Progress is written as plain lines when standard error is no terminal`() async throws {
        try await World.with { world in
            try tree(world, files: 5)
            let result = try await world.kelter("ingest", world.documents)
            #expect(result.exitCode == 0, "\(result.messages)")
            #expect(result.output.contains("5 inserted") && result.output.contains("totals add up"))
            #expect(!result.messages.contains("\u{1B}"))
        }
    }
}
