import Foundation
import KelterChunking
import KelterModel
import Testing

@Suite("The counter for unknown tokenizers")
struct ByteTokenCounterTests {
    @Test("counts bytes", arguments: [("", 0), ("abc", 3), ("Äpfel", 6), ("日本", 6), ("😀", 4), ("a b", 3)])
    func bytes(text: String, tokens: Int) {
        #expect(ByteTokenCounter().count(text) == tokens)
    }

    @Test("never counts less than the bytes of any scalar's compatibility form")
    func compatibility() {
        let counter = ByteTokenCounter()
        for value in 0...0x2FFFF as ClosedRange<UInt32> {
            guard let scalar = Unicode.Scalar(value) else { continue }
            let text = String(scalar)
            let form = text.precomposedStringWithCompatibilityMapping.utf8.count
            guard form > text.utf8.count else { continue }
            if counter.count(text) < form { Issue.record("U+\(String(value, radix: 16)) counts too little") }
        }
    }

    @Test("never counts less than the exact tokenizer", arguments: 0..<50 as Range<UInt64>)
    func neverLess(seed: UInt64) throws {
        var generator = SeededGenerator(seed: seed)
        let text = RandomText.sentence(using: &generator)
        let counter = ByteTokenCounter()
        let exact = try Weights.tokenizer.get()
        #expect(counter.count(text) + counter.specialTokens >= exact.count(text) + exact.specialTokens)
    }

    @Test("is what the profile's tokenizer \"bytes\" makes")
    func made() throws {
        #expect(try Tokenizers.make(.bytes, files: Tokenizers.Files()) is ByteTokenCounter)
        #expect(
            try Tokenizers.make(.xlmRoberta, files: Tokenizers.Files(weights: Weights.path())) is XLMRobertaTokenizer
        )
    }
}
