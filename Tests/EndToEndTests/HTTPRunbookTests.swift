import Foundation
import Glibc
import KelterLocal
import KelterModel
import KelterTestSupport
import Testing

/// The runbook's smoke checks as they are written there, and its header-bridge test.
///
/// One after the other: each test starts servers of its own, and all at once would starve each other.
@Suite("HTTP: the runbook", .serialized)
struct HTTPRunbookTests {
    /// The `curl` lines of the runbook's "Smoke-Checks", read from a copy of it.
    private func curlLines() throws -> [String] {
        let url = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "Fixtures/runbook.md")
        let text = try String(contentsOf: url, encoding: .utf8)
        return text.split(separator: "\n").compactMap { line in
            guard let start = line.range(of: "`curl ")?.lowerBound, let end = line.lastIndex(of: "`"), start < end
            else {
                return nil
            }
            return String(line[line.index(after: start)..<end])
        }
    }

    @Test("the curl lines work as they are, port 8000 included")
    func curl() async throws {
        let lines = try curlLines()
        #expect(lines.count == 2)
        try await World.with { world in
            try await world.registerTenants()
            try await HTTPServerProcess.with(world) { server in
                // curl itself is told where localhost:8000 is, so that the lines stay what they are.
                let configuration = world.home + "/.curlrc"
                let redirect = "connect-to = \"localhost:8000:127.0.0.1:\(server.port)\"\n"
                try redirect.write(toFile: configuration, atomically: true, encoding: .utf8)
                let ping = try await shell(lines[0], home: world.home)
                #expect(ping.contains("HTTP/1.1 200 OK"))
                #expect(ping.contains(#"{"ok":true,"#))
                #expect(ping.contains("X-Tenant-ID: dev-tenant"))
                #expect(ping.contains("Idempotency-Key: smoke-ping"))
                #expect(try await shell(lines[1], home: world.home).contains("rag_no_matches"))
                _ = try await server.ingest("ping.txt", "Ping? Pong.")
                let answer = try JSONReader.read(try await shell(lines[1], home: world.home))
                #expect(answer["snippets"]?[0]?["text"]?.string == "Ping? Pong.")
                #expect(answer["idempotent"] == .bool(false))
                let again = try JSONReader.read(try await shell(lines[1], home: world.home))
                #expect(again["idempotent"] == .bool(true))
                #expect(again["trace_id"] == answer["trace_id"])
            }
        }
    }

    @Test("smoke header-bridge passes with its own server and against an address, and says what fails")
    func headerBridge() async throws {
        try await World.with { world in
            try await world.registerTenants()
            let own = try await world.kelter("smoke", "header-bridge", "--json")
            #expect(own.exitCode == 0, "\(own.output) \(own.messages)")
            #expect(try own.json["passed"] == .bool(true))
            #expect(try own.json["checks"]?.array?.count == 6)
            try await HTTPServerProcess.with(world) { server in
                let remote = try await world.kelter("smoke", "header-bridge", "--url", server.url)
                #expect(remote.exitCode == 0, "\(remote.output)")
                #expect(remote.output.split(separator: "\n").allSatisfy { $0.hasPrefix("ok ") })
            }
            #expect(try await world.count("SELECT count(*) FROM rag.documents") == 1, "repetitions pile nothing up")
            try await HTTPServerProcess.with(world, ["--workers", "0"]) { server in
                let stuck = try await world.kelter("smoke", "header-bridge", "--url", server.url, "--timeout", "1")
                #expect(stuck.exitCode == 1)
                #expect(stuck.output.contains("FAIL  the upload is ingested"))
            }
            let nobody = try await world.kelter("smoke", "header-bridge", "--url", "http://127.0.0.1:9")
            #expect(nobody.exitCode == 1)
        }
    }

    @Test("tenants: commands may be repeated, and refuse what belongs to others")
    func tenants() async throws {
        try await World.with { world in
            for command in [["serve", "--port", "0"], ["worker"], ["list-tenants"], ["api-key", "list"]] {
                let result = try await KelterProcess.run(command, environment: world.environment)
                #expect(result.exitCode == 4, "\(command)")
                #expect(result.messages.contains("kelter bootstrap-public-tenant"), "\(result.messages)")
            }
            try await world.registerTenants()
            try await world.registerTenants()
            let listed = try await world.kelter("list-tenants", "--json").json
            #expect(listed["tenants"]?.array?.map { $0["schema"]?.string } == ["dev", "public"])
            #expect(listed["tenants"]?[0]?["tenant_id"] == .string("dev-tenant"))
            for (arguments, code) in [
                (["create_tenant", "--schema=dev", "--tenant-id=else"], 4),
                (["create-tenant", "--schema=dev3", "--tenant-id=dev-tenant"], 4),
                (["create-tenant", "--schema=dev4", "--domain=dev.localhost"], 4),
                (["create-tenant", "--schema=rag"], 4), (["create-tenant", "--schema=public"], 4),
                (["create-tenant", "--schema=pg_x"], 2), (["create-tenant", "--schema=dev5", "--domain=http://x/"], 2),
                (["bootstrap_public_tenant", "--domain=dev.localhost"], 4),
                (["create-tenant-superuser", "--schema=dev9", "--username=a", "--email=b"], 2),
                (["create-tenant-superuser", "--schema=dev", "--username=a", "--email=b"], 2),
            ] as [([String], Int32)] {
                let result = try await KelterProcess.run(arguments, environment: world.environment)
                #expect(result.exitCode == code, "\(arguments) \(result.messages)")
            }
            #expect(try await world.kelter("list-tenants", "--json").json["tenants"]?.array?.count == 2)
        }
    }

    /// Runs a line of shell, which must succeed.
    private func shell(_ line: String, home: String) async throws -> String {
        let output = home + "/shell-\(UInt32.random(in: .min ... .max))"
        let descriptor = open(output, O_WRONLY | O_CREAT | O_CLOEXEC, 0o600)
        let null = open("/dev/null", O_RDWR | O_CLOEXEC)
        defer { for each in [descriptor, null] { close(each) } }
        let pid = try ChildProcess.spawn(
            ["/bin/sh", "-c", line],
            environment: ChildProcess.cleanEnvironment.filter { !$0.hasPrefix("HOME=") } + ["HOME=\(home)"],
            input: null,
            output: descriptor,
            error: null
        )
        var status = ChildProcess.endedStatus(of: pid)
        while status == nil {
            try await Task.sleep(for: .milliseconds(10))
            status = ChildProcess.endedStatus(of: pid)
        }
        #expect(status == 0, "\(line)")
        return try String(contentsOfFile: output, encoding: .utf8)
    }
}
