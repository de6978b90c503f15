import KelterModel
import KelterParsing
import Testing

/// SplitMix64: small, seeded, the same everywhere; https://prng.di.unimi.it/splitmix64.c.
private struct SeededGenerator: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ mixed >> 30) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ mixed >> 27) &* 0x94D0_49BB_1331_11EB
        return mixed ^ mixed >> 31
    }
}

@Suite("Random changes")
struct MutationTests {
    private static let pieces: [[UInt8]] = [
        "<", ">", "</", "\"", "'", "&", ";", "<!--", "-->", "<pre>", "</pre>", "<table>", "<td>", "<tr>", "</table>",
        "<h1>", "</h2>", "<li>", "<ul>", "<blockquote>", "<script>", "</script>", "<title>", "<br>", "\n\n", "```\n",
        "- ",
        "> ", "| ", "|-|\n", "~~", "[", "](", "---\n", "    ", "\u{A0}", "\u{3000}", "\u{AD}", "ä", "😀", "\0", "\r",
        "&#150;",
    ].map { Array($0.utf8) }

    private func mutated(_ sample: [UInt8], _ generator: inout SeededGenerator) -> [UInt8] {
        var bytes = sample
        for _ in 0..<Int.random(in: 1...8, using: &generator) where !bytes.isEmpty {
            let position = Int.random(in: 0..<bytes.count, using: &generator)
            let end = min(bytes.count, position + Int.random(in: 0...20, using: &generator))
            switch Int.random(in: 0..<4, using: &generator) {
            case 0: bytes.removeSubrange(position..<end)
            case 1: bytes[position] = UInt8.random(in: .min ... .max, using: &generator)
            case 2:
                bytes.insert(contentsOf: bytes[position..<end], at: Int.random(in: 0...bytes.count, using: &generator))
            default:
                let piece = Self.pieces[Int.random(in: 0..<Self.pieces.count, using: &generator)]
                bytes.insert(contentsOf: piece, at: position)
            }
        }
        return bytes
    }

    @Test(
        "Whatever is changed in a file, the result keeps its promises or is an error with a code",
        arguments: [
            ("a.txt", Samples.plainText), ("a.md", Samples.markdown), ("a.html", Samples.html),
            ("a.csv", StructuredTests.rows), ("a.json", StructuredTests.json), ("a.jsonl", StructuredTests.jsonLines),
            ("a.swift", Samples.plainText),
        ]
    )
    func promises(name: String, sample: String) throws {
        var generator = SeededGenerator(state: 2_026)
        var parsed = 0
        for round in 0..<500 {
            let bytes = mutated(Array(sample.utf8), &generator)
            do {
                let document = try DocumentParser().parse(bytes, name: name, mediaType: "text/plain; charset=latin1")
                    .document
                parsed += 1
                #expect(violations(of: document) == [], "round \(round)")
            } catch {
                let expected: [ErrorCode] = [
                    .binaryContent, .invalidEncoding, .unsupportedMediaType, .parserFailed,
                ]
                #expect(expected.contains(error.code), "round \(round): \(error)")
            }
        }
        #expect(parsed > 400)
    }

    @Test("The text does not depend on how it is cut for libxml2")
    func slices() throws {
        // Longer than a slice, so that every part of the sample comes to lie on a cut in some copy.
        let body = "<p>Größe &ouml; <b>x</b> 😀 &amp; </p><pre> a\n b</pre>"
        let once = try parse(body, name: "a.html")
        for padding in 0..<60 {
            let filler = "<p>" + String(repeating: "x", count: 65_536 - 40 + padding) + "</p>"
            let document = try parse(filler + body, name: "a.html")
            #expect(outline(document).dropFirst().elementsEqual(outline(once)))
        }
    }
}
