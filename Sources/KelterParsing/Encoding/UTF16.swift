import KelterModel

/// The UTF-8 form of UTF-16 that begins with a byte order mark.
///
/// - Throws: ``KelterError`` with `invalidEncoding` for an odd number of bytes or a lone surrogate, naming the byte.
func decodedUTF16(_ bytes: [UInt8]) throws(KelterError) -> [UInt8] {
    let isBigEndian = bytes[0] == 0xFE
    guard bytes.count.isMultiple(of: 2) else { throw invalidUTF16(at: bytes.count - 1) }
    var output: [UInt8] = []
    output.reserveCapacity(bytes.count * 3 / 4)
    var position = 2

    func unit(_ position: Int) -> UInt32 {
        let first = UInt32(bytes[position])
        let second = UInt32(bytes[position + 1])
        return isBigEndian ? first << 8 | second : second << 8 | first
    }
    while position < bytes.count {
        var value = unit(position)
        var length = 2
        if value & 0xFC00 == 0xD800, position + 4 <= bytes.count, unit(position + 2) & 0xFC00 == 0xDC00 {
            value = 0x10000 + (value - 0xD800) << 10 + (unit(position + 2) - 0xDC00)
            length = 4
        }
        guard let scalar = Unicode.Scalar(value) else { throw invalidUTF16(at: position) }
        position += length
        if value < 0x80 {
            output.append(UInt8(truncatingIfNeeded: value))
        } else {
            output.append(contentsOf: UTF8.encode(scalar).map { Array($0) } ?? [])
        }
    }
    return output
}

private func invalidUTF16(at offset: Int) -> KelterError {
    KelterError(.invalidEncoding, "The text is not valid UTF-16 at byte \(offset).", fix: "Convert it to UTF-8.")
}
