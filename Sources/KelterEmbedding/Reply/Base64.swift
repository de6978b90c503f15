/// Decodes base64 (RFC 4648 section 4, with padding) in bulk.
enum Base64 {
    /// The value of each character; 0xFF for bytes outside the alphabet.
    private static let values: [UInt8] = {
        var table = [UInt8](repeating: 0xFF, count: 256)
        let alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8
        for (value, character) in alphabet.enumerated() { table[Int(character)] = UInt8(value) }
        return table
    }()

    /// How many bytes a text decodes to, from its length and padding; `nil` for an impossible length.
    static func decodedCount(_ text: UnsafeBufferPointer<UInt8>) -> Int? {
        guard text.count % 4 == 0 else { return nil }
        guard let last = text.last else { return 0 }
        let pad = UInt8(ascii: "=")
        let padding = last != pad ? 0 : text[text.count - 2] != pad ? 1 : 2
        return text.count / 4 * 3 - padding
    }

    /// Decodes a text.
    ///
    /// - Parameters:
    ///   - text: The characters.
    ///   - output: Exactly ``decodedCount(_:)`` bytes.
    /// - Returns: `false` when a character is none of the alphabet.
    static func decode(_ text: UnsafeBufferPointer<UInt8>, into output: UnsafeMutableRawBufferPointer) -> Bool {
        guard decodedCount(text) == output.count else { return false }
        return values.withUnsafeBufferPointer { values in
            // One bad character sets the high bit of the union; looked at once, at the end.
            var seen: UInt8 = 0
            var source = 0
            var target = 0
            while target + 3 <= output.count {
                let a = values[Int(text[source])]
                let b = values[Int(text[source + 1])]
                let c = values[Int(text[source + 2])]
                let d = values[Int(text[source + 3])]
                seen |= a | b | c | d
                let word = UInt32(a) << 18 | UInt32(b) << 12 | UInt32(c) << 6 | UInt32(d)
                output[target] = UInt8(truncatingIfNeeded: word >> 16)
                output[target + 1] = UInt8(truncatingIfNeeded: word >> 8)
                output[target + 2] = UInt8(truncatingIfNeeded: word)
                source += 4
                target += 3
            }
            let rest = output.count - target
            if rest > 0 {
                let a = values[Int(text[source])]
                let b = values[Int(text[source + 1])]
                let c = rest == 2 ? values[Int(text[source + 2])] : 0
                seen |= a | b | c
                let word = UInt32(a) << 18 | UInt32(b) << 12 | UInt32(c) << 6
                output[target] = UInt8(truncatingIfNeeded: word >> 16)
                if rest == 2 { output[target + 1] = UInt8(truncatingIfNeeded: word >> 8) }
            }
            return seen & 0x80 == 0
        }
    }
}
