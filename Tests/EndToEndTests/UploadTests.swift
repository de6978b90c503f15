import Foundation
import KelterHashing
import KelterModel
import KelterStore
import KelterTestSupport
import Testing

/// `kelter upload`: one file, its scope in all four places, its guards.
@Suite struct UploadTests {
    private let a = "6f1c1d9e-0d5a-4b7e-9a53-2f1f6f0f7c11"
    private let b = "0b6a1f0e-8c1f-4f0a-9a9e-7d0e4a5b6c7d"
    private let text = "# Urlaub\n\nDer Jahresurlaub beträgt 30 Tage. Anträge gehen an die Personalabteilung.\n"

    /// The collection in `.meta.json`, `documents`, `chunks` and `embeddings` of every stored document.
    private func collections(_ world: World, _ report: JSONValue) async throws -> [[String?]] {
        var result: [[String?]] = []
        for document in report["documents"]?.array ?? [] {
            let path = try #require(document["meta_json"]?.string)
            let bytes = try Data(contentsOf: URL(filePath: "\(world.home)/objects/\(path)"))
            let metadata = try JSONReader.read([UInt8](bytes))
            let id = try #require(document["document_id"]?.string)
            let rows = try await world.rows(
                """
                SELECT d.collection_id, c.collection_id, e.collection_id FROM rag.documents d
                JOIN rag.chunks c ON c.document_id = d.id JOIN rag.embeddings e ON e.chunk_id = c.id
                WHERE d.id = '\(id)'
                """
            )
            #expect(!rows.isEmpty)
            for row in rows { result.append([metadata["collection_id"]?.string] + row) }
        }
        return result
    }

    @Test func `A header without body value is stored in all four places`() async throws {
        try await World.with { world in
            let file = try world.write("urlaub.md", text)
            let result = try await world.kelter("upload", file, "--header", "X-Collection-ID: \(a)", "--json")
            #expect(result.exitCode == 0, "\(result.messages)")
            let report = try result.json
            #expect(report["outcome"]?.string == "inserted")
            #expect(report["scope"]?["origin"]?.string == "header")
            #expect(report["scope"]?["collection_ids"] == .array([.string(a)]))
            #expect(report["hash"]?.string == (try SHA256.hash(text)).hex)
            #expect(try await collections(world, report) == [[a, a, a, a]])
            let metadata = try Data(
                contentsOf: URL(filePath: "\(world.home)/objects/\(report["meta_json"]?.string ?? "")")
            )
            // Exactly the collection and the external identifier.
            #expect(
                try JSONReader.read([UInt8](metadata))
                    == .object([("collection_id", .string(a)), ("external_id", report["external_id"] ?? .null)])
            )
        }
    }

    @Test func `A body value or a list wins and the header is reported as ignored`() async throws {
        try await World.with { world in
            let file = try world.write("urlaub.md", text)
            let header = "X-Collection-ID: \(a)"
            let body = try await world.kelter("upload", file, "--header", header, "--collection", b, "--json").json
            #expect(
                body["scope"]
                    == .object([
                        ("collection_ids", .array([.string(b)])), ("origin", .string("body")),
                        ("ignored", .array([.string("header")])),
                    ])
            )
            #expect(try await collections(world, body) == [[b, b, b, b]])
            let list = try await world.kelter(
                "upload",
                file,
                "--header",
                header,
                "--collection",
                b,
                "--collections",
                "\(a),\(b)",
                "--json"
            ).json
            #expect(
                list["scope"]
                    == .object([
                        ("collection_ids", .array([.string(a), .string(b)])), ("origin", .string("list")),
                        ("ignored", .array([.string("body"), .string("header")])),
                    ])
            )
            #expect(list["documents"]?.array?.compactMap { $0["outcome"]?.string } == ["inserted", "unchanged"])
            #expect(try await collections(world, list) == [[a, a, a, a], [b, b, b, b]])
        }
    }

    @Test func `A list of collections is embedded once`() async throws {
        try await World.with { world in
            let file = try world.write("urlaub.md", text)
            let report = try await world.kelter("upload", file, "--collections", "\(a),\(b)", "--json").json
            #expect(report["documents"]?.array?.count == 2)
            #expect(report["embedding_inputs"] == .int(1))
            #expect(try await world.count("SELECT count(*) FROM rag.embeddings") == 2)
        }
    }

    @Test func `The same file again costs no request; other bytes replace; other metadata updates`() async throws {
        try await World.with { world in
            let file = try world.write("urlaub.md", text)
            let arguments = ["upload", file, "--external-id", "urlaub", "--json"]
            func upload() async throws -> JSONValue {
                try await KelterProcess.run(arguments, environment: world.environment).json
            }
            #expect(try await upload()["outcome"]?.string == "inserted")
            let requests = world.endpoint.log.requests
            let again = try await upload()
            #expect(again["outcome"]?.string == "unchanged" && again["embedding_requests"] == .int(0))
            try world.write("urlaub.md.meta.json", #"{"title": "Urlaub", "owner": "HR"}"#)
            let updated = try await upload()
            #expect(updated["outcome"]?.string == "updated" && updated["embedding_requests"] == .int(0))
            #expect(world.endpoint.log.requests == requests)
            try world.write("urlaub.md", text + "\nNeu: Sonderurlaub bei Umzug.\n")
            let replaced = try await upload()
            #expect(replaced["outcome"]?.string == "replaced")
            let documents = try await world.rows("SELECT title, generation, metadata->>'owner' FROM rag.documents")
            #expect(documents == [["Urlaub", "2", "HR"]])
        }
    }

    @Test func `The same bytes under another name are a duplicate, in another scope a document`() async throws {
        try await World.with { world in
            let file = try world.write("a.md", text)
            let first = try await world.kelter("upload", file, "--external-id", "a", "--json").json
            let second = try await world.kelter("upload", file, "--external-id", "b", "--json").json
            #expect(second["outcome"]?.string == "duplicate")
            let original = first["documents"]?[0]?["document_id"]
            #expect(original != nil && second["documents"]?[0]?["duplicate_of"] == original)
            #expect(try await world.count("SELECT count(*) FROM rag.documents") == 1)
            #expect(try await world.count("SELECT count(*) FROM rag.sources") == 2)
            let third = try await world.kelter("upload", file, "--external-id", "a", "--collection", a, "--json").json
            #expect(third["outcome"]?.string == "inserted")
            #expect(try await world.count("SELECT count(*) FROM rag.documents") == 2)
        }
    }

    @Test func `An upload without name gets the digest of name, size and beginning`() async throws {
        try await World.with { world in
            let file = try world.write("urlaub.md", text)
            let report = try await world.kelter("upload", file, "--json").json
            let expected = try SHA256.hash("urlaub.md" + String(text.utf8.count) + text)
            #expect(report["external_id"]?.string == expected.hex)
        }
    }

    @Test func `Unchanged chunks keep their vectors when a document is replaced`() async throws {
        try await World.with { world in
            let sections = (0..<12).map { section in
                "## Abschnitt \(section)\n\n"
                    + String(repeating: "Satz \(section) über Wartung und Pflege der Anlage. ", count: 40)
            }
            let file = try world.write("a.md", sections.joined(separator: "\n\n"))
            let first = try await world.kelter("upload", file, "--external-id", "a", "--json").json
            let chunks = try #require(first["chunks"]?.int)
            #expect(chunks >= 10)
            var edited = sections
            edited[6] += "Ein neuer Satz."
            try world.write("a.md", edited.joined(separator: "\n\n"))
            let second = try await world.kelter("upload", file, "--external-id", "a", "--json").json
            #expect(second["outcome"]?.string == "replaced")
            let hits = try #require(second["cache_hits"]?.int)
            #expect(hits >= chunks - 3, "\(hits) of \(chunks)")
            #expect(second["embedding_inputs"]?.int == (second["chunks"]?.int ?? 0) - hits)
        }
    }

    @Test func `An upload that the ledger does not have in the end says so`() async throws {
        try await World.with { world in
            try await world.loseLedgerRows()
            let file = try world.write("a.md", text)
            let result = try await world.kelter("upload", file, "--external-id", "a", "--json")
            #expect(result.exitCode == 1)
            #expect((result.messages + result.output).contains("RUN_UNBALANCED"), "\(result.output)")
            #expect(try await world.rows("SELECT status FROM rag.runs") == [["failed"]])
        }
    }
}

extension World {
    /// Makes the database forget what is entered into the ledger, as no fault of its own would.
    func loseLedgerRows() async throws {
        try await database.store.runScript(
            """
            CREATE FUNCTION rag.forget() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$;
            CREATE TRIGGER forget BEFORE INSERT ON rag.run_items FOR EACH ROW EXECUTE FUNCTION rag.forget();
            """
        )
    }
}
