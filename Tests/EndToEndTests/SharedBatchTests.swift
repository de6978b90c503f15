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
        _ body: (World, _ first: KelterProcess, _ join: (Int) throws -> [KelterProcess], _ run: String) async throws ->
            Void
    ) async throws {
        var options = FaultInjectingEndpoint.Options()
        options.latency = .seconds(10)
        try await World.with(options) { world in
            try write(world, files: 0..<2400)
            var environment = world.environment
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
}
