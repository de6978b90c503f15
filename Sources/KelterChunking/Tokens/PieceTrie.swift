/// All pieces of a vocabulary as a double-array trie with tails.
///
/// The child of node `n` by byte `b` is slot `base + b` if that slot's `parent` is `n` (Aoe, "An efficient digital search
/// algorithm by using a double-array structure", 1989). A branch with one piece left is not unfolded: its node points at
/// the piece, whose remaining bytes are compared directly.
struct PieceTrie: Sendable {
    /// A slot of the double array; 12 bytes, so that one cache line serves most steps.
    struct Node {
        /// Added to a byte gives the child's slot; the complement of a piece's index where one piece is left.
        var base: Int32
        /// The slot of the parent, -1 in a free slot.
        var parent: Int32
        /// The score of the piece that ends here, NaN when none does.
        var score: Float
    }

    static let root: Int32 = 0

    let nodes: [Node]
    /// The pieces in ascending order.
    let pieces: SortedPieces

    init(_ pieces: SortedPieces) {
        self.pieces = pieces
        var builder = TrieBuilder(pieces)
        nodes = builder.build()
    }
}

/// Places the nodes of a trie in the double array.
private struct TrieBuilder {
    /// A node whose children are still to be placed: pieces `low..<high` share its first `depth` bytes.
    struct Pending {
        var node: Int32
        var low: Int
        var high: Int
        var depth: Int
    }

    let pieces: SortedPieces
    var nodes = Array(repeating: Self.free, count: 1 << 20)
    /// Where to look for room next, for nodes with one child, with few and with many.
    var cursors = [1, 1, 1]
    /// The first bytes of a node's children, and the first piece of each.
    var children: [(byte: UInt8, low: Int)] = []

    /// A region in which this many slots were tried in vain is not searched again.
    static let patience = 32
    static let free = PieceTrie.Node(base: 0, parent: -1, score: .nan)

    init(_ pieces: SortedPieces) {
        self.pieces = pieces
    }

    mutating func build() -> [PieceTrie.Node] {
        nodes[0].parent = 0
        var pending = [Pending(node: PieceTrie.root, low: 0, high: pieces.scores.count, depth: 0)]
        while var next = pending.popLast() {
            while next.low < next.high, pieces.length(of: next.low) == next.depth {
                nodes[Int(next.node)].score = pieces.scores[next.low]
                next.low += 1
            }
            if next.low == next.high { continue }
            if next.high - next.low == 1, next.depth > 0 {
                nodes[Int(next.node)].base = ~Int32(next.low)
                continue
            }
            findChildren(of: next)
            let base = placeChildren()
            nodes[Int(next.node)].base = Int32(base)
            var high = next.high
            for child in children.reversed() {
                let slot = base + Int(child.byte)
                nodes[slot].parent = next.node
                pending.append(Pending(node: Int32(slot), low: child.low, high: high, depth: next.depth + 1))
                high = child.low
            }
        }
        // Every base plus 255 must be a slot, also that of the last node.
        let last = nodes.lastIndex { $0.parent >= 0 } ?? 0
        if nodes.count < last + 257 { nodes.append(contentsOf: repeatElement(Self.free, count: 256)) }
        nodes.removeLast(nodes.count - last - 257)
        return nodes
    }

    private mutating func findChildren(of node: Pending) {
        children.removeAll(keepingCapacity: true)
        for index in node.low..<node.high {
            let byte = pieces.bytes[Int(pieces.offsets[index]) + node.depth]
            if children.last?.byte != byte { children.append((byte, index)) }
        }
    }

    /// Finds a base at which the slots of all children are free.
    private mutating func placeChildren() -> Int {
        let kind = children.count == 1 ? 0 : children.count < 6 ? 1 : 2
        let first = Int(children[0].byte)
        let start = max(cursors[kind], first + 1)
        var slot = start
        while true {
            if slot + 256 > nodes.count {
                nodes.append(contentsOf: repeatElement(Self.free, count: nodes.count / 2))
            }
            let base = slot - first
            if nodes[slot].parent < 0, children.allSatisfy({ nodes[base + Int($0.byte)].parent < 0 }) {
                if slot - start > Self.patience { cursors[kind] = slot }
                return base
            }
            slot += 1
        }
    }
}
