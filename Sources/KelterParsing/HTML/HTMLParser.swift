import KelterModel

/// Parses HTML into text, blocks, title and language.
///
/// White space is collapsed outside `pre`. `h1` to `h6` open sections; a table is one block with a line for each row; a
/// table with headings in it is taken for page layout and its cells for paragraphs.
///
/// Navigation and what else every page of a site has is left out and counted; see ``HTMLBoilerplate``.
///
/// - Throws: ``KelterError`` with `parserLimit` or `parserFailed`.
func parseHTML(_ bytes: [UInt8], limits: ParsingLimits) throws(KelterError) -> ParsedDocument {
    let boilerplate = bytes.withUnsafeBufferPointer { HTMLBoilerplate($0) }
    let content = try parseHTML(bytes, without: boilerplate, limits: limits)
    return content.isPlausible ? content.document : try parseHTML(bytes, without: nil, limits: limits).document
}

/// Parses a page, and tells whether what was left out will not be missed.
private func parseHTML(
    _ bytes: [UInt8],
    without boilerplate: HTMLBoilerplate?,
    limits: ParsingLimits
) throws(KelterError) -> (document: ParsedDocument, isPlausible: Bool) {
    // Text is about a half of usual pages.
    let builder = DocumentBuilder(limits: limits, capacity: bytes.count / 2)
    let page = try readHTML(bytes, without: boilerplate, into: builder, limits: limits)
    var document = try builder.finish(title: page.title, language: page.language)
    if let boilerplate = page.boilerplate, boilerplate.hiddenBytes > 0 {
        document.repairs[.boilerplateRemoved] = boilerplate.hiddenBytes
    }
    return (document, page.boilerplate?.isPlausible ?? true)
}

/// What a page says beside its text.
struct HTMLPage {
    let title: String?
    let language: String?
    let boilerplate: HTMLBoilerplate?
}

/// Reads one page into a builder that may have others already.
///
/// - Returns: The page's own title and language, and what was left out.
/// - Throws: ``KelterError`` with `parserFailed`.
@discardableResult
func readHTML(
    _ bytes: [UInt8],
    without boilerplate: HTMLBoilerplate? = nil,
    into builder: DocumentBuilder,
    limits: ParsingLimits
) throws(KelterError) -> HTMLPage {
    let reader = HTMLBlockReader(blocks: builder)
    var filter = HTMLTagFilter(
        parser: try HTMLPushParser(reader: reader),
        maximumDepth: limits.maximumDepth,
        isXHTML: isXML(bytes),
        boilerplate: boilerplate
    )
    try bytes.withUnsafeBufferPointer { bytes throws(KelterError) in
        try filter.read(bytes) { !builder.hasFailed }
    }
    let title = collapsedText(reader.title)
    return HTMLPage(
        title: title.isEmpty ? nil : title,
        language: filter.language,
        boilerplate: filter.boilerplate
    )
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
