/// One token per byte: a bound that never undercounts, for a model whose tokenizer is not known.
///
/// Every tokenizer in use (byte-level BPE, WordPiece, SentencePiece with byte fallback) makes at least one byte of text
/// into one token. Two things could break that, and both are paid for here:
/// - SentencePiece puts a metaspace before the text: one token, counted in ``specialTokens`` beside the two markers.
/// - A tokenizer may normalise with NFKC, which makes some compatibility characters longer (U+FDFA: 3 bytes to 33).
///   Those count as many tokens as the longest form in their range has bytes.
package struct ByteTokenCounter: TokenCounter {
    /// A begin and an end marker and SentencePiece's leading metaspace.
    package let specialTokens = 3

    package init() {}

    package func count(_ text: Span<UInt8>) -> Int {
        text.withUnsafeBufferPointer { bytes in
            var tokens = bytes.count
            var index = 0
            while index < bytes.count {
                guard bytes[index] >= 0x80 else {
                    index += 1
                    continue
                }
                let (scalar, length) = decodeScalar(bytes, at: index)
                tokens += max(0, Self.longestForm(scalar) - length)
                index += length
            }
            return tokens
        }
    }

    /// The bytes of the longest NFKC form in the range a scalar belongs to, 0 outside the ranges that grow.
    private static func longestForm(_ scalar: UInt32) -> Int {
        for range in growingRanges {
            if scalar < range.first { return 0 }
            if scalar <= range.last { return range.bytes }
        }
        return 0
    }

    /// Scalars whose NFKC form is longer in UTF-8 than themselves (Unicode 15), in ascending ranges.
    private static let growingRanges: [(first: UInt32, last: UInt32, bytes: Int)] = [
        (0xA8, 0xB8, 3), (0xBC, 0xBE, 5), (0x13F, 0x140, 3), (0x149, 0x149, 3), (0x1C4, 0x1C6, 3), (0x2D8, 0x2DD, 3),
        (0x344, 0x344, 4), (0x37A, 0x37A, 3), (0x384, 0x385, 5), (0x587, 0x587, 4), (0x675, 0x678, 4),
        (0x958, 0x95F, 6),
        (0x9DC, 0x9DF, 6), (0xA33, 0xA36, 6), (0xA59, 0xA5E, 6), (0xB5C, 0xB5D, 6), (0xE33, 0xE33, 6),
        (0xEB3, 0xEB3, 6),
        (0xEDC, 0xEDD, 6), (0xF43, 0xFB9, 9), (0x1FC1, 0x1FEE, 5), (0x2033, 0x2037, 9), (0x2057, 0x2057, 12),
        (0x2150, 0x2189, 6), (0x222C, 0x2230, 9), (0x247D, 0x2487, 4), (0x2A0C, 0x2A0C, 12), (0x2ADC, 0x2ADC, 5),
        (0x309B, 0x309C, 4), (0x309F, 0x309F, 6), (0x30FF, 0x30FF, 6), (0x3200, 0x33FE, 18), (0xFA6C, 0xFAD7, 4),
        (0xFB13, 0xFDC7, 6), (0xFDF0, 0xFDFC, 33), (0xFE71, 0xFEFC, 4), (0x1D15E, 0x1D1C0, 12), (0x1F12A, 0x1F248, 9),
    ]
}
