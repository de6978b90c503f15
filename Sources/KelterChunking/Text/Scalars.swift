/// Decodes the scalar that begins at `index`, and how many bytes it takes.
///
/// Broken sequences, which valid UTF-8 does not have, give the byte itself and 1, so that no input can run out of bounds.
@inline(__always)
func decodeScalar(_ bytes: UnsafeBufferPointer<UInt8>, at index: Int) -> (scalar: UInt32, length: Int) {
    let first = UInt32(bytes[index])
    let left = bytes.count - index
    func rest(_ offset: Int) -> UInt32 { UInt32(bytes[index + offset]) & 0x3F }
    if first < 0x80 { return (first, 1) }
    if first >> 5 == 0x6, left >= 2 { return ((first & 0x1F) << 6 | rest(1), 2) }
    if first >> 4 == 0xE, left >= 3 { return ((first & 0x0F) << 12 | rest(1) << 6 | rest(2), 3) }
    if first >> 3 == 0x1E, left >= 4 {
        return ((first & 0x07) << 18 | rest(1) << 12 | rest(2) << 6 | rest(3), 4)
    }
    return (first, 1)
}

/// Appends a scalar's UTF-8.
func appendScalar(_ scalar: UInt32, to bytes: inout [UInt8]) {
    func rest(_ shift: UInt32) -> UInt8 { UInt8(truncatingIfNeeded: 0x80 | (scalar >> shift) & 0x3F) }
    if scalar < 0x80 {
        bytes.append(UInt8(truncatingIfNeeded: scalar))
    } else if scalar < 0x800 {
        bytes.append(UInt8(truncatingIfNeeded: 0xC0 | scalar >> 6))
        bytes.append(rest(0))
    } else if scalar < 0x10000 {
        bytes.append(UInt8(truncatingIfNeeded: 0xE0 | scalar >> 12))
        bytes.append(rest(6))
        bytes.append(rest(0))
    } else {
        bytes.append(UInt8(truncatingIfNeeded: 0xF0 | scalar >> 18))
        bytes.append(rest(12))
        bytes.append(rest(6))
        bytes.append(rest(0))
    }
}

/// The bytes of the white space character that begins at `index`, 0 when there is none.
///
/// Unicode's property `White_Space`, and NUL, at which endpoints written in C cut a text.
@inline(__always)
func whiteSpaceLength(_ bytes: UnsafeBufferPointer<UInt8>, at index: Int) -> Int {
    let first = bytes[index]
    if first <= 0x20 { return first == 0x20 || (0x09...0x0D).contains(first) || first == 0 ? 1 : 0 }
    // All others begin with C2, E1, E2 or E3.
    guard first == 0xC2 || (0xE1...0xE3).contains(first) else { return 0 }
    let (scalar, length) = decodeScalar(bytes, at: index)
    switch scalar {
    case 0x85, 0xA0, 0x1680, 0x2000...0x200A, 0x2028, 0x2029, 0x202F, 0x205F, 0x3000: return length
    default: return 0
    }
}
