import KelterEmbedding
import KelterModel
import KelterTestSupport
import Testing

@Suite("Connections over TLS")
struct TLSTests {
    private let inputs = [EmbeddingInput(text: "Kelter", tokens: 1)]

    /// Runs a test against an endpoint behind TLS.
    ///
    /// - Parameters:
    ///   - server: The certificate that is shown.
    ///   - requiresClient: Whether clients need a certificate.
    ///   - version: The only version of TLS.
    ///   - check: The test.
    /// - Throws: What the test threw.
    private func run(
        _ server: TestCertificates.Server = .good,
        requiresClient: Bool = false,
        version: TLSFrontend.Version? = nil,
        _ check: (TestCertificates, FaultInjectingEndpoint, TLSFrontend) async throws -> Void
    ) async throws {
        let certificates = try await TestCertificates.shared()
        let endpoint = try FaultInjectingEndpoint(dimension: 8)
        defer { endpoint.stop() }
        let frontend = try await TLSFrontend(
            port: endpoint.port,
            certificates: certificates,
            server: server,
            requiresClient: requiresClient,
            version: version
        )
        defer { frontend.stop() }
        try await check(certificates, endpoint, frontend)
    }

    private func client(_ origin: String, _ security: ConnectionSecurity) throws -> EmbeddingClient {
        var endpoint = EmbeddingEndpoint(
            baseURL: origin,
            apiKey: "sk-geheim",
            timeout: .seconds(10),
            retryBaseDelay: .milliseconds(1),
            packingDelay: .milliseconds(1)
        )
        endpoint.security = security
        return try EmbeddingClient(endpoint: endpoint, model: "m", dimension: 8)
    }

    /// Requires that a client is told something and that nothing has reached the endpoint.
    private func refused(
        _ frontend: TLSFrontend,
        _ endpoint: FaultInjectingEndpoint,
        _ security: ConnectionSecurity,
        _ code: ErrorCode,
        subject: String = "LITELLM_BASE_URL",
        _ words: String
    ) async throws {
        let client = try client(frontend.origin, security)
        let error = await failure { try await client.embed(inputs) }
        #expect(error?.code == code && error?.subject == subject, "\(String(describing: error))")
        #expect(error?.message.contains(words) == true, "\(String(describing: error))")
        #expect(error?.description.contains("geheim") == false)
        #expect(client.statistics.retries == 0)
        #expect(endpoint.log.requests == 0)
    }

    @Test("an authority of one's own is trusted by its file alone, for vectors, answers and checks alike")
    func authority() async throws {
        try await run { certificates, endpoint, frontend in
            let security = ConnectionSecurity(caFile: certificates.authority)
            try await refused(frontend, endpoint, ConnectionSecurity(), .embeddingUntrusted, "authority")
            try await refused(
                frontend,
                endpoint,
                ConnectionSecurity(caFile: certificates.otherAuthority),
                .embeddingUntrusted,
                "authority"
            )
            let vectors = try await client(frontend.origin, security).embed(inputs)
            #expect(try vectors == expected(["Kelter"], dimension: 8))

            var chat = ChatEndpoint(baseURL: frontend.origin, model: "m")
            let unsafe = try ChatClient(chat)
            let error = await failure { try await unsafe.complete([ChatMessage(.user, "Ping?")]) }
            #expect(error?.code == .chatUnreachable && error?.fix?.contains("LITELLM_CA_FILE") == true)
            #expect(endpoint.log.chats.isEmpty)
            chat.security = security
            let answer = try await ChatClient(chat).complete([ChatMessage(.user, "Ping?")])
            #expect(answer == "Das steht in der ersten Quelle [1].")

            var exchange = HTTPExchange("GET", frontend.origin + "/v1/models")
            let failed = await failure { try await exchange.send() }
            #expect(failed?.code == .serviceUnreachable && failed?.fix?.contains("LITELLM_CA_FILE") == true)
            exchange.security = security
            let reply = try await exchange.send()
            #expect(reply.status == 404)
        }
    }

    @Test("a certificate for another host is not trusted, whoever has signed it")
    func otherName() async throws {
        try await run(.otherName) { certificates, endpoint, frontend in
            let security = ConnectionSecurity(caFile: certificates.authority)
            try await refused(frontend, endpoint, security, .embeddingUntrusted, "another host")
        }
    }

    @Test("a certificate that has expired is not trusted")
    func expired() async throws {
        try await run(.expired) { certificates, endpoint, frontend in
            let security = ConnectionSecurity(caFile: certificates.authority)
            try await refused(frontend, endpoint, security, .embeddingUntrusted, "expired")
        }
    }

    @Test(
        "a server that asks for a client certificate gets it, and one without is told which",
        arguments: [true, false]
    )
    func clientCertificate(_ isNewest: Bool) async throws {
        try await run(requiresClient: true, version: isNewest ? .tls13 : .tls12) { certificates, endpoint, frontend in
            var security = ConnectionSecurity(caFile: certificates.authority)
            if isNewest {
                try await refused(
                    frontend,
                    endpoint,
                    security,
                    .embeddingUnauthorised,
                    subject: "LITELLM_CLIENT_CERT_FILE",
                    "client certificate"
                )
            } else {
                // Before 1.3 the alert does not say what was missing.
                let client = try client(frontend.origin, security)
                let error = await failure { try await client.embed(inputs) }
                #expect(error?.code == .embeddingUntrusted && error?.fix?.contains("client certificate") == true)
                #expect(client.statistics.retries == 0)
            }
            security.clientCertificateFile = certificates.strangerWithKey
            try await refused(
                frontend,
                endpoint,
                security,
                .embeddingUnauthorised,
                subject: "LITELLM_CLIENT_CERT_FILE",
                "client certificate"
            )
            security.clientCertificateFile = certificates.client
            security.clientKeyFile = certificates.clientKey
            let vectors = try await client(frontend.origin, security).embed(inputs)
            #expect(try vectors == expected(["Kelter"], dimension: 8))
            security = ConnectionSecurity(
                caFile: certificates.authority,
                clientCertificateFile: certificates.clientWithKey
            )
            let again = try await client(frontend.origin, security).embed(inputs)
            #expect(again == vectors)
        }
    }

    @Test("files that libcurl cannot use are the setting's fault, and no passphrase is asked for")
    func unusableFiles() async throws {
        try await run { certificates, endpoint, frontend in
            var security = ConnectionSecurity(caFile: certificates.clientKey)
            try await refused(frontend, endpoint, security, .settingInvalid, subject: "LITELLM_CA_FILE", "authorities")
            security = ConnectionSecurity(caFile: certificates.authority, clientCertificateFile: certificates.client)
            for key in [nil, certificates.lockedKey, certificates.directory + "/server.key"] {
                security.clientKeyFile = key
                try await refused(
                    frontend,
                    endpoint,
                    security,
                    .settingInvalid,
                    subject: "LITELLM_CLIENT_CERT_FILE",
                    "cannot be used"
                )
            }
        }
    }

    @Test("a reply that breaks off within TLS is a cut one, and one of many bytes is whole")
    func cut() async throws {
        let certificates = try await TestCertificates.shared()
        var options = FaultInjectingEndpoint.Options()
        options.script = .requests(2..., .cutConnection(after: 100))
        let endpoint = try FaultInjectingEndpoint(dimension: 1536, options: options)
        defer { endpoint.stop() }
        let frontend = try await TLSFrontend(port: endpoint.port, certificates: certificates)
        defer { frontend.stop() }
        var settings = EmbeddingEndpoint(baseURL: frontend.origin, retryBaseDelay: .milliseconds(1))
        settings.security = ConnectionSecurity(caFile: certificates.authority)
        let client = try EmbeddingClient(endpoint: settings, model: "m", dimension: 1536)
        let texts = (0..<64).map { "\($0)" }
        let many = texts.map { EmbeddingInput(text: $0, tokens: 1) }
        let vectors = try await client.embed(many)
        #expect(try vectors == expected(texts, dimension: 1536))
        #expect(await failure { try await client.embed(many) }?.code == .embeddingReplyCut)
    }

    @Test(
        "a file that is not there is refused before anything is sent",
        arguments: ["LITELLM_CA_FILE", "LITELLM_CLIENT_CERT_FILE", "LITELLM_CLIENT_KEY_FILE"]
    )
    func missingFiles(_ setting: String) async throws {
        for path in ["/nonexistent/file.pem", "/tmp", ""] {
            var security = ConnectionSecurity()
            switch setting {
            case "LITELLM_CA_FILE": security.caFile = path
            case "LITELLM_CLIENT_CERT_FILE": security.clientCertificateFile = path
            default: (security.clientCertificateFile, security.clientKeyFile) = ("/etc/passwd", path)
            }
            var chat = ChatEndpoint(baseURL: "https://127.0.0.1:9", model: "m")
            var exchange = HTTPExchange("GET", "https://127.0.0.1:9")
            chat.security = security
            exchange.security = security
            let errors = [
                await failure { try client("https://127.0.0.1:9", security) },
                await failure { try ChatClient(chat) }, await failure { try await exchange.send() },
            ]
            for error in errors { #expect(error?.code == .settingInvalid && error?.subject == setting) }
        }
        let alone = ConnectionSecurity(clientKeyFile: "/etc/passwd")
        #expect(await failure { try client("https://127.0.0.1:9", alone) }?.subject == "LITELLM_CLIENT_KEY_FILE")
    }
}
