/// The form in which texts go to a model: normalisation form C, white space collapsed.
///
/// Runs of white space become one space, white space at the ends is dropped. There is no lower-casing and no stemming.
enum EmbeddedText {
    /// Appends the collapsed form of a text, not yet in normalisation form C.
    static func appendCollapsed(_ text: UnsafeBufferPointer<UInt8>, to output: inout [UInt8]) {
        var index = skipWhiteSpace(text, from: 0)
        while index < text.count {
            // A run of words that are separated by single spaces is copied in one piece.
            let start = index
            var end = start
            var next = start
            while index < text.count {
                let byte = text[index]
                if byte > 0x20, byte < 0x80 || !(byte == 0xC2 || (0xE1...0xE3).contains(byte)) {
                    index += 1
                    continue
                }
                let length = whiteSpaceLength(text, at: index)
                guard length > 0 else {
                    // A lead byte's continuation bytes are at or above 0x80 and are passed over by the first branch,
                    // but for C2 and E1 to E3, which never are continuation bytes.
                    index += 1
                    continue
                }
                end = index
                next = skipWhiteSpace(text, from: index)
                if byte == 0x20, next == index + 1, next < text.count {
                    index = next
                    continue
                }
                break
            }
            if index == text.count { (end, next) = (index, index) }
            output.append(contentsOf: UnsafeBufferPointer(rebasing: text[start..<end]))
            index = next
            if index < text.count { output.append(0x20) }
        }
    }

    /// The normalised form of one text.
    static func normalised(_ text: Span<UInt8>) -> [UInt8] {
        var output: [UInt8] = []
        output.reserveCapacity(text.count)
        text.withUnsafeBufferPointer { appendCollapsed($0, to: &output) }
        CanonicalComposition.normalise(&output)
        return output
    }

    /// The normalised form of one text.
    static func normalised(_ text: String) -> String {
        String(decoding: normalised(Array(text.utf8).span), as: UTF8.self)
    }

    private static func skipWhiteSpace(_ text: UnsafeBufferPointer<UInt8>, from start: Int) -> Int {
        var index = start
        while index < text.count {
            let length = whiteSpaceLength(text, at: index)
            if length == 0 { break }
            index += length
        }
        return index
    }
}
