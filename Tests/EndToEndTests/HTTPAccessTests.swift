import Foundation
import Glibc
import KelterModel
import KelterTestSupport
import Testing

/// Who may do what: API keys, superusers, internal keys, and never another tenant's documents.
///
/// One after the other: each test starts servers of its own, and all at once would starve each other.
@Suite("HTTP: access", .serialized)
struct HTTPAccessTests {
    private let internalKey = "internal-key-0123456789"

    /// Creates a key and returns it with its identifier.
    private func key(_ world: World, _ schema: String) async throws -> (text: String, id: String) {
        let result = try await world.kelter("api-key", "create", "--schema", schema, "--label", "test", "--json")
        let json = try result.json
        return (try #require(json["key"]?.string), try #require(json["id"]?.string))
    }

    private func basic(_ name: String, _ password: String) -> String {
        "Basic " + Data("\(name):\(password)".utf8).base64EncodedString()
    }

    private func registerOther(_ world: World) async throws {
        let result = try await world.kelter(
            "create-tenant",
            "--schema=other",
            "--name=Other",
            "--domain=other.localhost"
        )
        #expect(result.exitCode == 0, "\(result.messages)")
    }

    @Test("an address others can reach is refused without keys, and requires them when there are some")
    func nonLoopback() async throws {
        try await World.with { world in
            try await world.registerTenants()
            let refused = try await world.kelter("serve", "--host", "0.0.0.0", "--port", "0", "--json")
            #expect(refused.exitCode == 4)
            #expect(try refused.json["error"]?["code"] == .string("API_KEYS_MISSING"))
            let key = try await key(world, "dev")
            // On loopback with --require-keys: the tests talk to no other address.
            try await HTTPServerProcess.with(
                world,
                ["--require-keys"],
                environment: ["RAG_INTERNAL_KEYS": internalKey]
            ) { server in
                let none = try await server.get("/ai/ping/")
                #expect(none.status == 401)
                #expect(none.code == "unauthorized")
                #expect(none.headers["www-authenticate"] == "Bearer")
                let missing = try await server.get("/ai/ping/", headers: ["X-Tenant-Schema": "nobody"])
                #expect(missing.status == 401, "without a key nobody learns which tenants there are")
                let bearer = ["Authorization": "Bearer \(key.text)"]
                #expect(try await server.get("/ai/ping/", headers: bearer).status == 200)
                let last = key.text.last == "A" ? "E" : "A"
                for wrong in [
                    "Bearer x", "Bearer \(key.text.dropLast())\(last)", "Token \(key.text)", "Basic ?", "Bearer",
                ] {
                    #expect(
                        try await server.get("/ai/ping/", headers: ["Authorization": wrong]).status == 401,
                        "\(wrong)"
                    )
                }
                #expect(try await server.get("/health/").status == 200)
                #expect(try await server.get("/openapi.json").status == 200)
                #expect(try await server.get("/metrics").status == 401)
                #expect(try await server.get("/metrics", headers: ["X-Internal-Key": internalKey]).status == 200)
                #expect(try await server.get("/metrics", headers: ["X-Internal-Key": internalKey + "x"]).status == 401)
                let listed = try await world.kelter("api-key", "list")
                #expect(listed.output.contains(key.id))
                #expect(!listed.output.contains(key.text))
                let revoked = try await world.kelter("api-key", "revoke", key.id)
                #expect(revoked.exitCode == 0, "\(revoked.messages)")
                var status = 200
                for _ in 0..<80 where status == 200 {
                    try await Task.sleep(for: .milliseconds(100))
                    status = try await server.get("/ai/ping/", headers: bearer).status
                }
                #expect(status == 401, "a revoked key is noticed within seconds")
            }
            #expect(try await world.count("SELECT count(*) FROM public.api_keys WHERE digest::text LIKE '%klt%'") == 0)
        }
    }

    @Test("on a loopback development server no key is needed, but a wrong one is refused")
    func development() async throws {
        try await World.with { world in
            try await world.registerTenants()
            try await HTTPServerProcess.with(world) { server in
                let without = try await server.get("/ai/ping/")
                #expect(without.status == 200)
                let wrong = try await server.get("/ai/ping/", headers: ["Authorization": "Bearer x"])
                #expect(wrong.status == 401)
            }
        }
    }

    @Test("hard deletion is for superusers and internal keys; it removes rows, files and queued runs, and is audited")
    func hardDelete() async throws {
        try await World.with { world in
            try await world.registerTenants()
            let created = try await world.kelter(
                "create_tenant_superuser",
                "--schema=dev",
                "--username=admin",
                "--email=admin@example.com",
                "--noinput",
                environment: ["DJANGO_SUPERUSER_PASSWORD": "admin123"]
            )
            #expect(created.exitCode == 0, "\(created.messages)")
            #expect(try await world.rows("SELECT password FROM dev.users")[0][0]?.hasPrefix("pbkdf2_sha256$") == true)
            try await HTTPServerProcess.with(
                world,
                environment: ["RAG_INTERNAL_KEYS": "\(internalKey),second-key-0123456789"]
            ) {
                server in
                func delete(_ id: String, _ headers: [String: String?], tenant: String = "dev-tenant") async throws
                    -> HTTPAnswer
                {
                    try await server.post(
                        "/ai/rag/admin/hard-delete/",
                        .object([
                            ("tenant_id", .string(tenant)), ("document_ids", .array([.string(id)])),
                            ("reason", .string("Art. 17")), ("ticket_ref", .string("T-1")),
                        ]),
                        headers: headers
                    )
                }
                let first = try await server.ingest("a.txt", "Alpha words.")
                let id = try #require(first["document_ids"]?[0]?.string)
                for (headers, status) in [
                    ([:], 403), (["X-Internal-Key": "wrong"], 403), (["Authorization": basic("admin", "wrong")], 401),
                    (["Authorization": basic("nobody", "admin123")], 401),
                ] as [([String: String?], Int)] {
                    let answer = try await delete(id, headers)
                    #expect(answer.status == status, "\(answer.text)")
                }
                let admin = ["Authorization": basic("admin", "admin123")]
                // A replacement that cannot be parsed keeps its bytes to be repeated; they are to go as well.
                let broken = HTTPServerProcess.form(
                    "a.txt",
                    [0x61, 0xFF, 0xFE],
                    metadata: #"{"external_id": \#(first["documents"]?[0]?["external_id"]?.compactText ?? "")}"#
                )
                let failing = try await server.send(form: broken)
                let failed = try await server.finished(try #require(failing.json["ingestion_run_id"]?.string))
                #expect(failed["status"] == .string("failed"))
                #expect(failing.json["document_id"]?.string == id)
                #expect(world.objects.count == 4, "\(world.objects)")
                #expect(try await delete(id, admin, tenant: "other-tenant").code == "tenant_mismatch")
                #expect(try await delete("x", admin).code == "validation_error")
                let done = try await delete(id, admin)
                #expect(done.status == 200, "\(done.text)")
                #expect(done.json["deleted_ids"] == .array([.string(id)]))
                #expect(done.json["chunks"] == .number("1"))
                #expect(world.objects.isEmpty)
                for table in ["documents", "chunks", "embeddings", "sources", "uploads"] {
                    #expect(try await world.count("SELECT count(*) FROM rag.\(table)") == 0, "\(table)")
                }
                let again = try await delete(id, ["X-Internal-Key": "second-key-0123456789"])
                #expect(again.json["not_found_ids"] == .array([.string(id)]))
                let audit = try await world.rows(
                    "SELECT action, actor, reason, ticket_ref FROM rag.audit_log ORDER BY created_at"
                )
                #expect(
                    audit == [
                        ["hard_delete", "superuser:admin", "Art. 17", "T-1"],
                        ["hard_delete", "internal-key", "Art. 17", "T-1"],
                    ]
                )
                #expect(!server.process.messagesSoFar.contains("admin123"))
                #expect(!server.process.messagesSoFar.contains(internalKey))
            }
            // A queued upload does not come back.
            try await HTTPServerProcess.with(
                world,
                ["--workers", "0"],
                environment: ["RAG_INTERNAL_KEYS": internalKey]
            ) {
                server in
                let queued = try await server.upload("b.txt", "Beta words.")
                let answer = try await server.post(
                    "/ai/rag/admin/hard-delete/",
                    .object([
                        ("tenant_id", .string("dev-tenant")),
                        ("document_ids", .array([queued.json["document_id"] ?? .null])),
                        ("reason", .string("r")), ("ticket_ref", .string("t")),
                    ]),
                    headers: ["X-Internal-Key": internalKey]
                )
                #expect(answer.status == 200, "\(answer.text)")
                let run = try await server.finished(try #require(queued.json["ingestion_run_id"]?.string))
                #expect(run["status"] == .string("failed"))
                #expect(world.objects.isEmpty, "\(world.objects)")
            }
        }
    }

    @Test("a key of one tenant reaches nothing of another by any route, header, identifier or filter")
    func isolation() async throws {
        let collection = "6f1c1d9e-0d5a-4b7e-9a53-2f1f6f0f7c11"
        try await World.with { world in
            try await world.registerTenants()
            try await registerOther(world)
            let (mine, theirs) = (try await key(world, "dev"), try await key(world, "other"))
            let other: [String: String?] = [
                "X-Tenant-Schema": "other", "X-Tenant-ID": "other-tenant", "Authorization": "Bearer \(theirs.text)",
            ]
            let own: [String: String?] = ["Authorization": "Bearer \(mine.text)"]
            try await HTTPServerProcess.with(world, ["--require-keys"]) { server in
                let secret = try await server.ingest(
                    "secret.txt",
                    "The launch code is heliotrope.",
                    metadata: #"{"collection_id": "\#(collection)", "external_id": "secret"}"#,
                    headers: other
                )
                let id = try #require(secret["document_ids"]?[0]?.string)
                let run = try #require(secret["run_id"]?.string)
                let before = try await dump(world)

                // Every mixture of the other tenant's headers with the own key is refused on every route.
                let mixtures: [[String: String?]] = [
                    ["X-Tenant-Schema": "other", "X-Tenant-ID": "other-tenant"], ["X-Tenant-Schema": "other"],
                    ["X-Tenant-ID": "other-tenant"],
                    ["X-Tenant-Schema": nil, "Host": "other.localhost", "X-Tenant-ID": "other-tenant"],
                    ["X-Tenant-Schema": nil, "Host": "other.localhost"], ["Host": "other.localhost"],
                    ["X-Tenant-Schema": "other", "Host": "dev.localhost", "X-Tenant-ID": "other-tenant"],
                ]
                for mixture in mixtures {
                    let headers = own.merging(mixture) { $1 }
                    for answer in try await everyRoute(server, headers, id: id, run: run) {
                        #expect([400, 401, 403].contains(answer.status), "\(mixture): \(answer.status) \(answer.text)")
                        #expect(!answer.text.contains("heliotrope"))
                    }
                }

                // With the own headers, the other's identifiers and filters lead nowhere.
                for filters in [
                    #"{"id": "\#(id)"}"#, #"{"collection_ids": ["\#(collection)"]}"#, #"{"external_id": "secret"}"#,
                    #"{"case_id": "local"}"#, #"{"collection_id": "\#(collection)", "case_id": "local"}"#,
                ] {
                    let found = try await server.query(
                        "launch code heliotrope",
                        filters: JSONReader.read(filters),
                        headers: own
                    )
                    #expect(found.status == 404, "\(filters): \(found.text)")
                }
                #expect(try await server.query("launch code heliotrope", headers: own).status == 404)
                #expect(try await server.get("/ai/rag/ingestion/status/?run_id=\(run)", headers: own).status == 404)
                #expect(try await server.get("/ai/rag/ingestion/status/", headers: own).status == 404)
                let order = try await server.post(
                    "/ai/rag/ingestion/run/",
                    .object([("document_ids", .array([.string(id)]))]),
                    headers: own
                )
                #expect(order.status == 400)
                #expect(try await dump(world) == before, "nothing of the other tenant has changed")

                // The same names and bytes in the own tenant are documents of its own.
                let copy = try await server.ingest(
                    "secret.txt",
                    "The launch code is heliotrope.",
                    metadata: #"{"collection_id": "\#(collection)", "external_id": "secret"}"#,
                    headers: own
                )
                #expect(copy["documents"]?[0]?["outcome"] == .string("inserted"))
                #expect(copy["document_ids"]?[0]?.string != id)
                #expect(try await dump(world) == before)
            }
        }
    }

    /// One request to every route for tenants.
    private func everyRoute(
        _ server: HTTPServerProcess,
        _ headers: [String: String?],
        id: String,
        run: String
    ) async throws -> [HTTPAnswer] {
        let ids = JSONValue.array([.string(id)])
        var answers: [HTTPAnswer] = []
        for path in [
            "/ai/ping/", "/v1/ai/ping/", "/ai/rag/ingestion/status/", "/ai/rag/ingestion/status/?run_id=\(run)",
        ] {
            answers.append(try await server.get(path, headers: headers))
        }
        for path in ["/v1/ai/rag/query/", "/ai/rag/query/"] {
            answers.append(
                try await server.post(path, .object([("question", .string("heliotrope"))]), headers: headers)
            )
        }
        answers.append(
            try await server.post("/ai/rag/ingestion/run/", .object([("document_ids", ids)]), headers: headers)
        )
        let order = JSONValue.object([
            ("tenant_id", .string("other-tenant")), ("document_ids", ids), ("reason", .string("r")),
            ("ticket_ref", .string("t")),
        ])
        answers.append(try await server.post("/ai/rag/admin/hard-delete/", order, headers: headers))
        answers.append(
            try await server.upload(
                "secret.txt",
                "Other bytes.",
                metadata: #"{"external_id": "secret"}"#,
                headers: headers
            )
        )
        return answers
    }

    /// Everything of the other tenant that a request could change.
    private func dump(_ world: World) async throws -> [[String?]] {
        let tenant = try Tenant("other-tenant").rowID
        return try await world.rows(
            """
            SELECT d::text FROM rag.documents d WHERE tenant_id = '\(tenant)'
            UNION ALL SELECT c::text FROM rag.chunks c WHERE tenant_id = '\(tenant)'
            UNION ALL SELECT r::text FROM rag.runs r WHERE tenant_id = '\(tenant)'
            UNION ALL SELECT u::text FROM rag.uploads u WHERE tenant_id = '\(tenant)' ORDER BY 1
            """
        )
    }
}
