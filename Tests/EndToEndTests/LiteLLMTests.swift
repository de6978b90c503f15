import Foundation
import KelterModel
import KelterStore
import KelterTestSupport
import Testing

/// A real LiteLLM proxy in front of the embedded model, and of models that are limited: what a deployment looks like.
@Suite(.serialized) struct LiteLLMTests {
    @Test func `A file goes through the proxy to the embedded model and is found again`() async throws {
        let home = FileManager.default.temporaryDirectory.appending(path: "kelter-litellm-\(UUID().uuidString)").path
        try FileManager.default.createDirectory(atPath: home, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: home) }
        let parts = TestServer.partsDirectory
        let embedded = ["KELTER_HOME": home, "KELTER_PARTS": parts]
        let up = try await KelterProcess.run(["up", "--json"], environment: embedded).json
        let model = try #require(up["embeddings"]?["base_url"]?.string)
        let result: Result<Void, any Error>
        do {
            let proxy = try LiteLLMProxy(
                configuration: LiteLLMProxy.shippedConfiguration,
                directory: home,
                environment: ["EMBEDDINGS_API_BASE=\(model)"]
            )
            defer { proxy.stop() }
            try await proxy.waitUntilReady()
            result = .success(try await check(proxy, embedded))
        } catch {
            result = .failure(error)
        }
        _ = try await KelterProcess.run(["down"], environment: embedded)
        try result.get()
    }

    private func check(_ proxy: LiteLLMProxy, _ embedded: [String: String]) async throws {
        let document = FileManager.default.temporaryDirectory.appending(path: "kelter-\(UUID().uuidString).md")
        try Data("# Kaffeemaschine\n\nDie Kaffeemaschine wird montags entkalkt.\n".utf8).write(to: document)
        defer { try? FileManager.default.removeItem(at: document) }
        let through = embedded.merging(["LITELLM_BASE_URL": proxy.baseURL, "LITELLM_MASTER_KEY": proxy.key]) { $1 }

        let wrong = try await KelterProcess.run(
            ["upload", document.path, "--json"],
            environment: through.merging(["LITELLM_MASTER_KEY": "sk-wrong"]) { $1 }
        )
        #expect(wrong.exitCode == 3, "\(wrong.output)")

        let upload = try await KelterProcess.run(["upload", document.path, "--json"], environment: through)
        #expect(upload.exitCode == 0, "\(upload.messages)")
        #expect(try upload.json["embeddings"] == .int(1))
        let answer = try await KelterProcess.run(
            ["query", "Wann wird die Kaffeemaschine entkalkt?", "--json"],
            environment: through
        )
        #expect(try answer.json["snippets"]?[0]?["text"]?.string?.contains("montags") == true, "\(answer.messages)")

        // The proxy changes nothing: the same text straight to the model gives the same vector.
        let status = try await KelterProcess.run(["status", "--json"], environment: embedded).json
        let store = try Store(
            configuration: StoreConfiguration(
                url: status["postgres"]?["url"]?.string ?? "",
                dimension: 384,
                poolSize: 1
            )
        )
        _ = try await KelterProcess.run(
            ["upload", document.path, "--collection", "6f1c1d9e-0d5a-4b7e-9a53-2f1f6f0f7c11", "--json"],
            environment: embedded
        )
        let distance = try await store.rows(
            "SELECT count(*), max(a.embedding <-> b.embedding) < 1e-6 FROM rag.embeddings a, rag.embeddings b"
        )
        #expect(distance == [["4", "t"]])
        await store.close()
    }

    @Test func `What the proxy's limit refuses is answered by a fallback with the same vectors`() async throws {
        let (files, limit) = (80, 10)
        let twin = try FaultInjectingEndpoint(dimension: 384)
        defer { twin.stop() }
        try await World.with { world in
            // Two texts a request are four times as many requests as the limit allows in a minute.
            let report = try await ingest(files, world, fallback: twin, requestsPerMinute: limit)
            #expect(report["outcomes"]?["inserted"]?.int == files && report["balanced"] == .bool(true))
            #expect(report["status"]?.string == "succeeded" && report["failures"]?.array?.isEmpty == true)
            // LiteLLM answers every refusal with "60 seconds".
            #expect((report["duration_ms"]?.int ?? .max) < 60_000)

            let costs = try #require(report["endpoint"]?[0])
            // What was under way when the limit was met, and nothing afterwards.
            #expect((1...16).contains(costs["throttles"]?.int ?? 0), "\(costs)")
            #expect(costs["outages"]?.int == 0 && costs["inputs"]?.int == files)
            let fallbackInputs = costs["fallback_inputs"]?.int ?? 0
            #expect((1..<files).contains(fallbackInputs))
            // The proxy refuses by itself: the model behind it has answered all that it was asked.
            let (primary, fallback) = (world.endpoint.log, twin.log)
            #expect(primary.inputs - Self.probeTexts.count == files - fallbackInputs)
            #expect(fallback.inputs - Self.probeTexts.count == fallbackInputs)
            let texts = (primary.texts + fallback.texts).filter { !Self.probeTexts.contains($0) }
            #expect(texts.count == files && Set(texts).count == files)
            try await expectVectors(of: texts, files, world)
        }
    }

    // The model behind the proxy refuses some requests for two seconds: the limit of the proxy would take a minute.
    @Test func `A fallback with other vectors is asked once and never used`() async throws {
        let files = 40
        var options = FaultInjectingEndpoint.Options()
        options.script = .requests(6..<10, .status(429, headers: [("Retry-After", "2")]))
        var other = FaultInjectingEndpoint.Options()
        other.modelSalt = "another model"
        let stranger = try FaultInjectingEndpoint(dimension: 384, options: other)
        defer { stranger.stop() }
        try await World.with(options) { world in
            let report = try await ingest(files, world, fallback: stranger, requestsPerMinute: nil)
            #expect(report["outcomes"]?["inserted"]?.int == files && report["balanced"] == .bool(true))
            #expect(report["status"]?.string == "succeeded" && report["failures"]?.array?.isEmpty == true)

            let costs = try #require(report["endpoint"]?[0])
            // As many as the model has sent: the proxy passes each on and repeats nothing.
            #expect(costs["throttles"]?.int == 4 && costs["outages"]?.int == 0, "\(costs)")
            #expect((costs["throttled_ms"]?.int ?? 0) >= 1000)
            #expect(costs["fallback_inputs"]?.int == 0 && costs["inputs"]?.int == files)
            #expect(costs["fallback_problem"]?.string?.contains("EMB_MODEL_MISMATCH") == true, "\(costs)")
            #expect(stranger.log.texts == Self.probeTexts)
            let texts = Set(world.endpoint.log.texts).subtracting(Self.probeTexts)
            #expect(texts.count == files)
            try await expectVectors(of: Array(texts), files, world)
        }
    }

    /// What a client sends to find out how an endpoint writes vectors, and to know its model again.
    private static let probeTexts = ["Kelter", "Traubenmost"]

    private func line(_ number: Int) -> String { "Die Wartung von Anlage \(number) ist eingetragen." }

    /// Ingests files of one chunk each through a proxy, two texts a request; the world's endpoint is the primary model.
    private func ingest(
        _ files: Int,
        _ world: World,
        fallback: FaultInjectingEndpoint,
        requestsPerMinute: Int?
    ) async throws -> JSONValue {
        for number in 0..<files { try world.write("doc-\(number).txt", line(number)) }
        let configuration = world.home + "/litellm.yaml"
        try LiteLLMProxy.configuration([
            .init(name: "primary", address: world.endpoint.baseURL, requestsPerMinute: requestsPerMinute),
            .init(name: "fallback", address: fallback.baseURL),
        ])
        .write(toFile: configuration, atomically: true, encoding: .utf8)
        let proxy = try LiteLLMProxy(configuration: configuration, directory: world.home)
        defer { proxy.stop() }
        try await proxy.waitUntilReady()
        let result = try await world.kelter(
            "ingest",
            world.documents,
            "--json",
            environment: [
                "LITELLM_BASE_URL": proxy.baseURL, "LITELLM_MASTER_KEY": proxy.key,
                "EMBEDDINGS_MODEL_PRIMARY": "primary", "EMBEDDINGS_MODEL_FALLBACK": "fallback",
                "EMBEDDINGS_BATCH_SIZE": "2",
                // A repetition for a timeout would look like a text that was embedded twice.
                "EMBEDDINGS_TIMEOUT_SECONDS": "120",
            ]
        )
        #expect(result.exitCode == 0, "\(result.messages)")
        return try result.json
    }

    /// Compares each stored vector with that of its text, made unit length here.
    private func expectVectors(of texts: [String], _ files: Int, _ world: World) async throws {
        let rows = try await world.rows(
            """
            SELECT d.external_id, e.embedding::text FROM rag.documents d
            JOIN rag.chunks c ON c.document_id = d.id JOIN rag.embeddings e ON e.chunk_id = c.id
            """
        )
        #expect(rows.count == files)
        let stored = Dictionary(rows.map { ($0[0] ?? "", $0[1] ?? "") }) { first, _ in first }
        for number in 0..<files {
            let text = try #require(texts.first { $0.hasSuffix(line(number)) })
            let vector = FaultInjectingEndpoint.vector(for: text, dimension: 384).map(Double.init)
            let length = vector.reduce(0) { $0 + $1 * $1 }.squareRoot()
            let numbers = (stored["doc-\(number).txt"] ?? "").dropFirst().dropLast().split(separator: ",")
            let differences = zip(numbers.compactMap { Double($0) }, vector).map { abs($0 - $1 / length) }
            #expect(differences.count == 384 && (differences.max() ?? 1) < 1e-6, "\(text)")
        }
        try await IndependentCheck(world).run()
    }
}
