import KelterModel

/// Parses a presentation (PPTX); ECMA-376 part 1, section 19.
///
/// A slide's title opens a section; its shapes follow in the order of the file, then its diagrams and charts and the
/// speaker's notes.
/// Slide numbers, dates and footers are left out.
///
/// - Throws: ``KelterError`` of the package, with `parserLimit` or `parserFailed`.
func parsePresentation(_ bytes: [UInt8], limits: ParsingLimits) throws(KelterError) -> ParsedDocument {
    let package = try Package(bytes, limits: limits)
    let roots = try Relationships(of: "", in: package)
    let main = try mainPart(roots)
    let relationships = try Relationships(of: main, in: package)
    let slides = SlideList()
    try package.parse(main, slides)
    let properties = try coreProperties(of: package, roots)
    let builder = DocumentBuilder(limits: limits, capacity: bytes.count / 4)
    for (index, id) in slides.relationships.enumerated() {
        guard let slide = relationships.targets[id], slide.type == "slide" else { continue }
        builder.leaveSections()
        builder.place = .slide(index + 1)
        try package.parse(slide.part, SlideReader(builder, wants: .title))
        try package.parse(slide.part, SlideReader(builder, wants: .content))
        let parts = try Relationships(of: slide.part, in: package)
        for diagram in parts.parts("diagramData") {
            try package.parse(ifPresent: diagram, SlideReader(builder, wants: .diagram))
        }
        for part in parts.parts("chart") {
            let chart = Chart()
            try package.parse(ifPresent: part, chart)
            chart.write(to: builder)
        }
        for notes in parts.parts("notesSlide") {
            try package.parse(ifPresent: notes, SlideReader(builder, wants: .notes))
        }
        if let failure = builder.failure { throw failure }
    }
    builder.place = nil
    return try builder.finish(title: properties.title, language: properties.language)
}

/// The slides in the order they are shown.
private final class SlideList: XMLHandler {
    private(set) var relationships: [String] = []

    override func start(_ name: XMLName, _ attributes: XMLAttributes) {
        guard case "sldId" = name,
            let id = attributes.value("id", namespaceSuffix: "/relationships")
        else { return }
        relationships.append(id)
    }
}

/// Makes blocks of the text on a slide.
private final class SlideReader: XMLHandler {
    enum Part {
        /// The shape with the title.
        case title
        /// Everything else.
        case content
        /// The body of a notes page.
        case notes
        /// The text of a diagram's data.
        case diagram
    }

    private let blocks: DocumentBuilder
    private let part: Part
    private var inText = false
    private var inTable = false
    /// The kind of the placeholder that the open shape is; empty for a plain placeholder, `nil` for none.
    private var placeholder: String?
    private var style = BlockStyle.paragraph

    init(_ blocks: DocumentBuilder, wants part: Part) {
        self.blocks = blocks
        self.part = part
    }

    /// Whether the text of the open shape belongs to the part that is wanted.
    private var isWanted: Bool {
        let isTitle = placeholder == "title" || placeholder == "ctrTitle"
        return switch part {
        case .title: isTitle
        case .content: !isTitle && !["sldNum", "dt", "ftr", "hdr"].contains(placeholder)
        case .notes: placeholder == "body"
        case .diagram: true
        }
    }

    override func start(_ name: XMLName, _ attributes: XMLAttributes) {
        if let failure = blocks.failure { fail(failure) }
        switch name {
        case "sp", "graphicFrame": placeholder = nil
        case "ph": placeholder = attributes["type"] ?? ""
        case "p":
            if inTable || part == .title { blocks.pendingSpace = true } else { blocks.endBlock() }
            style = paragraphStyle(level: 0)
        case "pPr": style = paragraphStyle(level: max(0, min(attributes.number("lvl") ?? 0, 8)))
        case "t" where isWanted: inText = true
        case "br": if part == .title { blocks.pendingSpace = true } else { blocks.breakLine() }
        case "tab": blocks.pendingSpace = true
        case "tbl":
            blocks.endBlock()
            inTable = true
        case "tblPr" where inTable: blocks.headerLines = attributes["firstRow"] == "1" ? 1 : 0
        case "tr" where inTable: blocks.beginRow()
        case "tc" where inTable: blocks.beginCell()
        case "Fallback": skip()
        default: break
        }
    }

    override func end(_ name: XMLName) {
        switch name {
        case "t": inText = false
        case "p": if !inTable, part != .title { blocks.endBlock() }
        case "tc": blocks.pendingSpace = true
        case "tbl":
            inTable = false
            blocks.endBlock()
        case "sp":
            if isWanted { blocks.endBlock() }
            placeholder = nil
        default: break
        }
    }

    override func characters(_ text: UnsafeBufferPointer<UInt8>) {
        if inText { blocks.append(text, style) }
    }

    /// Paragraphs of a slide's body are the points of a list.
    private func paragraphStyle(level: Int) -> BlockStyle {
        if inTable { return .table }
        switch (part, placeholder) {
        case (.title, _): return BlockStyle(kind: .heading, level: 1)
        case (.content, ""), (.content, "body"), (.content, "obj"):
            return BlockStyle(kind: .listItem, level: level + 1)
        default: return level > 0 ? BlockStyle(kind: .listItem, level: level + 1) : .paragraph
        }
    }
}
