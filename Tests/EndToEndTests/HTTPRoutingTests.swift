import KelterModel
import Testing

/// Uploads, queries and deletions over HTTP where the rules know several vector spaces.
@Suite("HTTP: routing", .serialized)
struct HTTPRoutingTests {
    @Test("an upload goes to the space of its profile, is found there, and is removed from there")
    func routed() async throws {
        try await RoutingTests().withSpaces { world in
            try await world.registerTenants()
            let key = "an internal key of a test"
            try await HTTPServerProcess.with(world, environment: ["RAG_INTERNAL_KEYS": key]) { server in
                let accepted = try await server.upload(
                    "gesetz.txt",
                    "Jede Kündigung bedarf der Schriftform.",
                    headers: ["X-Collection-ID": RoutingTests.laws]
                )
                #expect(accepted.status == 202, "\(accepted.text)")
                let document = try #require(accepted.json["document_id"]?.string)
                let run = try await server.finished(try #require(accepted.json["ingestion_run_id"]?.string))
                #expect(run["status"] == .string("succeeded"), "\(run.compactText)")
                #expect(run["embedding_profile"] == .string("legal"))
                #expect(try await world.rows("SELECT id FROM rag_legal.documents") == [[document]])
                #expect(try await world.count("SELECT count(*) FROM rag.documents") == 0)

                let answer = try await server.query(
                    "Schriftform der Kündigung",
                    filters: .object([("collection_ids", .array([.string(RoutingTests.laws)]))])
                )
                #expect(answer.status == 200, "\(answer.text)")
                #expect(answer.json["retrieval"]?["routing"]?["profile"] == .string("legal"))
                let divided = try await server.query(
                    "Schriftform",
                    filters: .object([
                        ("collection_ids", .array([.string(RoutingTests.laws), .string(RoutingTests.other)]))
                    ])
                )
                #expect(divided.status == 400 && divided.json["code"] == .string("ROUTE_CONFLICT"))
                let both = try await server.upload(
                    "beides.txt",
                    "Zwei Sammlungen.",
                    metadata: #"{"collection_ids": ["\#(RoutingTests.laws)", "\#(RoutingTests.other)"]}"#
                )
                #expect(both.status == 400 && both.json["code"] == .string("ROUTE_CONFLICT"))

                let removed = try await server.post(
                    "/ai/rag/admin/hard-delete/",
                    .object([
                        ("tenant_id", .string("dev-tenant")), ("document_ids", .array([.string(document)])),
                        ("reason", .string("Art. 17")), ("ticket_ref", .string("T-1")),
                    ]),
                    headers: ["X-Internal-Key": key]
                )
                #expect(removed.json["deleted_ids"] == .array([.string(document)]), "\(removed.text)")
                #expect(removed.json["not_found_ids"] == .array([]))
                for table in ["documents", "chunks", "embeddings", "sources", "embedding_cache"] {
                    #expect(try await world.count("SELECT count(*) FROM rag_legal.\(table)") == 0)
                }
                #expect(world.objects.isEmpty)
            }
            // What is left of a tenant in any space goes with it.
            let file = try world.write("vertrag.txt", "Ein Vertrag.")
            let collection = RoutingTests.laws
            try await world.succeed("upload", file, "--collection", collection)
            let gone = try await world.kelter("delete-tenant", "--schema", "dev", "--confirm", "dev", "--json")
            #expect(try gone.json["documents"] == .int(1), "\(gone.messages)")
            #expect(try await world.count("SELECT count(*) FROM rag_legal.documents") == 0)
            #expect(try await world.count("SELECT count(*) FROM rag_legal.embedding_cache") == 0)
        }
    }
}
