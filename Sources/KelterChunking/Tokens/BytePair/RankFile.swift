import KelterModel

/// Reads a `.tiktoken` rank file: per line a token in base64, a space and its rank.
enum RankFile {
    /// The tokens of a file and the pattern that goes with them.
    ///
    /// - Throws: ``KelterError`` with ``ErrorCode/tokenizerInvalid`` for a damaged file and for one that is neither
    ///   cl100k_base nor o200k_base.
    static func read(_ file: TokenizerFile) throws(KelterError) -> (table: TokenTable, pattern: SplitPattern) {
        // Tokens in the order of the file.
        var bytes: [UInt8] = []
        bytes.reserveCapacity(file.bytes.count)
        var offsets: [UInt32] = [0]
        var ranks: [UInt32] = []
        offsets.reserveCapacity(200_001)
        ranks.reserveCapacity(200_000)
        let lines = file.bytes.withUnsafeBufferPointer { text in
            var index = 0
            while index < text.count {
                guard let rank = line(text, &index, &bytes) else { return ranks.count }
                ranks.append(rank)
                offsets.append(UInt32(bytes.count))
            }
            return -1
        }
        guard lines < 0 else { throw file.damaged("line \(lines + 1) is not a token in base64, a space and a rank") }
        let pattern: SplitPattern
        switch ranks.count {
        case 100_256: pattern = .cl100k
        case 199_998: pattern = .o200k
        default:
            throw file.unsupported(
                "it has \(ranks.count) tokens, and neither 100,256 like cl100k_base nor 199,998 like o200k_base, so that "
                    + "how it splits a text is not known"
            )
        }
        guard let sorted = sorted(bytes, offsets, ranks),
            let table = TokenTable(bytes: sorted.bytes, offsets: sorted.offsets)
        else { throw file.damaged("a token or a rank stands twice or is missing") }
        let hasAllBytes = table.withView { table in
            (0...UInt8.max).allSatisfy { byte in
                withUnsafePointer(to: byte) { table.rank(of: $0, 1) } != TokenTable.none
            }
        }
        guard hasAllBytes == true else { throw file.damaged("a byte is no token") }
        return (table, pattern)
    }

    /// Appends the token of a line and goes behind the line; `nil` if it is malformed.
    private static func line(
        _ text: UnsafeBufferPointer<UInt8>,
        _ index: inout Int,
        _ bytes: inout [UInt8]
    ) -> UInt32? {
        var bits: UInt32 = 0
        var count = 0
        let start = index
        while index < text.count, let value = base64Value(text[index]) {
            bits = bits << 6 | UInt32(value)
            count += 6
            index += 1
            if count >= 8 {
                count -= 8
                bytes.append(UInt8(truncatingIfNeeded: bits >> UInt32(count)))
            }
        }
        // What is left over of the last letter must be zero, and padding fills up to four letters.
        guard count < 6, bits & (1 << UInt32(count) - 1) == 0, index > start else { return nil }
        while index < text.count, text[index] == UInt8(ascii: "=") { index += 1 }
        guard (index - start) % 4 == 0, index < text.count, text[index] == 0x20 else { return nil }
        index += 1
        var rank: UInt32 = 0
        let digits = index
        while index < text.count, (0x30...0x39).contains(text[index]), index - digits < 9 {
            rank = rank * 10 + UInt32(text[index] - 0x30)
            index += 1
        }
        guard index > digits else { return nil }
        if index < text.count, text[index] == 0x0D { index += 1 }
        guard index == text.count || text[index] == 0x0A else { return nil }
        index = min(index + 1, text.count)
        return rank
    }

    private static func base64Value(_ byte: UInt8) -> UInt8? {
        switch byte {
        case UInt8(ascii: "A")...UInt8(ascii: "Z"): byte - 65
        case UInt8(ascii: "a")...UInt8(ascii: "z"): byte - 71
        case UInt8(ascii: "0")...UInt8(ascii: "9"): byte + 4
        case UInt8(ascii: "+"): 62
        case UInt8(ascii: "/"): 63
        default: nil
        }
    }

    /// The tokens in the order of their ranks, which are the numbers from zero; `nil` if they are not.
    private static func sorted(
        _ bytes: [UInt8],
        _ offsets: [UInt32],
        _ ranks: [UInt32]
    ) -> (bytes: [UInt8], offsets: [UInt32])? {
        if ranks.indices.allSatisfy({ Int(ranks[$0]) == $0 }) { return (bytes, offsets) }
        var lines = [Int](repeating: -1, count: ranks.count)
        for (line, rank) in ranks.enumerated() {
            guard rank < ranks.count, lines[Int(rank)] < 0 else { return nil }
            lines[Int(rank)] = line
        }
        var sortedBytes: [UInt8] = []
        var sortedOffsets: [UInt32] = [0]
        for line in lines {
            sortedBytes += bytes[Int(offsets[line])..<Int(offsets[line + 1])]
            sortedOffsets.append(UInt32(sortedBytes.count))
        }
        return (sortedBytes, sortedOffsets)
    }
}
