package import KelterModel

/// BERT's tokenizer: words are cut from left to right into the longest tokens of a vocabulary.
///
/// A text is normalised scalar by scalar (``BertNormaliser``), which also ends the words. A word that cannot be cut to its
/// end, or has too many characters, is one unknown token (Schuster and Nakajima, "Japanese and Korean Voice Search",
/// 2012, and the code of BERT). Names of special tokens such as `[MASK]` in a text are special tokens, as they are for
/// the endpoints that serve such models.
package struct WordPieceTokenizer: TokenCounter {
    /// `[CLS]` and `[SEP]`, unless the file says otherwise.
    package let specialTokens: Int

    private let vocabulary: WordPieceVocabulary
    private let normaliser: BertNormaliser

    /// Reads a `tokenizer.json` with a WordPiece model.
    ///
    /// - Parameters:
    ///   - path: The path of the file.
    ///   - fix: What to do when the file is not there; it becomes part of the error.
    /// - Throws: ``KelterError`` with ``ErrorCode/partMissing`` if the file cannot be read, and with
    ///   ``ErrorCode/tokenizerInvalid`` if it is damaged or describes another kind of tokenizer.
    package init(file path: String, fix: String = Tokenizers.pathFix) throws(KelterError) {
        try self.init(TokenizerFile(path: path, fix: fix))
    }

    init(_ file: TokenizerFile) throws(KelterError) {
        vocabulary = try WordPieceVocabulary(file)
        normaliser = BertNormaliser(vocabulary.options)
        specialTokens = vocabulary.specialTokens
    }

    package func count(_ text: Span<UInt8>) -> Int {
        let tokens = text.withUnsafeBufferPointer { text in
            vocabulary.beginnings.withView { beginnings in
                vocabulary.continuations.withView { continuations in
                    normaliser.codes.withView { codes in
                        var counter = WordCounter(
                            words: WordPieces(
                                beginnings: beginnings,
                                continuations: continuations,
                                longest: (vocabulary.beginnings.longest, vocabulary.continuations.longest),
                                longestWord: vocabulary.longestWord
                            ),
                            codes: codes,
                            replacements: normaliser.replacements
                        )
                        return counter.count(text, vocabulary)
                    }
                }
            }
        }
        return tokens ?? 0
    }
}

/// Cuts words into tokens.
private struct WordPieces {
    let beginnings: TokenTable.View
    let continuations: TokenTable.View
    /// Bytes of the longest beginning and continuation.
    let longest: (beginning: Int, continuation: Int)
    /// A word of more characters is unknown.
    let longestWord: Int

    /// How many tokens a word becomes.
    func count(_ word: UnsafeBufferPointer<UInt8>, characters: Int) -> Int {
        guard let base = word.baseAddress, characters <= longestWord else { return 1 }
        if beginnings.rank(of: base, word.count) != TokenTable.none { return 1 }
        var start = 0
        var tokens = 0
        while start < word.count {
            let length =
                start == 0
                ? longestToken(base, word.count, beginnings, longest.beginning)
                : longestToken(base + start, word.count - start, continuations, longest.continuation)
            if length == 0 { return 1 }
            start += length
            tokens += 1
        }
        return tokens
    }

    /// The bytes of the longest token that some bytes begin with, 0 if there is none.
    private func longestToken(_ bytes: UnsafePointer<UInt8>, _ count: Int, _ table: TokenTable.View, _ limit: Int)
        -> Int
    {
        var length = min(count, limit)
        while length > 0, table.rank(of: bytes, length) == TokenTable.none { length -= 1 }
        return length
    }
}

/// Makes the words of a text and counts their tokens.
private struct WordCounter {
    let words: WordPieces
    let codes: ScalarTable<UInt16>.View
    let replacements: [[UInt32]]
    private var tokens = 0
    private var word: [UInt8] = []
    private var characters = 0
    /// Marks since the last character that none may pass, not yet in order.
    private var marks: [(order: UInt8, scalar: UInt32)] = []

    init(words: WordPieces, codes: ScalarTable<UInt16>.View, replacements: [[UInt32]]) {
        self.words = words
        self.codes = codes
        self.replacements = replacements
        word.reserveCapacity(256)
    }

    mutating func count(_ text: UnsafeBufferPointer<UInt8>, _ vocabulary: WordPieceVocabulary) -> Int {
        var index = 0
        while index < text.count {
            let byte = text[index]
            if vocabulary.beginsSpecial[Int(byte)], let length = vocabulary.specialLength(text, at: index) {
                endWord()
                tokens += 1
                index += length
            } else if byte < 0x80 {
                add(UInt32(byte), codes[ascii: byte])
                index += 1
            } else {
                let (scalar, length) = decodeScalar(text, at: index)
                add(scalar, codes[scalar])
                index += length
            }
        }
        endWord()
        return tokens
    }

    /// Takes a scalar of the text.
    @inline(__always)
    private mutating func add(_ scalar: UInt32, _ code: UInt16) {
        if code >= BertNormaliser.firstReplacement {
            for scalar in replacements[Int(code - BertNormaliser.firstReplacement)] { take(scalar, codes[scalar]) }
        } else {
            take(scalar, code)
        }
    }

    /// Takes a scalar that stands for itself.
    @inline(__always)
    private mutating func take(_ scalar: UInt32, _ code: UInt16) {
        if code == BertNormaliser.letter {
            if !marks.isEmpty { appendMarks() }
            append(scalar)
        } else {
            takeOther(scalar, code)
        }
    }

    private mutating func takeOther(_ scalar: UInt32, _ code: UInt16) {
        switch code {
        case BertNormaliser.removed: break
        case BertNormaliser.removedStarter: appendMarks()
        case BertNormaliser.mark:
            marks.append((Unicode.Scalar(scalar).map(BertNormaliser.combiningClass) ?? 0, scalar))
        case BertNormaliser.syllable:
            appendMarks()
            // Unicode, section 3.12: 21 vowels with 28 endings each, the first of which is none.
            let index = scalar - 0xAC00
            append(0x1100 + index / 588)
            append(0x1161 + index % 588 / 28)
            if index % 28 > 0 { append(0x11A7 + index % 28) }
        case BertNormaliser.single:
            endWord()
            append(scalar)
            endWord()
        default: endWord()
        }
    }

    @inline(__always)
    private mutating func append(_ scalar: UInt32) {
        if scalar < 0x80 {
            word.append(UInt8(truncatingIfNeeded: scalar))
        } else {
            appendScalar(scalar, to: &word)
        }
        characters += 1
    }

    /// Appends the marks in their canonical order.
    private mutating func appendMarks() {
        guard !marks.isEmpty else { return }
        // The standard library's sort is stable, which the canonical order asks for.
        marks.sort { $0.order < $1.order }
        for mark in marks { append(mark.scalar) }
        marks.removeAll(keepingCapacity: true)
    }

    private mutating func endWord() {
        appendMarks()
        guard characters > 0 else { return }
        tokens += word.withUnsafeBufferPointer { words.count($0, characters: characters) }
        word.removeAll(keepingCapacity: true)
        characters = 0
    }
}
