import KelterModel

/// Brings UTF-16 to UTF-8, piece by piece.
struct UTF16Decoder {
    private let isBigEndian: Bool
    /// The beginning of a character whose end has not come yet.
    private var rest: [UInt8] = []
    /// Where ``rest`` stands in the file.
    private var offset: Int

    /// - Parameters:
    ///   - isBigEndian: Whether the upper byte of a unit comes first.
    ///   - offset: Where the text begins in the file: behind the byte order mark, if there is one.
    init(isBigEndian: Bool, offset: Int = ByteOrderMark.utf16(isBigEndian: true).length) {
        self.isBigEndian = isBigEndian
        self.offset = offset
    }

    /// Appends the UTF-8 form of the next bytes.
    ///
    /// - Throws: ``KelterError`` with `invalidEncoding` for an odd number of bytes or a lone surrogate, naming the byte.
    mutating func decode(_ bytes: [UInt8], isLast: Bool, into output: inout [UInt8]) throws(KelterError) {
        let bytes = rest.isEmpty ? bytes : rest + bytes
        var position = 0

        func unit(_ position: Int) -> UInt32 {
            let first = UInt32(bytes[position])
            let second = UInt32(bytes[position + 1])
            return isBigEndian ? first << 8 | second : second << 8 | first
        }
        while position + 2 <= bytes.count {
            var value = unit(position)
            var length = 2
            if value & 0xFC00 == 0xD800 {
                if position + 4 > bytes.count, !isLast { break }
                if position + 4 <= bytes.count, unit(position + 2) & 0xFC00 == 0xDC00 {
                    value = 0x10000 + (value - 0xD800) << 10 + (unit(position + 2) - 0xDC00)
                    length = 4
                }
            }
            guard let scalar = Unicode.Scalar(value) else { throw Self.invalid(at: offset + position) }
            position += length
            if value < 0x80 {
                output.append(UInt8(truncatingIfNeeded: value))
            } else {
                output.append(contentsOf: UTF8.encode(scalar).map { Array($0) } ?? [])
            }
        }
        offset += position
        rest = Array(bytes[position...])
        guard rest.isEmpty || !isLast else { throw Self.invalid(at: offset) }
    }

    private static func invalid(at offset: Int) -> KelterError {
        KelterError(.invalidEncoding, "The text is not valid UTF-16 at byte \(offset).", fix: "Convert it to UTF-8.")
    }
}
