import KelterModel

/// Cuts blocks into pieces: sentences or lines, and over-long ones into clauses, words and characters.
struct Segmenter {
    private let text: [UInt8]
    private let counter: any TokenCounter
    /// No piece has more tokens, unless it is a single scalar.
    private let limit: Int
    private var buffer: [UInt8] = []

    init(text: [UInt8], counter: any TokenCounter, limit: Int) {
        self.text = text
        self.counter = counter
        self.limit = limit
    }

    /// The pieces of a block in their order.
    mutating func pieces(of block: Block, index: Int) -> [Piece] {
        let whole = Piece(range: block.range, tokens: 0, block: index, before: .block, after: .block)
        var pieces: [Piece] = []
        switch block.kind {
        case .heading: append(whole, limit: limit, to: &pieces)
        case .paragraph, .listItem, .quote: cut(whole, at: sentenceEnds(whole.range), .sentence, limit, &pieces)
        case .table, .code: cut(whole, at: lineEnds(whole.range), .sentence, limit, &pieces)
        }
        return pieces
    }

    /// Cuts a piece into smaller ones of at most `limit` tokens; itself when it is a single scalar.
    mutating func split(_ piece: Piece, limit: Int) -> [Piece] {
        var pieces: [Piece] = []
        append(piece, limit: limit, to: &pieces)
        return pieces
    }

    /// The tokens of a part of the text in its normalised form.
    mutating func count(_ range: Range<Int>) -> Int {
        buffer.removeAll(keepingCapacity: true)
        text.withUnsafeBufferPointer {
            EmbeddedText.appendCollapsed(UnsafeBufferPointer(rebasing: $0[range]), to: &buffer)
        }
        if buffer.isEmpty { return 0 }
        CanonicalComposition.normalise(&buffer)
        return counter.count(buffer.span)
    }

    /// Appends a piece, cut at the strongest places that make it short enough.
    private mutating func append(_ piece: Piece, limit: Int, to pieces: inout [Piece]) {
        let tokens = count(piece.range)
        guard tokens > limit else {
            var piece = piece
            piece.tokens = tokens
            pieces.append(piece)
            return
        }
        let clauses = clauseEnds(piece.range)
        if clauses.count > 1 { return cut(piece, at: clauses, .clause, limit, &pieces) }
        let words = wordEnds(piece.range)
        if words.count > 1 { return cut(piece, at: words, .word, limit, &pieces) }
        cut(piece, at: characterEnds(piece.range, tokens: tokens, limit: limit), .character, limit, &pieces)
    }

    /// Appends the parts of a piece that end at the given places, the last of which is the end of the piece.
    private mutating func cut(
        _ piece: Piece,
        at ends: [Int],
        _ strength: BreakStrength,
        _ limit: Int,
        _ pieces: inout [Piece]
    ) {
        var start = piece.range.lowerBound
        var before = piece.before
        for end in ends {
            let after = end == piece.range.upperBound ? piece.after : strength
            let part = Piece(range: start..<end, tokens: 0, block: piece.block, before: before, after: after)
            if ends.count == 1, strength == .character {
                pieces.append(
                    Piece(range: part.range, tokens: count(part.range), block: part.block, before: before, after: after)
                )
            } else {
                append(part, limit: limit, to: &pieces)
            }
            start = end
            before = after
        }
    }
}

// Where the parts of a piece end; each list ends with the end of the piece.
extension Segmenter {
    private func sentenceEnds(_ range: Range<Int>) -> [Int] {
        text.withUnsafeBufferPointer { SentenceBoundaries($0, range).ends() }
    }

    private func lineEnds(_ range: Range<Int>) -> [Int] {
        text.withUnsafeBufferPointer { text in
            var ends: [Int] = []
            for index in range where text[index] == 0x0A { ends.append(index + 1) }
            if ends.last != range.upperBound { ends.append(range.upperBound) }
            return ends
        }
    }

    /// Behind `,`, `;`, `:`, a closing bracket or a dash with white space, behind a line end, and behind `、` and `，`.
    private func clauseEnds(_ range: Range<Int>) -> [Int] {
        ends(range) { text, index, spaceEnd in
            if spaceEnd > index, text[index..<spaceEnd].contains(0x0A) { return true }
            func endsWith(_ bytes: UInt8...) -> Bool {
                index - bytes.count >= range.lowerBound
                    && bytes.indices.allSatisfy { text[index - bytes.count + $0] == bytes[$0] }
            }
            if endsWith(0xE3, 0x80, 0x81) || endsWith(0xEF, 0xBC, 0x8C) { return true }
            guard spaceEnd > index, index > range.lowerBound else { return false }
            switch text[index - 1] {
            case UInt8(ascii: ","), UInt8(ascii: ";"), UInt8(ascii: ":"), UInt8(ascii: ")"), UInt8(ascii: "]"):
                return true
            default: return endsWith(0xE2, 0x80, 0x93) || endsWith(0xE2, 0x80, 0x94)
            }
        }
    }

    private func wordEnds(_ range: Range<Int>) -> [Int] {
        ends(range) { _, index, spaceEnd in spaceEnd > index }
    }

    /// The places at which a condition holds, each behind the white space that follows.
    ///
    /// The condition takes the text, a place, and the end of the white space there (the place itself if there is none).
    private func ends(_ range: Range<Int>, where isEnd: (UnsafeBufferPointer<UInt8>, Int, Int) -> Bool) -> [Int] {
        text.withUnsafeBufferPointer { text in
            let text = UnsafeBufferPointer(rebasing: text[..<range.upperBound])
            var ends: [Int] = []
            var index = range.lowerBound
            while index < range.upperBound {
                var spaceEnd = index
                while spaceEnd < range.upperBound {
                    let length = whiteSpaceLength(text, at: spaceEnd)
                    if length == 0 { break }
                    spaceEnd += length
                }
                if isEnd(text, index, spaceEnd), spaceEnd > range.lowerBound, spaceEnd < range.upperBound,
                    index > range.lowerBound
                {
                    ends.append(spaceEnd)
                }
                index = max(spaceEnd, index + 1)
            }
            ends.append(range.upperBound)
            return ends
        }
    }

    /// Cuts a single over-long word into equal parts between characters, or between scalars where one character is too long.
    private func characterEnds(_ range: Range<Int>, tokens: Int, limit: Int) -> [Int] {
        let parts = tokens / max(1, limit) + 1
        let size = max(1, range.count / parts)
        var ends: [Int] = []
        var start = range.lowerBound
        var last = start
        // Characters, not bytes: this is the one place where a cut inside a word is made, and it must not part an
        // accent or the parts of an emoji from each other.
        for character in String(decoding: text[range], as: UTF8.self) {
            let end = last + character.utf8.count
            if end - start > size, last > start {
                ends.append(last)
                start = last
            }
            last = end
        }
        ends.append(range.upperBound)
        if ends.count > 1 { return ends }
        ends.removeAll()
        start = range.lowerBound
        for index in range.dropFirst() where index - start >= size && text[index] & 0xC0 != 0x80 {
            ends.append(index)
            start = index
        }
        return ends + [range.upperBound]
    }
}
