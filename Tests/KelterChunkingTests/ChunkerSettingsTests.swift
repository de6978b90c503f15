import KelterChunking
import KelterModel
import Testing

@Suite("The chunker's settings and questions")
struct ChunkerSettingsTests {
    @Test(
        "limits that contradict each other are refused, naming the setting",
        arguments: [
            (EmbeddingProfile.test(target: 513), "RAG_CHUNK_TARGET_TOKENS"),
            (.test(target: 31), "RAG_CHUNK_TARGET_TOKENS"),
            (.test(target: 0), "RAG_CHUNK_TARGET_TOKENS"),
            (.test(target: -5), "RAG_CHUNK_TARGET_TOKENS"),
            (.test(overlap: -1), "RAG_CHUNK_OVERLAP_TOKENS"),
            (.test(overlap: 226), "RAG_CHUNK_OVERLAP_TOKENS"),
            (.test(target: 16, maximum: 16, overlap: 0), "maximum_tokens"),
            (
                .test(target: 64, maximum: 64, overlap: 0, passagePrefix: String(repeating: "x", count: 60)),
                "RAG_CHUNK_TARGET_TOKENS"
            ),
        ]
    )
    func refused(profile: EmbeddingProfile, subject: String) {
        let error = #expect(throws: KelterError.self) {
            try Chunker(profile: profile, tokenCounter: ByteTokenCounter())
        }
        #expect(error?.code == .settingInvalid)
        #expect(error?.subject == subject)
        #expect(error?.fix != nil)
    }

    @Test(
        "the defaults and the ends of the ranges are accepted",
        arguments: [
            EmbeddingProfile.test(), .test(target: 512), .test(overlap: 0), .test(overlap: 225),
            .test(target: 40, overlap: 0),
        ]
    )
    func accepted(profile: EmbeddingProfile) throws {
        _ = try Chunker(profile: profile, tokenCounter: WordCounter())
    }

    @Test("a question gets the query prefix and the form of embedded texts")
    func question() throws {
        let chunker = try Chunker(profile: .test(), tokenCounter: WordCounter())
        let text = try chunker.questionText("  Was ist\n\ndas Cafe\u{301}? ")
        #expect(Array(text.utf8) == Array("query: Was ist das Caf\u{E9}?".utf8))
    }

    @Test("a blank question is refused", arguments: ["", " \n\t", "\u{A0}"])
    func blank(question: String) throws {
        let chunker = try Chunker(profile: .test(), tokenCounter: WordCounter())
        let error = #expect(throws: KelterError.self) { try chunker.questionText(question) }
        #expect(error?.code == .missingQuestion)
    }

    @Test("a question over the limit is refused, never cut")
    func longQuestion() throws {
        let chunker = try Chunker(profile: .test(), tokenCounter: WordCounter())
        // Two special tokens and two of "query:" leave 508.
        let longest = Array(repeating: "Wort", count: 508).joined(separator: " ")
        #expect(try chunker.questionText(longest).hasSuffix("Wort"))
        let error = #expect(throws: KelterError.self) { try chunker.questionText(longest + " zu") }
        #expect(error?.code == .usage)
        #expect(error?.message.contains("513") == true)
    }
}
