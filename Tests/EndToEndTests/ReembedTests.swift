import Foundation
import Glibc
import KelterModel
import KelterStore
import KelterTestSupport
import Testing

/// `kelter reembed` and `kelter vector-space`: vectors from stored chunks, in place and for another model.
@Suite("Re-embedding")
struct ReembedTests {
    private static let vectors = "SELECT chunk_id, embedding FROM rag.embeddings ORDER BY 1"
    private static let chunks = """
        SELECT id, document_id, ordinal, text, tokens, input_hash, metadata FROM rag.chunks ORDER BY 1
        """

    private func ingest(_ world: World, count: Int = 40) async throws {
        for number in 1...count {
            try world.write(
                "doc-\(number).md",
                "# Vorgang \(number)\n\nErster Absatz des Vorgangs \(number).\n\n## Frist\n\nBis zum \(number). März.\n"
            )
        }
        let result = try await world.kelter("ingest", world.documents, "--json")
        #expect(result.exitCode == 0, "\(result.messages)")
    }

    @Test("the embedded texts are made again from the rows, to the byte, and the vectors come out the same")
    func inPlace() async throws {
        try await World.with { world in
            try await ingest(world)
            let texts = Set(world.endpoint.log.texts)
            let (vectors, chunks) = (try await world.rows(Self.vectors), try await world.rows(Self.chunks))
            try await world.database.store.runScript(
                "UPDATE rag.embeddings SET embedding = (embedding::real[])[2:] || 1::real WHERE true"
            )
            #expect(try await world.rows(Self.vectors) != vectors)
            // Everything that was embedded is embedded again, and nothing else.
            let result = try await world.kelter("reembed", "--json")
            #expect(result.exitCode == 0, "\(result.messages)")
            #expect(try result.json["documents"] == .int(40))
            #expect(Set(world.endpoint.log.texts) == texts)
            #expect(try await world.rows(Self.vectors) == vectors)
            #expect(try await world.rows(Self.chunks) == chunks)
        }
    }

    @Test("an interrupted run is completed by repeating it; what is done is not paid again")
    func resume() async throws {
        var options = FaultInjectingEndpoint.Options()
        options.latency = .milliseconds(60)
        try await World.with(options) { world in
            try await ingest(world, count: 200)
            let before = world.endpoint.log.inputs
            let process = try KelterProcess(["reembed", "--tenant", "dev-tenant"], environment: world.environment)
            var done = 0
            while done < 32 {
                try await Task.sleep(for: .milliseconds(10))
                done = try await world.count(
                    "SELECT count(*) FROM rag.run_items i JOIN rag.runs r ON r.id = i.run_id WHERE r.kind = 'reembed'"
                )
            }
            process.send(SIGKILL)
            _ = try await process.finish()
            let left =
                200
                - (try await world.count(
                    "SELECT count(*) FROM rag.run_items i JOIN rag.runs r ON r.id = i.run_id WHERE r.kind = 'reembed'"
                ))
            #expect(left > 0)
            let paid = world.endpoint.log.inputs
            let result = try await world.kelter("reembed", "--tenant", "dev-tenant", "--json")
            let all = try await world.count("SELECT count(*) FROM rag.chunks")
            #expect(world.endpoint.log.inputs - paid < all)
            #expect(try result.json["documents"] == .int(left))
            #expect(try result.json["resumed_runs"]?.array?.count == 1)
            #expect(try await world.kelter("reembed", "--restart", "--json").json["documents"] == .int(200))
            #expect(world.endpoint.log.inputs - before >= all)
            #expect(
                try await world.rows("SELECT count(*), min(status) FROM rag.runs WHERE kind = 'reembed'") == [
                    ["2", "succeeded"]
                ]
            )
        }
    }

    @Test("--only-unnormalised brings lengths to 1 without any request, also of thousands of vectors")
    func normalise() async throws {
        try await World.with { world in
            try await ingest(world, count: 3)
            let before = try await world.rows(Self.vectors)
            // Thousands of vectors of the same values are what an HNSW graph takes longest for, and none is searched here.
            try await world.database.store.runScript(
                """
                DROP INDEX rag.embeddings_embedding_hnsw;
                UPDATE rag.embeddings SET embedding = (SELECT array_agg(x * 3 ORDER BY i)::vector
                    FROM unnest(embedding::real[]) WITH ORDINALITY AS u(x, i));
                INSERT INTO rag.chunks (id, document_id, tenant_id, ordinal, text)
                    SELECT gen_random_uuid(), d.id, d.tenant_id, 100 + n, 'leer'
                    FROM (SELECT * FROM rag.documents LIMIT 1) d, generate_series(1, 2500) n;
                INSERT INTO rag.embeddings (chunk_id, tenant_id, embedding)
                    SELECT id, tenant_id, array_fill(CASE WHEN ordinal % 500 = 0 THEN 0 ELSE 0.5 END, ARRAY[384])::vector
                    FROM rag.chunks WHERE text = 'leer'
                """
            )
            let requests = world.endpoint.log.requests
            let result = try await world.kelter("reembed", "--only-unnormalised", "--json")
            #expect(result.exitCode == 0, "\(result.messages)")
            #expect(try result.json["removed"] == .int(5))
            #expect(try result.json["normalised"] == .int(2495 + before.count))
            #expect(world.endpoint.log.requests == requests)
            #expect(
                try await world.count(
                    "SELECT count(*) FROM rag.embeddings WHERE abs(vector_norm(embedding) - 1) > 1e-6"
                ) == 0
            )
            let again = try await world.kelter("reembed", "--only-unnormalised")
            #expect(again.output == "All vectors are unit vectors.\n")
            let distance = try await world.rows(
                """
                SELECT max(abs(x - y)) FROM rag.embeddings e,
                    unnest(e.embedding::real[], '\(before[0][1] ?? "")'::vector::real[]) AS u(x, y)
                WHERE e.chunk_id = '\(before[0][0] ?? "")'
                """
            )
            #expect(Double(distance[0][0] ?? "1") ?? 1 < 1e-6)
        }
    }

    @Test("another model: filled beside, compared, switched, refused to old settings, and switched back")
    func otherModel() async throws {
        try await World.with { world in
            try await ingest(world)
            let original = try await world.rows(Self.vectors)
            let other = try FaultInjectingEndpoint(dimension: 256)
            defer { other.stop() }
            let settings = ["EMBEDDINGS_MODEL_PRIMARY": "gross-256", "EMBEDDINGS_DIM": "256"]
            let endpoint = ["LITELLM_BASE_URL": other.baseURL]
            let none = try await world.kelter("vector-space", "switch")
            #expect(none.exitCode == 4 && none.messages.contains("VECTOR_SPACE_MISSING"))

            // The tokens of an unknown model are counted in bytes: what may be too long for it is not sent.
            let short = ["reembed", "--model", "gross-256", "--dimension", "256", "--input-limit", "32"]
            let tooLong = try await KelterProcess.run(short, environment: world.environment.merging(endpoint) { $1 })
            #expect(tooLong.exitCode == 1 && tooLong.output.contains("CHUNK_OVER_LIMIT"), "\(tooLong.messages)")

            let arguments = ["reembed", "--model", "gross-256", "--dimension", "256", "--json"]
            let filled = try await KelterProcess.run(arguments, environment: world.environment.merging(endpoint) { $1 })
            #expect(filled.exitCode == 0, "\(filled.messages)")
            #expect(try filled.json["target"] == .string("standby"))
            #expect(try await world.rows(Self.vectors) == original, "the searched space is untouched")
            let show = try await world.kelter("vector-space", "show", "--json").json
            #expect(show["standby"]?["dimension"] == .int(256))

            // A document that comes now is in the searched space only, until the other one is filled up.
            try world.write("spaet.md", "# Nachtrag\n\nEin spätes Dokument.\n")
            try await world.succeed("ingest", world.documents)
            let early = try await world.kelter("vector-space", "switch")
            #expect(early.exitCode == 4 && early.messages.contains("VECTOR_SPACE_INCOMPLETE"))
            let rest = try await KelterProcess.run(arguments, environment: world.environment.merging(endpoint) { $1 })
            #expect(try rest.json["documents"] == .int(1))

            let compared = try await world.kelter("vector-space", "compare", "--samples", "20", "--json").json
            #expect(compared["samples"] == .int(20))
            #expect(compared["overlap"]?.double.map { (0...1).contains($0) } == true)

            // The older system's foreign key has another name.
            try await world.database.store.runScript(
                "ALTER TABLE rag.embeddings RENAME CONSTRAINT embeddings_collection_fk TO older_fk"
            )
            try await world.succeed("vector-space", "switch")
            #expect(try await world.rows("SELECT DISTINCT vector_dims(embedding) FROM rag.embeddings") == [["256"]])
            let old = try await world.kelter("query", "Nachtrag")
            #expect(old.exitCode == 4, "\(old.messages)")
            let new = world.environment.merging(endpoint) { $1 }.merging(settings) { $1 }
            let found = try await KelterProcess.run(["query", "Ein spätes Dokument.", "--json"], environment: new)
            #expect(found.exitCode == 0 && found.output.contains("spätes"), "\(found.messages)")
            #expect(
                try await world.rows(
                    "SELECT conrelid::regclass::text FROM pg_constraint WHERE confrelid = 'rag.collections'::regclass ORDER BY 1"
                ) == [["rag.chunks"], ["rag.documents"], ["rag.embeddings"]]
            )
            #expect(
                try await world.rows(
                    "SELECT indexdef LIKE '%USING hnsw (embedding vector_cosine_ops)%' FROM pg_indexes WHERE schemaname = 'rag' AND indexname = 'embeddings_embedding_hnsw'"
                )
                    == [["t"]]
            )
            let again = try await KelterProcess.run(["ingest", world.documents, "--json"], environment: new)
            #expect(try again.json["outcomes"]?["unchanged"] == .int(41), "\(again.messages)")

            try await world.succeed("vector-space", "switch")
            #expect(try await world.rows(Self.vectors).count == original.count + 1)
            #expect(Set(try await world.rows(Self.vectors)).isSuperset(of: original))
            try await world.succeed("query", "Nachtrag")
            // A document that the other space lacks holds the next switch back, unless that is meant.
            try world.write("noch-eins.md", "# Nachtrag\n\nNoch ein Dokument.\n")
            try await world.succeed("ingest", world.documents)
            let held = try await world.kelter("vector-space", "switch")
            #expect(held.exitCode == 4 && held.messages.contains("--allow-missing"), "\(held.messages)")
            let meant = try await world.kelter("vector-space", "switch", "--allow-missing", "--json")
            #expect(try meant.json["missing"] == .int(1), "\(meant.messages)")
            try await world.succeed("vector-space", "switch")
            #expect(try await world.kelter("vector-space", "drop").exitCode == 4)
            try await world.succeed("vector-space", "drop", "--yes")
            #expect(try await world.rows("SELECT to_regnamespace('rag_standby')") == [[nil]])
        }
    }

    @Test("a text that the model refuses fails its document only, and a model of the same width cannot slip in")
    func failures() async throws {
        var options = FaultInjectingEndpoint.Options()
        options.refusedMarker = "Unsinn"
        try await World.with(options) { world in
            try await ingest(world)
            try await world.database.store.runScript(
                "UPDATE rag.chunks SET text = 'Unsinn' WHERE document_id = (SELECT min(id::text)::uuid FROM rag.documents)"
            )
            let result = try await world.kelter("reembed", "--json")
            #expect(result.exitCode == 1)
            #expect(try result.json["documents"] == .int(39))
            // A run that got to its end is not taken up again: the next one does all documents.
            let again = try await world.kelter("reembed", "--json")
            #expect(try again.exitCode == 1 && again.json["documents"] == .int(39))
            #expect(try again.json["resumed_runs"] == .array([]))
            #expect(try result.json["failures"]?[0]?["code"] == .string("EMBEDDING_REFUSED"))
            try world.write("neu.md", "Noch ein Text.")
            let other = try await world.kelter(
                "ingest",
                world.documents,
                environment: ["EMBEDDINGS_MODEL_PRIMARY": "fremd"]
            )
            #expect(other.exitCode == 4 && other.messages.contains("EMB_MODEL_MISMATCH"), "\(other.messages)")
            let query = try await world.kelter("query", "Vorgang", environment: ["EMBEDDINGS_MODEL_PRIMARY": "fremd"])
            #expect(query.exitCode == 4 && query.messages.contains("EMB_MODEL_MISMATCH"))
        }
    }

    @Test("--rate holds the texts back")
    func rate() async throws {
        try await World.with { world in
            try await ingest(world)
            let chunks = try await world.count("SELECT count(*) FROM rag.chunks")
            let start = ContinuousClock.now
            // The first 32 of 40 documents go at once; the others wait until their time has come.
            try await world.succeed("reembed", "--rate", "\(Double(chunks) / 2)")
            #expect(ContinuousClock.now - start > .seconds(1))
            for rate in ["0", "-1", "nan"] {
                #expect(try await world.kelter("reembed", "--rate=\(rate)").exitCode == 2)
            }
        }
    }
}
