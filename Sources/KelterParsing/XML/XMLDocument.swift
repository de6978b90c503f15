import KelterModel

/// Parses XML of any vocabulary into its text.
///
/// An element that stands in running text goes on in its line, every other one is a block of its own. Titles of the usual
/// vocabularies (DocBook, JATS, TEI, DITA) open sections.
///
/// A document type is allowed; what it declares is not read. A reference to an entity that only it could tell stays as it
/// is written.
///
/// - Throws: ``KelterError`` with `parserFailed` for XML that is not well-formed, and `parserLimit`.
func parseXML(_ bytes: [UInt8], limits: ParsingLimits) throws(KelterError) -> ParsedDocument {
    let reader = XMLTextReader(DocumentBuilder(limits: limits, capacity: bytes.count / 2))
    let parser = try XMLPushParser(handler: reader, isUTF8: true)
    for start in stride(from: 0, to: bytes.count, by: 64 << 10) {
        try parser.feed(bytes[start..<min(start + 64 << 10, bytes.count)])
    }
    try parser.finish()
    return try reader.blocks.finish(title: nil, language: reader.language)
}

private final class XMLTextReader: XMLHandler {
    let blocks: DocumentBuilder
    /// `xml:lang` of the outermost element.
    private(set) var language: String?
    /// For every open element whether it has text of its own so far, and whether it opens a section for its title.
    private var open: [(hasText: Bool, isSection: Bool, isTitle: Bool)] = []

    init(_ blocks: DocumentBuilder) {
        self.blocks = blocks
    }

    /// Allowed, but not read.
    override func documentType() {}

    override func start(_ name: XMLName, _ attributes: XMLAttributes) {
        if let failure = blocks.failure { fail(failure) }
        if open.isEmpty { language = attributes.value("lang", namespaceSuffix: "/namespace") }
        let isInline = open.last?.hasText ?? false
        if !isInline { blocks.endBlock() }
        let isTitle = isInTitle || (Self.isTitle(name) && (open.last?.isSection ?? false))
        open.append((isInline, Self.isSection(name), isTitle))
    }

    override func end(_ name: XMLName) {
        open.removeLast()
        if !(open.last?.hasText ?? false) { blocks.endBlock() }
    }

    override func characters(_ text: UnsafeBufferPointer<UInt8>) {
        guard !open.isEmpty else { return }
        if text.contains(where: { !WhiteSpace.isASCII($0) }) { open[open.count - 1].hasText = true }
        blocks.append(text, style)
    }

    override func reference(_ name: XMLName) {
        let text = Array("&\(name.text);".utf8)
        text.withUnsafeBufferPointer { characters($0) }
    }

    private var isInTitle: Bool { open.last?.isTitle ?? false }

    private var style: BlockStyle {
        guard isInTitle else { return .paragraph }
        return BlockStyle(kind: .heading, level: max(1, min(open.count { $0.isSection }, 6)))
    }

    private static func isTitle(_ name: XMLName) -> Bool {
        switch name {
        case "title", "head": true
        default: false
        }
    }

    private static func isSection(_ name: XMLName) -> Bool {
        switch name {
        case "book", "article", "part", "chapter", "appendix", "preface", "section", "sect1", "sect2", "sect3", "sect4",
            "sect5", "sec", "div", "div1", "div2", "div3", "topic", "concept", "task", "reference", "info", "front":
            true
        default: false
        }
    }
}
