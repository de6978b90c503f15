import KelterModel

/// How the next text is to be filed.
struct BlockStyle: Equatable {
    var kind: Block.Kind
    /// A heading's level or a list item's depth; 0 for other kinds.
    var level = 0

    static let paragraph = BlockStyle(kind: .paragraph)
    static let table = BlockStyle(kind: .table)
    static let code = BlockStyle(kind: .code)
}

/// Collects the text of a marked-up document block by block and keeps the outline.
///
/// A block comes into being with its first visible character, so that empty elements leave nothing behind. Blocks are
/// separated by an empty line, list items by a line end. A class, because the callbacks of a C parser write to it while
/// its owner goes on reading; it never leaves the thread that made it.
final class DocumentBuilder {
    private let limits: ParsingLimits
    var text: [UInt8] = []
    private var blocks: [Block] = []
    private var sections: [SectionPath] = [.root]
    /// The headings above the current place.
    private var outline: [(level: Int, title: String)] = []
    /// The first heading of level 1.
    private(set) var firstHeading: String?
    /// The limit that was exceeded; nothing more is collected then.
    private(set) var failure: KelterError?

    /// Where the blocks that begin now are found in the file.
    var place: Place?
    /// How many lines at the beginning of the open or next table name its columns.
    var headerLines = 0

    /// The block that is being written, if any.
    private(set) var open: BlockStyle?
    private var start = 0
    private var startPlace: Place?
    /// The end of the text before the open block's separator.
    private var restorePoint = 0

    // What stands between the text so far and the next visible character.
    var pendingSpace = false
    var pendingBreak = false
    var pendingRow = false
    var pendingBars = 0
    /// Whether the current row has a cell already.
    var hasCell = false
    /// White space at the beginning of a line of code before the block has begun.
    var indentation: [UInt8] = []

    init(limits: ParsingLimits, capacity: Int) {
        self.limits = limits
        text.reserveCapacity(capacity)
    }

    /// Whether a limit was exceeded and the rest of the input need not be read.
    var hasFailed: Bool { failure != nil }

    /// Starts a block: the separator, and for code the indentation of its first line.
    func begin(_ style: BlockStyle) {
        restorePoint = text.count
        if let last = blocks.last {
            text.append(last.kind == .listItem && style.kind == .listItem ? "\n" : "\n\n")
        }
        text.append(contentsOf: indentation)
        indentation.removeAll(keepingCapacity: true)
        start = text.count
        startPlace = place
        open = style
    }

    /// Ends the open block, if there is one, and files it.
    func endBlock() {
        pendingSpace = false
        pendingBreak = false
        pendingRow = false
        pendingBars = 0
        hasCell = false
        indentation.removeAll(keepingCapacity: true)
        let headerLines = headerLines
        self.headerLines = 0
        guard let style = open else { return }
        open = nil
        let range = text.withUnsafeBufferPointer { WhiteSpace.trim(start..<$0.count, in: $0) }
        guard !range.isEmpty else {
            text.removeSubrange(restorePoint...)
            return
        }
        text.removeSubrange(range.upperBound...)
        append(style, range, headerLines: headerLines)
        if text.count > limits.maximumTextBytes {
            failure = KelterError(
                .parserLimit,
                "The extracted text has more than the \(limits.maximumTextBytes) bytes allowed.",
                fix: "Split the file or raise the limit."
            )
        } else if blocks.count > limits.maximumBlocks {
            failure = tooManyBlocks(limits)
        }
    }

    private func append(_ style: BlockStyle, _ range: Range<Int>, headerLines: Int) {
        var block = Block(style.kind, range: range, section: sections.count - 1, level: style.level, place: startPlace)
        if style.kind == .table, headerLines > 0 {
            let ends = text[range].indices.lazy.filter { self.text[$0] == 0x0A }
            if let end = ends.dropFirst(headerLines - 1).first { block.header = range.lowerBound..<end }
        }
        if style.kind == .heading {
            if range.count > limits.maximumHeadingBytes {
                block.kind = .paragraph
                block.level = 0
            } else {
                openSection(level: style.level, title: String(decoding: text[range], as: UTF8.self))
                block.section = sections.count - 1
            }
        }
        blocks.append(block)
    }

    /// Ends the open block and leaves all sections: what follows stands under no heading so far.
    func leaveSections() {
        endBlock()
        guard !outline.isEmpty else { return }
        outline.removeAll()
        sections.append(.root)
    }

    private func openSection(level: Int, title: String) {
        while let last = outline.last, last.level >= level { outline.removeLast() }
        outline.append((level, title))
        sections.append(SectionPath(outline.map(\.title)))
        if level == 1, firstHeading == nil { firstHeading = title }
    }

    /// The finished document.
    ///
    /// - Throws: ``KelterError`` with `parserLimit` when a limit was exceeded, `parserFailed` when a C library gave
    ///   text that is not UTF-8.
    func finish(title: String?, language: String?) throws(KelterError) -> ParsedDocument {
        endBlock()
        if let failure { throw failure }
        guard text.withUnsafeBufferPointer({ firstInvalidUTF8($0) }) == nil else {
            throw KelterError(.parserFailed, "The parser gave text that is not valid UTF-8.", fix: "Report the file.")
        }
        return ParsedDocument(
            text: text,
            blocks: blocks,
            sections: sections,
            title: title ?? firstHeading,
            language: language
        )
    }
}
