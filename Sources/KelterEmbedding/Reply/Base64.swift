/// Decodes base64 (RFC 4648 section 4, with padding) in bulk.
enum Base64 {
    /// What each character contributes to the three bytes of its group.
    ///
    /// A word whose lowest byte is the first one; one table for each of the four places, one behind the other.
    /// ``invalid`` for bytes outside the alphabet.
    private static let parts: [UInt32] = {
        var tables = [UInt32](repeating: invalid, count: 4 * 256)
        let alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8
        for (value, character) in alphabet.enumerated() {
            for place in 0..<4 {
                // The group's 24 bits with the first byte highest, as the standard has them, turned round.
                tables[place * 256 + Int(character)] = (UInt32(value) << UInt32(26 - 6 * place)).byteSwapped
            }
        }
        return tables
    }()

    /// A bit that no group's word has.
    private static let invalid: UInt32 = 1 << 31

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
        return parts.withUnsafeBufferPointer { parts in
            func word(_ source: Int, of count: Int = 4) -> UInt32 {
                var word = parts[Int(text[source])] | parts[256 + Int(text[source + 1])]
                if count > 2 { word |= parts[512 + Int(text[source + 2])] }
                if count > 3 { word |= parts[768 + Int(text[source + 3])] }
                return word
            }
            // One bad character sets a bit of the union; looked at once, at the end.
            var seen: UInt32 = 0
            var source = 0
            var target = 0
            // Four bytes at a time are quicker to write than three; the next group overwrites the fourth.
            while target + 4 <= output.count {
                let group = word(source)
                seen |= group
                output.storeBytes(of: group.littleEndian, toByteOffset: target, as: UInt32.self)
                source += 4
                target += 3
            }
            let rest = output.count - target
            if rest > 0 {
                let group = word(source, of: rest + 1)
                seen |= group
                for byte in 0..<rest { output[target + byte] = UInt8(truncatingIfNeeded: group >> UInt32(8 * byte)) }
            }
            return seen & invalid == 0
        }
    }
}
