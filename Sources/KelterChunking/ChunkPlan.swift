import KelterModel

/// The way from one document's blocks to its chunks.
///
/// 1. Blocks become pieces: sentences, lines, headings (``Segmenter``).
/// 2. Consecutive pieces of one section form a group. A section that is a mere heading, or shorter than a quarter of the
///    target, is joined with what follows it: a heading always, a short section if a child or sibling follows, or a
///    child of a sibling.
/// 3. A group is filled into chunks up to the target. A chunk ends behind the strongest place in its last third: a block,
///    else a sentence, a clause, a word. It never ends behind a heading while text follows.
/// 4. A rest of less than ``Chunker/smallestChunk`` tokens joins the chunk before it if the hard limit allows.
/// 5. A chunk repeats whole sentences from the end of the chunk before it, within the same section.
/// 6. A chunk that begins in the middle of a table has the line before it that names the columns, if it is not too long.
/// 7. The embedded text is made and counted exactly; a chunk over the limit gives up its overlap, then its last pieces.
struct ChunkPlan {
    private let chunker: Chunker
    private let document: ParsedDocument
    private var segmenter: Segmenter
    private var header: ContextHeader
    /// The pieces of all groups so far.
    ///
    /// Only the last group is still changed, so that splitting a piece stays cheap.
    private var pieces: [Piece] = []
    /// The first block that is not in ``pieces`` yet.
    private var nextBlock = 0
    private var drafts: [Draft] = []
    /// The names of columns by the table's block; `nil` where they are too long to be repeated.
    private var tableHeaders: [Int: String?] = [:]

    /// A chunk as pieces, with its exact text.
    private struct Draft {
        /// The pieces, the repeated ones included.
        var pieces: Range<Int>
        /// The first piece that is not repeated.
        var start: Int
        var section: SectionPath
        var tableHeader: String?
        var embeddedText: String
        var tokens: Int
    }

    init(_ chunker: Chunker, document: ParsedDocument, title: String?) {
        self.chunker = chunker
        self.document = document
        segmenter = Segmenter(text: document.text, counter: chunker.counter, limit: chunker.pieceLimit)
        header = ContextHeader(title: title, limit: chunker.headerLimit, counter: chunker.counter)
    }

    mutating func chunks() throws(KelterError) -> [Chunk] {
        while nextBlock < document.blocks.count {
            let start = pieces.count
            loadGroup()
            try fill(from: start)
        }
        var chunks: [Chunk] = []
        chunks.reserveCapacity(drafts.count)
        for (ordinal, draft) in drafts.enumerated() {
            let range = byteRange(draft.pieces)
            guard let body = String(validating: document.text[range], as: UTF8.self) else {
                throw KelterError(.internalError, "The extracted text is not valid UTF-8.")
            }
            chunks.append(
                Chunk(
                    ordinal: ordinal,
                    range: range,
                    body: body,
                    section: draft.section,
                    place: place(of: pieces[draft.pieces.lowerBound]),
                    tableHeader: draft.tableHeader,
                    embeddedText: draft.embeddedText,
                    tokens: draft.tokens
                )
            )
        }
        return chunks
    }
}

// Groups.
extension ChunkPlan {
    private func section(_ piece: Int) -> Int { document.blocks[pieces[piece].block].section }

    private func path(_ piece: Int) -> SectionPath { document.sections[section(piece)] }

    /// Where a piece begins: in a table as many rows behind the block's first as there are lines between.
    private func place(of piece: Piece) -> Place? {
        let block = document.blocks[piece.block]
        guard case .row(let first)? = block.place else { return block.place }
        let before = document.text[block.range.lowerBound..<piece.range.lowerBound]
        return .row(first + before.count { $0 == 0x0A })
    }

    private func isHeading(_ piece: Int) -> Bool { document.blocks[pieces[piece].block].kind == .heading }

    /// Appends the pieces of the next group; rule 2.
    private mutating func loadGroup() {
        let blocks = document.blocks
        let smallSection = chunker.profile.targetTokens / 4
        let first = document.sections[blocks[nextBlock].section]
        let start = nextBlock
        var tokens = 0
        var hasText = false
        while nextBlock < blocks.count {
            let run = blocks[nextBlock].section
            if nextBlock > start, hasText, tokens >= smallSection || !Self.isNear(first, document.sections[run]) {
                return
            }
            while nextBlock < blocks.count, blocks[nextBlock].section == run {
                let block = blocks[nextBlock]
                if !block.range.isEmpty {
                    let added = segmenter.pieces(of: block, index: nextBlock)
                    tokens += added.reduce(0) { $0 + $1.tokens }
                    pieces += added
                    hasText = hasText || block.kind != .heading
                }
                nextBlock += 1
            }
        }
    }

    /// Whether the second of two sections in document order is below the first, beside it, or below one beside it.
    private static func isNear(_ first: SectionPath, _ second: SectionPath) -> Bool {
        commonPrefix(first.headings, second.headings) >= first.headings.count - 1
    }

    private static func commonPrefix(_ left: [String], _ right: [String]) -> Int {
        zip(left, right).prefix { $0 == $1 }.count
    }
}

// Filling a group; rules 3 to 5.
extension ChunkPlan {
    /// Cuts the last group of pieces, which begins at an index, into drafts.
    private mutating func fill(from groupStart: Int) throws(KelterError) {
        let firstDraft = drafts.count
        var start = groupStart
        while start < pieces.count {
            let overhead = self.overhead(start)
            let budget = chunker.profile.targetTokens - overhead
            var first = drafts.count > firstDraft ? overlapStart(before: start) : start
            if first < start, tokens(first..<start + 1) > budget { first = start }
            splitBehindHeadings(from: start, budget: budget)
            let stop = fillEnd(first: first, start: start, budget: budget, overhead: overhead)
            try appendDraft(first: first, start: start, stop: stop)
            start = drafts[drafts.count - 1].pieces.upperBound
        }
        joinLast(firstOfGroup: firstDraft)
    }

    /// Tokens of a chunk beside its own text, by its first new piece.
    private mutating func overhead(_ piece: Int) -> Int {
        let text = header.text(for: path(piece), isOpened: false)
        let headerTokens = text.isEmpty ? 0 : chunker.counter.count(String(text.dropLast())) + chunker.joinTokens
        let columns = tableHeader(before: piece).map { chunker.counter.count($0) + chunker.joinTokens } ?? 0
        return chunker.counter.specialTokens + chunker.prefixTokens + headerTokens + columns + chunker.joinTokens
    }

    /// The names of the columns of the table that a piece stands in, when they do not belong to the piece itself.
    private mutating func tableHeader(before piece: Int) -> String? {
        let block = pieces[piece].block
        guard let range = document.blocks[block].header, pieces[piece].range.lowerBound >= range.upperBound else {
            return nil
        }
        if let known = tableHeaders[block] { return known }
        let text = EmbeddedText.normalised(String(decoding: document.text[range], as: UTF8.self))
        let header = chunker.counter.count(text) <= chunker.profile.targetTokens / 4 ? text : nil
        tableHeaders[block] = .some(header)
        return header
    }

    /// The sum of the counts of pieces, joined.
    private func tokens(_ range: Range<Int>) -> Int {
        range.reduce(0) { $0 + pieces[$1].tokens + chunker.joinTokens }
    }

    /// Splits the text behind headings that begin a chunk if it would not fit beside them, so that no chunk is a mere
    /// heading.
    private mutating func splitBehindHeadings(from start: Int, budget: Int) {
        var text = start
        while text < pieces.count, isHeading(text) { text += 1 }
        guard text > start, text < pieces.count else { return }
        let room = budget - tokens(start..<text) - chunker.joinTokens
        guard pieces[text].tokens > room, room >= Chunker.smallestPieceLimit else { return }
        pieces.replaceSubrange(text...text, with: segmenter.split(pieces[text], limit: room))
    }

    /// How far a chunk reaches that begins with the piece `start`, repeated pieces from `first` on; rules 3 and 4.
    private func fillEnd(first: Int, start: Int, budget: Int, overhead: Int) -> Int {
        let end = pieces.count
        var sum = tokens(first..<start)
        var sums: [Int] = []
        var stop = start
        while stop < end {
            let next = sum + pieces[stop].tokens + chunker.joinTokens
            if next > budget, stop > start { break }
            sum = next
            sums.append(sum)
            stop += 1
        }
        guard stop < end else { return end }
        // A short rest joins if it fits under the hard limit. It is looked at only as far as it is short.
        var rest = 0
        var index = stop
        while index < end, rest < chunker.smallestChunk {
            rest += pieces[index].tokens + chunker.joinTokens
            index += 1
        }
        if index == end, rest < chunker.smallestChunk, sum + rest + overhead <= chunker.profile.maximumTokens {
            return end
        }

        var best = stop
        var bestStrength: BreakStrength?
        for candidate in stride(from: stop, to: start, by: -1) {
            if sums[candidate - start - 1] < budget * 2 / 3, bestStrength != nil { break }
            if isHeading(candidate - 1) { continue }
            let strength = pieces[candidate - 1].after
            if bestStrength.map({ strength > $0 }) ?? true {
                best = candidate
                bestStrength = strength
            }
            if strength == .block { break }
        }
        return best
    }

    /// Where the repeated pieces before a piece begin: whole sentences of running text in its section; rule 5.
    private mutating func overlapStart(before start: Int) -> Int {
        let limit = chunker.profile.overlapTokens
        let previous = drafts[drafts.count - 1].pieces.lowerBound
        var first = start
        var sum = 0
        while first - 1 > previous, section(first - 1) == section(start), pieces[first - 1].isWhole {
            switch document.blocks[pieces[first - 1].block].kind {
            case .heading, .table, .code: return verified(first, start)
            case .paragraph, .listItem, .quote: break
            }
            sum += pieces[first - 1].tokens + (sum > 0 ? chunker.joinTokens : 0)
            if sum > limit { break }
            first -= 1
        }
        return verified(first, start)
    }

    /// Moves the start of an overlap until the exact count is within the limit.
    private mutating func verified(_ first: Int, _ start: Int) -> Int {
        var first = first
        while first < start, segmenter.count(byteRange(first..<start)) > chunker.profile.overlapTokens { first += 1 }
        return first
    }

    /// Joins a short last chunk of a group that has no other with the chunk before it, if the two sections are near and
    /// the hard limit allows; rule 4.
    private mutating func joinLast(firstOfGroup: Int) {
        guard drafts.count == firstOfGroup + 1, firstOfGroup > 0 else { return }
        let last = drafts[firstOfGroup]
        let previous = drafts[firstOfGroup - 1]
        guard tokens(last.pieces) < chunker.smallestChunk,
            Self.isNear(previous.section, last.section) || Self.isNear(last.section, previous.section)
        else { return }
        let joined = draft(previous.pieces.lowerBound..<last.pieces.upperBound, start: previous.start)
        guard joined.tokens <= chunker.profile.maximumTokens else { return }
        drafts.removeLast(2)
        drafts.append(joined)
    }
}

// Exact texts; rules 6 and 7.
extension ChunkPlan {
    /// Appends a chunk of the pieces `first..<stop`, made shorter until it is within the hard limit.
    private mutating func appendDraft(first: Int, start: Int, stop: Int) throws(KelterError) {
        var first = first
        var stop = stop
        while true {
            let draft = draft(first..<stop, start: start)
            if draft.tokens <= chunker.profile.maximumTokens {
                drafts.append(draft)
                return
            }
            if first < start {
                first = start
            } else if stop > start + 1 {
                stop -= 1
            } else {
                let parts = segmenter.split(pieces[start], limit: max(1, pieces[start].tokens / 2))
                guard parts.count > 1 else {
                    throw KelterError(
                        .chunkTooLong,
                        "A single character has more tokens than the model takes with prefix and header.",
                        fix: "Raise the profile's input limit or leave the file out."
                    )
                }
                pieces.replaceSubrange(start...start, with: parts)
            }
        }
    }

    private mutating func draft(_ range: Range<Int>, start: Int) -> Draft {
        let section = commonSection(range)
        let isOpened = isHeading(range.lowerBound) && path(range.lowerBound) == section
        let tableHeader = tableHeader(before: range.lowerBound)
        var text = Array(header.text(for: section, isOpened: isOpened).utf8)
        if let tableHeader { text += Array(tableHeader.utf8) + [0x20] }
        document.text.withUnsafeBufferPointer {
            EmbeddedText.appendCollapsed(UnsafeBufferPointer(rebasing: $0[byteRange(range)]), to: &text)
        }
        CanonicalComposition.normalise(&text)
        let embeddedText = chunker.profile.passagePrefix + String(decoding: text, as: UTF8.self)
        let tokens = chunker.counter.count(embeddedText) + chunker.counter.specialTokens
        return Draft(
            pieces: range,
            start: start,
            section: section,
            tableHeader: tableHeader,
            embeddedText: embeddedText,
            tokens: tokens
        )
    }

    /// The common beginning of the paths of all pieces.
    private func commonSection(_ range: Range<Int>) -> SectionPath {
        var common = path(range.lowerBound)
        var last = section(range.lowerBound)
        for piece in range where section(piece) != last {
            last = section(piece)
            let headings = document.sections[last].headings
            common = SectionPath(Array(common.headings.prefix(Self.commonPrefix(common.headings, headings))))
        }
        return common
    }

    private func byteRange(_ range: Range<Int>) -> Range<Int> {
        pieces[range.lowerBound].range.lowerBound..<pieces[range.upperBound - 1].range.upperBound
    }
}
