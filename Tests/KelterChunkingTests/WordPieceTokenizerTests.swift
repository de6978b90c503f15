import Foundation
import KelterChunking
import KelterModel
import Testing

@Suite("The WordPiece tokenizer")
struct WordPieceTokenizerTests {
    @Test("counts what the library tokenizers counts")
    func recordedCounts() throws {
        let tokenizer = try Installed.wordPiece.tokenizer()
        try #require(TokenizerCounts.wordPiece.count == TokenizerCorpus.texts.count)
        for (text, tokens) in zip(TokenizerCorpus.texts, TokenizerCounts.wordPiece) {
            #expect(tokenizer.count(text) == tokens, "\(text.unicodeScalars.map { String($0.value, radix: 16) })")
        }
    }

    @Test("adds two special tokens")
    func specialTokens() throws {
        #expect(try Installed.wordPiece.tokenizer().specialTokens == 2)
    }

    @Test("counts of words add up to the count of the text", arguments: 0..<20 as Range<UInt64>)
    func additive(seed: UInt64) throws {
        let tokenizer = try Installed.wordPiece.tokenizer()
        var generator = SeededGenerator(seed: seed)
        let words = (0..<200).map { _ in RandomText.word(using: &generator) }
        #expect(tokenizer.count(words.joined(separator: " ")) == words.reduce(0) { $0 + tokenizer.count($1) })
    }

    @Test("makes one unknown token of a word over 100 characters, and none of an accent")
    func longWords() throws {
        let tokenizer = try Installed.wordPiece.tokenizer()
        #expect(tokenizer.count(String(repeating: "a", count: 100)) > 1)
        #expect(tokenizer.count(String(repeating: "a", count: 101)) == 1)
        #expect(tokenizer.count(String(repeating: "a\u{301}", count: 100)) > 1)
        #expect(tokenizer.count("Äpfel") == tokenizer.count("apfel"))
    }

    @Test("counts a text that is not valid UTF-8 without running out of bounds")
    func invalidUTF8() throws {
        let tokenizer = try Installed.wordPiece.tokenizer()
        for bytes: [UInt8] in [
            [0x41, 0xC3], [0x41, 0xE2, 0x96], [0x41, 0xF0, 0x9F, 0x98], [0x41, 0xFF, 0xC3], [0x5B, 0x4D, 0x41],
            [0x41, 0xF7, 0xBF, 0xBF, 0xBF],
        ] {
            #expect(tokenizer.count(bytes, 0..<bytes.count) > 0)
        }
    }

    /// A small file with some members replaced.
    private func file(_ replacements: [String: String] = [:]) -> String {
        var members = [
            "added_tokens": #"[{"content": "[SEP]", "special": true, "normalized": false, "single_word": false}]"#,
            "normalizer": #"{"type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": true, "#
                + #""strip_accents": null, "lowercase": false}"#,
            "pre_tokenizer": #"{"type": "BertPreTokenizer"}"#,
            "post_processor": #"{"type": "BertProcessing", "sep": ["[SEP]", 1], "cls": ["[CLS]", 2]}"#,
            "model": ###"{"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##", "###
                + ###""max_input_chars_per_word": 100, "vocab": {"[UNK]": 0, "Keller": 1, "K": 2, "##elter": 3, "É": 4}}"###,
        ]
        members.merge(replacements) { $1 }
        return "{" + members.map { "\"\($0)\": \($1)" }.joined(separator: ", ") + "}"
    }

    @Test("keeps case and accents where the file says so")
    func cased() throws {
        try withTemporaryFile(file(), ".json") { path in
            let tokenizer = try Tokenizers.make(.file(path: path), files: Tokenizers.Files())
            #expect(tokenizer.specialTokens == 2)
            #expect(tokenizer.count("Kelter") == 2)
            #expect(tokenizer.count("kelter Kelterx É") == 3)
            #expect(tokenizer.count("Kelter[SEP]É") == 4)
        }
        let small =
            #"{"type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": true, "#
            + #""strip_accents": true, "lowercase": false}"#
        try withTemporaryFile(file(["normalizer": small, "post_processor": "null"]), ".json") { path in
            let tokenizer = try Tokenizers.make(.file(path: path), files: Tokenizers.Files())
            #expect(tokenizer.specialTokens == 0)
            #expect(tokenizer.count("K\u{301}elter") == 2)
        }
    }

    @Test("a vocabulary without continuations knows whole words only")
    func wholeWords() throws {
        let model =
            #"{"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "@@", "#
            + #""max_input_chars_per_word": 100, "vocab": {"[UNK]": 0, "Most": 1}}"#
        try withTemporaryFile(file(["model": model]), ".json") { path in
            let tokenizer = try Tokenizers.make(.file(path: path), files: Tokenizers.Files())
            #expect(tokenizer.count("Most Moste , Most") == 4)
        }
    }

    @Test(
        "a file that cannot be counted exactly is refused with the reason",
        arguments: [
            (["model": #"{"type": "Unigram", "vocab": []}"#], "Unigram"), (["model": "{}"], "(none)"),
            (["normalizer": #"{"type": "NFC"}"#], "normaliser"), (["pre_tokenizer": "null"], "pre-tokeniser"),
            (["post_processor": #"{"type": "ByteLevel"}"#], "post-processor"),
            (["added_tokens": #"[{"content": "<x>", "normalized": true}]"#], "<x>"),
            (["model": #"{"type": "WordPiece"}"#], "damaged"), (["model": "["], "JSON"),
        ]
    )
    func refused(replacements: [String: String], reason: String) throws {
        try withTemporaryFile(file(replacements), ".json") { path in
            let error = #expect(throws: KelterError.self) {
                try Tokenizers.make(.file(path: path), files: Tokenizers.Files())
            }
            #expect(error?.code == .tokenizerInvalid)
            #expect(error?.subject == path)
            #expect(error?.message.contains(reason) == true)
        }
    }
}
