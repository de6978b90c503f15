/// Finds the ends of sentences in German and English text by rules.
///
/// A sentence ends at `.`, `!`, `?` or `…` with the closing quotes and brackets behind it, if white space follows and
/// what comes next does not go on in lower case; at `。`, `！` or `？` without white space; and at a blank line. A full
/// stop does not end a sentence after an abbreviation, an initial, the number of an ordinal or date, or a number that
/// opens the sentence as an item of a list (see ``SentenceWords``). Dots inside numbers, names of files and addresses
/// have no white space behind them.
struct SentenceBoundaries {
    private let text: UnsafeBufferPointer<UInt8>
    private let range: Range<Int>

    /// Takes a part of a text.
    ///
    /// - Parameters:
    ///   - text: The whole text in UTF-8.
    ///   - range: The part to look at, on UTF-8 boundaries.
    init(_ text: UnsafeBufferPointer<UInt8>, _ range: Range<Int>) {
        self.text = UnsafeBufferPointer(rebasing: text[..<range.upperBound])
        self.range = range
    }

    /// The ends of all sentences in ascending order, each behind the white space that follows the sentence; the last is
    /// the end of the range.
    func ends() -> [Int] {
        var ends: [Int] = []
        var start = range.lowerBound
        var index = start
        while index < range.upperBound {
            guard let candidate = candidate(at: index) else {
                index += 1
                continue
            }
            index = candidate.next
            if index < range.upperBound, isBoundary(candidate, sentence: start) {
                ends.append(index)
                start = index
            }
        }
        if start < range.upperBound { ends.append(range.upperBound) }
        return ends
    }
}

extension SentenceBoundaries {
    private enum Mark {
        case fullStop, strong, ellipsis, ideographic, blankLine
    }

    /// A place where a sentence may end.
    private struct Candidate {
        var mark: Mark
        /// Where the marks begin.
        var position: Int
        /// The byte behind the marks, closing quotes and brackets.
        var end: Int
        /// The byte behind the white space.
        var next: Int
    }

    private func candidate(at index: Int) -> Candidate? {
        var end = index
        var mark = Mark.fullStop
        switch text[index] {
        case UInt8(ascii: "."), UInt8(ascii: "!"), UInt8(ascii: "?"), 0xE2:
            (end, mark) = skipMarks(index)
            guard end > index else { return nil }
        case 0xE3, 0xEF:
            while let length = ideographicMark(at: end) { end += length }
            guard end > index else { return nil }
            mark = .ideographic
        case 0x0A:
            let next = skipSpace(index)
            guard hasBlankLine(index..<next) else { return nil }
            return Candidate(mark: .blankLine, position: index, end: index, next: next)
        default:
            return nil
        }
        end = skipClosers(end)
        let next = skipSpace(end)
        // Without white space behind it a mark ends nothing, in scripts that use white space.
        guard next > end || mark == .ideographic else { return nil }
        return Candidate(mark: mark, position: index, end: end, next: next)
    }

    private func isBoundary(_ candidate: Candidate, sentence start: Int) -> Bool {
        if candidate.mark == .ideographic || hasBlankLine(candidate.end..<candidate.next) { return true }
        let next = skipOpeners(candidate.next)
        guard next < range.upperBound else { return true }
        if isContinuation(at: next) { return false }
        guard candidate.mark == .fullStop else { return true }
        // A no-break space says that what stands beside it belongs together.
        if isNoBreakSpace(at: candidate.end) { return false }
        let word = wordBefore(candidate.position, notBefore: start)
        guard !word.isEmpty else { return true }
        let isFirst = word.lowerBound <= skipOpeners(start)
        return isBoundary(after: word, isFirst: isFirst, next: next)
    }

    /// Judges a full stop by the word it follows and the word that comes next.
    private func isBoundary(after range: Range<Int>, isFirst: Bool, next: Int) -> Bool {
        let bytes = text[range]
        let word = lowered(range)
        let parts = word.split(separator: UInt8(ascii: "."))
        let last = parts.last.map(Array.init) ?? word

        if SentenceWords.neverLast.contains(word) || SentenceWords.neverLast.contains(last) { return false }
        if SentenceWords.beforeNumber.contains(last), isNumeral(at: next) { return false }
        if bytes.allSatisfy({ isDigit($0) || $0 == UInt8(ascii: ".") }) {
            // 1999. ends a sentence; 1., 24.12. and 2.1. may be ordinals, dates or the numbers of headings.
            if isFirst { return false }
            if parts.count > 2 || parts.contains(where: { $0.count > 2 }) { return true }
            return isStarter(at: next)
        }
        if bytes.allSatisfy({ "IVXL".utf8.contains($0) }), !(isFirst && bytes.count == 1 && bytes.first == 0x49) {
            return !isFirst && isStarter(at: next)
        }
        if isLetter(range) {
            // "z. B.", "J. S. Bach", "A. Einleitung"; but "Plan B. Danach".
            return !isFirst && !followsDot(range.lowerBound) && isStarter(at: next)
        }
        if SentenceWords.maybeLast.contains(word) || SentenceWords.maybeLast.contains(last)
            || parts.count > 1 && parts.allSatisfy({ $0.count <= 2 })
        {
            return isStarter(at: next)
        }
        return true
    }
}

// What stands where.
extension SentenceBoundaries {
    private func isDigit(_ byte: UInt8) -> Bool { (0x30...0x39).contains(byte) }

    private func matches(_ index: Int, _ bytes: [UInt8]) -> Bool {
        index >= range.lowerBound && index + bytes.count <= range.upperBound
            && bytes.indices.allSatisfy { text[index + $0] == bytes[$0] }
    }

    /// Passes over `.`, `!`, `?` and `…`, and says what they are together.
    private func skipMarks(_ start: Int) -> (end: Int, mark: Mark) {
        var index = start
        var dots = 0
        var isStrong = false
        while index < range.upperBound {
            if text[index] == UInt8(ascii: ".") {
                dots += 1
                index += 1
            } else if text[index] == UInt8(ascii: "!") || text[index] == UInt8(ascii: "?") {
                isStrong = true
                index += 1
            } else if matches(index, [0xE2, 0x80, 0xA6]) {
                dots += 3
                index += 3
            } else {
                break
            }
        }
        return (index, isStrong ? .strong : dots > 1 ? .ellipsis : .fullStop)
    }

    private func ideographicMark(at index: Int) -> Int? {
        matches(index, [0xE3, 0x80, 0x82]) || matches(index, [0xEF, 0xBC, 0x81]) || matches(index, [0xEF, 0xBC, 0x9F])
            ? 3 : nil
    }

    private func skipSpace(_ start: Int) -> Int {
        var index = start
        while index < range.upperBound {
            let length = whiteSpaceLength(text, at: index)
            if length == 0 { break }
            index += length
        }
        return index
    }

    private func hasBlankLine(_ space: Range<Int>) -> Bool {
        var lines = 0
        for index in space where text[index] == 0x0A { lines += 1 }
        return lines > 1
    }

    private func isNoBreakSpace(at index: Int) -> Bool {
        matches(index, [0xC2, 0xA0]) || matches(index, [0xE2, 0x80, 0xAF])
    }

    /// The bytes of a quote at an index, 0 when there is none.
    ///
    /// Which quotes open and which close depends on the language.
    private func quoteLength(at index: Int) -> Int {
        switch text[index] {
        case UInt8(ascii: "\""), UInt8(ascii: "'"): return 1
        case 0xC2: return matches(index, [0xC2, 0xAB]) || matches(index, [0xC2, 0xBB]) ? 2 : 0
        case 0xE2:
            guard index + 2 < range.upperBound, text[index + 1] == 0x80 else { return 0 }
            return (0x98...0x9F).contains(text[index + 2]) || (0xB9...0xBA).contains(text[index + 2]) ? 3 : 0
        case 0xE3:
            guard index + 2 < range.upperBound, text[index + 1] == 0x80 else { return 0 }
            return (0x8C...0x8F).contains(text[index + 2]) ? 3 : 0
        default: return 0
        }
    }

    private func skipClosers(_ start: Int) -> Int {
        var index = start
        while index < range.upperBound {
            switch text[index] {
            case UInt8(ascii: ")"), UInt8(ascii: "]"), UInt8(ascii: "}"), UInt8(ascii: "*"), UInt8(ascii: "_"):
                index += 1
            case UInt8(ascii: "["):
                // The mark of a note, such as [12].
                var end = index + 1
                while end < range.upperBound, isDigit(text[end]) { end += 1 }
                guard end > index + 1, end < range.upperBound, text[end] == UInt8(ascii: "]") else { return index }
                index = end + 1
            default:
                let length = quoteLength(at: index)
                if length == 0 { return index }
                index += length
            }
        }
        return index
    }

    /// Passes over opening quotes, brackets and dashes with the white space between them.
    private func skipOpeners(_ start: Int) -> Int {
        var index = start
        while index < range.upperBound {
            let length = openerLength(at: index)
            if length == 0 { break }
            index = skipSpace(index + length)
        }
        return index
    }

    private func openerLength(at index: Int) -> Int {
        switch text[index] {
        case UInt8(ascii: "("), UInt8(ascii: "["), UInt8(ascii: "{"), UInt8(ascii: "-"), UInt8(ascii: "*"): 1
        case 0xE2 where matches(index, [0xE2, 0x80, 0x93]) || matches(index, [0xE2, 0x80, 0x94]): 3
        default: quoteLength(at: index)
        }
    }

    /// Whether a text that goes on here goes on within the sentence: in lower case or with a comma.
    private func isContinuation(at index: Int) -> Bool {
        switch text[index] {
        case UInt8(ascii: ","), UInt8(ascii: ";"), UInt8(ascii: ":"): return true
        case 0x61...0x7A: return true
        case ..<0x80: return false
        default:
            return Unicode.Scalar(decodeScalar(text, at: index).scalar)?.properties.isLowercase ?? false
        }
    }

    /// The word that ends at an index: back to white space, a bracket, a quote, a slash, a hyphen or a dash.
    private func wordBefore(_ end: Int, notBefore limit: Int) -> Range<Int> {
        var start = end
        while start > limit {
            var previous = start - 1
            while previous > limit, text[previous] & 0xC0 == 0x80 { previous -= 1 }
            let byte = text[previous]
            if whiteSpaceLength(text, at: previous) > 0 || openerLength(at: previous) > 0 { break }
            if byte == UInt8(ascii: "/") || byte == UInt8(ascii: ")") || byte == UInt8(ascii: "]") { break }
            start = previous
        }
        return start..<end
    }

    /// Whether the word before the one that begins at an index ends in a dot.
    private func followsDot(_ index: Int) -> Bool {
        var previous = index
        while previous > range.lowerBound {
            previous -= 1
            while previous > range.lowerBound, text[previous] & 0xC0 == 0x80 { previous -= 1 }
            if whiteSpaceLength(text, at: previous) == 0 { return text[previous] == UInt8(ascii: ".") }
        }
        return false
    }

    /// Whether a range is one letter.
    private func isLetter(_ range: Range<Int>) -> Bool {
        let (scalar, length) = decodeScalar(text, at: range.lowerBound)
        return length == range.count && (Unicode.Scalar(scalar)?.properties.isAlphabetic ?? false)
    }

    /// Whether a number, a section sign or a Roman numeral stands at an index.
    private func isNumeral(at index: Int) -> Bool {
        if isDigit(text[index]) || matches(index, [0xC2, 0xA7]) { return true }
        let end = wordEnd(index)
        return end > index && text[index..<end].allSatisfy { "IVXL".utf8.contains($0) }
    }

    /// Whether the word at an index is one that often begins a sentence.
    private func isStarter(at index: Int) -> Bool {
        SentenceWords.starters.contains(lowered(index..<wordEnd(index)))
    }

    private func wordEnd(_ start: Int) -> Int {
        var end = start
        while end < range.upperBound {
            let byte = text[end]
            let isASCIILetter = (0x61...0x7A).contains(byte | 0x20)
            // Latin letters with marks begin with C3 to C9.
            guard isASCIILetter || (0xC3...0xC9).contains(byte) || byte & 0xC0 == 0x80 else { break }
            end += 1
        }
        return end
    }

    /// The bytes of a range with the capitals of ASCII and the German umlauts folded.
    private func lowered(_ range: Range<Int>) -> [UInt8] {
        var bytes = Array(text[range])
        for index in bytes.indices {
            if (0x41...0x5A).contains(bytes[index]) {
                bytes[index] |= 0x20
            } else if index > 0, bytes[index - 1] == 0xC3, [0x84, 0x96, 0x9C].contains(bytes[index]) {
                bytes[index] |= 0x20
            }
        }
        return bytes
    }
}
