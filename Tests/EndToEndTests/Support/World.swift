import Foundation
import KelterLocal
import KelterModel
import KelterStore
import KelterTestSupport
import Testing

/// A database, an endpoint and a home for one test: everything the binary needs, nothing shared.
struct World {
    let database: TemporaryDatabase
    let endpoint: FaultInjectingEndpoint
    /// Documents of the test.
    let documents: String
    /// `KELTER_HOME`.
    let home: String
    var environment: [String: String]

    /// Makes a world, runs the test in it and takes it away.
    static func with(
        _ options: FaultInjectingEndpoint.Options = .init(),
        appliesSchema: Bool = true,
        server: String? = nil,
        _ body: (World) async throws -> Void
    ) async throws {
        let directory = FileManager.default.temporaryDirectory.appending(path: "kelter-e2e-\(UUID().uuidString)").path
        for name in ["documents", "home"] {
            try FileManager.default.createDirectory(atPath: "\(directory)/\(name)", withIntermediateDirectories: true)
        }
        defer { try? FileManager.default.removeItem(atPath: directory) }
        let endpoint = try FaultInjectingEndpoint(dimension: 384, options: options)
        defer { endpoint.stop() }
        // What a test prepares by itself waits for the processes of all the others.
        try await TemporaryDatabase.with(
            server: server,
            dimension: 384,
            appliesSchema: appliesSchema,
            statementTimeout: .seconds(300)
        ) { database in
            let world = World(
                database: database,
                endpoint: endpoint,
                documents: directory + "/documents",
                home: directory + "/home",
                environment: [
                    "RAG_DATABASE_URL": database.url, "LITELLM_BASE_URL": endpoint.baseURL,
                    "KELTER_HOME": directory + "/home", "KELTER_PARTS": TestServer.partsDirectory,
                    // Dozens of tests share two cores and one server.
                    "RAG_STATEMENT_TIMEOUT_MS": "120000",
                ]
            )
            try await body(world)
        }
    }

    /// Runs the binary in this world.
    func kelter(_ arguments: String..., environment extra: [String: String] = [:]) async throws -> KelterProcess.Result
    {
        try await KelterProcess.run(arguments, environment: environment.merging(extra) { $1 })
    }

    /// Runs the binary, which must end with 0; what it says instead is recorded.
    @discardableResult
    func succeed(
        _ arguments: String...,
        environment extra: [String: String] = [:],
        sourceLocation: SourceLocation = #_sourceLocation
    ) async throws -> KelterProcess.Result {
        let result = try await KelterProcess.run(arguments, environment: environment.merging(extra) { $1 })
        #expect(result.exitCode == 0, "\(arguments): \(result.messages)", sourceLocation: sourceLocation)
        return result
    }

    /// Writes a document (or a sidecar) below ``documents``.
    @discardableResult
    func write(_ name: String, _ text: String) throws -> String {
        try write(name, bytes: Array(text.utf8))
    }

    @discardableResult
    func write(_ name: String, bytes: [UInt8]) throws -> String {
        let url = URL(filePath: documents).appending(path: name)
        try FileManager.default.createDirectory(at: url.deletingLastPathComponent(), withIntermediateDirectories: true)
        try Data(bytes).write(to: url)
        return url.path
    }

    /// The rows of a statement, as a superuser sees them.
    func rows(_ sql: String) async throws -> [[String?]] {
        try await database.store.rows(sql)
    }

    /// The first value of a statement as a number.
    func count(_ sql: String) async throws -> Int {
        try await rows(sql).first?.first.flatMap { $0 }.flatMap { Int($0) } ?? -1
    }
}
