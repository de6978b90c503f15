/// The pieces of a vocabulary in ascending order of their bytes.
struct SortedPieces: Sendable {
    /// The UTF-8 of all pieces, one after the other.
    let bytes: [UInt8]
    /// Where each piece begins in ``bytes``, and the end of the last.
    let offsets: [UInt32]
    /// The score of each piece.
    let scores: [Float]

    /// Sorts the pieces of a vocabulary but the one for unknown characters, which no text matches.
    init(_ vocabulary: XLMRobertaVocabulary) {
        var entries: [Entry] = []
        entries.reserveCapacity(vocabulary.scores.count)
        var bytes: [UInt8] = []
        bytes.reserveCapacity(vocabulary.pieces.count)
        vocabulary.pieces.withUnsafeBufferPointer { pieces in
            for index in vocabulary.scores.indices where index != vocabulary.unknown {
                let start = vocabulary.offsets[index], end = vocabulary.offsets[index + 1]
                guard start < end else { continue }
                entries.append(Entry(key: 0, start: start, end: end, score: vocabulary.scores[index]))
            }
            Self.sort(&entries, pieces)
            for entry in entries {
                bytes.append(contentsOf: UnsafeBufferPointer(rebasing: pieces[Int(entry.start)..<Int(entry.end)]))
            }
        }
        var offset: UInt32 = 0
        offsets =
            [0]
            + entries.map {
                offset += $0.end - $0.start
                return offset
            }
        scores = entries.map(\.score)
        self.bytes = bytes
    }

    /// The bytes of a piece.
    @inline(__always)
    func length(of index: Int) -> Int {
        Int(offsets[index + 1] - offsets[index])
    }

    private struct Entry {
        /// Eight bytes of the piece as a number, the first the highest.
        var key: UInt64
        var start: UInt32
        var end: UInt32
        var score: Float

        mutating func setKey(_ pieces: UnsafeBufferPointer<UInt8>, skipping depth: UInt32) {
            key = 0
            let from = min(start + depth, end)
            for position in from..<min(from + 8, end) {
                key |= UInt64(pieces[Int(position)]) << UInt64(56 - 8 * (position - from))
            }
        }
    }

    /// A radix sort by the first eight bytes, then one by comparison of the runs that agree in them.
    private static func sort(_ entries: inout [Entry], _ pieces: UnsafeBufferPointer<UInt8>) {
        for index in entries.indices { entries[index].setKey(pieces, skipping: 0) }
        var other = entries
        for shift in stride(from: UInt64(0), to: 64, by: 8) {
            var places = [Int](repeating: 0, count: 257)
            for entry in entries { places[Int(entry.key >> shift & 0xFF) + 1] += 1 }
            for byte in 1..<257 { places[byte] += places[byte - 1] }
            for entry in entries {
                let byte = Int(entry.key >> shift & 0xFF)
                other[places[byte]] = entry
                places[byte] += 1
            }
            swap(&entries, &other)
        }
        sortRuns(&entries, 0..<entries.count, pieces, depth: 8)
    }

    /// Sorts each run of equal keys by the eight bytes that follow, as long as there are any.
    private static func sortRuns(
        _ entries: inout [Entry],
        _ range: Range<Int>,
        _ pieces: UnsafeBufferPointer<UInt8>,
        depth: UInt32
    ) {
        var start = range.lowerBound
        while start < range.upperBound {
            var end = start + 1
            let key = entries[start].key
            while end < range.upperBound, entries[end].key == key { end += 1 }
            // Without NUL bytes only equal pieces could agree in a key that ends in zero.
            if end - start > 1, key & 0xFF != 0 {
                for index in start..<end { entries[index].setKey(pieces, skipping: depth) }
                entries[start..<end].sort { $0.key < $1.key }
                sortRuns(&entries, start..<end, pieces, depth: depth + 8)
            }
            start = end
        }
    }
}
