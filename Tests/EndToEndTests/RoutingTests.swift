import Foundation
import KelterModel
import KelterStore
import KelterTestSupport
import Testing

/// Profiles and rules of `routing.yaml`: several vector spaces, one ledger.
@Suite struct RoutingTests {
    static let laws = "5f0c5a8e-3a0e-4f5d-9c39-0d7c3a5f1b11"
    static let other = "7d1f4c52-54a1-4e0b-8a3e-2b9d0c6a7e22"

    /// A world whose contracts go to a model with 64 dimensions in a schema of its own.
    func withSpaces(_ body: (World) async throws -> Void) async throws {
        var options = FaultInjectingEndpoint.Options()
        options.dimensions = ["law-model": 64]
        try await World.with(options) { world in
            var world = world
            try route(world, "{profile: legal, doc_class: contract}", "{profile: legal, collection: \(Self.laws)}")
            world.environment["RAG_ROUTING_RULES_PATH"] = world.home + "/routing.yaml"
            let applied = try await world.kelter("schema", "apply", "--json")
            #expect(try applied.json["schemas"] == .array([.string("rag"), .string("rag_legal")]))
            try await body(world)
        }
    }

    private func route(_ world: World, _ rules: String...) throws {
        let text = """
            vector_spaces: {rag: {dimension: 384}, rag_legal: {dimension: 64}}
            profiles:
              legal: {model: law-model, vector_space: rag_legal, price_per_million_tokens: 2}
            rules: [\(rules.joined(separator: ", "))]
            """
        try Data(text.utf8).write(to: URL(filePath: world.home + "/routing.yaml"))
    }

    @Test("A batch fills two vector spaces by rule, with one ledger, and a question goes to the right one")
    func batch() async throws {
        try await withSpaces { world in
            try world.write("handbuch.txt", "Der Urlaub ist bis Ende März anzutreten.")
            try world.write("vertrag.txt", "Der Mietvertrag endet ohne Kündigung nicht.")
            try world.write("vertrag.txt.meta.json", #"{"doc_class": "Contract"}"#)
            try world.write("gesetz.txt", "Jede Kündigung bedarf der Schriftform.")
            try world.write("gesetz.txt.meta.json", #"{"collection_id": "\#(Self.laws)"}"#)
            let result = try await world.kelter("ingest", world.documents, "--json")
            #expect(result.exitCode == 0, "\(result.messages)")
            let report = try result.json
            #expect(report["found"] == .int(3) && report["balanced"] == .bool(true))
            #expect(report["outcomes"]?["inserted"] == .int(3))
            let endpoint = try #require(report["endpoint"]?.array)
            #expect(endpoint.map { $0["profile"]?.string } == ["standard", "legal"])
            #expect(endpoint.map { $0["inputs"]?.int } == [1, 2])
            #expect(endpoint[0]["price"] == .null)
            let tokens = try #require(endpoint[1]["tokens"]?.int)
            #expect(abs((endpoint[1]["price"]?.double ?? 0) - Double(tokens) * 2e-6) < 1e-12)

            #expect(try await world.count("SELECT count(*) FROM rag.documents") == 1)
            #expect(try await world.count("SELECT count(*) FROM rag_legal.documents") == 2)
            #expect(
                try await world.count("SELECT count(*) FROM rag_legal.embeddings WHERE vector_dims(embedding) = 64")
                    == 2
            )
            #expect(try await world.count("SELECT count(*) FROM rag.run_items") == 3)
            #expect(try await world.count("SELECT count(*) FROM rag_legal.runs") == 0)
            let marks = try await world.rows(
                "SELECT DISTINCT embedding_profile, embedding_model, vector_space_id FROM rag_legal.documents"
            )
            #expect(marks == [["legal", "law-model", "rag_legal"]])

            let requests = world.endpoint.log.requests
            let again = try await world.kelter("ingest", world.documents, "--json").json
            #expect(again["outcomes"]?["unchanged"] == .int(3))
            #expect(world.endpoint.log.requests == requests)

            let found = try await world.kelter("query", "Kündigung Schriftform", "--collection", Self.laws, "--json")
                .json
            #expect(found["retrieval"]?["routing"]?["profile"] == .string("legal"))
            #expect(found["snippets"]?[0]?["text"] == .string("Jede Kündigung bedarf der Schriftform."))
            let contract = try await world.kelter("query", "Mietvertrag", "--profile", "legal", "--json").json
            #expect(contract["snippets"]?[0]?["text"] == .string("Der Mietvertrag endet ohne Kündigung nicht."))
            let plain = try await world.kelter("query", "Urlaub März", "--json").json
            #expect(plain["retrieval"]?["routing"]?["vector_space_id"] == .string("rag"))
            let both = try await world.kelter(
                "query",
                "Kündigung",
                "--collections",
                "\(Self.laws),\(Self.other)",
                "--json"
            )
            #expect(both.exitCode == 2 && both.messages.contains("ROUTE_CONFLICT"))
        }
    }

    @Test("One file in collections of two profiles becomes a document in each space")
    func split() async throws {
        try await withSpaces { world in
            let file = try world.write("beides.txt", "Ein Text für zwei Sammlungen.")
            let arguments = ["upload", file, "--collections", "\(Self.other),\(Self.laws)", "--json"]
            let result = try await KelterProcess.run(arguments, environment: world.environment)
            #expect(result.exitCode == 0, "\(result.messages)")
            let report = try result.json
            #expect(report["scope"]?["collection_ids"]?.array?.count == 2)
            #expect(report["documents"]?.array?.map { $0["collection_id"]?.string } == [Self.other, Self.laws])
            for (schema, collection) in [("rag", Self.other), ("rag_legal", Self.laws)] {
                let rows = try await world.rows("SELECT DISTINCT collection_id FROM \(schema).chunks")
                #expect(rows == [[collection]])
            }
            let again = try await KelterProcess.run(arguments, environment: world.environment).json
            #expect(again["outcome"] == .string("unchanged"))
        }
    }

    @Test("After a change of the rules --sync leaves a document in its new space only, and the totals add up")
    func moved() async throws {
        try await withSpaces { world in
            try world.write("a.txt", "Erster Text.")
            try world.write("b.txt", "Zweiter Text.")
            try await world.succeed("ingest", world.documents, "--json")
            #expect(try await world.count("SELECT count(*) FROM rag.documents WHERE deleted_at IS NULL") == 2)
            try route(world, "{profile: legal, tenant: dev-tenant}")
            let result = try await world.kelter("ingest", world.documents, "--sync", "--max-delete", "100%", "--json")
            #expect(result.exitCode == 0, "\(result.messages)")
            let report = try result.json
            #expect(report["balanced"] == .bool(true))
            #expect(report["outcomes"]?["inserted"] == .int(2) && report["outcomes"]?["deleted"] == .int(0))
            #expect(try await world.count("SELECT count(*) FROM rag.documents WHERE deleted_at IS NULL") == 0)
            #expect(try await world.count("SELECT count(*) FROM rag_legal.documents WHERE deleted_at IS NULL") == 2)
        }
    }

    @Test("A profile that does not exist, a space that is not there, and rules that contradict each other")
    func refusals() async throws {
        try await withSpaces { world in
            try world.write("a.txt", "Ein Text.")
            try world.write("b.txt", "Noch ein Text.")
            try world.write("b.txt.meta.json", #"{"embedding_profile": "unknown"}"#)
            let result = try await world.kelter("ingest", world.documents, "--json")
            #expect(result.exitCode == 1)
            #expect(try result.json["failures"]?[0]?["code"] == .string("EMB_UNKNOWN_PROFILE"))
            #expect(try result.json["outcomes"]?["inserted"] == .int(1))

            try await world.database.store.runScript("DROP SCHEMA rag_legal CASCADE")
            try world.write("c.txt", "Ein Vertrag.")
            try world.write("c.txt.meta.json", #"{"doc_class": "contract"}"#)
            let missing = try await world.kelter("ingest", world.documents, "--json")
            #expect(missing.exitCode == 4 && missing.messages.contains("SCHEMA_MISSING"))

            try route(world, "{profile: legal, doc_class: x}", "{profile: standard, doc_class: [y, x]}")
            let conflict = try await world.kelter("config")
            #expect(conflict.exitCode == 2 && conflict.messages.contains("ROUTE_CONFLICT"), "\(conflict.messages)")
        }
    }
}
