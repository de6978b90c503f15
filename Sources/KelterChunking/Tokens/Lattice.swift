/// The search for the best cut of a text into pieces, word by word (Viterbi).
struct Lattice: ~Copyable {
    /// The best way to a byte of the word.
    private struct Cell {
        var score: Float
        var tokens: Int32
    }

    /// Pieces of all words so far.
    private(set) var tokens = 0
    /// The sum of scores of all words so far.
    private var sum: Float = 0

    private let nodes: UnsafeBufferPointer<PieceTrie.Node>
    private let wordStart: Int32
    private let unknownScore: Float
    private let bounds: ScoreBounds
    private let pieces: SortedPieces
    private var cells = UnsafeMutableBufferPointer<Cell>.allocate(capacity: 128)

    init(
        nodes: UnsafeBufferPointer<PieceTrie.Node>,
        wordStart: Int32,
        unknownScore: Float,
        bounds: ScoreBounds,
        pieces: SortedPieces
    ) {
        self.nodes = nodes
        self.wordStart = wordStart
        self.unknownScore = unknownScore
        self.bounds = bounds
        self.pieces = pieces
    }

    deinit { cells.deallocate() }

    /// Adds the next word, without its metaspace.
    mutating func add(word: UnsafeBufferPointer<UInt8>) {
        let count = word.count
        if count >= cells.count {
            cells.deallocate()
            cells = .allocate(capacity: 2 * count)
        }
        cells[0...count].update(repeating: Cell(score: -.infinity, tokens: 0))

        // The metaspace alone: a piece, or a character that no piece covers.
        let metaspace = nodes[Int(wordStart)].score
        cells[0] = Cell(score: sum + (metaspace.isNaN ? unknownScore : max(metaspace, unknownScore)), tokens: 1)
        follow(word, from: 0, node: wordStart, depth: Metaspace.bytes.count, score: sum, tokens: 1)

        let table = sum > ScoreBounds.lowestSum ? bounds.table(for: word) : nil
        var start = 0
        while start < count {
            let cell = cells[start]
            let first = word[start]
            let length = first < 0x80 ? 1 : min(count - start, first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : 2)
            let left = count - start
            let isHopeless =
                if let table, left <= ScoreBounds.longest {
                    cell.score + table[left] + ScoreBounds.slack < cells[count].score
                } else {
                    false
                }
            if !isHopeless {
                let tokens = cell.tokens + 1
                follow(word, from: start, node: PieceTrie.root, depth: 0, score: cell.score, tokens: tokens)
                enter(Cell(score: cell.score + unknownScore, tokens: tokens), at: start + length)
            }
            start += length
        }
        tokens += Int(cells[count].tokens)
        sum = cells[count].score
    }

    /// Enters every piece that begins at a byte of the word.
    ///
    /// The trie is entered at `node`, to which the first `depth` bytes of a piece lead. The sum of scores up to the
    /// beginning of the piece is `score`; `tokens` counts the pieces of the way, the new one included.
    @inline(__always)
    private func follow(
        _ word: UnsafeBufferPointer<UInt8>,
        from start: Int,
        node: Int32,
        depth: Int,
        score: Float,
        tokens: Int32
    ) {
        var node = node
        var base = nodes[Int(node)].base
        var index = start
        while index < word.count {
            let slot = base + Int32(word[index])
            let child = nodes[Int(slot)]
            guard child.parent == node else { return }
            index += 1
            // NaN, where no piece ends, is never greater.
            enter(Cell(score: score + child.score, tokens: tokens), at: index)
            if child.base < 0 {
                let piece = Int(~child.base)
                let rest = Int(pieces.offsets[piece]) + depth + index - start..<Int(pieces.offsets[piece + 1])
                guard index + rest.count <= word.count else { return }
                for offset in 0..<rest.count
                where pieces.bytes[rest.lowerBound + offset] != word[index + offset] {
                    return
                }
                enter(Cell(score: score + pieces.scores[piece], tokens: tokens), at: index + rest.count)
                return
            }
            node = slot
            base = child.base
        }
    }

    /// Keeps the better of two ways; the earlier one when they are equal.
    @inline(__always)
    private func enter(_ cell: Cell, at index: Int) {
        if cell.score > cells[index].score { cells[index] = cell }
    }
}
