/// What stands for some scalars before a text is cut into pieces: SentencePiece's normalisation, scalar by scalar.
struct CharacterMap: Sendable {
    /// One bit per scalar up to the last that is replaced.
    private let isMapped: [UInt64]
    /// The replaced scalars, ascending.
    private let scalars: [UInt32]
    /// Where the replacement of each begins in ``replacements``, and the end of the last.
    private let offsets: [Int]
    /// The replacing scalars, one after the other.
    private let replacements: [UInt32]

    /// Reads the map of a weights file; `nil` if it is damaged.
    ///
    /// - Parameters:
    ///   - count: How many scalars are replaced.
    ///   - bytes: The entries, see ``XLMRobertaVocabulary``.
    init?(count: Int, bytes: [UInt8]) {
        var scalars: [UInt32] = []
        var offsets = [0]
        var replacements: [UInt32] = []
        var position = 0
        func number(at offset: Int) -> UInt32 {
            (0..<4).reduce(0) { $0 | UInt32(bytes[offset + $1]) << UInt32(8 * $1) }
        }
        for _ in 0..<count {
            guard position + 5 <= bytes.count else { return nil }
            let scalar = number(at: position)
            let length = Int(bytes[position + 4])
            position += 5
            guard position + 4 * length <= bytes.count, scalar < 0x11_0000, scalars.last.map({ $0 < scalar }) ?? true
            else { return nil }
            scalars.append(scalar)
            for index in 0..<length { replacements.append(number(at: position + 4 * index)) }
            offsets.append(replacements.count)
            position += 4 * length
        }
        var isMapped = [UInt64](repeating: 0, count: Int(scalars.last ?? 0) / 64 + 1)
        for scalar in scalars { isMapped[Int(scalar >> 6)] |= 1 << UInt64(scalar & 63) }
        self.isMapped = isMapped
        self.scalars = scalars
        self.offsets = offsets
        self.replacements = replacements
    }

    /// Whether a scalar is replaced.
    @inline(__always)
    func contains(_ scalar: UInt32) -> Bool {
        let word = Int(scalar >> 6)
        return word < isMapped.count && isMapped[word] >> UInt64(scalar & 63) & 1 == 1
    }

    /// The scalars that stand for a scalar; `nil` for one that stands for itself.
    func replacement(of scalar: UInt32) -> ArraySlice<UInt32>? {
        guard contains(scalar) else { return nil }
        var low = 0
        var high = scalars.count
        while low < high {
            let middle = (low + high) / 2
            if scalars[middle] < scalar { low = middle + 1 } else { high = middle }
        }
        return replacements[offsets[low]..<offsets[low + 1]]
    }
}
