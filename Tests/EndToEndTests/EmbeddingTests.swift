import Glibc
import KelterModel
import KelterTestSupport
import Testing

/// What is asked of the endpoint, what is not asked again, and an endpoint that is not what it was.
@Suite struct EmbeddingTests {
    /// A text of so many paragraphs, each long enough for a chunk of its own.
    private func book(_ paragraphs: Range<Int>) -> String {
        paragraphs.map { number in
            "# Kapitel \(number)\n\n"
                + (0..<40).map { "Satz \($0) des Kapitels \(number) handelt von Reben und Wein." }.joined(
                    separator: " "
                )
        }
        .joined(separator: "\n\n")
    }

    @Test("The same text in another collection or under another name is not paid for again")
    func cache() async throws {
        try await World.with { world in
            let file = try world.write("buch.md", book(0..<12))
            let first = try await world.kelter("upload", file, "--json").json
            let chunks = try #require(first["chunks"]?.int)
            #expect(first["embedding_inputs"] == .int(chunks) && first["cache_hits"] == .int(0))
            let collection = RowID.version7(milliseconds: 1).description
            let second = try await world.kelter("upload", file, "--collection", collection, "--json").json
            #expect(second["outcome"] == .string("inserted"))
            #expect(second["embedding_inputs"] == .int(0) && second["cache_hits"] == .int(chunks))
            #expect(second["endpoint"]?[0]?["tokens_saved"]?.int ?? 0 > chunks)
            let different = try await world.rows(
                """
                SELECT count(DISTINCT e.embedding::text), count(*) FROM rag.embeddings e JOIN rag.chunks c ON c.id = e.chunk_id
                GROUP BY c.input_hash HAVING count(*) <> 2 OR count(DISTINCT e.embedding::text) <> 1
                """
            )
            #expect(different.isEmpty, "both have the same vectors")
            // Another tenant has paid for nothing and gets nothing.
            let other = try await world.kelter("upload", file, "--tenant", "andere", "--json").json
            #expect(other["cache_hits"] == .int(0) && other["embedding_inputs"] == .int(chunks))

            let show = try await world.kelter("cache", "show", "--tenant", "dev-tenant", "--json").json
            #expect(show["cache"]?[0]?["entries"] == .int(chunks))
            #expect(show["cache"]?[0]?["model"] == .string("multilingual-e5-small"))
            let pruned = try await world.kelter("cache", "prune", "--tenant", "dev-tenant", "--max-mb", "0", "--json")
                .json
            #expect(pruned["removed"] == .int(chunks))
            let off = try await world.kelter(
                "upload",
                file,
                "--collection",
                RowID.version7(milliseconds: 2).description,
                "--json",
                environment: ["EMBEDDINGS_CACHE": "off"]
            )
            #expect(try off.json["embedding_inputs"] == .int(chunks))
            #expect(try await world.kelter("cache", "show", "--tenant", "dev-tenant").output == "The cache is empty.\n")
        }
    }

    @Test("What a killed run has been answered is not paid for again")
    func killed() async throws {
        var options = FaultInjectingEndpoint.Options()
        options.latency = .milliseconds(60)
        try await World.with(options) { world in
            let file = try world.write("buch.md", book(0..<300))
            let environment = world.environment.merging([
                "EMBEDDINGS_BATCH_SIZE": "4", "EMBEDDINGS_REQUESTS_IN_FLIGHT": "4",
            ]) { $1 }
            let process = try KelterProcess(["ingest", file, "--json"], environment: environment)
            try await waitUntil("40 requests") { world.endpoint.log.requests >= 40 }
            process.send(SIGKILL)
            _ = try await process.finish()
            let paid = world.endpoint.log.inputs
            let result = try await KelterProcess.run(["ingest", file, "--json"], environment: environment)
            #expect(result.exitCode == 0, "\(result.messages)")
            let chunks = try #require(try result.json["chunks"]?.int)
            let again = paid + (try #require(try result.json["embedding_inputs"]?.int)) - chunks
            // Each run's probe has two texts; four requests of four texts were under way, and as many may have been
            // answered and not yet be in the cache.
            #expect(again <= 2 * 2 + 3 * 4 * 4, "\(again) texts were paid for twice")
            #expect(chunks > 300)
        }
    }

    @Test("Another model under the old name stops ingestion and search until it is accepted")
    func drift() async throws {
        try await World.with { world in
            let first = try world.write("a.txt", "Der erste Text.")
            try await world.succeed("upload", first, "--json")
            var options = FaultInjectingEndpoint.Options()
            options.modelSalt = "neu"
            let changed = try FaultInjectingEndpoint(dimension: 384, options: options)
            defer { changed.stop() }
            var later = world
            later.environment["LITELLM_BASE_URL"] = changed.baseURL

            let second = try world.write("b.txt", "Der zweite Text.")
            let refused = try await later.kelter("ingest", second, "--json")
            #expect(refused.exitCode == 4 && refused.messages.contains("EMBEDDING_MODEL_DRIFT"), "\(refused.messages)")
            #expect(refused.messages.contains("reembed --accept-drift"))
            #expect(try await world.count("SELECT count(*) FROM rag.documents") == 1)
            #expect(changed.log.texts == ["Kelter", "Traubenmost"], "nothing but the probe was sent")
            let query = try await later.kelter("query", "Text", "--json")
            #expect(query.exitCode == 4 && query.messages.contains("EMBEDDING_MODEL_DRIFT"))
            let check = try await later.kelter("check")
            #expect(check.exitCode == 1)
            #expect(
                check.output.contains("FAIL  embedding-contract standard: EMBEDDING_MODEL_DRIFT"),
                "\(check.output)"
            )
            #expect(try await later.kelter("reembed", "--json").exitCode == 4)

            let filled = try await later.kelter("reembed", "--accept-drift", "--json")
            #expect(filled.exitCode == 0, "\(filled.messages)")
            #expect(try filled.json["target"] == .string("standby"))
            #expect(try await world.kelter("query", "Text", "--json").exitCode == 0, "the old space is searched still")
            let switched = try await later.kelter("vector-space", "switch")
            #expect(switched.exitCode == 0, "\(switched.messages)")
            try await later.succeed("ingest", second, "--json")
            try await later.succeed("query", "Der zweite Text.", "--json")
            let old = try await world.kelter("query", "Text", "--json")
            #expect(old.exitCode == 4, "the model of before is the other one now")
            #expect(try await later.kelter("check").output.contains("ok    embedding-contract standard"))
        }
    }

    @Test("An endpoint that leaves out the ends of texts is found out")
    func truncation() async throws {
        var options = FaultInjectingEndpoint.Options()
        options.readBytes = 200
        try await World.with(options) { world in
            let check = try await world.kelter("check")
            #expect(check.output.contains("FAIL  embedding-contract standard: EMBEDDING_TRUNCATION"), "\(check.output)")
            let file = try world.write("buch.md", book(0..<3))
            let result = try await world.kelter("ingest", file)
            #expect(result.exitCode == 0, "\(result.messages)")
            #expect(result.output.contains("warning: EMBEDDING_TRUNCATION"), "\(result.output)")
            let fine = try await world.kelter(
                "check",
                environment: [
                    "EMBEDDINGS_MAX_TOKENS": "40", "RAG_CHUNK_TARGET_TOKENS": "32", "RAG_CHUNK_OVERLAP_TOKENS": "8",
                ]
            )
            #expect(fine.output.contains("ok    embedding-contract standard"), "\(fine.output)")
        }
    }

    @Test("An endpoint with a limit is waited for and nothing fails")
    func limited() async throws {
        var options = FaultInjectingEndpoint.Options()
        options.limit = .init(rate: 20, burst: 5, saysWhen: false)
        try await World.with(options) { world in
            try world.write("buch.md", book(0..<60))
            let result = try await world.kelter(
                "ingest",
                world.documents,
                "--json",
                environment: ["EMBEDDINGS_BATCH_SIZE": "2", "EMBEDDINGS_PRICE_PER_MILLION_TOKENS": "0.5"]
            )
            #expect(result.exitCode == 0, "\(result.messages)")
            let costs = try #require(try result.json["endpoint"]?[0])
            #expect(costs["throttles"]?.int == world.endpoint.log.throttled)
            #expect(costs["throttles"]?.int ?? 0 > 0 && costs["throttled_ms"]?.int ?? 0 > 500)
            #expect(costs["tenant"] == .string("dev-tenant") && costs["model"] == .string("multilingual-e5-small"))
            let tokens = try #require(costs["tokens"]?.int)
            #expect(abs((costs["price"]?.double ?? 0) - Double(tokens) * 0.5e-6) < 1e-12)
        }
    }

    @Test("An endpoint that goes away in the middle of a batch is waited for")
    func outage() async throws {
        var options = FaultInjectingEndpoint.Options()
        options.latency = .milliseconds(50)
        try await World.with(options) { world in
            for number in 0..<40 { try world.write("\(number).md", book(number * 5..<number * 5 + 5)) }
            let environment = world.environment.merging([
                "EMBEDDINGS_BATCH_SIZE": "4", "EMBEDDINGS_REQUESTS_IN_FLIGHT": "2",
            ]) { $1 }
            let process = try KelterProcess(["ingest", world.documents, "--json"], environment: environment)
            try await waitUntil("12 requests") { world.endpoint.log.requests >= 12 }
            let port = world.endpoint.port
            world.endpoint.stop()
            try await Task.sleep(for: .seconds(2))
            let back = try FaultInjectingEndpoint(dimension: 384, port: port)
            defer { back.stop() }
            let result = try await process.finish()
            #expect(result.exitCode == 0, "\(result.messages)")
            #expect(try result.json["outcomes"]?["inserted"] == .int(40))
            #expect(try result.json["endpoint"]?[0]?["outages"]?.int ?? 0 > 0)
            let hopeless = try await KelterProcess.run(
                [
                    "upload", world.documents + "/0.md", "--external-id", "x", "--collection",
                    RowID.version7(milliseconds: 3).description, "--json",
                ],
                environment: environment.merging([
                    "LITELLM_BASE_URL": "http://127.0.0.1:9/v1", "EMBEDDINGS_CACHE": "off",
                ]) { $1 }
            )
            #expect(hopeless.exitCode == 3, "who uploads one file is told at once")
        }
    }
}
