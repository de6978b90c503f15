/// Merges the bytes of a piece into tokens: again and again the adjacent pair with the lowest rank, the first of equals.
///
/// This is the byte pair encoding of Sennrich, Haddow and Birch ("Neural Machine Translation of Rare Words with Subword
/// Units", 2016) with the merges in the order of the tokens' ranks.
struct PairMerger {
    /// Longer pieces are merged with a heap, so that time does not grow with the square of the length.
    ///
    /// The index of a byte must fit into ``indexBits`` bits.
    static let longestScan = 127
    private static let indexBits: UInt32 = 7
    /// Of a part that has no pair to be merged.
    private static let noPair = UInt32.max

    /// Bytes that ``Scratch`` has for each of its lists; the bytes behind a piece may be read.
    static let scratchSize = longestScan + 1 + TokenTable.padding

    /// Room for a short piece while it is merged.
    ///
    /// A part is named by the index of its first byte.
    struct Scratch {
        /// The bytes of the piece.
        let bytes: UnsafeMutablePointer<UInt8>
        /// The part behind each part, the length of the piece behind the last.
        let next: UnsafeMutablePointer<UInt8>
        /// The part before each part.
        let previous: UnsafeMutablePointer<UInt8>
        /// The rank of each part joined with the next, and the part, in one number.
        let pairs: UnsafeMutablePointer<UInt32>
    }

    let ranks: TokenTable.View
    let scratch: Scratch

    /// How many tokens a piece of at least one byte becomes.
    @inline(__always)
    func count(_ piece: UnsafePointer<UInt8>, _ length: Int) -> Int {
        if length == 1 || ranks.rank(of: piece, length) != TokenTable.none { return 1 }
        return length <= Self.longestScan ? scan(piece, length) : LongPiece.count(ranks, piece, length)
    }

    /// Merges by looking at all pairs each time, which for few of them is faster than a heap.
    private func scan(_ piece: UnsafePointer<UInt8>, _ length: Int) -> Int {
        let (bytes, next, previous, pairs) = (scratch.bytes, scratch.next, scratch.previous, scratch.pairs)
        bytes.update(from: piece, count: length)
        for index in 0..<length {
            next[index] = UInt8(truncatingIfNeeded: index + 1)
            previous[index] = UInt8(truncatingIfNeeded: index &- 1)
        }
        for index in 0..<length - 1 { pairs[index] = Self.pair(ranks.rank(ofPair: bytes + index), index) }
        pairs[length - 1] = Self.noPair
        var parts = length
        while true {
            var lowest = Self.noPair
            for index in 0..<length { lowest = min(lowest, pairs[index]) }
            if lowest == Self.noPair { return parts }
            parts -= 1
            let part = Int(lowest & (1 << Self.indexBits - 1))
            let gone = Int(next[part])
            let behind = Int(next[gone])
            next[part] = UInt8(truncatingIfNeeded: behind)
            pairs[gone] = Self.noPair
            if behind < length {
                previous[behind] = UInt8(truncatingIfNeeded: part)
                pairs[part] = Self.pair(ranks.rank(ofPadded: bytes + part, Int(next[behind]) - part), part)
            } else {
                pairs[part] = Self.noPair
            }
            if part > 0 {
                let before = Int(previous[part])
                pairs[before] = Self.pair(ranks.rank(ofPadded: bytes + before, behind - before), before)
            }
        }
    }

    @inline(__always)
    private static func pair(_ rank: UInt32, _ part: Int) -> UInt32 {
        rank == TokenTable.none ? noPair : rank << indexBits | UInt32(truncatingIfNeeded: part)
    }
}

/// A piece of many bytes while it is merged: a linked list of parts, and a heap of the pairs that could be merged.
///
/// A part is named by the index of its first byte. The heap also holds pairs that have changed since; they are known by
/// the rank that is no longer that of their part.
private struct LongPiece {
    private let ranks: TokenTable.View
    private let piece: UnsafePointer<UInt8>
    /// The part behind each part, the length of the piece behind the last.
    private var next: [Int32]
    /// The part before each part, -1 before the first.
    private var previous: [Int32]
    /// The rank of each part joined with the next, ``TokenTable/none`` also for a part that was merged away.
    private var joined: [UInt32]
    /// Rank and part of each pair in one number; no number is greater than those at its index times two plus one and two.
    private var heap: [UInt64] = []

    private init(_ ranks: TokenTable.View, _ piece: UnsafePointer<UInt8>, _ length: Int) {
        self.ranks = ranks
        self.piece = piece
        next = (1...Int32(length)).map { $0 }
        previous = (-1..<Int32(length) - 1).map { $0 }
        joined = [UInt32](repeating: TokenTable.none, count: length)
        for index in 0..<length - 1 {
            joined[index] = ranks.rank(ofPair: piece + index)
            if joined[index] != TokenTable.none { heap.append(UInt64(joined[index]) << 32 | UInt64(index)) }
        }
        for index in stride(from: heap.count / 2 - 1, through: 0, by: -1) { sink(index) }
    }

    /// Merges until nothing can be, and gives how many parts are left.
    private mutating func merge() -> Int {
        let length = next.count
        var parts = length
        while let lowest = popLowest() {
            let part = Int(lowest & 0xFFFF_FFFF)
            guard joined[part] == UInt32(lowest >> 32) else { continue }
            let gone = Int(next[part])
            let behind = Int(next[gone])
            next[part] = Int32(behind)
            if behind < length { previous[behind] = Int32(part) }
            joined[gone] = TokenTable.none
            parts -= 1
            update(part)
            if previous[part] >= 0 { update(Int(previous[part])) }
        }
        return parts
    }

    /// How many tokens a piece becomes.
    static func count(_ ranks: TokenTable.View, _ piece: UnsafePointer<UInt8>, _ length: Int) -> Int {
        var piece = LongPiece(ranks, piece, length)
        return piece.merge()
    }

    /// Sets the rank of a part joined with the next anew.
    private mutating func update(_ part: Int) {
        let other = Int(next[part])
        joined[part] = other < next.count ? ranks.rank(of: piece + part, Int(next[other]) - part) : TokenTable.none
        guard joined[part] != TokenTable.none else { return }
        heap.append(UInt64(joined[part]) << 32 | UInt64(part))
        var index = heap.count - 1
        while index > 0, heap[(index - 1) / 2] > heap[index] {
            heap.swapAt(index, (index - 1) / 2)
            index = (index - 1) / 2
        }
    }

    private mutating func popLowest() -> UInt64? {
        guard let last = heap.popLast() else { return nil }
        guard let lowest = heap.first else { return last }
        heap[0] = last
        sink(0)
        return lowest
    }

    private mutating func sink(_ start: Int) {
        var index = start
        let value = heap[index]
        while true {
            var child = 2 * index + 1
            guard child < heap.count else { break }
            if child + 1 < heap.count, heap[child + 1] < heap[child] { child += 1 }
            guard heap[child] < value else { break }
            heap[index] = heap[child]
            index = child
        }
        heap[index] = value
    }
}
