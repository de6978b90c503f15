import KelterChunking
import KelterModel
import Testing

@Suite("The chunker")
struct ChunkerTests {
    private let small = EmbeddingProfile.test(target: 100, maximum: 120, overlap: 20)

    /// A sentence of so many one-token words.
    private func sentence(_ words: Int, _ name: String = "Wort") -> String {
        Array(repeating: name, count: words - 1).joined(separator: " ") + " Ende."
    }

    private func chunks(_ document: ParsedDocument, title: String? = nil) throws -> [Chunk] {
        try Chunker(profile: small, tokenCounter: WordCounter()).chunks(of: document, title: title)
    }

    @Test("an empty document has no chunks")
    func empty() throws {
        #expect(try chunks(ParsedDocument(text: [], blocks: [])).isEmpty)
        #expect(try chunks(ParsedDocument(text: Array("x".utf8), blocks: [Block(.paragraph, range: 0..<0)])).isEmpty)
    }

    @Test("a short document is one chunk with its title as context")
    func short() throws {
        var builder = DocumentBuilder()
        builder.add(.paragraph, "Erste  Zeile\nzweite Zeile.", page: 3)
        let chunk = try #require(try chunks(builder.document, title: " Ein\nTitel ").first)
        #expect(chunk.body == "Erste  Zeile\nzweite Zeile.")
        #expect(chunk.embeddedText == "passage: Ein Titel: Erste Zeile zweite Zeile.")
        #expect(chunk.range == 0..<26)
        #expect(chunk.place == .page(3))
        #expect(chunk.section == .root)
    }

    @Test("every chunk of a table is embedded with the names of its columns and knows its first row")
    func tables() throws {
        var builder = DocumentBuilder()
        builder.heading("Preise")
        builder.table(["Teil | Preis"] + (1...60).map { "Bolzen \($0) | \($0) Euro" }, fromRow: 4)
        let chunks = try chunks(builder.document, title: "Liste")
        #expect(chunks.count > 3)
        #expect(chunks[0].tableHeader == nil)
        #expect(chunks[0].embeddedText.hasPrefix("passage: Liste: Preise Teil | Preis Bolzen 1 | 1 Euro"))
        let chunker = try Chunker(profile: small, tokenCounter: WordCounter())
        for chunk in chunks.dropFirst() {
            #expect(chunk.tableHeader == "Teil | Preis")
            #expect(chunk.body.hasPrefix("Bolzen") && chunk.tokens <= small.targetTokens)
            let number = try #require(Int(chunk.body.split(separator: " ")[1]))
            #expect(chunk.place == .row(4 + number))
            #expect(chunk.embeddedText.hasPrefix("passage: Liste > Preise: Teil | Preis Bolzen \(number) |"))
            // What is stored of the chunk is enough to make the same text again.
            let again = chunker.inputs(
                forStored: chunk.body,
                section: chunk.section.headings,
                title: "Liste",
                tableHeader: chunk.tableHeader
            )
            #expect(again.map(\.text).contains(chunk.embeddedText))
        }
    }

    @Test("names of columns that would take a quarter of the chunk are not repeated")
    func wideTables() throws {
        var builder = DocumentBuilder()
        builder.table([sentence(30)] + (1...60).map { "Bolzen \($0) | \($0) Euro" }, fromRow: 1)
        for chunk in try chunks(builder.document) { #expect(chunk.tableHeader == nil) }
    }

    @Test("the document's own title is used when there is no other")
    func ownTitle() throws {
        var builder = DocumentBuilder()
        builder.add(.paragraph, "Text.")
        var document = builder.document
        document.title = "Eigener"
        #expect(try chunks(document).first?.embeddedText == "passage: Eigener: Text.")
        #expect(try chunks(document, title: "Anderer").first?.embeddedText == "passage: Anderer: Text.")
    }

    @Test("headings are context for later chunks of a section and not repeated where the text begins with them")
    func headings() throws {
        var builder = DocumentBuilder()
        builder.heading("Kap")
        builder.heading("Teil", under: ["Kap"])
        for _ in 0..<4 { builder.add(.paragraph, sentence(40)) }
        let chunks = try chunks(builder.document, title: "Buch")
        #expect(chunks.count > 1)
        #expect(chunks[0].embeddedText.hasPrefix("passage: Buch: Kap Teil Wort"))
        #expect(chunks[0].section == SectionPath(["Kap"]))
        #expect(chunks[1].embeddedText.hasPrefix("passage: Buch > Kap > Teil: Wort"))
        #expect(chunks[1].section == SectionPath(["Kap", "Teil"]))
    }

    @Test("a first heading that repeats the title stands once")
    func repeatedTitle() throws {
        var builder = DocumentBuilder()
        builder.heading("Buch")
        for _ in 0..<4 { builder.add(.paragraph, sentence(40)) }
        let chunks = try chunks(builder.document, title: "Buch")
        #expect(chunks[1].embeddedText.hasPrefix("passage: Buch: Wort"))
    }

    @Test(
        "a header is bounded however long titles and headings are",
        arguments: [
            String(repeating: "Titel ", count: 500), String(repeating: "x", count: 5000),
        ]
    )
    func boundedHeader(long: String) throws {
        var builder = DocumentBuilder()
        builder.heading("Kurz", under: (0..<30).map { "\(long) \($0)" })
        for _ in 0..<4 { builder.add(.paragraph, sentence(40)) }
        let last = try #require(try chunks(builder.document, title: long).last)
        let body = last.body.split(whereSeparator: \.isWhitespace).joined(separator: " ")
        let counter = WordCounter()
        #expect(last.tokens - counter.specialTokens - counter.count("passage: ") - counter.count(body) <= 100 / 7)
        #expect(last.embeddedText.contains("Kurz"))
    }

    @Test("short sections are merged with what follows them, up to a quarter of the target")
    func smallSections() throws {
        var builder = DocumentBuilder()
        for number in 0..<6 {
            builder.heading("H\(number)", under: ["Kap"])
            builder.add(.paragraph, sentence(11))
        }
        let chunks = try chunks(builder.document)
        try #require(chunks.count == 3)
        #expect(chunks.allSatisfy { $0.section == SectionPath(["Kap"]) })
        #expect(chunks[1].body.hasPrefix("H2"))
    }

    @Test("sections of some length are not merged")
    func largeSections() throws {
        var builder = DocumentBuilder()
        for number in 0..<4 {
            builder.heading("H\(number)", under: ["Kap"])
            builder.add(.paragraph, sentence(70))
        }
        let chunks = try chunks(builder.document)
        #expect(chunks.map(\.section.headings) == (0..<4).map { ["Kap", "H\($0)"] })
    }

    @Test("no chunk ends behind a heading while text follows")
    func headingStaysWithText() throws {
        for length in 20..<90 {
            var builder = DocumentBuilder()
            builder.heading("Eins", under: ["Kap"])
            builder.add(.paragraph, sentence(6))
            builder.heading("Zwei", under: ["Kap"])
            builder.add(.paragraph, sentence(length))
            builder.add(.paragraph, sentence(length))
            builder.heading("Drei", under: ["Kap"])
            builder.add(.paragraph, sentence(80) + " " + sentence(80))
            let chunks = try chunks(builder.document)
            for heading in ["Eins", "Zwei", "Drei"] {
                #expect(chunks.allSatisfy { !$0.body.hasSuffix(heading) }, "length \(length)")
            }
        }
    }

    @Test("a chunk ends with a paragraph if one ends in its last third")
    func paragraphEnds() throws {
        var builder = DocumentBuilder()
        builder.add(.paragraph, sentence(40) + " " + sentence(35, "Eins"))
        builder.add(.paragraph, sentence(10, "Zwei") + " " + sentence(60, "Zwei"))
        let chunks = try chunks(builder.document)
        #expect(chunks[0].body.hasSuffix("Eins Ende."))
    }

    @Test("whole sentences are repeated from the chunk before")
    func overlap() throws {
        var builder = DocumentBuilder()
        builder.add(.paragraph, (0..<30).map { sentence(8, "S\($0)") }.joined(separator: " "))
        let chunks = try chunks(builder.document)
        for (previous, chunk) in zip(chunks, chunks.dropFirst()) {
            let repeated = previous.range.upperBound - chunk.range.lowerBound
            #expect(repeated > 0)
            let text = String(
                decoding: builder.document.text[chunk.range.lowerBound..<previous.range.upperBound],
                as: UTF8.self
            )
            #expect(text.hasSuffix("Ende. ") && text.split(separator: "Ende.").count == 3)
        }
    }

    @Test("a sentence longer than the overlap is not repeated")
    func noOverlap() throws {
        var builder = DocumentBuilder()
        builder.add(.paragraph, (0..<6).map { sentence(30, "S\($0)") }.joined(separator: " "))
        let chunks = try chunks(builder.document)
        #expect(chunks.count > 1)
        #expect(zip(chunks, chunks.dropFirst()).allSatisfy { $0.range.upperBound == $1.range.lowerBound })
    }

    @Test("nothing is repeated from another section")
    func overlapAcrossSections() throws {
        var builder = DocumentBuilder()
        builder.section(["K", "A"])
        builder.add(.paragraph, sentence(9) + " " + sentence(9))
        builder.section(["K", "B"])
        builder.add(.paragraph, sentence(77) + " " + sentence(77))
        let chunks = try chunks(builder.document)
        try #require(chunks.count == 3)
        #expect(chunks[0].section == SectionPath(["K", "A"]))
        #expect(chunks[1].section == SectionPath(["K", "B"]))
        #expect(chunks[1].range.lowerBound > chunks[0].range.upperBound)
    }

    @Test("a short rest joins the chunk before it when the hard limit allows")
    func shortRest() throws {
        var builder = DocumentBuilder()
        builder.add(.paragraph, sentence(90))
        builder.add(.paragraph, sentence(15))
        let chunks = try chunks(builder.document)
        #expect(chunks.count == 1)
        #expect(chunks[0].tokens > 100 && chunks[0].tokens <= 120)
    }

    @Test("tables and code are cut at line ends")
    func lines() throws {
        for kind in [Block.Kind.table, .code] {
            var builder = DocumentBuilder()
            builder.add(kind, (0..<100).map { "| Zeile. Noch | \($0) |" }.joined(separator: "\n"))
            let chunks = try chunks(builder.document)
            #expect(chunks.count > 3)
            #expect(chunks.allSatisfy { $0.body.hasPrefix("| Zeile.") })
            #expect(zip(chunks, chunks.dropFirst()).allSatisfy { $0.range.upperBound == $1.range.lowerBound })
        }
    }

    @Test(
        "a giant word is cut between characters",
        arguments: [("x", 100_000), ("ä", 5000), ("👨‍👩‍👧‍👦", 1000), ("e\u{301}", 5000)]
    )
    func giantWord(character: String, count: Int) throws {
        var builder = DocumentBuilder()
        builder.add(.paragraph, String(repeating: character, count: count))
        let document = builder.document
        let counter = try Weights.tokenizer.get()
        let chunks = try Chunker(profile: .test(), tokenCounter: counter).chunks(of: document, title: "Titel")
        #expect(chunks.map(\.body).joined() == String(repeating: character, count: count))
        #expect(chunks.allSatisfy { $0.tokens <= 512 && $0.range.lowerBound % character.utf8.count == 0 })
    }

    @Test("a single character of 4,000 combining marks is cut between scalars")
    func giantCharacter() throws {
        var builder = DocumentBuilder()
        builder.add(.paragraph, "e" + String(repeating: "\u{301}\u{302}", count: 2000))
        for counter in [ByteTokenCounter(), try Weights.tokenizer.get()] as [any TokenCounter] {
            let chunks = try Chunker(profile: .test(), tokenCounter: counter).chunks(of: builder.document, title: nil)
            #expect(chunks.allSatisfy { $0.tokens <= 512 })
            #expect(chunks.last?.range.upperBound == builder.document.text.count)
        }
    }

    @Test("a giant word keeps the limit of every exact tokenizer", arguments: Installed.allCases)
    func giantWord(kind: Installed) throws {
        for word in [String(repeating: "x", count: 20_000), String(repeating: "中文", count: 3000)] {
            var builder = DocumentBuilder()
            builder.add(.paragraph, word)
            let counter = try kind.tokenizer()
            let chunker = try Chunker(profile: .test(target: 100, maximum: 100, overlap: 20), tokenCounter: counter)
            let chunks = try chunker.chunks(of: builder.document, title: "Titel")
            #expect(chunks.map(\.body).joined() == word)
            #expect(chunks.allSatisfy { counter.count($0.embeddedText) + counter.specialTokens <= 100 })
        }
    }

    @Test("blocks that do not fit the text are an error")
    func wrongBlocks() {
        let text = Array("abc".utf8)
        for blocks in [
            [Block(.paragraph, range: 0..<4)], [Block(.paragraph, range: 0..<2, section: 7)],
            [Block(.paragraph, range: 1..<3), Block(.paragraph, range: 0..<1)],
        ] {
            let error = #expect(throws: KelterError.self) { try chunks(ParsedDocument(text: text, blocks: blocks)) }
            #expect(error?.code == .internalError)
        }
    }
}
