import HTTPTypes
package import KelterModel
import Logging

/// How a service that this one needs is asked for its health.
package struct HealthCheck: Sendable {
    /// The name in the answer, such as `database`.
    package let name: String
    /// Returns what is wrong, if anything is.
    package let check: @Sendable () async -> KelterError?

    package init(name: String, check: @escaping @Sendable () async -> KelterError?) {
        self.name = name
        self.check = check
    }
}

extension HTTPService {
    /// How long a service has to answer: 3 s.
    private static let patience = Duration.seconds(3)

    /// `GET /health/`: the state of every service, 503 when one of them is not there.
    func health() async -> Reply {
        let states = await withTaskGroup(of: (Int, String).self) { group in
            for (index, check) in healthChecks.enumerated() {
                group.addTask { [logger] in
                    guard let error = await Self.withinTime(check.check) else { return (index, "ok") }
                    logger.warning(
                        "A service is not healthy",
                        metadata: ["service": "\(check.name)", "code": "\(error.code)", "detail": "\(error.detail)"]
                    )
                    return (index, "unavailable")
                }
            }
            return await group.reduce(into: [Int: String]()) { $0[$1.0] = $1.1 }
        }
        let isHealthy = states.values.allSatisfy { $0 == "ok" }
        let services = healthChecks.enumerated().map { (name: $1.name, value: JSONValue.optional(states[$0])) }
        return Reply(
            isHealthy ? .ok : .serviceUnavailable,
            .object([("status", .string(isHealthy ? "ok" : "degraded")), ("services", .object(services))])
        )
    }

    private static func withinTime(_ check: @escaping @Sendable () async -> KelterError?) async -> KelterError? {
        await withTaskGroup(of: KelterError?.self) { group in
            group.addTask { await check() }
            group.addTask {
                try? await Task.sleep(for: patience)
                return KelterError(.interrupted, "The service did not answer in time.")
            }
            defer { group.cancelAll() }
            return await group.next() ?? nil
        }
    }
}
