import KelterModel
import KelterTestSupport
import Testing

/// The documents with which four other libraries are tested: odd, damaged, encrypted, empty.
@Suite("Documents of other parsers' tests")
struct SampleDocumentsTests {
    @Test("each ends in an outcome, and those that fail say why")
    func outcomes() async throws {
        try await World.with { world in
            let directory = TestServer.partsDirectory + "/documents-test-venv/documents"
            let patterns = ["pdf", "docx", "pptx", "odt", "ods", "odp"].flatMap { ["--include", "*.\($0)"] }
            let result = try await KelterProcess.run(
                ["ingest", directory, "--json"] + patterns,
                environment: world.environment
            )
            #expect(result.exitCode == 1, "\(result.messages)")
            let report = try result.json
            #expect(report["balanced"] == .bool(true))
            let codes = (report["failures"]?.array ?? []).compactMap { $0["code"]?.string }
            #expect(codes.filter { $0 == "PARSER_ENCRYPTED" }.count == 11)
            // A document type declaration in an office document.
            #expect(codes.filter { $0 != "PARSER_ENCRYPTED" } == ["PARSER_FAILED"])
            let reasons = (report["skipped"]?.array ?? []).compactMap { $0["reason"]?.string }
            #expect(Set(reasons) == ["hidden", "no_text"])
            #expect(reasons.filter { $0 == "no_text" }.count < 50, "most of them have text")
            let stored = report["outcomes"]?["inserted"]?.int ?? 0
            #expect(stored > 140)
            #expect(try await world.count("SELECT count(*) FROM rag.documents") == stored)
            #expect(
                try await world.count("SELECT count(*) FROM rag.chunks WHERE text LIKE '%Category 1 | 4.3 | 2.4 | 2%'")
                    > 0,
                "charts have their values"
            )
        }
    }
}
