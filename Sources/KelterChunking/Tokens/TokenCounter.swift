package import KelterModel

/// Counts the tokens a model makes of a text.
package protocol TokenCounter: Sendable {
    /// The tokens of a text without special tokens.
    ///
    /// The text is UTF-8, read only during the call.
    func count(_ text: Span<UInt8>) -> Int

    /// Special tokens put around every input, such as `<s>` and `</s>`.
    var specialTokens: Int { get }
}

extension TokenCounter {
    /// The tokens of a text without special tokens.
    package func count(_ text: String) -> Int {
        var text = text
        text.makeContiguousUTF8()
        return count(text.utf8.span)
    }

    /// The tokens of a part of a buffer without special tokens.
    package func count(_ bytes: [UInt8], _ range: Range<Int>) -> Int {
        count(bytes.span.extracting(range))
    }
}

/// Makes the token counter of a profile.
package enum Tokenizers {
    /// Where the files of tokenizers are.
    package struct Files: Equatable, Sendable {
        /// The embedded model's weights file, which holds the vocabulary of ``EmbeddingProfile/Tokenizer/xlmRoberta``;
        /// `nil` if it is not installed.
        package var weights: String?
        /// The directory with `cl100k_base.tiktoken`, `o200k_base.tiktoken` and `wordpiece.json`; `nil` if it is not
        /// installed.
        package var directory: String?

        package init(weights: String? = nil, directory: String? = nil) {
            self.weights = weights
            self.directory = directory
        }
    }

    /// What to do about a part that is not installed.
    static let partFix = "Run make deps, or use the tokenizer \"bytes\"."
    /// What to do about a file that was named by its path and is not there.
    package static let pathFix = "Correct the path of the tokenizer, or use the tokenizer \"bytes\"."

    /// Makes the counter of one kind of tokenizer, reading its file.
    ///
    /// - Parameters:
    ///   - kind: The tokenizer a profile names.
    ///   - files: Where the installed tokenizers are; ``EmbeddingProfile/Tokenizer/bytes`` and a path need none.
    /// - Returns: The counter, which may be shared by all tasks.
    /// - Throws: ``KelterError`` with ``ErrorCode/partMissing`` when the file is not installed or cannot be read, with
    ///   ``ErrorCode/tokenizerInvalid`` when it is damaged or of a kind that cannot be counted exactly, and the errors of
    ///   ``XLMRobertaTokenizer/init(weightsFile:)``.
    package static func make(_ kind: EmbeddingProfile.Tokenizer, files: Files) throws(KelterError) -> any TokenCounter {
        switch kind {
        case .bytes: return ByteTokenCounter()
        case .xlmRoberta:
            return try XLMRobertaTokenizer(weightsFile: installed(files.weights, "e5-small-q4.bin", kind))
        case .cl100k, .o200k: return try encoding(kind, files)
        case .wordPiece:
            let name = "wordpiece.json"
            return try WordPieceTokenizer(
                file: installed(files.directory.map { "\($0)/\(name)" }, name, kind),
                fix: partFix
            )
        case .file(let path):
            let file = try TokenizerFile(path: path, fix: pathFix)
            if path.hasSuffix(".tiktoken") { return try BytePairTokenizer(file) }
            if path.hasSuffix(".json") { return try WordPieceTokenizer(file) }
            throw file.unsupported("its name ends neither in .tiktoken nor in .json")
        }
    }

    /// The encoding of an installed rank file, which must be the one that its name says.
    private static func encoding(
        _ kind: EmbeddingProfile.Tokenizer,
        _ files: Files
    ) throws(KelterError) -> BytePairTokenizer {
        let name = "\(kind).tiktoken"
        let file = try TokenizerFile(
            path: installed(files.directory.map { "\($0)/\(name)" }, name, kind),
            fix: partFix
        )
        let tokenizer = try BytePairTokenizer(file)
        guard tokenizer.encoding == kind else { throw file.damaged("it holds the tokens of \(tokenizer.encoding)") }
        return tokenizer
    }

    /// The path of an installed file.
    private static func installed(
        _ path: String?,
        _ name: String,
        _ kind: EmbeddingProfile.Tokenizer
    ) throws(KelterError) -> String {
        guard let path else {
            throw KelterError(
                .partMissing,
                "The file of the tokenizer \(kind) is not installed.",
                subject: name,
                fix: partFix
            )
        }
        return path
    }
}
