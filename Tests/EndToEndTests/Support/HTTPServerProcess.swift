import Foundation
import Glibc
import KelterEmbedding
import KelterModel

/// `kelter serve` as a process of its own on a free port.
struct HTTPServerProcess {
    let process: KelterProcess
    let url: String

    /// Starts a server in a world, registers the public tenant and `dev`, and waits until it listens.
    static func start(in world: World, _ options: [String] = [], environment: [String: String] = [:]) async throws
        -> HTTPServerProcess
    {
        let process = try KelterProcess(
            ["serve", "--port", "0", "--json"] + options,
            environment: world.environment.merging(["AI_CORE_RATE_LIMIT_QUOTA": "off"]) { $1 }.merging(environment) {
                $1
            }
        )
        for _ in 0..<3000 {
            if let url = try? JSONReader.read(process.outputSoFar)["url"]?.string {
                return HTTPServerProcess(process: process, url: url)
            }
            try await Task.sleep(for: .milliseconds(20))
        }
        process.send(SIGKILL)
        throw StartFailure(messages: process.messagesSoFar)
    }

    struct StartFailure: Error {
        let messages: String
    }

    /// The port it listens on.
    var port: UInt16 { UInt16(url.split(separator: ":").last ?? "") ?? 0 }

    /// Ends it in order and waits for that.
    @discardableResult
    func stop() async throws -> KelterProcess.Result {
        process.send(SIGTERM)
        return try await process.finish()
    }

    /// Runs the body against a server and stops it afterwards.
    static func with(
        _ world: World,
        _ options: [String] = [],
        environment: [String: String] = [:],
        _ body: (HTTPServerProcess) async throws -> Void
    ) async throws {
        let server = try await start(in: world, options, environment: environment)
        do {
            try await body(server)
        } catch {
            server.process.send(SIGKILL)
            _ = try? await server.process.finish()
            throw error
        }
        try await server.stop()
    }
}

/// A reply as the tests look at it.
struct HTTPAnswer {
    let status: Int
    let headers: [String: String]
    let body: [UInt8]

    var json: JSONValue { (try? JSONReader.read(body)) ?? .null }
    var code: String? { json["code"]?.string }
    var text: String { String(decoding: body, as: UTF8.self) }
}

/// The headers of the development tenant.
let developmentHeaders = ["X-Tenant-Schema": "dev", "X-Tenant-ID": "dev-tenant", "X-Case-ID": "local"]

extension HTTPServerProcess {
    /// Sends a request with the development tenant's headers; a header whose value is `nil` is left out.
    func send(
        _ method: String,
        _ path: String,
        headers: [String: String?] = [:],
        body: [UInt8]? = nil,
        timeout: Duration = .seconds(60)
    ) async throws -> HTTPAnswer {
        var fields: [String: String?] = developmentHeaders.mapValues { $0 }
        for (name, value) in headers { fields.updateValue(value, forKey: name) }
        let reply = try await HTTPExchange(
            method,
            url + path,
            headers: fields.compactMap { name, value in value.map { (name, $0) } },
            body: body,
            timeout: timeout
        ).send()
        return HTTPAnswer(status: reply.status, headers: reply.headers, body: reply.body)
    }

    func get(_ path: String, headers: [String: String?] = [:]) async throws -> HTTPAnswer {
        try await send("GET", path, headers: headers)
    }

    func post(_ path: String, _ json: JSONValue, headers: [String: String?] = [:]) async throws -> HTTPAnswer {
        var headers = headers
        headers["Content-Type"] = "application/json"
        return try await send("POST", path, headers: headers, body: json.bytes(indented: false))
    }

    func query(_ text: String, filters: JSONValue? = nil, headers: [String: String?] = [:]) async throws -> HTTPAnswer {
        var members: [(name: String, value: JSONValue)] = [("question", .string(text))]
        if let filters { members.append(("filters", filters)) }
        return try await post("/v1/ai/rag/query/", .object(members), headers: headers)
    }

    static let boundary = "kelter-test-boundary"

    /// A form with a file and perhaps metadata.
    static func form(_ name: String, _ content: [UInt8], metadata: String? = nil) -> [UInt8] {
        var body: [UInt8] = []
        if let metadata {
            body += Array(
                "--\(boundary)\r\nContent-Disposition: form-data; name=\"metadata\"\r\n\r\n\(metadata)\r\n".utf8
            )
        }
        body += Array(
            "--\(boundary)\r\nContent-Disposition: form-data; name=\"file\"; filename=\"\(name)\"\r\n\r\n".utf8
        )
        return body + content + Array("\r\n--\(boundary)--\r\n".utf8)
    }

    func upload(
        _ name: String,
        _ text: String,
        metadata: String? = nil,
        headers: [String: String?] = [:]
    ) async throws -> HTTPAnswer {
        try await send(form: Self.form(name, Array(text.utf8), metadata: metadata), headers: headers)
    }

    func send(form: [UInt8], headers: [String: String?] = [:]) async throws -> HTTPAnswer {
        var headers = headers
        headers["Content-Type"] = "multipart/form-data; boundary=\(Self.boundary)"
        return try await send("POST", "/ai/rag/documents/upload/", headers: headers, body: form)
    }

    /// The status of a run once it has ended.
    func finished(_ run: String, headers: [String: String?] = [:], within seconds: Int = 60) async throws -> JSONValue {
        for _ in 0..<seconds * 20 {
            let answer = try await get("/ai/rag/ingestion/status/?run_id=\(run)", headers: headers)
            if let status = answer.json["status"]?.string, status == "succeeded" || status == "failed" {
                return answer.json
            }
            try await Task.sleep(for: .milliseconds(50))
        }
        throw StartFailure(messages: "Run \(run) did not end. \(process.messagesSoFar)")
    }

    /// Uploads and waits for the end of the run.
    func ingest(
        _ name: String,
        _ text: String,
        metadata: String? = nil,
        headers: [String: String?] = [:]
    ) async throws -> JSONValue {
        let accepted = try await upload(name, text, metadata: metadata, headers: headers)
        guard accepted.status == 202, let run = accepted.json["ingestion_run_id"]?.string else {
            throw StartFailure(messages: "\(accepted.status) \(accepted.text)")
        }
        return try await finished(run, headers: headers)
    }
}

extension World {
    /// Registers the public tenant under `localhost` and the development tenant, as the runbook does.
    func registerTenants() async throws {
        for arguments in [
            ["bootstrap-public-tenant", "--domain=localhost"],
            ["create-tenant", "--schema=dev", "--name=Development", "--domain=dev.localhost"],
        ] {
            let result = try await KelterProcess.run(arguments, environment: environment)
            guard result.exitCode == 0 else { throw HTTPServerProcess.StartFailure(messages: result.messages) }
        }
    }

    /// The files below the object store, relative to it.
    var objects: [String] {
        let root = home + "/objects"
        let files = FileManager.default.enumerator(atPath: root)?.compactMap { $0 as? String } ?? []
        return files.filter { path in
            var isDirectory: ObjCBool = false
            return FileManager.default.fileExists(atPath: root + "/" + path, isDirectory: &isDirectory)
                && !isDirectory.boolValue
        }.sorted()
    }

    /// The content of an object as JSON.
    func objectJSON(_ path: String) throws -> JSONValue {
        try JSONReader.read([UInt8](try Data(contentsOf: URL(filePath: home + "/objects/" + path))))
    }
}
