import Foundation
import Glibc
import KelterModel
import KelterTestSupport
import Synchronization
import Testing

/// A batch of 2,170 files that are new, replaced, unchanged, duplicate and deleted, to be disturbed; and what is left of it.
struct DisturbedBatch {
    let world: World
    /// Texts that were sent before the batch.
    private let paid: Int

    /// What an undisturbed batch reports.
    static let outcomes = ["inserted": 1700, "replaced": 150, "unchanged": 220, "duplicate": 100, "deleted": 30]
    /// How many texts an undisturbed batch sends.
    static let texts = 1850
    /// The texts that may be under way at a time: 16 requests of 64.
    static let textsUnderWay = 1024

    /// What is stored after an undisturbed batch, volatile columns aside; found out once.
    static let contents = Task {
        let result = Mutex<[[String?]]>([])
        try await World.with { world in
            let batch = try await DisturbedBatch(world)
            let process = try batch.start(resuming: nil)
            let report = try await process.finish().json
            #expect(outcomesOf(report) == outcomes)
            let contents = try await batch.contents()
            result.withLock { $0 = contents }
        }
        return result.withLock { $0 }
    }

    /// Writes the files, as they were and as they are.
    init(_ world: World) async throws {
        self.world = world
        func write(_ numbers: Range<Int>, _ what: String = "wurde am Morgen gewartet") throws {
            for number in numbers {
                try world.write("teil-\(number % 7)/datei-\(number).txt", "Anlage \(number) \(what).")
            }
        }
        try write(0..<400)
        let result = try await world.kelter("ingest", world.documents)
        #expect(result.exitCode == 0, "\(result.messages)")
        try write(0..<150, "wurde ersetzt")
        for number in 370..<400 {
            try FileManager.default.removeItem(atPath: "\(world.documents)/teil-\(number % 7)/datei-\(number).txt")
        }
        try write(400..<2100)
        for number in 0..<100 {
            try world.write("teil-8/kopie-\(number).txt", "Anlage \(number + 500) wurde am Morgen gewartet.")
        }
        paid = Self.texts(world)
    }

    /// Starts the batch, or goes on with its run.
    func start(resuming run: String?, environment: [String: String] = [:]) throws -> KelterProcess {
        let arguments = run.map { ["--resume", $0] } ?? [world.documents, "--sync"]
        return try KelterProcess(
            ["ingest", "--json"] + arguments,
            environment: world.environment.merging(environment) { $1 }
        )
    }

    /// The run of the batch, as soon as it is in the ledger.
    func run() async throws -> String? {
        let runs = try await world.rows("SELECT id FROM rag.runs ORDER BY queued_at")
        return runs.count > 1 ? runs[1][0] : nil
    }

    /// Starts and resumes the batch until it ends by itself.
    ///
    /// - Parameters:
    ///   - environment: Additional variables of each process.
    ///   - disturb: Gets each process and its number from 0 and does something to it.
    /// - Returns: The report of the process that came to the end, and how many there were.
    /// - Throws: What `disturb` throws, or that there is no end.
    func course(
        environment: (Int) -> [String: String] = { _ in [:] },
        disturb: (KelterProcess, Int) async throws -> Void = { _, _ in }
    ) async throws -> (report: JSONValue, processes: Int) {
        for number in 0..<100 {
            let process = try start(resuming: try await run(), environment: environment(number))
            try await disturb(process, number)
            let result = try await process.finish()
            if result.exitCode == 0 { return (try result.json, number + 1) }
            #expect(result.exitCode == 128 + SIGKILL, "\(result.messages)")
        }
        throw KelterError(.internalError, "The batch does not come to its end.")
    }

    /// As ``course(environment:disturb:)``.
    func disturbed(
        by disturb: (KelterProcess, Int) async throws -> Void
    ) async throws -> (report: JSONValue, processes: Int) {
        try await course(disturb: disturb)
    }

    /// Holds a report and what is stored against those of an undisturbed batch.
    ///
    /// - Parameters:
    ///   - report: The last report.
    ///   - interruptions: How often requests that were under way were lost.
    /// - Throws: What keeps the rows from being read.
    func check(_ report: JSONValue, interruptions: Int) async throws {
        #expect(report["balanced"] == .bool(true) && report["status"]?.string == "succeeded", "\(report)")
        #expect(Self.outcomesOf(report) == Self.outcomes)
        let (stored, undisturbed) = (try await contents(), try await Self.contents.value)
        #expect(stored == undisturbed)
        // Again paid is at most what was under way.
        let cost = Self.texts(world) - paid
        #expect(cost >= Self.texts && cost <= Self.texts + interruptions * Self.textsUnderWay, "\(cost)")
        try await IndependentCheck(world).run()
    }

    private func contents() async throws -> [[String?]] {
        try await world.rows(
            """
            SELECT d.external_id, d.hash, d.deleted_at IS NULL, c.ordinal, c.text, e.embedding::text,
                (SELECT string_agg(external_id, ',' ORDER BY external_id) FROM rag.sources s
                 WHERE s.document_id = d.id)
            FROM rag.documents d LEFT JOIN rag.chunks c ON c.document_id = d.id
            LEFT JOIN rag.embeddings e ON e.chunk_id = c.id
            ORDER BY d.external_id COLLATE "C", c.ordinal
            """
        )
    }

    private static func texts(_ world: World) -> Int {
        world.endpoint.log.texts.count { $0.contains("Anlage") }
    }

    private static func outcomesOf(_ report: JSONValue) -> [String: Int] {
        (report["outcomes"]?.members ?? []).reduce(into: [:]) { result, member in
            if let count = member.value.int, count > 0 { result[member.name] = count }
        }
    }
}
