import KelterLocal
import KelterTestSupport
import Synchronization
import Testing

/// What a whole process is told about its connections, so that a process of its own is needed to see it.
@Suite("Connections to the endpoint, as the environment has them")
struct ConnectionTests {
    @Test("the usual variables name a proxy, through which loopback addresses never go")
    func proxy() async throws {
        let proxy = try FaultInjectingEndpoint(dimension: 384)
        defer { proxy.stop() }
        try await World.with { world in
            let variables = ["http_proxy": "http://127.0.0.1:\(proxy.port)"]
            let near = try world.write("nah.md", "Die Anlage steht nebenan.")
            let reached = try await world.kelter("upload", near, "--json", environment: variables)
            #expect(reached.exitCode == 0, "\(reached.messages)")
            #expect(proxy.connectionsAccepted == 0 && world.endpoint.log.inputs > 0)

            // The proxy answers for a host that has no address.
            let far = try world.write("fern.md", "Die Anlage steht in der Ferne.")
            let through = try await world.kelter(
                "upload",
                far,
                "--json",
                environment: variables.merging(["LITELLM_BASE_URL": "http://embeddings.invalid/v1"]) { $1 }
            )
            #expect(through.exitCode == 0, "\(through.messages)")
            #expect(proxy.log.texts.contains { $0.contains("in der Ferne") })

            // With TLS the proxy is asked for a tunnel, and the key is for its other end.
            let asked = Mutex<[LoopbackHTTPServer.Request]>([])
            let tunnel = try LoopbackHTTPServer { request in
                asked.withLock { $0.append(request) }
                return LoopbackHTTPServer.Response(status: 403)
            }
            defer { tunnel.stop() }
            let secret = try await world.kelter(
                "upload",
                try world.write("geheim.md", "Die Anlage ist geheim."),
                "--json",
                environment: [
                    "https_proxy": "http://127.0.0.1:\(tunnel.port)", "LITELLM_MASTER_KEY": "sk-geheim",
                    "LITELLM_BASE_URL": "https://embeddings.invalid/v1",
                ]
            )
            #expect(secret.exitCode != 0, "\(secret.messages)")
            #expect(!(secret.output + secret.messages).contains("sk-geheim"))
            let requests = asked.withLock { $0 }
            #expect(requests.first?.method == "CONNECT" && requests.first?.path == "embeddings.invalid:443")
            #expect(!requests.contains { $0.headers.contains { $0.value.contains("geheim") } })
        }
    }

    @Test("TLS before 1.2 is not spoken, even where OpenSSL allows it")
    func versions() async throws {
        let certificates = try await TestCertificates.shared()
        try await World.with { world in
            let frontend = try await TLSFrontend(
                port: world.endpoint.port,
                certificates: certificates,
                version: .oldest
            )
            defer { frontend.stop() }
            let configuration = try world.write(
                "openssl.cnf",
                """
                openssl_conf = all
                [all]
                ssl_conf = tls
                [tls]
                system_default = lax
                [lax]
                MinProtocol = TLSv1
                CipherString = ALL:@SECLEVEL=0
                """
            )
            let file = try world.write("neu.md", "Die Anlage ist neu.")
            let result = try await world.kelter(
                "upload",
                file,
                "--json",
                environment: [
                    "OPENSSL_CONF": configuration, "LITELLM_CA_FILE": certificates.authority,
                    "LITELLM_BASE_URL": frontend.origin + "/v1",
                ]
            )
            #expect(result.exitCode != 0)
            let answer = result.output + result.messages
            #expect(answer.contains("EMBEDDING_UNTRUSTED") && answer.contains("TLS 1.2"), "\(answer)")
            #expect(world.endpoint.log.requests == 0)
        }
    }
}
