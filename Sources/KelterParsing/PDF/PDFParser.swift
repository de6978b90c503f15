import KelterModel

/// Parses a PDF into text in reading order with pages, headings, lists and tables.
///
/// What PDF does not say is told from where text stands: lines that are close make a paragraph, large lines are headings
/// unless an outline names them, columns that line up are a table, and lines that are repeated at the edge of pages are
/// left out and counted.
///
/// - Parameters:
///   - bytes: The file.
///   - library: The path of PDFium's library.
///   - recognition: What reads the pages that are images; `nil` leaves them out.
///   - limits: Bounds.
/// - Returns: The document.
/// - Throws: ``KelterError`` with `partMissing`, `documentEncrypted`, `needsOCR` for a file of images, `parserLimit` or
///   `parserFailed`.
func parsePDF(
    _ bytes: [UInt8],
    library: String?,
    recognition: TextRecognition?,
    limits: ParsingLimits
) throws(KelterError) -> ParsedDocument {
    guard let library else { throw PDFium.missing(nil) }
    let functions = try PDFium.load(library)
    return try PDFium.exclusively { () throws(KelterError) in
        let document = try PDFDocument(bytes, functions)
        guard document.pageCount <= limits.maximumPages else {
            throw KelterError(
                .parserLimit,
                "The PDF has \(document.pageCount) pages, more than the \(limits.maximumPages) allowed.",
                fix: "Split the file."
            )
        }
        var pages: [PDFPage] = []
        var (textBytes, unreadable, images) = (0, 0, 0)
        var recognizer: TextRecognizer?
        for index in 0..<document.pageCount {
            guard var (page, hasImages) = document.page(index) else {
                unreadable += 1
                continue
            }
            if hasImages, recognizer == nil {
                // Where it is not installed the pages stay without text.
                recognizer = try? recognition?.start()
            }
            if hasImages, let recognizer, recognizer.pages < TextRecognition.mostPages,
                let drawing = document.drawing(index, resolution: TextRecognition.resolution)
            {
                page = recognizer.page(index + 1, gray: drawing.gray, width: drawing.width, height: drawing.height)
                hasImages = page.lines.isEmpty
            }
            textBytes += page.lines.reduce(0) { $0 + $1.byteCount }
            if hasImages { images += 1 }
            guard textBytes <= limits.maximumTextBytes else {
                throw KelterError(
                    .parserLimit,
                    "The extracted text has more than the \(limits.maximumTextBytes) bytes allowed.",
                    fix: "Split the file or raise the limit."
                )
            }
            pages.append(page)
        }
        guard textBytes > 0 || images == 0 || recognizer != nil else {
            throw KelterError(
                .needsOCR,
                "The PDF has \(images) pages that are images, and no text.",
                fix: "Install tesseract-ocr and tesseract-ocr-deu, or run it through OCR, for example with ocrmypdf."
            )
        }
        let removed = PDFMargins(pages).removeRepeatedLines(from: &pages)
        let builder = DocumentBuilder(limits: limits, capacity: textBytes)
        PDFLayout(pages, document.bookmarks).write(to: builder)
        builder.place = nil
        var parsed = try builder.finish(title: document.title.flatMap(ownTitle), language: document.language)
        if removed > 0 { parsed.repairs[.repeatedLinesRemoved] = removed }
        if unreadable > 0 { parsed.repairs[.pagesUnreadable] = unreadable }
        if let recognizer { parsed.repairs[.textRecognised] = recognizer.pages }
        if images > 0 { parsed.repairs[.pagesWithoutText] = images }
        return parsed
    }
}

/// The title of the properties without what programs write there by themselves.
private func ownTitle(_ title: String) -> String? {
    var title = title
    for prefix in ["Microsoft Word - ", "Microsoft PowerPoint - "] where title.hasPrefix(prefix) {
        title.removeFirst(prefix.count)
    }
    let name = lowercasedASCII(title)
    guard !["untitled", "unbenannt", "title"].contains(name) else { return nil }
    let isFileName = [".doc", ".docx", ".dvi", ".ppt", ".pptx", ".tex", ".indd", ".pdf"].contains { name.hasSuffix($0) }
    return isFileName ? nil : title
}
