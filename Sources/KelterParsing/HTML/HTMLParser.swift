import KelterModel

/// Parses HTML into text, blocks, title and language.
///
/// White space is collapsed outside `pre`. `h1` to `h6` open sections; a table is one block with a line for each row; a
/// table with headings in it is taken for page layout and its cells for paragraphs.
///
/// - Throws: ``KelterError`` with `parserLimit` or `parserFailed`.
func parseHTML(_ bytes: [UInt8], limits: ParsingLimits) throws(KelterError) -> ParsedDocument {
    // Text is about a half of usual pages.
    let builder = DocumentBuilder(limits: limits, capacity: bytes.count / 2)
    let page = try readHTML(bytes, into: builder, limits: limits)
    return try builder.finish(title: page.title, language: page.language)
}

/// Reads one page into a builder that may have others already.
///
/// - Returns: The page's own title and language.
/// - Throws: ``KelterError`` with `parserFailed`.
@discardableResult
func readHTML(
    _ bytes: [UInt8],
    into builder: DocumentBuilder,
    limits: ParsingLimits
) throws(KelterError) -> (title: String?, language: String?) {
    let reader = HTMLBlockReader(blocks: builder)
    var filter = HTMLTagFilter(
        parser: try HTMLPushParser(reader: reader),
        maximumDepth: limits.maximumDepth,
        isXHTML: isXML(bytes)
    )
    try bytes.withUnsafeBufferPointer { bytes throws(KelterError) in
        try filter.read(bytes) { !builder.hasFailed }
    }
    let title = collapsedText(reader.title)
    return (title.isEmpty ? nil : title, filter.language)
}

private func isXML(_ bytes: [UInt8]) -> Bool {
    bytes.withUnsafeBufferPointer { bytes in
        isPrefix("<?xml", of: bytes, at: bytes.firstIndex { !WhiteSpace.isASCII($0) } ?? 0)
    }
}

/// A text on one line: white space collapsed, none at the ends.
func collapsedText(_ bytes: [UInt8]) -> String {
    let builder = DocumentBuilder(limits: ParsingLimits(), capacity: bytes.count)
    bytes.withUnsafeBufferPointer { builder.append($0, .paragraph) }
    builder.endBlock()
    return String(decoding: builder.text, as: UTF8.self)
}
