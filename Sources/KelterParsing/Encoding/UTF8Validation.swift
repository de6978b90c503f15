/// The offset of the first byte that is not part of valid UTF-8; nil when all is valid.
///
/// Follows the table of well-formed byte sequences of the Unicode Standard (table 3-7): no overlong forms, no
/// surrogates, nothing above U+10FFFF.
func firstInvalidUTF8(_ bytes: UnsafeBufferPointer<UInt8>) -> Int? {
    let count = bytes.count
    let raw = UnsafeRawBufferPointer(bytes)
    var position = 0
    while position < count {
        while position + 16 <= count {
            let low = raw.loadUnaligned(fromByteOffset: position, as: UInt64.self)
            let high = raw.loadUnaligned(fromByteOffset: position + 8, as: UInt64.self)
            if (low | high) & 0x8080_8080_8080_8080 != 0 { break }
            position += 16
        }
        guard position < count else { break }
        let lead = bytes[position]
        if lead < 0x80 {
            position += 1
            continue
        }
        let left = count - position
        switch lead {
        case 0xC2...0xDF:
            guard left >= 2, isContinuation(bytes[position + 1]) else { return position }
            position += 2
        case 0xE0...0xEF:
            guard left >= 3, isContinuation(bytes[position + 1]), isContinuation(bytes[position + 2]) else {
                return position
            }
            let second = bytes[position + 1]
            if lead == 0xE0 && second < 0xA0 || lead == 0xED && second > 0x9F { return position }
            position += 3
        case 0xF0...0xF4:
            guard left >= 4, isContinuation(bytes[position + 1]), isContinuation(bytes[position + 2]),
                isContinuation(bytes[position + 3])
            else { return position }
            let second = bytes[position + 1]
            if lead == 0xF0 && second < 0x90 || lead == 0xF4 && second > 0x8F { return position }
            position += 4
        default:
            return position
        }
    }
    return nil
}

@inline(__always)
func isContinuation(_ byte: UInt8) -> Bool {
    byte & 0xC0 == 0x80
}
