/// The characters with Unicode's White_Space property, in UTF-8.
enum WhiteSpace {
    /// Whether a byte is one of the six ASCII white space characters.
    @inline(__always)
    static func isASCII(_ byte: UInt8) -> Bool {
        byte == 0x20 || byte &- 0x09 < 5
    }

    /// The length of the white space character at a position; 0 when another character stands there.
    @inline(__always)
    static func length(in bytes: UnsafeBufferPointer<UInt8>, at position: Int) -> Int {
        let byte = bytes[position]
        if byte < 0x80 { return isASCII(byte) ? 1 : 0 }
        return wideLength(in: bytes, at: position)
    }

    private static func wideLength(in bytes: UnsafeBufferPointer<UInt8>, at position: Int) -> Int {
        let left = bytes.count - position
        if bytes[position] == 0xC2, left >= 2 {
            return bytes[position + 1] == 0x85 || bytes[position + 1] == 0xA0 ? 2 : 0
        }
        guard left >= 3 else { return 0 }
        switch (bytes[position], bytes[position + 1], bytes[position + 2]) {
        case (0xE1, 0x9A, 0x80), (0xE2, 0x80, 0x80...0x8A), (0xE2, 0x80, 0xA8...0xA9), (0xE2, 0x80, 0xAF),
            (0xE2, 0x81, 0x9F), (0xE3, 0x80, 0x80):
            return 3
        default:
            return 0
        }
    }

    /// The range without the white space at its ends; an empty range when there is nothing else.
    static func trim(_ range: Range<Int>, in bytes: UnsafeBufferPointer<UInt8>) -> Range<Int> {
        var start = range.lowerBound
        var end = range.upperBound
        while start < end {
            let length = length(in: bytes, at: start)
            if length == 0 { break }
            start += length
        }
        while end > start {
            let byte = bytes[end - 1]
            if isASCII(byte) {
                end -= 1
            } else if byte >= 0x80, end - start >= 2, wideLength(in: bytes, at: end - 2) == 2 {
                end -= 2
            } else if byte >= 0x80, end - start >= 3, wideLength(in: bytes, at: end - 3) == 3 {
                end -= 3
            } else {
                break
            }
        }
        return start..<end
    }
}
