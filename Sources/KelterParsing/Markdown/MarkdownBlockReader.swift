import CLibCMark
import Glibc
import KelterModel

/// Walks a Markdown syntax tree and makes blocks of it.
struct MarkdownBlockReader {
    private let blocks: DocumentBuilder
    private let limits: ParsingLimits
    /// The styles that open items and quotes give to paragraphs, innermost last.
    private var containers: [BlockStyle] = []
    private var listDepth = 0
    private var style = BlockStyle.paragraph
    /// The inline element, such as `script`, whose content is being left out.
    private var skipped: HTMLTag?
    /// Made when the first piece of HTML is met, and used for all of them.
    private var filter: HTMLTagFilter?

    init(blocks: DocumentBuilder, limits: ParsingLimits) {
        self.blocks = blocks
        self.limits = limits
    }

    /// Reads the whole tree.
    ///
    /// - Throws: ``KelterError`` with `parserFailed` from the HTML parser.
    mutating func read(_ tree: borrowing MarkdownTree) throws(KelterError) {
        guard let iterator = cmark_iter_new(tree.root) else { return }
        defer { cmark_iter_free(iterator) }
        while !blocks.hasFailed {
            let event = cmark_iter_next(iterator)
            if event == CMARK_EVENT_DONE { return }
            guard let node = cmark_iter_get_node(iterator) else { return }
            if event == CMARK_EVENT_ENTER { try enter(node) } else { leave(node) }
        }
    }

    private mutating func enter(_ node: OpaquePointer) throws(KelterError) {
        switch cmark_node_get_type(node) {
        case CMARK_NODE_TEXT, CMARK_NODE_CODE:
            if skipped == nil { blocks.append(literal(node), style) }
        case CMARK_NODE_SOFTBREAK: blocks.pendingSpace = true
        case CMARK_NODE_LINEBREAK: blocks.breakLine()
        case CMARK_NODE_HTML_INLINE: readInlineHTML(literal(node))
        case CMARK_NODE_PARAGRAPH: style = containers.last ?? .paragraph
        case CMARK_NODE_HEADING:
            // A heading inside a quotation is not one of this document.
            style =
                containers.last?.kind == .quote
                ? BlockStyle(kind: .quote)
                : BlockStyle(kind: .heading, level: Int(cmark_node_get_heading_level(node)))
        case CMARK_NODE_LIST: listDepth += 1
        case CMARK_NODE_ITEM: containers.append(BlockStyle(kind: .listItem, level: listDepth))
        case CMARK_NODE_BLOCK_QUOTE: containers.append(BlockStyle(kind: .quote))
        case CMARK_NODE_CODE_BLOCK:
            blocks.appendVerbatim(literal(node), .code)
            blocks.endBlock()
        case CMARK_NODE_HTML_BLOCK: try readHTML(literal(node))
        default: enterExtension(node)
        }
    }

    private mutating func leave(_ node: OpaquePointer) {
        switch cmark_node_get_type(node) {
        case CMARK_NODE_PARAGRAPH, CMARK_NODE_HEADING:
            blocks.endBlock()
            skipped = nil
        case CMARK_NODE_LIST: listDepth -= 1
        case CMARK_NODE_ITEM, CMARK_NODE_BLOCK_QUOTE: containers.removeLast()
        default: if kind(node) == .table { blocks.endBlock() }
        }
    }

    // MARK: - Nodes of extensions

    private enum ExtensionKind {
        case table, row, cell, other
    }

    private mutating func enterExtension(_ node: OpaquePointer) {
        switch kind(node) {
        case .table:
            style = .table
            // The syntax has no table without one.
            blocks.headerLines = 1
        case .row: blocks.beginRow()
        case .cell:
            skipped = nil
            blocks.pendingSpace = true
            blocks.beginCell()
        case .other: break
        }
    }

    /// The kind of a node that an extension made; their types have numbers only at run time, and names.
    private func kind(_ node: OpaquePointer) -> ExtensionKind {
        guard cmark_node_get_syntax_extension(node) != nil, let name = cmark_node_get_type_string(node) else {
            return .other
        }
        if strcmp(name, "table_cell") == 0 { return .cell }
        if strcmp(name, "table_row") == 0 || strcmp(name, "table_header") == 0 { return .row }
        return strcmp(name, "table") == 0 ? .table : .other
    }

    // MARK: - Text and HTML

    private func literal(_ node: OpaquePointer) -> UnsafeBufferPointer<UInt8> {
        guard let text = cmark_node_get_literal(node) else { return UnsafeBufferPointer(start: nil, count: 0) }
        let count = strlen(text)
        return UnsafeBufferPointer(start: UnsafeRawPointer(text).assumingMemoryBound(to: UInt8.self), count: count)
    }

    /// Leaves a tag or comment in running text out, and with it what a script or style has between its tags.
    private mutating func readInlineHTML(_ tag: UnsafeBufferPointer<UInt8>) {
        let isEnd = tag.count > 1 && tag[1] == UInt8(ascii: "/")
        let start = isEnd ? 2 : 1
        guard start < tag.count else { return }
        let name = tag[start...].prefix { lowercased($0) &- 0x61 < 26 || $0 &- 0x30 < 10 }
        switch HTMLTag(name: UnsafeBufferPointer(rebasing: name)) {
        case .lineBreak where skipped == nil: blocks.breakLine()
        case let tag? where tag.hidesContent:
            if isEnd { skipped = nil } else { skipped = skipped ?? tag }
        default: break
        }
    }

    private mutating func readHTML(_ html: UnsafeBufferPointer<UInt8>) throws(KelterError) {
        var filter: HTMLTagFilter
        if let existing = self.filter {
            filter = existing
        } else {
            let parser = try HTMLPushParser(reader: HTMLBlockReader(blocks: blocks))
            filter = HTMLTagFilter(parser: parser, maximumDepth: limits.maximumDepth, isXHTML: false)
            filter.hasTitle = true
        }
        self.filter = nil
        filter.parser.reader.surround(with: containers.last ?? .paragraph)
        let blocks = blocks
        try filter.read(html) { !blocks.hasFailed }
        blocks.endBlock()
        self.filter = filter
    }
}
