package import KelterModel

/// OpenAI's byte pair encodings cl100k_base and o200k_base.
///
/// A text is cut into pieces by a ``SplitPattern``, and the bytes of each piece are merged into tokens by rank. Names of
/// special tokens in a text are text: endpoints do not take them for anything else.
package struct BytePairTokenizer: TokenCounter {
    /// None are put around an input.
    package let specialTokens = 0

    private let ranks: TokenTable
    private let pattern: SplitPattern
    private let classes = ScalarClasses.table

    /// Reads a rank file.
    ///
    /// - Parameters:
    ///   - path: The path of a `.tiktoken` file with the tokens of cl100k_base or o200k_base.
    ///   - fix: What to do when the file is not there; it becomes part of the error.
    /// - Throws: ``KelterError`` with ``ErrorCode/partMissing`` if the file cannot be read, and with
    ///   ``ErrorCode/tokenizerInvalid`` if it is damaged or of another encoding.
    package init(rankFile path: String, fix: String = Tokenizers.pathFix) throws(KelterError) {
        try self.init(TokenizerFile(path: path, fix: fix))
    }

    init(_ file: TokenizerFile) throws(KelterError) {
        (ranks, pattern) = try RankFile.read(file)
    }

    /// Which encoding the file holds, `cl100k_base` or `o200k_base`.
    var encoding: EmbeddingProfile.Tokenizer {
        switch pattern {
        case .cl100k: .cl100k
        case .o200k: .o200k
        }
    }

    package func count(_ text: Span<UInt8>) -> Int {
        let tokens = text.withUnsafeBufferPointer { text in
            ranks.withView { ranks in classes.withView { classes in count(text, ranks, classes) } }
        }
        return tokens ?? 0
    }

    private func count(
        _ text: UnsafeBufferPointer<UInt8>,
        _ ranks: TokenTable.View,
        _ classes: ScalarTable<UInt8>.View
    ) -> Int {
        guard let base = text.baseAddress else { return 0 }
        let splitter = PieceSplitter(text: text, classes: classes)
        let size = PairMerger.scratchSize
        return withUnsafeTemporaryAllocation(of: UInt8.self, capacity: 3 * size) { lists in
            withUnsafeTemporaryAllocation(of: UInt32.self, capacity: size) { pairs in
                guard let lists = lists.baseAddress, let pairs = pairs.baseAddress else { return 0 }
                lists.initialize(repeating: 0, count: 3 * size)
                let scratch = PairMerger.Scratch(
                    bytes: lists,
                    next: lists + size,
                    previous: lists + 2 * size,
                    pairs: pairs
                )
                let merger = PairMerger(ranks: ranks, scratch: scratch)
                var tokens = 0
                var start = 0
                while start < text.count {
                    let end = splitter.end(from: start, pattern)
                    tokens += merger.count(base + start, end - start)
                    start = end
                }
                return tokens
            }
        }
    }
}
