import Foundation
import KelterChunking
import KelterModel
import Testing

/// Writes a text to a file that is there for the time of a closure.
func withTemporaryFile(_ text: String, _ ending: String, _ body: (String) throws -> Void) throws {
    let file = FileManager.default.temporaryDirectory.appendingPathComponent("kelter-\(UUID().uuidString)\(ending)")
    try Data(text.utf8).write(to: file)
    defer { try? FileManager.default.removeItem(at: file) }
    try body(file.path)
}

@Suite("Tokenizers by name and by path")
struct TokenizersTests {
    private func error(_ kind: EmbeddingProfile.Tokenizer, _ files: Tokenizers.Files) -> KelterError? {
        #expect(throws: KelterError.self) { try Tokenizers.make(kind, files: files) }
    }

    @Test("a tokenizer that is not installed is named with the way to install it", arguments: Installed.allCases)
    func missing(kind: Installed) {
        let absent = error(kind.kind, Tokenizers.Files())
        #expect(absent?.code == .partMissing)
        #expect(absent?.subject == kind.file)
        #expect(absent?.fix == "Run make deps, or use the tokenizer \"bytes\".")
        let unreadable = error(kind.kind, Tokenizers.Files(directory: "/nonexistent"))
        #expect(unreadable?.code == .partMissing)
        #expect(unreadable?.subject == "/nonexistent/\(kind.file)")
        #expect(unreadable?.fix == absent?.fix)
    }

    @Test("a path leads to the same tokenizer as its name", arguments: Installed.allCases)
    func path(kind: Installed) throws {
        let path = try Parts.path("tokenizers/\(kind.file)")
        let tokenizer = try Tokenizers.make(.file(path: path), files: Tokenizers.Files())
        let text = "Don't panic:\n  Übergröße 12345 日本語 😀"
        #expect(try tokenizer.count(text) == kind.tokenizer().count(text))
        #expect(try tokenizer.specialTokens == kind.tokenizer().specialTokens)
    }

    @Test("a path that leads nowhere or to something else is an error", arguments: ["/nonexistent/a.json", "/tmp"])
    func wrongPath(path: String) {
        let error = error(.file(path: path), Tokenizers.Files())
        #expect(error?.code == (path == "/tmp" ? .tokenizerInvalid : .partMissing))
        #expect(error?.subject == path)
    }

    @Test("a file of an unknown ending or an empty one is refused", arguments: [("x", ".model"), ("", ".tiktoken")])
    func unknownFile(text: String, ending: String) throws {
        try withTemporaryFile(text, ending) { path in
            #expect(error(.file(path: path), Tokenizers.Files())?.code == .tokenizerInvalid)
        }
    }

    @Test(
        "a rank file with a malformed line is refused with its number",
        arguments: [
            "IQ== 0\nIg== x\n", "IQ== 0\nIg==\n", "IQ== 0\nI 1\n", "IQ== 0\n 1\n", "IQ== 0\nIg=== 1\n",
            "IQ== 0\nIh== 1\n",
            "IQ== 0\nIg== 1 \n", "IQ== 0\nIg== -1\n", "IQ== 0\nIg== 99999999999999999999\n",
        ]
    )
    func malformedLine(text: String) throws {
        try withTemporaryFile(text, ".tiktoken") { path in
            let error = error(.file(path: path), Tokenizers.Files())
            #expect(error?.code == .tokenizerInvalid)
            #expect(error?.message.contains("line 2") == true)
        }
    }

    @Test("a rank file of another encoding is refused with what is supported")
    func otherEncoding() throws {
        try withTemporaryFile("IQ== 0\nIg== 1", ".tiktoken") { path in
            let error = error(.file(path: path), Tokenizers.Files())
            #expect(error?.code == .tokenizerInvalid)
            #expect(error?.message.contains("2 tokens") == true)
            #expect(error?.fix?.contains("cl100k_base") == true)
        }
    }

    @Test("a rank file with a token or a rank twice is refused, one in another order is not")
    func ranks() throws {
        let text = try String(contentsOfFile: Parts.path("tokenizers/cl100k_base.tiktoken"), encoding: .utf8)
        var lines = text.split(separator: "\n").map(String.init)
        for (index, line) in [(5, lines[6]), (5, "IQ== 5"), (6, lines[6].split(separator: " ")[0] + " 100256")] {
            var lines = lines
            lines[index] = line
            try withTemporaryFile(lines.joined(separator: "\n"), ".tiktoken") { path in
                let error = error(.file(path: path), Tokenizers.Files())
                #expect(error?.code == .tokenizerInvalid)
                #expect(error?.message.contains("twice") == true)
            }
        }
        lines.swapAt(3, 100_000)
        try withTemporaryFile(lines.joined(separator: "\r\n"), ".tiktoken") { path in
            let tokenizer = try Tokenizers.make(.file(path: path), files: Tokenizers.Files())
            #expect(
                try tokenizer.count("Die Kelter presst.") == Installed.cl100k.tokenizer().count("Die Kelter presst.")
            )
        }
    }

    @Test("an installed file that holds the other encoding is damaged")
    func exchanged() throws {
        let directory = FileManager.default.temporaryDirectory.appendingPathComponent("kelter-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: false)
        defer { try? FileManager.default.removeItem(at: directory) }
        try FileManager.default.createSymbolicLink(
            atPath: directory.path + "/o200k_base.tiktoken",
            withDestinationPath: Parts.path("tokenizers/cl100k_base.tiktoken")
        )
        let error = error(.o200k, Tokenizers.Files(directory: directory.path))
        #expect(error?.code == .tokenizerInvalid)
        #expect(error?.message.contains("cl100k_base") == true)
    }
}
