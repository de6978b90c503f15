import Foundation
import FoundationNetworking
import Glibc
import KelterLocal
import KelterTestSupport
import Testing

/// The LiteLLM proxy as a child process on a free loopback port.
struct LiteLLMProxy {
    /// A model the proxy knows.
    struct Model {
        let name: String
        /// The base URL of the endpoint behind it.
        let address: String
        /// Requests in a minute of the clock, of which LiteLLM admits one fewer; `nil` for no limit.
        var requestsPerMinute: Int?
    }

    /// The configuration that comes with the project; it takes the endpoint from `EMBEDDINGS_API_BASE`.
    static var shippedConfiguration: String {
        URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent().deletingLastPathComponent().appending(path: "Config/litellm.yaml").path
    }

    /// The text of a configuration with these models; their limits are kept to.
    static func configuration(_ models: [Model]) -> String {
        let list = models.map { model in
            """
              - model_name: \(model.name)
                litellm_params:
                  model: openai/\(model.name)
                  api_base: \(model.address)
                  api_key: none
                  \(model.requestsPerMinute.map { "rpm: \($0)" } ?? "")
                model_info:
                  mode: embedding
            """
        }
        return """
            model_list:
            \(list.joined(separator: "\n"))
            litellm_settings:
              num_retries: 0
              request_timeout: 120
            router_settings:
              # Other strategies do not look at the limits.
              routing_strategy: usage-based-routing-v2
              disable_cooldowns: true
            general_settings:
              master_key: os.environ/LITELLM_MASTER_KEY

            """
    }

    let key = "sk-test-\(UUID().uuidString)"
    private let pid: pid_t
    private let port: UInt16
    private let log: String

    var baseURL: String { "http://127.0.0.1:\(port)/v1" }

    /// Starts the proxy.
    ///
    /// - Parameters:
    ///   - configuration: The path of its configuration.
    ///   - directory: Where its log goes.
    ///   - environment: Further variables, `NAME=value`.
    /// - Throws: What keeps the process from starting.
    init(configuration: String, directory: String, environment: [String] = []) throws {
        port = try freePort()
        log = directory + "/litellm.log"
        let output = open(log, O_WRONLY | O_CREAT | O_CLOEXEC, 0o600)
        let null = open("/dev/null", O_RDONLY | O_CLOEXEC)
        defer { for descriptor in [output, null] { close(descriptor) } }
        pid = try ChildProcess.spawn(
            [
                "\(TestServer.partsDirectory)/test-venv/bin/litellm", "--config", configuration,
                "--host", "127.0.0.1", "--port", String(port), "--num_workers", "1",
            ],
            environment: ChildProcess.cleanEnvironment + [
                "LITELLM_LOCAL_MODEL_COST_MAP=True", "LITELLM_TELEMETRY=False", "NO_PROXY=*",
                // Its OpenAI client would repeat what a model refuses, twice, whatever the configuration says.
                "DEFAULT_MAX_RETRIES=0", "LITELLM_MASTER_KEY=\(key)",
            ] + environment,
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
