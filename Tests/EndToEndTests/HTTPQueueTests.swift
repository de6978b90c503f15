import Foundation
import Glibc
import KelterModel
import KelterTestSupport
import Testing

/// Accepted means durable: kills, restarts, shutdowns, outages.
///
/// One after the other: each test starts servers of its own, and all at once would starve each other.
@Suite("HTTP: the queue", .serialized)
struct HTTPQueueTests {
    @Test("after 202 a SIGKILL loses nothing: another worker process ingests the upload")
    func killAfterAccept() async throws {
        try await World.with { world in
            try await world.registerTenants()
            let server = try await HTTPServerProcess.start(in: world, ["--workers", "0"])
            var runs: [String] = []
            for index in 0..<5 {
                let accepted = try await server.upload("n\(index).txt", "Words of file \(index).")
                runs.append(try #require(accepted.json["ingestion_run_id"]?.string))
            }
            server.process.send(SIGKILL)
            _ = try await server.process.finish()
            let worker = try KelterProcess(["worker"], environment: world.environment)
            try await HTTPServerProcess.with(world, ["--workers", "0"]) { server in
                for run in runs {
                    let status = try await server.finished(run)
                    #expect(status["status"] == .string("succeeded"))
                }
            }
            worker.send(SIGTERM)
            let ended = try await worker.finish()
            #expect(ended.exitCode == 0, "\(ended.messages)")
            #expect(try await world.count("SELECT count(*) FROM rag.documents") == 5)
            try await IndependentCheck(world).run()
        }
    }

    @Test("a kill between the commit and the files' last move is mended by the worker")
    func killBeforeSettle() async throws {
        try await World.with { world in
            try await world.registerTenants()
            try await HTTPServerProcess.with(world, ["--workers", "0"]) { server in
                let accepted = try await server.upload("n.txt", "Words.")
                let id = try #require(accepted.json["document_id"]?.string)
                let run = try #require(accepted.json["ingestion_run_id"]?.string)
                // As the kill would have left them.
                let objects = world.home + "/objects"
                for (from, to) in [("\(id).txt", "\(run).content"), ("\(id).meta.json", "\(run).meta.json")] {
                    try FileManager.default.moveItem(
                        atPath: "\(objects)/dev-tenant/local/uploads/\(from)",
                        toPath: "\(objects)/.incoming/\(to)"
                    )
                }
                let worker = try KelterProcess(["worker"], environment: world.environment)
                #expect(try await server.finished(run)["status"] == .string("succeeded"))
                worker.send(SIGTERM)
                _ = try await worker.finish()
                #expect(
                    world.objects == [
                        "dev-tenant/local/uploads/\(id).meta.json", "dev-tenant/local/uploads/\(id).txt",
                    ]
                )
            }
        }
    }

    @Test("a worker killed in the middle of a run is followed by another, which says what was stored")
    func killedWorker() async throws {
        var options = FaultInjectingEndpoint.Options()
        options.latency = .milliseconds(1500)
        try await World.with(options) { world in
            try await world.registerTenants()
            try await HTTPServerProcess.with(world, ["--workers", "0"]) { server in
                let accepted = try await server.upload("n.txt", "Words.")
                let run = try #require(accepted.json["ingestion_run_id"]?.string)
                let first = try KelterProcess(["worker", "--lease", "2"], environment: world.environment)
                for _ in 0..<400 {
                    if try await world.count("SELECT count(*) FROM rag.runs WHERE status = 'running'") == 1 { break }
                    try await Task.sleep(for: .milliseconds(20))
                }
                first.send(SIGKILL)
                _ = try await first.finish()
                let second = try KelterProcess(["worker", "--lease", "2"], environment: world.environment)
                let status = try await server.finished(run)
                second.send(SIGTERM)
                _ = try await second.finish()
                #expect(status["status"] == .string("succeeded"))
                #expect(status["inserted_documents"] == .number("1"))
                #expect(try await world.rows("SELECT attempts, lease_token FROM rag.runs") == [["2", "2"]])
                #expect(try await world.count("SELECT count(*) FROM rag.documents") == 1)
            }
        }
    }

    @Test("SIGTERM finishes the run at hand, or gives it back to the queue; requests under way are answered")
    func gracefulShutdown() async throws {
        var options = FaultInjectingEndpoint.Options()
        options.latency = .milliseconds(700)
        try await World.with(options) { world in
            try await world.registerTenants()
            let server = try await HTTPServerProcess.start(in: world)
            for index in 0..<3 { _ = try await server.upload("n\(index).txt", "Words of \(index).") }
            async let question = server.query("Words")
            try await Task.sleep(for: .milliseconds(200))
            let result = try await server.stop()
            #expect(result.exitCode == 0, "\(result.messages)")
            let answered = try await question.status
            #expect([200, 404].contains(answered), "a question under way is answered")
            #expect(try await world.count("SELECT count(*) FROM rag.runs WHERE status = 'running'") == 0)
            let again = try await HTTPServerProcess.start(in: world)
            for _ in 0..<400 {
                if try await world.count("SELECT count(*) FROM rag.runs WHERE status = 'succeeded'") == 3 { break }
                try await Task.sleep(for: .milliseconds(50))
            }
            try await again.stop()
            #expect(try await world.count("SELECT count(*) FROM rag.documents") == 3)
        }
    }

    @Test("an endpoint that is away puts a run off without failing it")
    func outage() async throws {
        try await World.with { world in
            try await world.registerTenants()
            world.endpoint.stop()
            let port = world.endpoint.baseURL
            try await HTTPServerProcess.with(world, environment: ["RAG_RETRY_ATTEMPTS": "1"]) { server in
                let accepted = try await server.upload("n.txt", "Words.")
                let run = try #require(accepted.json["ingestion_run_id"]?.string)
                var postponed: String?
                for _ in 0..<400 where postponed == nil {
                    let row = try await world.rows("SELECT status, error FROM rag.runs WHERE error IS NOT NULL").first
                    if row?[0] == "queued" { postponed = row?[1] }
                    try await Task.sleep(for: .milliseconds(50))
                }
                #expect(postponed?.contains("EMBEDDING_UNREACHABLE") == true, "\(postponed ?? "") \(port)")
                let status = try await server.get("/ai/rag/ingestion/status/?run_id=\(run)")
                #expect(status.json["status"] == .string("queued"))
                let number = try #require(UInt16(port.split(separator: ":").last?.split(separator: "/").first ?? ""))
                let revived = try FaultInjectingEndpoint(dimension: 384, port: number)
                defer { revived.stop() }
                #expect(try await server.finished(run)["status"] == .string("succeeded"))
            }
        }
    }

    @Test("a document that cannot be parsed fails alone, keeps its files, and is repeated by a run over it")
    func failures() async throws {
        try await World.with { world in
            try await world.registerTenants()
            try await HTTPServerProcess.with(world) { server in
                let bad = try await server.send(form: HTTPServerProcess.form("bad.txt", [0x61, 0xFF, 0xFE, 0x62]))
                let id = try #require(bad.json["document_id"]?.string)
                let run = try await server.finished(try #require(bad.json["ingestion_run_id"]?.string))
                #expect(run["status"] == .string("failed"))
                #expect(run["failed_documents"] == .number("1"))
                #expect(run["error"]?.string?.hasPrefix("PARSER_INVALID_ENCODING") == true)
                #expect(world.objects.count == 2)
                let unknown = "00000000-0000-4000-8000-000000000000"
                let again = try await server.post(
                    "/ai/rag/ingestion/run/",
                    .object([("document_ids", .array([.string(id), .string(unknown), .string("no id")]))])
                )
                #expect(again.status == 202, "\(again.text)")
                #expect(again.json["status"] == .string("queued"))
                #expect(again.json["invalid_ids"] == .array([.string(unknown), .string("no id")]))
                let repeated = try await server.finished(try #require(again.json["ingestion_run_id"]?.string))
                #expect(repeated["status"] == .string("failed"))
                #expect(repeated["invalid_document_ids"] == .array([.string(unknown), .string("no id")]))
                #expect(repeated["document_ids"] == .array([.string(id)]))
                let none = try await server.post(
                    "/ai/rag/ingestion/run/",
                    .object([("document_ids", .array([.string(unknown)]))])
                )
                #expect(none.status == 400)
                #expect(none.code == "validation_error")
            }
        }
    }

    @Test("a run over an uploaded document brings it into another collection; its own files stay")
    func runIntoCollection() async throws {
        let collection = "6f1c1d9e-0d5a-4b7e-9a53-2f1f6f0f7c11"
        try await World.with { world in
            try await world.registerTenants()
            try await HTTPServerProcess.with(world) { server in
                let first = try await server.ingest("n.txt", "Words.", metadata: #"{"external_id": "n"}"#)
                let id = try #require(first["document_ids"]?[0])
                let order = try await server.post(
                    "/ai/rag/ingestion/run/",
                    .object([("document_ids", .array([id])), ("priority", .string("high"))]),
                    headers: ["X-Collection-ID": collection]
                )
                #expect(order.json["scope"]?["origin"] == .string("header"))
                let run = try await server.finished(try #require(order.json["ingestion_run_id"]?.string))
                #expect(run["inserted_documents"] == .number("1"))
                #expect(run["documents"]?[0]?["collection_id"] == .string(collection))
                #expect(run["kind"] == .string("ingestion"))
                #expect(world.objects.count == 4, "\(world.objects)")
                let latest = try await server.get("/ai/rag/ingestion/status/")
                #expect(latest.json["run_id"] == order.json["ingestion_run_id"])
                let otherCase = try await server.get("/ai/rag/ingestion/status/", headers: ["X-Case-ID": "other"])
                #expect(otherCase.status == 404)
                #expect(otherCase.code == "ingestion_status_not_found")
                #expect(try await server.get("/ai/rag/ingestion/status/?run_id=x").code == "validation_error")
            }
        }
    }

    @Test("a run that the ledger contradicts in the end is failed and says where")
    func contradicted() async throws {
        try await World.with { world in
            try await world.registerTenants()
            try await world.loseLedgerRows()
            try await HTTPServerProcess.with(world) { server in
                let run = try await server.ingest("n.txt", "Words.", metadata: #"{"external_id": "n"}"#)
                #expect(run["status"] == .string("failed"))
                let error = try #require(run["error"]?.string)
                #expect(error.contains("RUN_UNBALANCED") && error.contains("n is not in the ledger"), "\(error)")
                // Of the second one, a duplicate, the files would be removed with the end of its run.
                let before = world.objects.count
                let again = try await server.ingest("m.txt", "Words.", metadata: #"{"external_id": "m"}"#)
                #expect(again["status"] == .string("failed"))
                #expect(world.objects.count == before + 2, "\(world.objects)")
            }
        }
    }
}
