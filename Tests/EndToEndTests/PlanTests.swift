import Foundation
import KelterModel
import KelterStore
import KelterTestSupport
import Testing

/// `ingest --plan -o FILE` and `ingest --apply FILE`.
@Suite("Plans")
struct PlanTests {
    private func outcomes(_ report: JSONValue) -> [String: Int] {
        (report["outcomes"]?.members ?? []).reduce(into: [:]) { result, member in
            if let count = member.value.int, count > 0 { result[member.name] = count }
        }
    }

    private func text(_ number: Int) -> String {
        "Anlage \(number) wurde am Morgen gewartet. Der Bericht \(number) liegt bei der Leitung."
    }

    /// 300 files as they were, then 20 replaced, 10 with another title, 5 gone, 100 new, 10 of them copies.
    private func prepare(_ world: World) async throws {
        for number in 0..<300 { try world.write("d\(number % 4)/\(number).txt", text(number)) }
        try await world.succeed("ingest", world.documents)
        for number in 0..<20 { try world.write("d\(number % 4)/\(number).txt", text(number + 10_000)) }
        for number in 100..<110 { try world.write("d\(number % 4)/\(number).txt.meta.json", #"{"title": "Neu"}"#) }
        for number in 295..<300 {
            try FileManager.default.removeItem(atPath: "\(world.documents)/d\(number % 4)/\(number).txt")
        }
        for number in 300..<390 { try world.write("neu/\(number).txt", text(number)) }
        for number in 300..<310 { try world.write("neu/kopie-\(number).txt", text(number)) }
    }

    private static let outcomes = [
        "inserted": 90, "replaced": 20, "updated": 10, "unchanged": 265, "duplicate": 10, "deleted": 5,
    ]

    @Test("a plan says what a run does, and its file is carried out as it is")
    func applied() async throws {
        try await World.with { world in
            try await prepare(world)
            let file = world.home + "/plan.jsonl"
            let (rows, sent) = (try await world.rows("SELECT count(*) FROM rag.runs"), world.endpoint.log.requests)
            let plan = try await world.kelter("ingest", world.documents, "--sync", "--plan", "-o", file, "--json").json
            #expect(outcomes(plan) == Self.outcomes, "\(plan)")
            #expect(
                try await world.rows("SELECT count(*) FROM rag.runs") == rows && world.endpoint.log.requests == sent
            )
            // New and replaced ones; copies are sent once.
            #expect(plan["estimate"]?["inputs"]?.int == 110)
            let result = try await world.kelter("ingest", "--apply", file, "--json")
            let report = try result.json
            #expect(result.exitCode == 0 && report["balanced"] == .bool(true), "\(result.messages)")
            // What is unchanged is nothing to do.
            let done = Self.outcomes.filter { $0.key != "unchanged" }
            #expect(outcomes(report) == done, "\(report)")
            #expect(report["embedding_inputs"]?.int == 110)
            let paid = try #require(report["endpoint"]?[0]?["tokens_counted"]?.int)
            let expected = try #require(plan["estimate"]?["tokens"]?.int)
            #expect(abs(paid - expected) * 10 <= expected, "\(paid) \(expected)")
            // Carried out once more, what it says is true no longer.
            let again = try await world.kelter("ingest", "--apply", file, "--json").json
            #expect(again["outcomes"]?["failed"]?.int == 120 && again["outcomes"]?["inserted"]?.int == 0)
            #expect(again["failures"]?[0]?["code"]?.string == "PLAN_CHANGED")
            try await IndependentCheck(world).run()
        }
    }

    @Test("what has changed since a plan was made is refused, and nothing else")
    func changed() async throws {
        try await World.with { world in
            try await prepare(world)
            let file = world.home + "/plan.jsonl"
            _ = try await world.kelter("ingest", world.documents, "--sync", "--plan", "-o", file)
            try world.write("neu/350.txt", "Etwas anderes.")
            try world.write("neu/351.txt.meta.json", #"{"title": "Auch anders"}"#)
            try world.write("neu/spät.txt", "Erst nach dem Plan geschrieben.")
            try FileManager.default.removeItem(atPath: world.documents + "/neu/352.txt")
            // One that the plan does not delete is gone as well; another has been stored by somebody else.
            try FileManager.default.removeItem(atPath: world.documents + "/d2/290.txt")
            let upload = try await world.kelter(
                "upload",
                world.documents + "/neu/353.txt",
                "--external-id",
                "neu/353.txt"
            )
            #expect(upload.exitCode == 0, "\(upload.messages)")
            let result = try await world.kelter("ingest", "--apply", file, "--json")
            let report = try result.json
            #expect(result.exitCode == 1 && report["balanced"] == .bool(true), "\(result.messages)")
            let failures = (report["failures"]?.array ?? []).map {
                "\($0["external_id"]?.string ?? "") \($0["code"]?.string ?? "")"
            }
            #expect(
                failures.sorted() == [
                    "neu/350.txt PLAN_CHANGED", "neu/351.txt PLAN_CHANGED", "neu/353.txt PLAN_CHANGED",
                ]
            )
            var expected = Self.outcomes
            expected["inserted"] = 86
            expected["unchanged"] = nil
            expected["failed"] = 3
            expected["skipped"] = 1
            #expect(outcomes(report) == expected, "\(report)")
            #expect(try await world.count("SELECT count(*) FROM rag.sources WHERE external_id = 'd2/290.txt'") == 1)
            #expect(try await world.count("SELECT count(*) FROM rag.sources WHERE external_id = 'neu/spät.txt'") == 0)
            try await IndependentCheck(world).run()
        }
    }

    @Test("the time of a run is told by the runs before it")
    func estimated() async throws {
        var options = FaultInjectingEndpoint.Options()
        options.latency = .milliseconds(400)
        try await World.with(options) { world in
            var environment = world.environment
            environment["EMBEDDINGS_REQUESTS_IN_FLIGHT"] = "2"
            environment["EMBEDDINGS_BATCH_SIZE"] = "16"
            func ingest(_ arguments: String...) async throws -> JSONValue {
                let result = try await KelterProcess.run(["ingest", "--json"] + arguments, environment: environment)
                return try result.json
            }
            for number in 0..<200 { try world.write("a/\(number).txt", text(number)) }
            let first = try await ingest(world.documents + "/a", "--plan")
            #expect(first["estimate"]?["duration_ms"] == .null && (first["estimate"]?["tokens"]?.int ?? 0) > 0)
            _ = try await ingest(world.documents + "/a")
            for number in 200..<600 { try world.write("b/\(number).txt", text(number)) }
            let plan = try await ingest(world.documents + "/b", "--plan")
            let told = try #require(plan["estimate"]?["duration_ms"]?.int)
            // Twice as much takes twice as long; how exactly, a busy machine cannot say.
            #expect(told > 2500 && plan["estimate"]?["requests"]?.int ?? 0 > 0, "\(plan)")
            #expect(try await ingest(world.documents + "/a", "--plan")["estimate"]?["tokens"]?.int == 0)
        }
    }

    @Test(
        "what is no plan is refused",
        arguments: [
            ["ingest", "--apply", "/nowhere"], ["ingest", "--apply", "/etc/hostname"],
            ["ingest", "/etc", "--apply", "/etc/hostname"], ["ingest", "/etc", "-o", "/tmp/x"],
            ["ingest", "/etc", "--plan", "-o", "/nowhere/plan"],
        ]
    )
    func refused(_ arguments: [String]) async throws {
        try await World.with { world in
            let result = try await KelterProcess.run(arguments, environment: world.environment)
            #expect(result.exitCode == 2, "\(result.messages)")
        }
    }
}
