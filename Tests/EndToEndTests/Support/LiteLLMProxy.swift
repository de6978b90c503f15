import Foundation

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
    private let service: PythonService

    var baseURL: String { "http://127.0.0.1:\(service.port)/v1" }

    /// Starts the proxy.
    ///
    /// - Parameters:
    ///   - configuration: The path of its configuration.
    ///   - directory: Where its log goes.
    ///   - environment: Further variables, `NAME=value`.
    /// - Throws: What keeps the process from starting.
    init(configuration: String, directory: String, environment: [String] = []) throws {
        service = try PythonService(
            "test-venv/bin/litellm",
            directory: directory,
            environment: [
                "LITELLM_LOCAL_MODEL_COST_MAP=True", "LITELLM_TELEMETRY=False", "NO_PROXY=*",
                // Its OpenAI client would repeat what a model refuses, twice, whatever the configuration says.
                "DEFAULT_MAX_RETRIES=0", "LITELLM_MASTER_KEY=\(key)",
            ] + environment
        ) { ["--config", configuration, "--host", "127.0.0.1", "--port", $0, "--num_workers", "1"] }
    }

    func waitUntilReady() async throws { try await service.waitUntilReady("/health/liveliness") }

    func stop() { service.stop() }
}
