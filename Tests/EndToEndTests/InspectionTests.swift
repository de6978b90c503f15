import Foundation
import KelterModel
import KelterTestSupport
import Testing

/// `kelter parse` and `kelter chunk`: they show what `kelter ingest` does.
@Suite("Looking at files")
struct InspectionTests {
    private static let markdown = """
        ---
        title: Aus dem Kopf
        ---
        # Werkstatt

        Einleitung mit „Anführung“.

        ## Regeln

        - eins
        - zwei

        | Teil | Maß |
        | --- | --- |
        | Bolzen | 12 |


        """ + String(repeating: "Die Prüfung der Anlage erfolgt jährlich und wird im Protokoll vermerkt. ", count: 90)

    private func chunks(_ world: World, of name: String) async throws -> [[String?]] {
        try await world.rows(
            """
            SELECT c.ordinal, c.tokens, c.metadata->>'byte_start', c.metadata->>'byte_end', c.metadata->>'section_path',
                c.text
            FROM rag.chunks c JOIN rag.documents d ON d.id = c.document_id WHERE d.external_id = '\(name)'
            ORDER BY c.ordinal
            """
        )
    }

    @Test("the chunks that are shown are those that are stored, of small and of large files")
    func sameAsStored() async throws {
        var options = FaultInjectingEndpoint.Options()
        options.recordsTexts = false
        try await World.with(options) { world in
            try world.write("a.md", Self.markdown)
            try world.write("a.md.meta.json", #"{"title": "Vom Sidecar", "language": "de"}"#)
            let large = (0..<30_000).map {
                "Zeile \($0) über die Wartung der Anlage \($0 % 97), geprüft am Morgen.\r\n"
            }
            try world.write("large.txt", large.joined())
            try await world.succeed("ingest", world.documents)
            for name in ["a.md", "large.txt"] {
                let shown = try await world.kelter("chunk", world.documents + "/" + name, "--json").json
                let rows = (shown["chunks"]?.array ?? []).map { chunk in
                    [
                        chunk["ordinal"]?.int.map { "\($0)" }, chunk["tokens"]?.int.map { "\($0)" },
                        chunk["byte_start"]?.int.map { "\($0)" }, chunk["byte_end"]?.int.map { "\($0)" },
                        chunk["section_path"].map {
                            "[" + ($0.array ?? []).map(\.compactText).joined(separator: ", ") + "]"
                        },
                        chunk["text"]?.string,
                    ]
                }
                let stored = try await chunks(world, of: name)
                #expect(rows.count > 2 && rows == stored, "\(name)")
                let text = try await world.kelter("parse", "--text", world.documents + "/" + name).output
                let bytes = Array(text.utf8)
                #expect(shown["text_bytes"]?.int == bytes.count)
                for chunk in shown["chunks"]?.array ?? [] {
                    let (start, end) = (chunk["byte_start"]?.int ?? 0, chunk["byte_end"]?.int ?? 0)
                    #expect(chunk["text"]?.string == String(decoding: bytes[start..<end], as: UTF8.self))
                }
            }
        }
    }

    @Test("blocks have their places; overlaps are marked; what cannot be read says why")
    func output() async throws {
        try await World.with(appliesSchema: false) { world in
            let path = try world.write("a.md", Self.markdown)
            try world.write("a.md.meta.json", #"{"title": "Vom Sidecar", "language": "de"}"#)
            let parsed = try await world.kelter("parse", path, "--json").json
            #expect(parsed["media_type"]?.string == "text/markdown" && parsed["title"]?.string == "Vom Sidecar")
            #expect(parsed["language"]?.string == "de" && parsed["repairs"] == .object([]))
            let blocks = parsed["blocks"]?.array ?? []
            #expect(
                blocks.compactMap { $0["kind"]?.string } == [
                    "heading", "paragraph", "heading", "listItem", "listItem", "table", "paragraph",
                ]
            )
            #expect(blocks.last?["section_path"]?.array?.compactMap(\.string) == ["Werkstatt", "Regeln"])
            let text = Array(try await world.kelter("parse", "--text", path).output.utf8)
            for block in blocks {
                let (start, end) = (block["byte_start"]?.int ?? 0, block["byte_end"]?.int ?? 0)
                #expect(block["text"]?.string == String(decoding: text[start..<end], as: UTF8.self))
            }
            let lines = try await world.kelter("parse", path).output.split(separator: "\n")
            #expect(lines.count == 1 + blocks.count && lines[0].contains("title \"Vom Sidecar\""))
            #expect(lines[1].contains("heading 1") && lines[1].hasSuffix("Werkstatt"))

            let shown = try await world.kelter("chunk", path)
            #expect(shown.output.contains("── #0  ") && shown.output.contains("Werkstatt › Regeln"))
            #expect(shown.output.contains("\n⟪Die Prüfung"), "\(shown.output)")
            let profile = try await world.kelter("chunk", path, "--profile", "none")
            #expect(profile.exitCode == 2 && profile.messages.contains("embedding profile \"none\""))

            let latin = try world.write("latin.txt", bytes: [0x47, 0x72, 0xFC, 0xDF, 0x65, 0])
            let refused = try await world.kelter("parse", latin)
            #expect(refused.exitCode != 0 && refused.messages.contains("PARSER_INVALID_ENCODING"))
            let declared = try await world.kelter(
                "parse",
                latin,
                "--media-type",
                "text/plain; charset=latin1",
                "--json"
            )
            #expect(try declared.json["blocks"]?[0]?["text"]?.string == "Grüße")
            #expect(try declared.json["repairs"]?["transcoded"]?.int == 1)
            #expect(try declared.json["repairs"]?["nul_removed"]?.int == 1)
            let missing = try await world.kelter("parse", world.documents + "/none.txt")
            #expect(missing.exitCode == 2, "\(missing.messages)")
            let directory = try await world.kelter("chunk", world.documents)
            #expect(directory.exitCode == 2 && !directory.messages.isEmpty)
        }
    }
}
