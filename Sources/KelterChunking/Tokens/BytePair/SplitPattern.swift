/// How a text is cut into the pieces inside which a byte pair encoding merges.
///
/// Both are hand-written machines for the regular expressions that OpenAI's `tiktoken` publishes (version 0.14), whose
/// alternatives are tried in order at each place. `L`, `N` and `M` are Unicode's letters, numbers and marks, `s` is white
/// space.
enum SplitPattern: Sendable {
    /// `'(?i:[sdmt]|ll|ve|re)`, `[^\r\n L N]?L+`, `N{1,3}`, ` ?[^s L N]+[\r\n]*`, `s+$`, `s*[\r\n]`, `s+(?!S)`, `s`.
    case cl100k
    /// A word of capital letters, then small letters, with the same optional character before it and an optional
    /// contraction behind it; then as in ``cl100k``, but with `[\r\n/]*` behind signs and without the rule of the white
    /// space at the end of the text.
    case o200k
}

/// Finds the ends of pieces.
struct PieceSplitter {
    let text: UnsafeBufferPointer<UInt8>
    /// The class of each scalar, see ``ScalarClasses``.
    let classes: ScalarTable<UInt8>.View

    /// The class of the scalar at a place inside the text, and its bytes.
    @inline(__always)
    private func scalarClass(at index: Int) -> (kind: UInt8, length: Int) {
        let byte = text[index]
        if byte < 0x80 { return (classes[ascii: byte], 1) }
        let (scalar, length) = decodeScalar(text, at: index)
        return (classes[scalar], length)
    }

    /// The end of the piece that begins at `start`, for a place before the end of the text.
    @inline(__always)
    func end(from start: Int, _ pattern: SplitPattern) -> Int {
        switch pattern {
        case .cl100k: endCL100K(from: start)
        case .o200k: endO200K(from: start)
        }
    }

    private func endCL100K(from start: Int) -> Int {
        if text[start] == UInt8(ascii: "'") {
            let length = contraction(at: start)
            if length > 0 { return start + length }
        }
        let (kind, length) = scalarClass(at: start)
        let next = start + length
        switch kind {
        case ScalarClasses.upper, ScalarClasses.lower, ScalarClasses.caseless: return lettersEnd(from: next)
        case ScalarClasses.number: return numbersEnd(from: next)
        case ScalarClasses.newline: break
        default:
            let end = lettersEnd(from: next)
            if end > next { return end }
        }
        if let end = signsEnd(from: start, kind) { return lineEndsEnd(from: end, slashes: false) }
        return spaceEnd(from: start, takesRest: true)
    }

    private func endO200K(from start: Int) -> Int {
        let (kind, length) = scalarClass(at: start)
        let next = start + length
        switch kind {
        case ScalarClasses.upper, ScalarClasses.lower, ScalarClasses.caseless:
            let word = wordEnd(from: start)
            return contractionEnd(from: word.mixed ?? word.capitals)
        case ScalarClasses.number: return numbersEnd(from: next)
        case ScalarClasses.newline: break
        default:
            // The scalar before a word, which may itself be a mark that makes a word.
            let word = wordEnd(from: next)
            if let end = word.mixed { return contractionEnd(from: end) }
            if kind == ScalarClasses.mark { return contractionEnd(from: wordEnd(from: start).mixed ?? next) }
            if word.capitals > next { return contractionEnd(from: word.capitals) }
        }
        if let end = signsEnd(from: start, kind) { return lineEndsEnd(from: end, slashes: true) }
        return spaceEnd(from: start, takesRest: false)
    }

    /// Where a word of o200k ends: one that holds small or caseless letters or marks behind any capitals, and the capitals
    /// alone.
    ///
    /// Caseless letters and marks count as both. Where only capitals follow the last of them, the word gives those back.
    private func wordEnd(from start: Int) -> (mixed: Int?, capitals: Int) {
        var index = start
        var mixed: Int?
        while index < text.count {
            let (kind, length) = scalarClass(at: index)
            if kind == ScalarClasses.lower {
                var end = index + length
                while end < text.count {
                    let (kind, length) = scalarClass(at: end)
                    guard kind >= ScalarClasses.lower else { break }
                    end += length
                }
                return (end, index)
            }
            guard kind >= ScalarClasses.upper else { break }
            index += length
            if kind != ScalarClasses.upper { mixed = index }
        }
        return (mixed, index)
    }

    private func lettersEnd(from start: Int) -> Int {
        var index = start
        while index < text.count {
            let (kind, length) = scalarClass(at: index)
            guard kind >= ScalarClasses.upper, kind <= ScalarClasses.caseless else { break }
            index += length
        }
        return index
    }

    /// The end of up to two more numbers.
    private func numbersEnd(from start: Int) -> Int {
        var index = start
        for _ in 0..<2 where index < text.count {
            let (kind, length) = scalarClass(at: index)
            guard kind == ScalarClasses.number else { break }
            index += length
        }
        return index
    }

    /// The end of signs and marks with a space before them; `nil` if there are none.
    private func signsEnd(from start: Int, _ kind: UInt8) -> Int? {
        func isSign(_ kind: UInt8) -> Bool { kind == ScalarClasses.other || kind == ScalarClasses.mark }
        let first = text[start] == 0x20 ? start + 1 : start
        guard first > start || isSign(kind) else { return nil }
        var index = first
        while index < text.count {
            let (kind, length) = scalarClass(at: index)
            guard isSign(kind) else { break }
            index += length
        }
        return index > first ? index : nil
    }

    private func lineEndsEnd(from start: Int, slashes: Bool) -> Int {
        var index = start
        while index < text.count {
            let byte = text[index]
            guard byte == 0x0A || byte == 0x0D || slashes && byte == UInt8(ascii: "/") else { break }
            index += 1
        }
        return index
    }

    /// The end of white space: behind the last line end, else before its last character if anything follows.
    ///
    /// With `takesRest` white space that reaches the end of the text is one piece.
    private func spaceEnd(from start: Int, takesRest: Bool) -> Int {
        var index = start
        var last = start
        var lineEnd = start
        while index < text.count {
            let (kind, length) = scalarClass(at: index)
            guard kind == ScalarClasses.space || kind == ScalarClasses.newline else { break }
            last = index
            index += length
            if kind == ScalarClasses.newline { lineEnd = index }
        }
        if index == text.count, takesRest { return index }
        if lineEnd > start { return lineEnd }
        return index == text.count || last == start ? index : last
    }

    /// The bytes of `'s`, `'t`, `'re`, `'ve`, `'m`, `'ll` or `'d` in any case, 0 when there is none.
    ///
    /// Without regard to case the long s, U+017F, is an s.
    private func contraction(at index: Int) -> Int {
        func letter(_ offset: Int) -> UInt8 { index + offset < text.count ? text[index + offset] : 0 }
        switch letter(1) | 0x20 {
        case UInt8(ascii: "s"), UInt8(ascii: "d"), UInt8(ascii: "m"), UInt8(ascii: "t"): return 2
        case UInt8(ascii: "l"): return letter(2) | 0x20 == UInt8(ascii: "l") ? 3 : 0
        case UInt8(ascii: "v"), UInt8(ascii: "r"): return letter(2) | 0x20 == UInt8(ascii: "e") ? 3 : 0
        default: return letter(1) == 0xC5 && letter(2) == 0xBF ? 3 : 0
        }
    }

    private func contractionEnd(from index: Int) -> Int {
        index < text.count && text[index] == UInt8(ascii: "'") ? index + contraction(at: index) : index
    }
}
