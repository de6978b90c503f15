import KelterEmbedding
import KelterModel
import KelterPipeline

/// One line of a smoke test.
struct SmokeCheck: Sendable {
    let name: String
    /// What is wrong; `nil` when nothing is.
    let failure: String?
}

/// The runbook's "Collection-Scope Migration Checklist", step 4, against a running service.
///
/// The uploaded document has one external identifier per tenant: a repetition replaces it, and nothing piles up.
struct HeaderBridgeSmoke: Sendable {
    /// What database and stored metadata say about a document's collection; `nil` when they cannot be read.
    typealias Evidence = @Sendable (RowID, String) async -> (database: String?, metadata: String?)?

    let baseURL: String
    let headers: [(name: String, value: String)]
    let timeout: Duration

    private static let collection = RowID.version5(namespace: .namespaceURL, name: "kelter:smoke:header-bridge")
    private static let otherCollection = RowID.version5(namespace: .namespaceURL, name: "kelter:smoke:nobody")
    private static let boundary = "kelter-smoke-6f1c1d9e0d5a4b7e"

    private struct Failure: Error {
        let message: String
    }

    /// Runs all checks; after one that the others need fails, they are not run.
    ///
    /// - Parameter local: Looks at database and object store themselves; without it the service is asked.
    /// - Returns: The checks in the order in which they were made.
    func run(local: Evidence?) async -> [SmokeCheck] {
        var checks: [SmokeCheck] = []
        func check<Value>(_ name: String, _ body: () async throws(Failure) -> Value) async -> Value? {
            do throws(Failure) {
                let value = try await body()
                checks.append(SmokeCheck(name: name, failure: nil))
                return value
            } catch {
                checks.append(SmokeCheck(name: name, failure: error.message))
                return nil
            }
        }
        let marker = newRowID().description
        let collection = Self.collection.description
        guard await check("ping with tenant headers", { () async throws(Failure) in try await ping() }) != nil,
            let accepted = await check(
                "upload with X-Collection-ID and no body field is accepted into that collection",
                { () async throws(Failure) in try await upload(marker) }
            ),
            let run = await check(
                "the upload is ingested",
                { () async throws(Failure) in try await finished(accepted.run) }
            )
        else { return checks }
        _ = await check(".meta.json and documents.collection_id hold the header's value") { () async throws(Failure) in
            try await compare(run, local)
        }
        _ = await check("query with filters.collection_ids ignores a contradicting header") {
            () async throws(Failure) in
            let answer = try await query(marker, list: collection, header: Self.otherCollection.description)
            guard answer.status == 200, let body = answer.json else { throw answer.unexpected(200) }
            try expect(body["scope"]?["origin"]?.string == "list", "scope.origin is not list")
            try expect(body["scope"]?["ignored"] == .array([.string("header")]), "scope.ignored is not [header]")
            let found = body["snippets"]?.array ?? []
            try expect(
                found.contains { $0["text"]?.string?.contains(marker) == true },
                "the uploaded document is not among the snippets"
            )
        }
        _ = await check("query with a list of another collection finds nothing in spite of the header") {
            () async throws(Failure) in
            let answer = try await query(marker, list: Self.otherCollection.description, header: collection)
            guard answer.status == 404, answer.json?["code"]?.string == "rag_no_matches" else {
                throw answer.unexpected(404)
            }
        }
        return checks
    }

    private func ping() async throws(Failure) {
        let answer = try await send("GET", "/ai/ping/")
        guard answer.status == 200, answer.json?["ok"] == .bool(true) else { throw answer.unexpected(200) }
        for name in ["x-trace-id", "x-case-id", "x-tenant-id"] {
            try expect(answer.reply.headers[name]?.isEmpty == false, "the header \(name) is missing")
        }
    }

    private func upload(_ marker: String) async throws(Failure) -> (document: String, run: String) {
        let metadata = JSONValue.object([("external_id", .string("kelter-smoke/header-bridge"))]).compactText
        let text = "Header bridge smoke test. The word of this run is \(marker).\n"
        let body = """
            --\(Self.boundary)\r\nContent-Disposition: form-data; name="metadata"\r\n\r\n\(metadata)\r\n\
            --\(Self.boundary)\r\nContent-Disposition: form-data; name="file"; filename="header-bridge.txt"\r\n\
            Content-Type: text/plain\r\n\r\n\(text)\r\n--\(Self.boundary)--\r\n
            """
        let answer = try await send(
            "POST",
            "/ai/rag/documents/upload/",
            headers: [
                ("Content-Type", "multipart/form-data; boundary=\(Self.boundary)"),
                ("X-Collection-ID", Self.collection.description),
            ],
            body: body
        )
        guard answer.status == 202, let json = answer.json, let document = json["document_id"]?.string,
            let run = json["ingestion_run_id"]?.string
        else { throw answer.unexpected(202) }
        try expect(
            json["collection_id"]?.string == Self.collection.description,
            "collection_id is \(json["collection_id"]?.compactText ?? "missing")"
        )
        return (document, run)
    }

    /// Waits for the end of a run.
    private func finished(_ run: String) async throws(Failure) -> JSONValue {
        let clock = ContinuousClock()
        let end = clock.now + timeout
        while true {
            let answer = try await send("GET", "/ai/rag/ingestion/status/?run_id=\(run)")
            guard answer.status == 200, let json = answer.json else { throw answer.unexpected(200) }
            switch json["status"]?.string {
            case "succeeded": return json
            case "failed": throw Failure(message: "the run failed: \(json["error"]?.string ?? "")")
            default: break
            }
            guard clock.now < end, (try? await clock.sleep(for: .milliseconds(100))) != nil else {
                throw Failure(message: "the run is still \(json["status"]?.string ?? "unknown"); is a worker running?")
            }
        }
    }

    private func compare(_ run: JSONValue, _ local: Evidence?) async throws(Failure) {
        guard let document = run["documents"]?[0], let path = document["meta_json"]?.string,
            let id = document["document_id"]?.string.flatMap({ RowID($0) })
        else { throw Failure(message: "the run names no document with stored metadata") }
        let expected = Self.collection.description
        var found = (
            database: document["collection_id"]?.string, metadata: document["meta_json_collection_id"]?.string
        )
        if let local {
            guard let evidence = await local(id, path) else {
                throw Failure(message: "the document's row or its .meta.json cannot be read")
            }
            found = evidence
        }
        try expect(found.database == expected, "documents.collection_id is \(found.database ?? "NULL")")
        try expect(found.metadata == expected, ".meta.json has \(found.metadata ?? "no collection_id")")
    }

    private func query(_ marker: String, list: String, header: String) async throws(Failure) -> Answer {
        let body = JSONValue.object([
            ("question", .string("header bridge smoke test \(marker)")),
            ("filters", .object([("collection_ids", .array([.string(list)]))])),
        ]).compactText
        return try await send(
            "POST",
            "/v1/ai/rag/query/",
            headers: [("Content-Type", "application/json"), ("X-Collection-ID", header)],
            body: body
        )
    }
}

extension HeaderBridgeSmoke {
    private struct Answer {
        let reply: HTTPExchange.Reply

        var status: Int { reply.status }
        var json: JSONValue? { try? JSONReader.read(reply.body) }

        func unexpected(_ status: Int) -> Failure {
            let code = json?["code"]?.string.map { " \($0)" } ?? ""
            return Failure(message: "answered \(reply.status)\(code) instead of \(status)")
        }
    }

    private func expect(_ condition: Bool, _ message: @autoclosure () -> String) throws(Failure) {
        guard condition else { throw Failure(message: message()) }
    }

    private func send(
        _ method: String,
        _ path: String,
        headers extra: [(name: String, value: String)] = [],
        body: String? = nil
    ) async throws(Failure) -> Answer {
        do throws(KelterError) {
            let exchange = HTTPExchange(
                method,
                baseURL + path,
                headers: headers + extra,
                body: body.map { Array($0.utf8) }
            )
            return Answer(reply: try await exchange.send())
        } catch {
            throw Failure(message: error.detail)
        }
    }
}
