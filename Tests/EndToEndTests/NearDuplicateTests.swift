import Foundation
import KelterModel
import KelterTestSupport
import Testing

/// `RAG_NEAR_DUPLICATE_STRATEGY`.
@Suite("Near duplicates")
struct NearDuplicateTests {
    /// A text of 400 words; the edition changes one of them.
    private func text(_ number: Int, edition: Int = 0) -> String {
        let words = (0..<400).map { "wort\(($0 * 7919 + number * 104_729) % 3001)" }
        return (words[..<200] + ["ausgabe\(edition)"] + words[200...]).joined(separator: " ")
    }

    private func ingest(_ world: World, _ strategy: String, _ options: String...) async throws -> JSONValue {
        let result = try await KelterProcess.run(
            ["ingest", world.documents, "--json"] + options,
            environment: world.environment.merging(["RAG_NEAR_DUPLICATE_STRATEGY": strategy]) { $1 }
        )
        #expect(result.exitCode == 0, "\(result.messages)")
        let report = try result.json
        #expect(report["balanced"] == .bool(true), "\(report)")
        return report
    }

    private func outcomes(_ report: JSONValue) -> [String: Int] {
        (report["outcomes"]?.members ?? []).reduce(into: [:]) { result, member in
            if let count = member.value.int, count > 0 { result[member.name] = count }
        }
    }

    private func found(_ report: JSONValue) -> [String] {
        (report["near_duplicates"]?.array ?? []).map {
            "\($0["external_id"]?.string ?? ""): \($0["detail"]?.string ?? "")"
        }
    }

    @Test("they are reported by default, and stored like any other; with off nobody looks")
    func reported() async throws {
        try await World.with { world in
            try world.write("a.txt", text(1))
            try world.write("b.txt", text(2))
            #expect(found(try await ingest(world, "report")).isEmpty)
            try world.write("a2.txt", text(1, edition: 5))
            try world.write("c.txt", text(3))
            let report = try await ingest(world, "report")
            #expect(outcomes(report) == ["inserted": 2, "unchanged": 2])
            #expect(
                found(report).count == 1
                    && found(report)[0].hasPrefix("a2.txt: Nearly the same as a.txt: similarity 0.9")
            )
            // What is found in another scope, or is deleted, is none.
            try world.write("a3.txt", text(1, edition: 6))
            let collection = "6f1c1d9e-0d5a-4b7e-9a53-2f1f6f0f7c11"
            #expect(
                found(try await ingest(world, "report", "--collection", collection)).allSatisfy {
                    !$0.contains("b.txt")
                }
            )
            try world.write("b2.txt", text(2, edition: 7))
            #expect(found(try await ingest(world, "off")).isEmpty)
            // Also of what was stored while nobody looked nothing is told later.
            #expect(outcomes(try await ingest(world, "report"))["unchanged"] == 6)
            try await IndependentCheck(world).run()
        }
    }

    @Test("a file that changed a little is no near duplicate of itself", arguments: ["skip", "replace", "report"])
    func itself(_ strategy: String) async throws {
        try await World.with { world in
            try world.write("a.txt", text(1))
            try world.write("copy.txt", text(1))
            #expect(outcomes(try await ingest(world, strategy)) == ["inserted": 1, "duplicate": 1])
            try world.write("a.txt", text(1, edition: 1))
            let report = try await ingest(world, strategy)
            #expect(outcomes(report)["replaced"] == 1, "\(report)")
            #expect(try await world.count("SELECT count(*) FROM rag.chunks WHERE text LIKE '%ausgabe1%'") > 0)
            for edition in 2...3 {
                try world.write("a.txt", text(1, edition: edition))
                try world.write("copy.txt", text(1, edition: edition + 10))
                _ = try await ingest(world, strategy)
            }
            // It comes to rest.
            _ = try await ingest(world, strategy)
            let last = try await ingest(world, strategy)
            let (unchanged, duplicate) = (outcomes(last)["unchanged"] ?? 0, outcomes(last)["duplicate"] ?? 0)
            #expect(unchanged + duplicate == 2 && last["embedding_inputs"]?.int == 0, "\(last)")
            #expect(duplicate == 0 || strategy != "report")
            try await IndependentCheck(world).run()
        }
    }

    @Test("with skip they become sources of the document that is there, and cost no vector")
    func skipped() async throws {
        try await World.with { world in
            try world.write("a.txt", text(1))
            _ = try await ingest(world, "skip")
            for edition in 1...5 { try world.write("a\(edition).txt", text(1, edition: edition)) }
            try world.write("b.txt", text(2))
            let report = try await ingest(world, "skip")
            #expect(outcomes(report) == ["inserted": 1, "duplicate": 5, "unchanged": 1], "\(report)")
            #expect(found(report).count == 5)
            #expect(try await world.count("SELECT count(*) FROM rag.documents") == 2)
            #expect(report["embedding_inputs"] == report["chunks"] && (report["chunks"]?.int ?? 0) > 1)
            // Known from now on, by their own bytes.
            let again = try await ingest(world, "skip")
            #expect(outcomes(again) == ["duplicate": 5, "unchanged": 2] && again["embedding_inputs"]?.int == 0)
            // Changed so that it is nearly the same no longer, one becomes a document of its own.
            try world.write("a3.txt", text(9))
            #expect(outcomes(try await ingest(world, "skip")) == ["replaced": 1, "duplicate": 4, "unchanged": 2])
            // The last source of the document keeps it.
            for name in ["a", "a1", "a2", "a4"] {
                try FileManager.default.removeItem(atPath: "\(world.documents)/\(name).txt")
            }
            let synced = try await ingest(world, "skip", "--sync", "--max-delete", "100%")
            #expect(synced["outcomes"]?["deleted"]?.int == 4)
            let names = try await world.rows(
                "SELECT external_id FROM rag.documents WHERE deleted_at IS NULL ORDER BY 1"
            )
            #expect(names == [["a3.txt"], ["a5.txt"], ["b.txt"]])
            // From then on it is that source's own content.
            #expect(outcomes(try await ingest(world, "skip")) == ["replaced": 1, "unchanged": 2])
            #expect(try await world.count("SELECT count(*) FROM rag.chunks WHERE text LIKE '%ausgabe5%'") > 0)
            #expect(outcomes(try await ingest(world, "skip")) == ["unchanged": 3])
            try await IndependentCheck(world).run()
        }
    }

    @Test("with replace they take the place of the document that is there")
    func replaced() async throws {
        try await World.with { world in
            try world.write("a.txt", text(1))
            _ = try await ingest(world, "replace")
            let document = try await world.rows("SELECT id FROM rag.documents")
            try world.write("neu.txt", text(1, edition: 1))
            let report = try await ingest(world, "replace")
            #expect(outcomes(report) == ["replaced": 1, "unchanged": 1], "\(report)")
            #expect(try await world.rows("SELECT id FROM rag.documents") == document)
            #expect(try await world.rows("SELECT external_id FROM rag.documents") == [["neu.txt"]])
            #expect(try await world.count("SELECT count(*) FROM rag.chunks WHERE text LIKE '%ausgabe1%'") > 0)
            #expect(try await world.count("SELECT count(*) FROM rag.chunks WHERE text LIKE '%ausgabe0%'") == 0)
            // Neither takes it back from the other.
            for _ in 0..<2 {
                #expect(outcomes(try await ingest(world, "replace")) == ["duplicate": 1, "unchanged": 1])
            }
            // Of files that come together, whatever their order, one document is left.
            for edition in 2...9 { try world.write("neu\(edition).txt", text(1, edition: edition)) }
            #expect(outcomes(try await ingest(world, "replace")) == ["replaced": 8, "duplicate": 1, "unchanged": 1])
            #expect(try await world.count("SELECT count(*) FROM rag.documents") == 1)
            #expect(try await world.count("SELECT count(*) FROM rag.sources") == 10)
            #expect(outcomes(try await ingest(world, "replace")) == ["duplicate": 9, "unchanged": 1])
            try await IndependentCheck(world).run()
        }
    }
}
