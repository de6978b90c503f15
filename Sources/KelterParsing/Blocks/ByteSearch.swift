import Glibc

/// The offset of the first occurrence of a byte at or after a position.
@inline(__always)
func firstIndex(of byte: UInt8, in bytes: UnsafeBufferPointer<UInt8>, from position: Int = 0) -> Int? {
    guard let base = bytes.baseAddress, position < bytes.count,
        let found = memchr(base + position, Int32(byte), bytes.count - position)
    else { return nil }
    return UnsafeRawPointer(found) - UnsafeRawPointer(base)
}

/// The offset of the first occurrence of a byte sequence that is not empty.
func firstIndex(of sequence: [UInt8], in bytes: UnsafeBufferPointer<UInt8>) -> Int? {
    guard let base = bytes.baseAddress else { return nil }
    var position = 0
    while let start = firstIndex(of: sequence[0], in: bytes, from: position), start + sequence.count <= bytes.count {
        if memcmp(base + start, sequence, sequence.count) == 0 { return start }
        position = start + 1
    }
    return nil
}

extension Array<UInt8> {
    /// Appends an ASCII literal.
    @inline(__always)
    mutating func append(_ literal: StaticString) {
        append(contentsOf: UnsafeBufferPointer(start: literal.utf8Start, count: literal.utf8CodeUnitCount))
    }
}
