import KelterModel

/// Parses GitHub-flavoured Markdown into rendered text, blocks, title and language.
///
/// Front matter gives title and language and is no part of the text; without a title there the first heading of level 1
/// is the title. HTML in the text goes through the HTML parser.
///
/// - Throws: ``KelterError`` with `fileTooLarge`, `parserLimit` or `parserFailed`.
func parseMarkdown(_ bytes: [UInt8], limits: ParsingLimits) throws(KelterError) -> ParsedDocument {
    try bytes.withUnsafeBufferPointer { bytes throws(KelterError) in
        try checkMarkdown(bytes, limits: limits)
        let frontMatter = FrontMatter(bytes)
        let body = UnsafeBufferPointer(rebasing: bytes[(frontMatter?.end ?? 0)...])
        let builder = DocumentBuilder(limits: limits, capacity: body.count)
        var reader = MarkdownBlockReader(blocks: builder, limits: limits)
        try reader.read(try MarkdownTree(body))
        return try builder.finish(title: frontMatter?.title, language: frontMatter?.language)
    }
}
