import Foundation
import Glibc
import KelterModel
import KelterTestSupport
import Testing

/// `kelter ingest` of a text that does not fit into memory with its chunks and vectors.
@Suite("Large texts, end to end")
struct LargeTextTests {
    /// Some three megabytes, no paragraph like another.
    private static let text: [UInt8] = {
        var text: [UInt8] = []
        var number = 0
        while text.count < 3_000_000 {
            text += Array(
                """
                Protokoll \(number): die Prüfung der Anlage \(number % 97) erfolgt jährlich. Abweichungen über \
                \(number % 13) mm sind zu melden.\r
                The inspection of machine \(number % 89) is recorded in log \(number &* 7919 % 1_000_003).\r\n\r\n
                """.utf8
            )
            number += 1
        }
        return text
    }()

    @Test("one is stored whole; what was paid for before a kill is not paid again, and an edit costs what it changes")
    func wholeText() async throws {
        var options = FaultInjectingEndpoint.Options()
        options.recordsTexts = false
        options.latency = .milliseconds(50)
        try await World.with(options) { world in
            try world.write("large.log", bytes: Self.text)
            try world.write("small.txt", "Ein kleiner Text.")
            let plan = try await world.kelter("ingest", "--plan", "--json", world.documents).json
            let planned = try #require(plan["estimate"]?["inputs"]?.int)
            #expect(planned > 1_500 && world.endpoint.log.inputs == 0)

            let process = try KelterProcess(["ingest", world.documents], environment: world.environment)
            try await waitUntil("a part of the vectors") { world.endpoint.log.inputs > 500 }
            process.send(SIGKILL)
            _ = try await process.finish()
            #expect(try await world.count("SELECT count(*) FROM rag.documents WHERE external_id = 'large.log'") == 0)
            let paid = try await world.count("SELECT count(*) FROM rag.embedding_cache")
            let asked = world.endpoint.log.inputs

            let result = try await world.kelter("ingest", world.documents, "--json")
            let report = try result.json
            #expect(result.exitCode == 0 && report["balanced"] == .bool(true), "\(result.messages)")
            #expect(report["outcomes"]?["failed"]?.int == 0)
            // And a few by which the model is told.
            #expect(world.endpoint.log.inputs - asked <= planned - paid + 4)
            try await check(world, Self.text, name: "large.log")
            try await IndependentCheck(world).run()
            let before = try await ids(world)
            #expect(before.count == planned - 1)

            let changed = Self.text + Array("Nachtrag: alles wurde geprüft.\r\n".utf8)
            try world.write("large.log", bytes: changed)
            let asked2 = world.endpoint.log.inputs
            let again = try await world.kelter("ingest", world.documents, "--json").json
            #expect(again["outcomes"]?["replaced"]?.int == 1 && again["outcomes"]?["unchanged"]?.int == 1)
            #expect((1...20).contains(world.endpoint.log.inputs - asked2))
            try await check(world, changed, name: "large.log")
            #expect(before.subtracting(try await ids(world)).count <= 20)
        }
    }

    @Test("one in an archive, and one in another encoding; a page of that size is parsed as before")
    func otherKinds() async throws {
        var options = FaultInjectingEndpoint.Options()
        options.recordsTexts = false
        try await World.with(options) { world in
            let text = Array(Self.text.prefix(2_200_000))
            try world.write("packed/in.txt", bytes: text)
            let tar = Process()
            tar.executableURL = URL(filePath: "/bin/tar")
            tar.arguments = ["-czf", world.documents + "/a.tar.gz", "-C", world.documents + "/packed", "in.txt"]
            try tar.run()
            tar.waitUntilExit()
            #expect(tar.terminationStatus == 0)
            try FileManager.default.removeItem(atPath: world.documents + "/packed")
            let latin =
                Array("Größe ".unicodeScalars.map { UInt8($0.value) }) + text.filter { $0 < 0x80 }
            try world.write("latin.txt", bytes: latin)
            try world.write("latin.txt.meta.json", #"{"media_type": "text/plain; charset=latin1", "title": "Größen"}"#)
            try world.write("broken.txt", bytes: text + [0xFF])
            try world.write("page.html", "<h1>Seite</h1><p>" + String(decoding: text, as: UTF8.self))
            let result = try await world.kelter("ingest", world.documents, "--json", "--jobs", "2")
            let report = try result.json
            #expect(report["outcomes"]?["inserted"]?.int == 3 && report["outcomes"]?["failed"]?.int == 1)
            let failed = try await world.rows("SELECT external_id, code FROM rag.run_items WHERE outcome = 'failed'")
            #expect(failed == [["broken.txt", "PARSER_INVALID_ENCODING"]])
            try await check(world, text, name: "a.tar.gz/in.txt")
            try await check(world, Array("Größe ".utf8) + latin.dropFirst(6), name: "latin.txt")
            let titles = try await world.rows(
                """
                SELECT DISTINCT c.metadata->>'title' FROM rag.chunks c JOIN rag.documents d ON d.id = c.document_id
                WHERE d.external_id = 'latin.txt'
                """
            )
            #expect(titles == [["Größen"]])
            let sections = try await world.count(
                """
                SELECT count(DISTINCT c.metadata->'section_path') FROM rag.chunks c
                JOIN rag.documents d ON d.id = c.document_id WHERE d.external_id = 'page.html'
                """
            )
            #expect(sections == 1)
            try await IndependentCheck(world).run()
        }
    }

    private func ids(_ world: World) async throws -> Set<String?> {
        Set(
            try await world.rows(
                """
                SELECT c.id FROM rag.chunks c JOIN rag.documents d ON d.id = c.document_id
                WHERE d.external_id = 'large.log'
                """
            ).map { $0[0] }
        )
    }

    /// Holds the chunks of a document against the file: each is the text at its place, and only white space is in none.
    private func check(_ world: World, _ file: [UInt8], name: String) async throws {
        let text = Array(String(decoding: file, as: UTF8.self).replacing("\r\n", with: "\n").utf8)
        let rows = try await world.rows(
            """
            SELECT c.ordinal, c.text, c.metadata->>'byte_start', c.metadata->>'byte_end', e.chunk_id IS NOT NULL
            FROM rag.chunks c JOIN rag.documents d ON d.id = c.document_id
            LEFT JOIN rag.embeddings e ON e.chunk_id = c.id WHERE d.external_id = '\(name)' ORDER BY c.ordinal
            """
        )
        #expect(!rows.isEmpty)
        var (end, wrong) = (0, 0)
        for (ordinal, row) in rows.enumerated() {
            let (start, next) = (row[2].flatMap { Int($0) } ?? -1, row[3].flatMap { Int($0) } ?? -1)
            guard row[0] == "\(ordinal)", row[4] == "t", start >= 0, next > start, next <= text.count,
                row[1] == String(decoding: text[start..<next], as: UTF8.self)
            else {
                wrong += 1
                continue
            }
            if start > end { wrong += text[end..<start].count { $0 > 0x20 } }
            end = max(end, next)
        }
        #expect(wrong == 0 && text[end...].allSatisfy { $0 <= 0x20 }, "\(name): \(wrong) of \(rows.count)")
    }
}
