import Foundation
import KelterChunking
import KelterModel
import Testing

@Suite("Chunks of random documents")
struct ChunkerPropertyTests {
    /// A counter with limits that suit it.
    enum Counter: String, CaseIterable {
        case bytes, words, growing, exact, cl100k, o200k, wordPiece

        func make() throws -> any TokenCounter {
            switch self {
            case .bytes: ByteTokenCounter()
            case .words: WordCounter()
            case .growing: GrowingCounter()
            case .exact: try Weights.tokenizer.get()
            case .cl100k: try Installed.cl100k.tokenizer()
            case .o200k: try Installed.o200k.tokenizer()
            case .wordPiece: try Installed.wordPiece.tokenizer()
            }
        }

        var profile: EmbeddingProfile {
            switch self {
            case .bytes: .test(target: 900, maximum: 1000, overlap: 160)
            case .words, .growing: .test(target: 100, maximum: 120, overlap: 20)
            case .exact: .test()
            // Without room between target and limit, so that sums that count too little would show.
            case .cl100k, .o200k, .wordPiece: .test(target: 100, maximum: 100, overlap: 20)
            }
        }
    }

    @Test("keep every promise", arguments: Counter.allCases, 0..<25 as Range<UInt64>)
    func promises(kind: Counter, seed: UInt64) throws {
        let document = RandomText.document(seed: seed)
        let counter = try kind.make()
        let profile = kind.profile
        let chunker = try Chunker(profile: profile, tokenCounter: counter)
        let chunks = try chunker.chunks(of: document, title: "Ein Titel")
        #expect(try chunker.chunks(of: document, title: "Ein Titel") == chunks, "not deterministic")
        #expect(chunks.map(\.ordinal) == Array(0..<chunks.count))

        var isCovered = [Bool](repeating: false, count: document.text.count)
        for chunk in chunks {
            #expect(Array(chunk.body.utf8) == Array(document.text[chunk.range]))
            for byte in chunk.range { isCovered[byte] = true }
            let first = document.blocks.last { $0.range.lowerBound <= chunk.range.lowerBound }
            #expect(first?.kind == .code || chunk.body.first?.isWhitespace == false)
            #expect(chunk.tokens == counter.count(chunk.embeddedText) + counter.specialTokens)
            #expect(chunk.tokens <= profile.maximumTokens)
            #expect(chunk.embeddedText.hasPrefix(profile.passagePrefix))
            #expect(!chunk.embeddedText.contains("  ") && !chunk.embeddedText.contains("\n"))
            let composed = chunk.embeddedText.precomposedStringWithCanonicalMapping
            #expect(Array(composed.utf8) == Array(chunk.embeddedText.utf8))
        }
        for block in document.blocks {
            #expect(block.range.allSatisfy { isCovered[$0] }, "a byte of a block is in no chunk")
        }
        for (previous, chunk) in zip(chunks, chunks.dropFirst()) {
            #expect(previous.range.lowerBound < chunk.range.lowerBound)
            #expect(previous.range.upperBound < chunk.range.upperBound)
            let overlap = chunk.range.lowerBound..<max(chunk.range.lowerBound, previous.range.upperBound)
            guard !overlap.isEmpty else { continue }
            let repeated = String(decoding: document.text[overlap], as: UTF8.self)
            let collapsed = repeated.split(whereSeparator: \.isWhitespace).joined(separator: " ")
            #expect(counter.count(collapsed.precomposedStringWithCanonicalMapping) <= profile.overlapTokens)
            // The repeated text and what follows it are of one section.
            let sections = document.blocks.filter { $0.range.overlaps(overlap.lowerBound..<overlap.upperBound + 3) }
            #expect(Set(sections.map(\.section)).count == 1, "an overlap crosses sections")
            #expect(
                sections.allSatisfy {
                    $0.kind != .heading && $0.kind != .table && $0.kind != .code
                        || $0.range.lowerBound >= overlap.upperBound
                }
            )
        }
    }

    @Test("carry the common beginning of the paths of their blocks", arguments: 0..<25 as Range<UInt64>)
    func sections(seed: UInt64) throws {
        let document = RandomText.document(seed: seed)
        let chunker = try Chunker(profile: .test(target: 100, maximum: 120, overlap: 20), tokenCounter: WordCounter())
        for chunk in try chunker.chunks(of: document, title: nil) {
            let paths = document.blocks.filter { $0.range.overlaps(chunk.range) }.map {
                document.sections[$0.section].headings
            }
            let first = try #require(paths.first)
            let common = paths.dropFirst().reduce(first) { common, path in
                Array(zip(common, path).prefix { $0 == $1 }.map(\.0))
            }
            #expect(chunk.section.headings == common)
        }
    }
}
