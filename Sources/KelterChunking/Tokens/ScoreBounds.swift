/// How well the rest of a word can be covered at best, by the number of bytes left.
///
/// With it most starts within a word need not be tried: a cut that is behind already and could not catch up even with
/// the best pieces of the vocabulary is dropped. The bound is exact mathematics; ``slack`` covers rounding.
struct ScoreBounds: Sendable {
    /// Longer rests are not bounded.
    static let longest = 48
    /// Far above the rounding error of a sum while it stays above ``lowestSum``.
    static let slack: Float = 0.1
    /// Below this sum single precision is too coarse for ``slack``; nothing is dropped then.
    static let lowestSum: Float = -16_384

    /// The best sum for a rest of so many bytes, for words of ASCII only and for all others.
    private let ascii: [Float]
    private let other: [Float]
    /// Bytes that occur in pieces with score 0 (`<s>`, `<mask>`), which no bound covers.
    private let unbounded: [Bool]

    init(_ pieces: SortedPieces) {
        var bestASCII = [Float](repeating: -.infinity, count: Self.longest + 1)
        var best = bestASCII
        var unbounded = [Bool](repeating: false, count: 256)
        for (index, score) in pieces.scores.enumerated() {
            let piece = pieces.bytes[Int(pieces.offsets[index])..<Int(pieces.offsets[index + 1])]
            if score >= 0 {
                unbounded[Int(piece[piece.startIndex])] = true
            } else if piece.count <= Self.longest, !piece.starts(with: Metaspace.bytes) {
                best[piece.count] = max(best[piece.count], score)
                if piece.allSatisfy({ $0 < 0x80 }) { bestASCII[piece.count] = max(bestASCII[piece.count], score) }
            }
        }
        ascii = Self.sums(bestASCII)
        other = Self.sums(best)
        self.unbounded = unbounded
    }

    /// The best sum of scores over all ways to add up to a length.
    private static func sums(_ best: [Float]) -> [Float] {
        var sums: [Float] = [0]
        for length in 1...longest {
            sums.append((1...length).map { best[$0] + sums[length - $0] }.max() ?? 0)
        }
        return sums
    }

    /// The table for a word, `nil` when nothing may be dropped.
    func table(for word: UnsafeBufferPointer<UInt8>) -> [Float]? {
        var all: UInt8 = 0
        for byte in word {
            if unbounded[Int(byte)] { return nil }
            all |= byte
        }
        return all < 0x80 ? ascii : other
    }
}
