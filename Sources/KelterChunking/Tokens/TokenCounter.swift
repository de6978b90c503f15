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
    /// Makes the counter of one kind of tokenizer.
    ///
    /// - Parameters:
    ///   - kind: The tokenizer a profile names.
    ///   - weightsFile: The embedded model's weights file, needed by ``EmbeddingProfile/Tokenizer/xlmRoberta`` only.
    /// - Returns: The counter, which may be shared by all tasks.
    /// - Throws: ``KelterError`` with ``ErrorCode/partMissing`` when the weights file is needed and not given, and the
    ///   errors of ``XLMRobertaTokenizer/init(weightsFile:)``.
    package static func make(
        _ kind: EmbeddingProfile.Tokenizer,
        weightsFile: String?
    ) throws(KelterError) -> any TokenCounter {
        switch kind {
        case .bytes:
            return ByteTokenCounter()
        case .xlmRoberta:
            guard let weightsFile else {
                throw KelterError(
                    .partMissing,
                    "The tokenizer \(kind) needs the embedded model's weights file, and none is installed.",
                    subject: "e5-small-q4.bin",
                    fix: "Install the embedded services (make deps), or use the tokenizer \"bytes\"."
                )
            }
            return try XLMRobertaTokenizer(weightsFile: weightsFile)
        case .cl100k, .o200k, .wordPiece, .file:
            throw KelterError(.partMissing, "The tokenizer \(kind) is not installed.", subject: "\(kind)")
        }
    }
}
