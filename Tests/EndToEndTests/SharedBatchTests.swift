import Foundation
import Glibc
import KelterModel
import KelterTestSupport
import Testing

/// Batches that several processes work on, or one after the other.
@Suite("Batches shared by processes")
struct SharedBatchTests {
    /// The outcomes that occur in a report.
    private func outcomes(_ report: JSONValue) -> [String: Int] {
        (report["outcomes"]?.members ?? []).reduce(into: [:]) { result, member in
            if let count = member.value.int, count > 0 { result[member.name] = count }
        }
    }

    /// How many texts have been sent, those of the probes aside.
    private func texts(_ world: World) -> Int {
        world.endpoint.log.texts.count { $0.contains("Anlage") }
    }

    private func write(_ world: World, files: Range<Int>) throws {
        for number in files {
            try world.write("teil-\(number % 7)/datei-\(number).txt", "Anlage \(number) wurde am Morgen gewartet.")
        }
    }

    /// The identifier of the one run, as soon as there is one.
    private func run(_ world: World) async throws -> String {
        try await waitUntil("the run") { try await world.count("SELECT count(*) FROM rag.run_parts") > 0 }
        return try await world.rows("SELECT id FROM rag.runs")[0][0] ?? ""
    }

    /// A batch of 2,400 files whose first process has as much in flight as it can, and leaves the rest to others.
    private func withBatch(
        latency: Duration = .seconds(10),
        _ body: (World, _ first: KelterProcess, _ join: (Int) throws -> [KelterProcess], _ run: String) async throws ->
            Void
    ) async throws {
        var options = FaultInjectingEndpoint.Options()
        options.latency = latency
        try await World.with(options) { world in
            try write(world, files: 0..<2400)
            var environment = world.environment
            environment["EMBEDDINGS_TIMEOUT_SECONDS"] = "900"
            environment["EMBEDDINGS_REQUESTS_IN_FLIGHT"] = "2"
            environment["EMBEDDINGS_BATCH_SIZE"] = "32"
            let first = try KelterProcess(["ingest", world.documents, "--json"], environment: environment)
            let identifier = try await run(world)
            let join = { [environment] (count: Int) in
                try (0..<count).map { _ in
                    try KelterProcess(["ingest", "--resume", identifier, "--json"], environment: environment)
                }
            }
            try await body(world, first, join, identifier)
        }
    }

    @Test("three processes share a run, embed nothing twice and print the same report")
    func shared() async throws {
        try await withBatch { world, first, join, identifier in
            let others = try join(2)
            try await waitUntil("all have a part") {
                try await world.count("SELECT count(DISTINCT lease_owner) FROM rag.run_parts") == 3
            }
            world.endpoint.setLatency(.milliseconds(20))
            var reports: [JSONValue] = []
            for process in [first] + others {
                let result = try await process.finish()
                #expect(result.exitCode == 0, "\(result.messages)")
                reports.append(try result.json)
            }
            for report in reports {
                #expect(report["run_id"]?.string == identifier && report["status"]?.string == "succeeded")
                #expect(report["found"]?.int == 2400 && report["balanced"] == .bool(true))
                #expect(outcomes(report) == ["inserted": 2400] && report["chunks"]?.int == 2400)
            }
            // Nobody sends what another has sent.
            let sent = reports.compactMap { $0["embedding_inputs"]?.int }
            #expect(sent.reduce(0, +) == 2400 && sent.allSatisfy { $0 > 0 }, "\(sent)")
            #expect(texts(world) == 2400)
            #expect(try await world.count("SELECT count(*) FROM rag.documents") == 2400)
            #expect(try await world.count("SELECT count(DISTINCT lease_owner) FROM rag.run_parts") == 3)
            try await IndependentCheck(world).run()
        }
    }

    @Test("a process whose coordinator is killed takes the run over and ends it")
    func takenOver() async throws {
        try await withBatch { world, first, join, _ in
            let second = try join(1)[0]
            try await waitUntil("both work") {
                try await world.count("SELECT count(DISTINCT lease_owner) FROM rag.run_parts") == 2
            }
            world.endpoint.setLatency(.milliseconds(20))
            first.send(SIGKILL)
            _ = try await first.finish()
            let result = try await second.finish()
            #expect(result.exitCode == 0, "\(result.messages)")
            let report = try result.json
            #expect(report["status"]?.string == "succeeded" && report["balanced"] == .bool(true))
            #expect(outcomes(report) == ["inserted": 2400] && report["found"]?.int == 2400)
            try await IndependentCheck(world).run()
        }
    }

    @Test("a worker takes parts of the batches of all tenants in turn, and stops without losing one")
    func workers() async throws {
        var options = FaultInjectingEndpoint.Options()
        options.latency = .seconds(2)
        try await World.with(options) { world in
            try await world.registerTenants()
            let second = try await world.kelter("create-tenant", "--schema=zwei", "--name=Zwei")
            #expect(second.exitCode == 0, "\(second.messages)")
            try write(world, files: 0..<2400)
            var environment = world.environment
            environment["EMBEDDINGS_REQUESTS_IN_FLIGHT"] = "2"
            environment["EMBEDDINGS_BATCH_SIZE"] = "32"
            let batches = try ["dev-tenant", "zwei-tenant"].map { tenant in
                try KelterProcess(["ingest", world.documents, "--json", "--tenant", tenant], environment: environment)
            }
            try await waitUntil("both batches") {
                try await world.count("SELECT count(*) FROM rag.runs WHERE found_at IS NOT NULL") == 2
            }
            // Each has as much in flight as it can, and leaves the rest to others.
            let worker = try KelterProcess(["worker", "--batches"], environment: environment)
            let ownersOfParts = """
                SELECT count(DISTINCT (lease_owner, run_id)) FROM rag.run_parts WHERE lease_owner IS NOT NULL
                """
            try await waitUntil("the worker has parts of both") { try await world.count(ownersOfParts) == 4 }
            world.endpoint.setLatency(.milliseconds(50))
            try await waitUntil("the end of a part of both") {
                let done = worker.messagesSoFar.split(separator: "\n").filter {
                    $0.contains("part of a batch finished")
                }
                return Set(done.map { $0.contains("zwei") }).count == 2
            }
            // In the middle of a part, or between two.
            worker.send(SIGTERM)
            let end = try await worker.finish()
            #expect(end.exitCode == 0, "\(end.messages)")
            let helped = end.messages.split(separator: "\n").filter { $0.contains("part of a batch finished") }
            #expect(helped.contains { $0.contains("dev-tenant") } && helped.contains { $0.contains("zwei") })
            // While both have parts left it is one's turn and then the other's.
            #expect(helped.prefix(2).count { $0.contains("zwei") } == 1, "\(helped)")
            for batch in batches {
                let result = try await batch.finish()
                let report = try result.json
                #expect(result.exitCode == 0 && report["balanced"] == .bool(true), "\(result.messages)")
                #expect(outcomes(report) == ["inserted": 2400] && report["found"]?.int == 2400)
            }
            #expect(try await world.count("SELECT count(*) FROM rag.documents") == 4800)
            try await IndependentCheck(world).run()
        }
    }

    @Test("a worker leaves batches alone whose files it does not see, or that were begun with other settings")
    func strangers() async throws {
        // The first process gets nowhere until the end: it would read on where files are missing for a while.
        try await withBatch(latency: .seconds(600)) { world, first, _, _ in
            try await world.registerTenants()
            var environment = world.environment
            environment["EMBEDDINGS_REQUESTS_IN_FLIGHT"] = "2"
            environment["EMBEDDINGS_BATCH_SIZE"] = "32"
            environment["EMBEDDINGS_TIMEOUT_SECONDS"] = "900"
            var others = environment
            others["RAG_CHUNK_TARGET_TOKENS"] = "200"
            let stranger = try KelterProcess(["worker", "--batches"], environment: others)
            try await waitUntil("the worker's word") { stranger.messagesSoFar.contains("batch left to others") }
            #expect(stranger.messagesSoFar.contains("SETTING_INVALID"))
            stranger.send(SIGTERM)
            _ = try await stranger.finish()

            let moved = world.documents + "-elsewhere"
            try FileManager.default.moveItem(atPath: world.documents, toPath: moved)
            let blind = try KelterProcess(["worker", "--batches"], environment: environment)
            try await waitUntil("the worker's word") { blind.messagesSoFar.contains("batch left to others") }
            #expect(blind.messagesSoFar.contains("missing_file"), "\(blind.messagesSoFar)")
            blind.send(SIGTERM)
            _ = try await blind.finish()
            try FileManager.default.moveItem(atPath: moved, toPath: world.documents)

            #expect(try await world.count("SELECT count(DISTINCT lease_owner) FROM rag.run_parts") == 1)
            world.endpoint.setLatency(.milliseconds(5))
            let report = try await first.finish().json
            #expect(outcomes(report) == ["inserted": 2400])
        }
    }

    @Test("what is left of a list keeps its names when a run is resumed and some of its files are gone")
    func sameRoot() async throws {
        var options = FaultInjectingEndpoint.Options()
        options.latency = .seconds(10)
        try await World.with(options) { world in
            let far = try world.write("weit/weg.txt", "Anlage fern.")
            let near = try (0..<40).map { try world.write("nah/datei-\($0).txt", "Anlage \($0) wurde gewartet.") }
            let list = try world.write("../liste", (near + [far]).joined(separator: "\n"))
            let first = try KelterProcess(["ingest", "--files-from", list, "--json"], environment: world.environment)
            let identifier = try await run(world)
            try await waitUntil("the requests") { !world.endpoint.log.texts.isEmpty }
            first.send(SIGKILL)
            _ = try await first.finish()
            world.endpoint.setLatency(.zero)
            try FileManager.default.removeItem(atPath: far)
            let report = try await world.kelter("ingest", "--resume", identifier, "--json").json
            #expect(outcomes(report) == ["inserted": 40, "skipped": 1])
            #expect(report["skipped"]?[0]?["external_id"]?.string == "weit/weg.txt")
            let names = try await world.rows("SELECT external_id FROM rag.documents ORDER BY 1").map { $0[0] ?? "" }
            #expect(names.count == 40 && names.allSatisfy { $0.hasPrefix("nah/datei-") })
        }
    }
}
