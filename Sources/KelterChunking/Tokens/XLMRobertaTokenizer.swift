package import KelterModel

/// XLM-RoBERTa's tokenizer: SentencePiece with a unigram language model.
///
/// A text is normalised scalar by scalar, runs of spaces become one metaspace, one more metaspace is put in front, and
/// the result is cut into the pieces with the highest sum of scores (Kudo, "Subword Regularization", 2018). No piece
/// holds a metaspace but at its start, so that the best cut of a text is made of the best cuts of its words.
///
/// The counts are those of the embedded model. Scores are added up in single precision from the beginning of the text as
/// the model's own code does, so that even near-ties fall alike.
package final class XLMRobertaTokenizer: TokenCounter {
    /// `<s>` and `</s>`.
    package let specialTokens = 2

    private let characterMap: CharacterMap
    private let trie: PieceTrie
    /// The node after the metaspace, the beginning of every word.
    private let wordStart: Int32
    /// The score of a single character that no piece covers.
    private let unknownScore: Float
    private let bounds: ScoreBounds

    /// Reads the vocabulary from the embedded model's weights file.
    ///
    /// - Parameter weightsFile: The path of `e5-small-q4.bin`.
    /// - Throws: ``KelterError`` with ``ErrorCode/partMissing`` if the file is missing or damaged.
    package init(weightsFile: String) throws(KelterError) {
        let vocabulary = try XLMRobertaVocabulary(file: weightsFile)
        characterMap = vocabulary.characterMap
        let pieces = SortedPieces(vocabulary)
        trie = PieceTrie(pieces)
        bounds = ScoreBounds(pieces)
        // SentencePiece's penalty: ten below the least likely piece.
        unknownScore = (vocabulary.scores.min() ?? 0) - 10
        var node = PieceTrie.root
        for byte in Metaspace.bytes where node >= 0 {
            let base = trie.nodes[Int(node)].base
            let child = base + Int32(byte)
            node = base >= 0 && trie.nodes[Int(child)].parent == node ? child : -1
        }
        guard node >= 0, trie.nodes[Int(node)].base >= 0 else {
            throw KelterError(
                .partMissing,
                "The embedded model's vocabulary has no metaspace.",
                subject: weightsFile,
                fix: "Remove the file and install it again (make deps)."
            )
        }
        wordStart = node
    }

    package func count(_ text: Span<UInt8>) -> Int {
        text.withUnsafeBufferPointer { text in
            trie.nodes.withUnsafeBufferPointer { nodes in
                var lattice = Lattice(
                    nodes: nodes,
                    wordStart: wordStart,
                    unknownScore: unknownScore,
                    bounds: bounds,
                    pieces: trie.pieces
                )
                countWords(of: text, in: &lattice)
                return lattice.tokens
            }
        }
    }

    /// Cuts a text into words and feeds them to the lattice, copying only words that normalisation changes.
    private func countWords(of text: UnsafeBufferPointer<UInt8>, in lattice: inout Lattice) {
        let map = characterMap
        var index = 0
        var hasWord = false
        var endsInSpace = false
        var changed: [UInt8] = []
        while index < text.count {
            let start = index
            // The part of a word that stands for itself.
            while index < text.count {
                let byte = text[index]
                if byte < 0x80 {
                    guard byte > 0x20, byte != 0x7F else { break }
                    index += 1
                } else {
                    let (scalar, length) = decodeScalar(text, at: index)
                    if map.contains(scalar) { break }
                    index += length
                }
            }
            if index == text.count || text[index] == 0x20, changed.isEmpty {
                if index > start {
                    lattice.add(word: UnsafeBufferPointer(rebasing: text[start..<index]))
                    hasWord = true
                    endsInSpace = false
                }
            } else {
                changed.append(contentsOf: UnsafeBufferPointer(rebasing: text[start..<index]))
            }
            guard index < text.count else { break }
            let (scalar, length) = decodeScalar(text, at: index)
            index += length
            // Single scalars as they come out of the map; a space among them ends the word.
            func take(_ scalar: UInt32) {
                guard scalar == 0x20 else {
                    appendScalar(scalar, to: &changed)
                    return
                }
                if !changed.isEmpty {
                    changed.withUnsafeBufferPointer { lattice.add(word: $0) }
                    changed.removeAll(keepingCapacity: true)
                    hasWord = true
                }
                endsInSpace = true
            }
            if let replacement = map.replacement(of: scalar) {
                for scalar in replacement { take(scalar) }
            } else {
                take(scalar)
            }
        }
        if !changed.isEmpty {
            changed.withUnsafeBufferPointer { lattice.add(word: $0) }
            hasWord = true
            endsInSpace = false
        }
        // A space at the end, and an empty text, are a metaspace with nothing behind it.
        if endsInSpace || !hasWord { lattice.add(word: UnsafeBufferPointer(start: nil, count: 0)) }
    }
}

/// SentencePiece's mark for a space: U+2581.
enum Metaspace {
    static let bytes: [UInt8] = [0xE2, 0x96, 0x81]
}
