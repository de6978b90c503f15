import KelterModel
import KelterTestSupport
import Testing

/// The header checks of SPEC section 8: their order, codes and bodies.
///
/// One after the other: each test starts servers of its own, and all at once would starve each other.
@Suite("HTTP: headers", .serialized)
struct HTTPHeaderTests {
    struct Case: CustomTestStringConvertible, Sendable {
        let headers: [String: String?]
        let status: Int
        let code: String?

        init(_ headers: [String: String?], _ status: Int, _ code: String? = nil) {
            self.headers = headers
            self.status = status
            self.code = code
        }

        var testDescription: String { "\(status) \(code ?? "")" }
    }

    static let cases: [Case] = [
        Case([:], 200),
        Case(["X-Tenant-Schema": "nobody"], 404, "tenant_not_found"),
        Case(["X-Tenant-Schema": "Not A Schema!"], 404, "tenant_not_found"),
        Case(["X-Tenant-Schema": "public"], 404, "tenant_not_found"),
        Case(["X-Tenant-Schema": nil], 404, "tenant_not_found"),
        Case(["X-Tenant-Schema": nil, "Host": "dev.localhost"], 200),
        Case(["X-Tenant-Schema": nil, "Host": "DEV.localhost:8000"], 200),
        Case(["X-Tenant-Schema": nil, "Host": "unknown.example"], 404, "tenant_not_found"),
        Case(["X-Tenant-Schema": "   "], 400, "invalid_tenant_schema"),
        Case(["X-Tenant-Schema": "dev", "Host": "other.localhost"], 400, "tenant_schema_mismatch"),
        Case(["X-Tenant-Schema": "dev", "Host": "localhost"], 200),
        Case(["X-Tenant-ID": nil], 400, "invalid_tenant_header"),
        Case(["X-Tenant-ID": "no spaces please"], 400, "invalid_tenant_header"),
        Case(["X-Tenant-ID": "other-tenant"], 403, "tenant_mismatch"),
        Case(["X-Tenant-ID": "DEV-TENANT"], 200),
        Case(["X-Case-ID": nil], 400, "invalid_case_header"),
        Case(["X-Case-ID": "-"], 400, "invalid_case_header"),
        Case(["X-Key-Alias": " "], 400, "invalid_key_alias"),
        Case(["X-Key-Alias": "key one"], 400, "invalid_key_alias"),
        Case(["X-Key-Alias": "key-one"], 200),
        Case(["X-Collection-ID": "  "], 200),
        Case(["Idempotency-Key": "has space inside"], 400, "invalid_idempotency_key"),
        // The first check that fails is the one that is told.
        Case(["X-Tenant-Schema": "nobody", "X-Tenant-ID": nil, "X-Case-ID": nil], 404, "tenant_not_found"),
        Case(["X-Tenant-ID": nil, "X-Case-ID": nil, "X-Key-Alias": "?"], 400, "invalid_tenant_header"),
        Case(["X-Tenant-ID": "other-tenant", "X-Case-ID": nil], 403, "tenant_mismatch"),
        Case(["X-Case-ID": nil, "X-Key-Alias": "?"], 400, "invalid_case_header"),
    ]

    @Test("each header check answers with its code, in the contract's order, on every route for tenants")
    func checks() async throws {
        try await World.with { world in
            try await world.registerTenants()
            _ = try await world.kelter(
                "create-tenant",
                "--schema=other",
                "--name=Other",
                "--domain=other.localhost"
            )
            try await HTTPServerProcess.with(world) { server in
                for (index, test) in Self.cases.enumerated() {
                    let ping = try await server.get("/ai/ping/", headers: test.headers)
                    #expect(ping.status == test.status, "case \(index): \(ping.text)")
                    #expect(ping.code == test.code, "case \(index)")
                    guard test.status != 200 else { continue }
                    #expect(ping.headers["content-type"] == "application/json")
                    #expect(ping.json.members?.map(\.name) == ["detail", "code"])
                    for path in ["/v1/ai/ping/", "/ai/rag/ingestion/status/"] {
                        #expect(try await server.get(path, headers: test.headers).code == test.code, "\(path) \(index)")
                    }
                    for path in ["/v1/ai/rag/query/", "/ai/rag/query/", "/ai/rag/ingestion/run/"] {
                        let answer = try await server.post(path, .object([]), headers: test.headers)
                        #expect(answer.code == test.code, "\(path) \(index)")
                    }
                    #expect(try await server.upload("a.txt", "A", headers: test.headers).code == test.code)
                }
                #expect(try await world.count("SELECT count(*) FROM rag.runs") == 0)
                #expect(world.objects.isEmpty, "a refused upload leaves nothing")
            }
        }
    }

    @Test("answers carry trace, case, tenant and idempotency key; a trace is continued")
    func answerHeaders() async throws {
        try await World.with { world in
            try await world.registerTenants()
            try await HTTPServerProcess.with(world) { server in
                let trace = "4bf92f3577b34da6a3ce929d0e0e4736"
                let plain = try await server.get("/ai/ping/", headers: ["Idempotency-Key": "k-1"])
                #expect(plain.json["ok"] == .bool(true))
                #expect(plain.headers["x-trace-id"]?.count == 32)
                #expect(plain.json["trace_id"]?.string == plain.headers["x-trace-id"])
                #expect(plain.headers["x-case-id"] == "local")
                #expect(plain.headers["x-tenant-id"] == "dev-tenant")
                #expect(plain.headers["idempotency-key"] == "k-1")
                let parent = ["traceparent": "00-\(trace)-00f067aa0ba902b7-01", "X-Trace-ID": "mine"]
                #expect(try await server.get("/ai/ping/", headers: parent).json["trace_id"]?.string == trace)
                let own = try await server.get("/ai/ping/", headers: ["traceparent": "nonsense", "X-Trace-ID": "mine"])
                #expect(own.json["trace_id"]?.string == "mine")
                let bad = try await server.get("/ai/ping/", headers: ["X-Trace-ID": "bad trace"])
                #expect(bad.json["trace_id"]?.string != "bad trace")
            }
        }
    }

    @Test("unknown routes and methods are told in the contract's form")
    func routes() async throws {
        try await World.with { world in
            try await world.registerTenants()
            try await HTTPServerProcess.with(world) { server in
                let unknown = try await server.get("/ai/nothing/")
                #expect(unknown.status == 404)
                #expect(unknown.code == "not_found")
                let method = try await server.send("DELETE", "/ai/ping/")
                #expect(method.status == 405)
                #expect(method.code == "method_not_allowed")
                #expect(method.headers["allow"] == "GET")
                #expect(try await server.get("/ai/ping").status == 200, "the last slash may be left out")
                let health = try await server.get("/health/", headers: ["X-Tenant-Schema": nil])
                #expect(health.status == 200)
                #expect(
                    health.json["services"]?.members?.map(\.name) == [
                        "database", "embedding_endpoint", "object_store", "queue",
                    ]
                )
                world.endpoint.stop()
                let degraded = try await server.get("/health/")
                #expect(degraded.status == 503)
                #expect(degraded.json["status"] == .string("degraded"))
                #expect(degraded.json["services"]?["embedding_endpoint"] == .string("unavailable"))
                #expect(degraded.json["services"]?["database"] == .string("ok"))
                let metrics = try await server.get("/metrics")
                #expect(
                    metrics.text.contains(#"kelter_http_requests_total{method="GET",route="/ai/ping/",status="200"} 1"#)
                )
                #expect(try await server.get("/openapi.json").json["openapi"] == .string("3.1.0"))
            }
        }
    }

    @Test("a tenant above its quota gets 429 with Retry-After, another one does not")
    func rateLimit() async throws {
        try await World.with { world in
            try await world.registerTenants()
            _ = try await world.kelter("create-tenant", "--schema=other", "--name=Other")
            try await HTTPServerProcess.with(world, environment: ["AI_CORE_RATE_LIMIT_QUOTA": "5/min"]) { server in
                for _ in 0..<5 { #expect(try await server.get("/ai/ping/").status == 200) }
                let refused = try await server.get("/ai/ping/", headers: ["X-Key-Alias": "?"])
                #expect(refused.status == 429)
                #expect(refused.code == "rate_limit_exceeded")
                let wait = Int(refused.headers["retry-after"] ?? "") ?? 0
                #expect((1...60).contains(wait))
                let other = ["X-Tenant-Schema": "other", "X-Tenant-ID": "other-tenant"]
                #expect(try await server.get("/ai/ping/", headers: other).status == 200)
            }
        }
    }
}
