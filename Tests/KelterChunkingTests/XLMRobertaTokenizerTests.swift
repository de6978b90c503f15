import Foundation
import KelterChunking
import KelterModel
import Testing

@Suite("The XLM-RoBERTa tokenizer")
struct XLMRobertaTokenizerTests {
    @Test("counts what the embedded model counts", arguments: XLMRobertaCounts.recorded)
    func recordedCounts(text: String, tokens: Int) throws {
        #expect(try Weights.tokenizer.get().count(text) == tokens)
    }

    @Test("adds two special tokens")
    func specialTokens() throws {
        #expect(try Weights.tokenizer.get().specialTokens == 2)
    }

    @Test("counts of words add up to the count of the text", arguments: 0..<20 as Range<UInt64>)
    func additive(seed: UInt64) throws {
        let tokenizer = try Weights.tokenizer.get()
        var generator = SeededGenerator(seed: seed)
        let words = (0..<200).map { _ in RandomText.word(using: &generator) }
        let whole = tokenizer.count(words.joined(separator: " "))
        #expect(whole == words.reduce(0) { $0 + tokenizer.count($1) })
    }

    @Test("white space of any kind and length between words makes no difference")
    func whiteSpace() throws {
        let tokenizer = try Weights.tokenizer.get()
        #expect(tokenizer.count("Die  Kelter\n\tpresst\u{A0}Trauben") == tokenizer.count("Die Kelter presst Trauben"))
    }

    @Test("a text that is not valid UTF-8 is counted without running out of bounds")
    func invalidUTF8() throws {
        let tokenizer = try Weights.tokenizer.get()
        for bytes: [UInt8] in [
            [0xC3], [0xE2, 0x96], [0xF0, 0x9F, 0x98], [0x80, 0x80], [0x41, 0xFF, 0xC3], [0xE2, 0x41],
        ] {
            #expect(tokenizer.count(bytes, 0..<bytes.count) > 0)
        }
    }

    @Test("a missing weights file is named with the way to install it")
    func missingFile() {
        let error = #expect(throws: KelterError.self) { try XLMRobertaTokenizer(weightsFile: "/nonexistent/e5.bin") }
        #expect(error?.code == .partMissing)
        #expect(error?.subject == "/nonexistent/e5.bin")
        #expect(throws: KelterError.self) { try Tokenizers.make(.xlmRoberta, files: Tokenizers.Files()) }
    }

    @Test("a damaged weights file is refused", arguments: [0, 3, 44, 71, 500, 100_000, 4_600_000])
    func truncatedFile(size: Int) throws {
        let handle = try #require(FileHandle(forReadingAtPath: Weights.path()))
        let directory = FileManager.default.temporaryDirectory
        let copy = directory.appendingPathComponent("kelter-\(UUID().uuidString).bin")
        try (handle.read(upToCount: size) ?? Data()).write(to: copy)
        defer { try? FileManager.default.removeItem(at: copy) }
        let error = #expect(throws: KelterError.self) { try XLMRobertaTokenizer(weightsFile: copy.path) }
        #expect(error?.code == .partMissing)
    }

    @Test("a file of another kind is refused")
    func wrongMagic() throws {
        let copy = FileManager.default.temporaryDirectory.appendingPathComponent("kelter-\(UUID().uuidString).bin")
        try Data(repeating: 0x41, count: 4096).write(to: copy)
        defer { try? FileManager.default.removeItem(at: copy) }
        #expect(throws: KelterError.self) { try XLMRobertaTokenizer(weightsFile: copy.path) }
    }
}
