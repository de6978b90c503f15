import Foundation
import KelterChunking
import KelterModel
import Testing

@Suite("The byte pair encodings")
struct BytePairTokenizerTests {
    static let encodings: [Installed] = [.cl100k, .o200k]

    @Test("count what tiktoken counts", arguments: encodings)
    func recordedCounts(encoding: Installed) throws {
        let tokenizer = try encoding.tokenizer()
        let counts = encoding == .cl100k ? TokenizerCounts.cl100k : TokenizerCounts.o200k
        try #require(counts.count == TokenizerCorpus.texts.count)
        for (text, tokens) in zip(TokenizerCorpus.texts, counts) {
            #expect(tokenizer.count(text) == tokens, "\(text.unicodeScalars.map { String($0.value, radix: 16) })")
        }
    }

    @Test("add no special tokens", arguments: encodings)
    func specialTokens(encoding: Installed) throws {
        #expect(try encoding.tokenizer().specialTokens == 0)
    }

    @Test("take names of special tokens for text", arguments: encodings)
    func specialNames(encoding: Installed) throws {
        #expect(try encoding.tokenizer().count("<|endoftext|>") == 7)
    }

    @Test("count the long s of a contraction as an s", arguments: encodings)
    func longS(encoding: Installed) throws {
        let tokenizer = try encoding.tokenizer()
        // One piece of three bytes, against a sign and a letter that begins a word.
        #expect(tokenizer.count("1'ſx") == tokenizer.count("1") + tokenizer.count("'ſ") + tokenizer.count("x"))
    }

    @Test("merge a run of 400,000 letters in a time that grows little faster than its length", arguments: encodings)
    func longRun(encoding: Installed) throws {
        let tokenizer = try encoding.tokenizer()
        // Merged in squares this would take hours, not seconds.
        #expect(tokenizer.count(String(repeating: "a", count: 400_000)) == 50_000)
    }

    @Test("count sentences that are put together with a space as little more than their sum", arguments: encodings)
    func additive(encoding: Installed) throws {
        // The chunker fills chunks by sums of such counts and measures the result: they must be near it, no more.
        let tokenizer = try encoding.tokenizer()
        var generator = SeededGenerator(seed: 7)
        for _ in 0..<50 {
            let sentences = (0..<10).map { _ in RandomText.sentence(using: &generator) }
            let whole = tokenizer.count(sentences.joined(separator: " "))
            let sum = sentences.reduce(0) { $0 + tokenizer.count($1) }
            #expect(abs(whole - sum) <= 3 * sentences.count)
        }
    }

    @Test("count a text that is not valid UTF-8 without running out of bounds", arguments: encodings)
    func invalidUTF8(encoding: Installed) throws {
        let tokenizer = try encoding.tokenizer()
        for bytes: [UInt8] in [
            [0xC3], [0xE2, 0x96], [0xF0, 0x9F, 0x98], [0x80, 0x80], [0x41, 0xFF, 0xC3], [0xE2, 0x41],
            [0xF7, 0xBF, 0xBF, 0xBF], [0x27, 0xC5],
        ] {
            #expect((1...bytes.count).contains(tokenizer.count(bytes, 0..<bytes.count)))
        }
    }

    @Test("count a part of a buffer as the part alone", arguments: encodings)
    func part(encoding: Installed) throws {
        let tokenizer = try encoding.tokenizer()
        let bytes = Array("Übergröße \n 1234 don't".utf8)
        for start in 0..<bytes.count {
            for end in start...bytes.count {
                #expect(
                    tokenizer.count(bytes, start..<end) == tokenizer.count(Array(bytes[start..<end]), 0..<end - start)
                )
            }
        }
    }
}
