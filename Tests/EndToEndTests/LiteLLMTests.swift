import Foundation
import FoundationNetworking
import Glibc
import KelterLocal
import KelterModel
import KelterStore
import KelterTestSupport
import Testing

/// A real LiteLLM proxy in front of the embedded model: what a deployment looks like.
@Suite(.serialized) struct LiteLLMTests {
    @Test func `A file goes through the proxy to the embedded model and is found again`() async throws {
        let home = FileManager.default.temporaryDirectory.appending(path: "kelter-litellm-\(UUID().uuidString)").path
        try FileManager.default.createDirectory(atPath: home, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: home) }
        let parts = TestServer.partsDirectory
        let embedded = ["KELTER_HOME": home, "KELTER_PARTS": parts]
        let up = try await KelterProcess.run(["up", "--json"], environment: embedded).json
        let model = try #require(up["embeddings"]?["base_url"]?.string)
        let result: Result<Void, any Error>
        do {
            let proxy = try LiteLLMProxy(parts: parts, directory: home, model: model)
            defer { proxy.stop() }
            try await proxy.waitUntilReady()
            result = .success(try await check(proxy, embedded))
        } catch {
            result = .failure(error)
        }
        _ = try await KelterProcess.run(["down"], environment: embedded)
        try result.get()
    }

    private func check(_ proxy: LiteLLMProxy, _ embedded: [String: String]) async throws {
        let document = FileManager.default.temporaryDirectory.appending(path: "kelter-\(UUID().uuidString).md")
        try Data("# Kaffeemaschine\n\nDie Kaffeemaschine wird montags entkalkt.\n".utf8).write(to: document)
        defer { try? FileManager.default.removeItem(at: document) }
        let through = embedded.merging(["LITELLM_BASE_URL": proxy.baseURL, "LITELLM_MASTER_KEY": proxy.key]) { $1 }

        let wrong = try await KelterProcess.run(
            ["upload", document.path, "--json"],
            environment: through.merging(["LITELLM_MASTER_KEY": "sk-wrong"]) { $1 }
        )
        #expect(wrong.exitCode == 3, "\(wrong.output)")

        let upload = try await KelterProcess.run(["upload", document.path, "--json"], environment: through)
        #expect(upload.exitCode == 0, "\(upload.messages)")
        #expect(try upload.json["embeddings"] == .int(1))
        let answer = try await KelterProcess.run(
            ["query", "Wann wird die Kaffeemaschine entkalkt?", "--json"],
            environment: through
        )
        #expect(try answer.json["snippets"]?[0]?["text"]?.string?.contains("montags") == true, "\(answer.messages)")

        // The proxy changes nothing: the same text straight to the model gives the same vector.
        let status = try await KelterProcess.run(["status", "--json"], environment: embedded).json
        let store = try Store(
            configuration: StoreConfiguration(
                url: status["postgres"]?["url"]?.string ?? "",
                dimension: 384,
                poolSize: 1
            )
        )
        _ = try await KelterProcess.run(
            ["upload", document.path, "--collection", "6f1c1d9e-0d5a-4b7e-9a53-2f1f6f0f7c11", "--json"],
            environment: embedded
        )
        let distance = try await store.rows(
            "SELECT count(*), max(a.embedding <-> b.embedding) < 1e-6 FROM rag.embeddings a, rag.embeddings b"
        )
        #expect(distance == [["4", "t"]])
        await store.close()
    }
}

/// The proxy as a child process on a free loopback port.
private struct LiteLLMProxy {
    let key = "sk-test-\(UUID().uuidString)"
    private let pid: pid_t
    private let port: UInt16
    private let log: String

    var baseURL: String { "http://127.0.0.1:\(port)/v1" }

    init(parts: String, directory: String, model: String) throws {
        port = try freePort()
        log = directory + "/litellm.log"
        let repository = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent()
        let output = open(log, O_WRONLY | O_CREAT | O_CLOEXEC, 0o600)
        let null = open("/dev/null", O_RDONLY | O_CLOEXEC)
        defer { for descriptor in [output, null] { close(descriptor) } }
        pid = try ChildProcess.spawn(
            [
                "\(parts)/test-venv/bin/litellm", "--config", repository.appending(path: "Config/litellm.yaml").path,
                "--host", "127.0.0.1", "--port", String(port), "--num_workers", "1",
            ],
            environment: ChildProcess.cleanEnvironment + [
                "LITELLM_LOCAL_MODEL_COST_MAP=True", "LITELLM_TELEMETRY=False", "NO_PROXY=*",
                "LITELLM_MASTER_KEY=\(key)", "EMBEDDINGS_API_BASE=\(model)",
            ],
            input: null,
            output: output,
            error: output
        )
    }

    /// Waits for `/health/liveliness`; a cold start takes ten seconds or more.
    func waitUntilReady() async throws {
        let url = try #require(URL(string: "http://127.0.0.1:\(port)/health/liveliness"))
        for _ in 0..<600 {
            if ChildProcess.endedStatus(of: pid) != nil { break }
            if let (_, response) = try? await URLSession.shared.data(from: url),
                (response as? HTTPURLResponse)?.statusCode == 200
            {
                return
            }
            try await Task.sleep(for: .milliseconds(200))
        }
        let text = (try? String(contentsOfFile: log, encoding: .utf8)) ?? ""
        Issue.record("The LiteLLM proxy did not start (run make deps-test): \(text.suffix(2000))")
        throw CancellationError()
    }

    func stop() {
        kill(pid, SIGTERM)
        ChildProcess.wait(for: pid)
    }
}

/// A port nobody listens on at the moment.
private func freePort() throws -> UInt16 {
    let server = try LoopbackHTTPServer { _ in .init(status: 200, body: []) }
    defer { server.stop() }
    return server.port
}
