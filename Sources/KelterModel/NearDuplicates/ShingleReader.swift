/// Makes the signature of a text from its shingles, sets of three words in a row.
///
/// Words are runs of letters and digits; case (of ASCII and Latin-1), white space and punctuation do not count. In
/// scripts that are written without spaces every character is a word. A text of fewer than three words is one shingle.
///
/// One permutation serves all positions (Li, Owen, Zhang, "One Permutation Hashing", 2012); a position that no shingle
/// fell into takes the value of one that it is sent to (Shrivastava, "Optimal Densification for Fast and Accurate Minwise
/// Hashing", 2017): a shingle costs the same however many positions there are.
package struct ShingleReader {
    private static let empty = UInt64.max
    /// The least hash of each position; the upper bits choose the position.
    private var minima = [UInt64](repeating: empty, count: NearDuplicateSignature.positions)
    private var (first, second) = (UInt64(0), UInt64(0))
    private var words = 0
    /// The hash of the word that is being read; 0 for none.
    private var word = UInt64(0)

    package init() {}

    /// The signature of a text.
    ///
    /// - Parameter text: Valid UTF-8.
    /// - Returns: The signature; `nil` for a text without words.
    package static func signature(of text: [UInt8]) -> NearDuplicateSignature? {
        var reader = ShingleReader()
        text.withUnsafeBufferPointer { reader.read($0) }
        return reader.finish()
    }

    /// Reads the next part of a text, which may end within a word but not within a character.
    package mutating func read(_ text: UnsafeBufferPointer<UInt8>) {
        var word = word
        defer { self.word = word }
        var position = 0
        while position < text.count {
            let byte = text[position]
            if byte < 0x80 {
                position += 1
                let kind = Self.folded(byte)
                if kind == 0 { end(&word) } else { Self.add(kind, to: &word) }
                continue
            }
            let width = byte < 0xE0 ? 2 : byte < 0xF0 ? 3 : 4
            guard position + width <= text.count else { break }
            switch Self.kind(text, position, width) {
            case .separator:
                end(&word)
            case .letter:
                for index in position..<position + width {
                    let isCapital = index == position + 1 && byte == 0xC3 && (0x80...0x9E).contains(text[index])
                    Self.add(isCapital ? text[index] + 0x20 : text[index], to: &word)
                }
            case .word:
                end(&word)
                for index in position..<position + width { Self.add(text[index], to: &word) }
                end(&word)
            }
            position += width
        }
    }

    private enum Kind { case letter, separator, word }

    /// What a character outside ASCII is, by its first bytes.
    private static func kind(_ text: UnsafeBufferPointer<UInt8>, _ position: Int, _ width: Int) -> Kind {
        let (lead, next) = (text[position], text[position + 1])
        switch lead {
        // U+0080 to U+00BF but the three letters among them, multiplication and division signs.
        case 0xC2: return next == 0xAA || next == 0xB5 || next == 0xBA ? .letter : .separator
        case 0xC3: return next == 0x97 || next == 0xB7 ? .separator : .letter
        // U+2000 to U+207F: spaces and punctuation.
        case 0xE2: return next == 0x80 || next == 0x81 ? .separator : .letter
        // Thai and Lao; Khmer and Myanmar.
        case 0xE0: return next == 0xB8 || next == 0xB9 || next == 0xBA || next == 0xBB ? .word : .letter
        case 0xE1: return next == 0x9E || next == 0x9F || next == 0x80 || next == 0x81 ? .word : .letter
        // U+3000 to U+303F, and the full-width forms of punctuation.
        case 0xE3: return next == 0x80 ? .separator : .word
        case 0xEF: return next == 0xBC ? .separator : .letter
        case 0xE4...0xE9: return .word
        default: return width == 4 && next >= 0xA0 && lead == 0xF0 ? .word : .letter
        }
    }

    /// A letter or digit of ASCII in lower case; 0 for anything else.
    @inline(__always)
    private static func folded(_ byte: UInt8) -> UInt8 {
        switch byte {
        case 0x61...0x7A, 0x30...0x39: byte
        case 0x41...0x5A: byte | 0x20
        default: 0
        }
    }

    /// FNV-1a with an offset that no word has; 0 is no word.
    @inline(__always)
    private static func add(_ byte: UInt8, to word: inout UInt64) {
        if word == 0 { word = 0xCBF2_9CE4_8422_2325 }
        word = (word ^ UInt64(byte)) &* 0x100_0000_01B3
    }

    @inline(__always)
    private mutating func end(_ word: inout UInt64) {
        guard word != 0 else { return }
        words += 1
        if words > 2 { add(shingle: first, second, word) }
        (first, second) = (second, word)
        word = 0
    }

    @inline(__always)
    private mutating func add(shingle first: UInt64, _ second: UInt64, _ third: UInt64) {
        let hash = mixed(mixed(mixed(first) &+ second) &+ third)
        let position = Int(hash >> 57)
        if hash < minima[position] { minima[position] = hash }
    }

    /// The signature of what was read; `nil` for a text without words.
    package mutating func finish() -> NearDuplicateSignature? {
        var last = word
        end(&last)
        word = last
        guard words > 0 else { return nil }
        if words < 3 { add(shingle: words > 1 ? first : 0, second, UInt64(words)) }
        let filled = minima
        let values = filled.indices.map { position -> UInt32 in
            var source = position
            var attempt = UInt64(0)
            while filled[source] == Self.empty {
                attempt += 1
                source = Int(mixed(UInt64(position) << 32 | attempt) >> 57)
            }
            return UInt32(truncatingIfNeeded: filled[source])
        }
        return NearDuplicateSignature(minima: values)
    }
}
