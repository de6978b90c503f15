import ArgumentParser
import KelterEmbedding
import KelterModel
import KelterPipeline
import KelterServer
import KelterSettings
import KelterStore
import Logging
import ServiceLifecycle
import Synchronization

struct SmokeCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "smoke",
        abstract: "Proves a deployment with a few requests.",
        subcommands: [HeaderBridge.self]
    )

    struct HeaderBridge: ExecutableCommand {
        static let configuration = CommandConfiguration(
            commandName: "header-bridge",
            abstract:
                "Proves that X-Collection-ID reaches the stored metadata and the database, and that a list beats it.",
            discussion: """
                Uploads one small document of its own into a collection of its own, and asks for it. Without --url it \
                starts a server on a free port. Prints each check; ends with 1 when one of them fails.
                """,
            aliases: ["header_bridge"]
        )

        @Option(help: ArgumentHelp("The address of the deployment; default: a server of its own.", valueName: "url"))
        var url: String?

        @Option(name: .customLong("api-key-env"), help: "The environment variable that holds an API key.")
        var apiKeyVariable = "KELTER_API_KEY"

        @Option(help: "For how many seconds the ingestion may take.")
        var timeout = 60

        @OptionGroup var caller: CallerOptions
        @OptionGroup var common: CommonOptions

        func execute(_ terminal: Terminal) async throws(KelterError) -> KelterModel.ExitCode {
            let tenant = try Tenant(caller.tenant)
            var headers = [
                (name: "X-Tenant-Schema", value: caller.schema), (name: "X-Tenant-ID", value: tenant.key),
                (name: "X-Case-ID", value: try CaseID(caller.caseID).description),
            ]
            if let key = currentEnvironment()[apiKeyVariable], !key.isEmpty {
                headers.append((name: "Authorization", value: "Bearer \(key)"))
            }
            if let url {
                var base = url[...]
                while base.hasSuffix("/") { base.removeLast() }
                let smoke = HeaderBridgeSmoke(baseURL: String(base), headers: headers, timeout: .seconds(timeout))
                return report(await smoke.run(local: nil), terminal)
            }
            let (fields, limit) = (headers, Duration.seconds(timeout))
            return try await withOwnServer { (url, local) in
                let smoke = HeaderBridgeSmoke(baseURL: url, headers: fields, timeout: limit)
                return report(await smoke.run(local: local.evidence(of: tenant)), terminal)
            }
        }

        private func report(_ checks: [SmokeCheck], _ terminal: Terminal) -> KelterModel.ExitCode {
            let isPassed = checks.allSatisfy { $0.failure == nil }
            terminal.print(
                json: .object([
                    ("passed", .bool(isPassed)),
                    (
                        "checks",
                        .array(
                            checks.map { check in
                                .object([
                                    ("name", .string(check.name)), ("ok", .bool(check.failure == nil)),
                                    ("detail", .optional(check.failure)),
                                ])
                            }
                        )
                    ),
                ]),
                text: table(
                    checks.map { check in check.failure.map { ["FAIL", check.name, $0] } ?? ["ok", check.name] }
                )
            )
            return isPassed ? .done : .someItemsFailed
        }

        /// Runs the body against a server of this process.
        private func withOwnServer(
            _ body: @escaping @Sendable (String, LocalParts) async -> KelterModel.ExitCode
        ) async throws(KelterError) -> KelterModel.ExitCode {
            let services = try Services()
            let logger = Logger(label: "kelter.smoke") {
                StructuredLogHandler(label: $0, format: .text, logLevel: .error)
            }
            let configuration = ServiceConfiguration(
                port: 0,
                rateLimit: nil,
                maximumUploadBytes: services.settings.service.maximumUploadBytes
            )
            let server = try await RunningServer(services, configuration: configuration, workers: 1, logger)
            let parts = LocalParts(store: server.store, objects: services.objects)
            let result = Mutex<KelterModel.ExitCode?>(nil)
            let address = Mutex<String?>(nil)
            let client = ClientService {
                var url: String?
                while url == nil, (try? await Task.sleep(for: .milliseconds(10))) != nil {
                    url = address.withLock { $0 }
                }
                guard let url else { return }
                let code = await body(url, parts)
                result.withLock { $0 = code }
            }
            try await runUntilSignalled(
                server.services { host, port in address.withLock { $0 = "http://\(host):\(port)" } },
                then: client,
                logger: logger
            )
            await server.close()
            guard let code = result.withLock({ $0 }) else {
                throw KelterError(.interrupted, "The smoke test was interrupted.", fix: "Repeat the command.")
            }
            return code
        }
    }
}

/// Where the smoke test of a server of this process looks besides HTTP.
private struct LocalParts: Sendable {
    let store: Store
    let objects: ObjectStore

    /// Reads the two places that must agree.
    func evidence(of tenant: Tenant) -> HeaderBridgeSmoke.Evidence {
        { document, path in
            let rows = try? await store.documentCollections([document], tenant: tenant)
            guard let rows, let collection = rows[document] else { return nil }
            guard let bytes = try? objects.readSmall(path), let stored = try? JSONReader.read(bytes) else { return nil }
            return (database: collection?.description, metadata: stored["collection_id"]?.string)
        }
    }
}

/// A service that does its work and ends, and with it the group.
private struct ClientService: Service {
    let work: @Sendable () async -> Void

    func run() async throws {
        await work()
    }
}
