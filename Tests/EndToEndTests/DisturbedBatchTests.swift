import Foundation
import Glibc
import KelterLocal
import KelterModel
import KelterStore
import KelterTestSupport
import Synchronization
import Testing

/// Whether the tests that take minutes are run: `make test-long`.
let runsLongTests = ProcessInfo.processInfo.environment["KELTER_LONG_TESTS"] != nil

/// Whatever happens on the way, a batch ends as an undisturbed one does.
@Suite("Disturbed batches")
struct DisturbedBatchTests {
    @Test("killed at every boundary between two steps")
    func everyBoundary() async throws {
        try await World.with { world in
            let batch = try await DisturbedBatch(world)
            let points = FailPoint.allCases
            let (report, processes) = try await batch.course(environment: { number in
                number < points.count ? ["KELTER_FAIL_POINT": points[number].rawValue] : [:]
            })
            // Each kill took place, but those of the last steps come to a run that has ended already.
            #expect(processes > points.count - 2, "\(processes)")
            try await batch.check(report, interruptions: points.count)
        }
    }

    @Test("a process that closed its run and could not give its parts back holds up nobody")
    func leasesLeftBehind() async throws {
        try await World.with { world in
            let batch = try await DisturbedBatch(world)
            let (report, processes) = try await batch.course(
                environment: { $0 == 0 ? ["KELTER_FAIL_POINT": "part_read:4"] : [:] },
                disturb: { process, number in
                    guard number == 1 else {
                        // What a full disk leaves: the run is closed, its parts are still leased.
                        try await waitUntil("the kill") { process.hasEnded }
                        try await world.database.store.runScript(
                            """
                            UPDATE rag.runs SET status = 'interrupted', lease_until = NULL, lease_owner = NULL
                            WHERE status = 'running'
                            """
                        )
                        return
                    }
                    // The parts that were left come first, in their order.
                    try await waitUntil("a part taken up again") {
                        try await world.count("SELECT count(*) FROM rag.run_parts WHERE lease_token > 1") > 0
                    }
                }
            )
            #expect(processes == 2)
            try await batch.check(report, interruptions: 1)
        }
    }

    @Test("killed at random moments", arguments: runsLongTests ? [6, 50] : [6])
    func randomMoments(_ kills: Int) async throws {
        var options = FaultInjectingEndpoint.Options()
        options.latency = .milliseconds(30)
        try await World.with(options) { world in
            let batch = try await DisturbedBatch(world)
            let (report, processes) = try await batch.disturbed { process, number in
                guard number < kills else { return }
                // Earlier and earlier, so that the batch does not come to its end before the last.
                try await Task.sleep(for: .milliseconds(Int.random(in: 20...max(60, 4000 / kills))))
                process.send(SIGKILL)
            }
            #expect(processes > 1)
            try await batch.check(report, interruptions: processes)
        }
    }

    @Test("while the server's processes are terminated in mid COPY")
    func terminatedBackends() async throws {
        var options = FaultInjectingEndpoint.Options()
        options.latency = .milliseconds(30)
        try await World.with(options) { world in
            let batch = try await DisturbedBatch(world)
            let terminated = Mutex(0)
            let (report, processes) = try await batch.disturbed { process, _ in
                while kill(process.pid, 0) == 0, terminated.withLock({ $0 }) < 12 {
                    let count = try await world.count(
                        """
                        SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
                        WHERE datname = current_database() AND pid <> pg_backend_pid() AND query LIKE 'COPY %'
                            AND state = 'active'
                        """
                    )
                    terminated.withLock { $0 += count }
                    try await Task.sleep(for: .milliseconds(1))
                }
            }
            #expect(terminated.withLock { $0 } > 0)
            #expect(processes == 1)
            try await batch.check(report, interruptions: 0)
        }
    }

    @Test("while the database server is restarted", arguments: [Duration.seconds(3)])
    func restarted(_ pause: Duration) async throws {
        let directory = try TestServer.makeTemporaryDirectory()
        defer { try? FileManager.default.removeItem(atPath: directory) }
        let server = Mutex(try await GuardedServer.start(in: directory, removesDirectory: false))
        let url = server.withLock { $0.url }
        var options = FaultInjectingEndpoint.Options()
        options.latency = .milliseconds(30)
        try await World.with(options, server: url) { world in
            let batch = try await DisturbedBatch(world)
            let (report, processes) = try await batch.disturbed { _, _ in
                try await waitUntil("some are stored") {
                    try await world.count("SELECT count(*) FROM rag.documents") > 800
                }
                try await server.withLock { $0 }.stop()
                try await Task.sleep(for: pause)
                let next = try await GuardedServer.start(in: directory, removesDirectory: false)
                server.withLock { $0 = next }
            }
            #expect(processes == 1)
            try await batch.check(report, interruptions: 0)
        }
        try await server.withLock { $0 }.stop()
    }

    @Test("while the endpoint is away", arguments: runsLongTests ? [Duration.seconds(60)] : [.seconds(4)])
    func endpointAway(_ pause: Duration) async throws {
        let isAway = Mutex(false)
        var options = FaultInjectingEndpoint.Options()
        options.latency = .milliseconds(30)
        options.script = .init { _ in isAway.withLock { $0 } ? .reset : nil }
        try await World.with(options) { world in
            let batch = try await DisturbedBatch(world)
            let (report, processes) = try await batch.disturbed { _, _ in
                try await waitUntil("some are stored") {
                    try await world.count("SELECT count(*) FROM rag.documents") > 800
                }
                isAway.withLock { $0 = true }
                try await Task.sleep(for: pause)
                isAway.withLock { $0 = false }
            }
            #expect(processes == 1)
            #expect((report["endpoint"]?[0]?["outages"]?.int ?? 0) > 0)
            // What was under way when it went.
            try await batch.check(report, interruptions: 1)
        }
    }

    /// Whether a file system in memory can be made: by root, unless a container forbids it.
    private static let canMount: Bool = {
        guard geteuid() == 0, let directory = try? TestServer.makeTemporaryDirectory() else { return false }
        defer { rmdir(directory) }
        let mounted = try? shell("mount", "-t", "tmpfs", "-o", "size=1m", "kelter-test", directory)
        return mounted == 0 && (try? shell("umount", directory)) == 0
    }()

    @Test("when the server's disk is full, and there is room again", .enabled(if: canMount))
    func diskFull() async throws {
        let directory = try TestServer.makeTemporaryDirectory()
        let options = "size=400m,mode=755"
        try #require(try Self.shell("mount", "-t", "tmpfs", "-o", options, "kelter-test", directory) == 0)
        defer {
            // Also under a server that a failed test has left behind.
            _ = try? Self.shell("umount", "--lazy", directory)
            rmdir(directory)
        }
        // A page of which only half found room has to be repaired.
        var server = try await GuardedServer.start(
            in: directory,
            removesDirectory: false,
            settings: .standard
        )
        try await World.with(server: server.url) { world in
            let batch = try await DisturbedBatch(world)
            let ballast = directory + "/ballast"
            try Self.shell("sh", "-c", "head -c 1G /dev/zero > \(ballast) || true")
            let full = try await batch.start(resuming: nil).finish()
            #expect(full.exitCode == 3, "\(full.messages)")
            #expect(full.messages.contains("DATABASE_UNAVAILABLE"), "\(full.messages)")
            try FileManager.default.removeItem(atPath: ballast)
            // A server that could not write its log has ended.
            if (try? await world.count("SELECT 1")) != 1 {
                try await server.stop()
                server = try await GuardedServer.start(
                    in: directory,
                    removesDirectory: false,
                    settings: .standard
                )
            }
            let (report, _) = try await batch.course()
            try await batch.check(report, interruptions: 1)
        }
        try await server.stop()
    }

    @discardableResult
    private static func shell(_ arguments: String...) throws -> Int32 {
        try ChildProcess.run(arguments).status
    }
}
