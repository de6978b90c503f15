import Foundation
import Glibc
import KelterLocal
import KelterModel
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

    /// A file system of this size in memory, which only root can make.
    private static let canMount = geteuid() == 0 && access("/proc/self/ns/mnt", F_OK) == 0

    @Test("when the server's disk is full, and there is room again", .enabled(if: canMount))
    func diskFull() async throws {
        let directory = try TestServer.makeTemporaryDirectory()
        defer { try? FileManager.default.removeItem(atPath: directory) }
        func mount(_ options: String) throws -> Bool {
            let status = try shell("mount", "-t", "tmpfs", "-o", options, "kelter-test", directory)
            return status == 0
        }
        // A container may forbid it.
        guard try mount("size=400m,mode=755") else { return }
        // A page of which only half found room has to be repaired.
        var server = try await GuardedServer.start(
            in: directory,
            removesDirectory: false,
            settings: .standard
        )
        try await World.with(server: server.url) { world in
            let batch = try await DisturbedBatch(world)
            let ballast = directory + "/ballast"
            try shell("sh", "-c", "head -c 1G /dev/zero > \(ballast) || true")
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
            // Of two copies the one that still found room may have become the document.
            try await batch.check(report, interruptions: 1, namesMayDiffer: true)
        }
        try await server.stop()
        try shell("umount", directory)
    }

    @discardableResult
    private func shell(_ arguments: String...) throws -> Int32 {
        try ChildProcess.run(arguments).status
    }
}
