import KelterModel

/// Reads a mail message: its subject as a heading, from whom to whom and when, and its text, HTML if there is some.
///
/// Attachments are named; their content is that of documents of their own (``MailDirectory``).
///
/// - Returns: The document; `nil` for a file that does not begin as a message does.
/// - Throws: ``KelterError`` with `parserLimit` or `parserFailed`.
func parseMail(_ bytes: [UInt8], limits: ParsingLimits) throws(KelterError) -> ParsedDocument? {
    let message = bytes.withUnsafeBufferPointer { MailPart($0, 0..<$0.count) }
    guard message.header.isOfMessage else { return nil }
    let blocks = DocumentBuilder(limits: limits, capacity: bytes.count)
    let subject = message.header.text("subject")
    if let subject { blocks.appendBlock(subject, BlockStyle(kind: .heading, level: 1)) }
    let attachments = message.attachments
    var lines = ["From", "To", "Cc", "Date"].compactMap { name in
        message.header.text(lowercasedASCII(name)).map { "\(name): \($0)" }
    }
    if !attachments.isEmpty {
        lines.append("Attachments: " + attachments.compactMap { $0.name ?? $0.type }.joined(separator: ", "))
    }
    blocks.appendLines(lines)
    var repairs: [Repair: Int] = [:]
    if !attachments.isEmpty { repairs[.attachmentsApart] = attachments.count }
    func read(_ parts: [MailPart]) throws(KelterError) {
        for part in parts {
            let content = bytes.withUnsafeBufferPointer { part.decoded($0) }
            let (text, found) = decodedText(content, charset: part.charset, isHTML: part.type == "text/html")
            repairs.merge(found) { $0 + $1 }
            if part.type == "text/html" {
                try readHTML(text, into: blocks, limits: limits)
            } else {
                blocks.appendMailText(text)
            }
            blocks.endBlock()
        }
    }
    let headBytes = blocks.text.count
    try read(message.body())
    // HTML that is nothing but pictures, beside the text for those who do not see them.
    if blocks.text.count == headBytes { try read(message.body("text/plain")) }

    var document = try blocks.finish(
        title: subject,
        language: message.header.text("content-language").flatMap(validLanguageTag)
    )
    document.repairs = repairs
    return document
}

/// A part's content as text; when it is not what it says it is, the bytes that are no text are replaced.
private func decodedText(_ content: [UInt8], charset: String?, isHTML: Bool) -> (text: [UInt8], repairs: [Repair: Int])
{
    var decoder = TextDecoder(content)
    do throws(KelterError) {
        try decoder.decode(charset: charset, isHTML: isHTML)
        return (decoder.bytes, decoder.repairs)
    } catch {
        var text = Array(String(decoding: content, as: UTF8.self).utf8)
        var cleaner = TextCleaner()
        cleaner.clean(&text)
        return (text, cleaner.repairs.merging([.invalidReplaced: 1]) { $0 + $1 })
    }
}

extension DocumentBuilder {
    fileprivate func appendBlock(_ text: String, _ style: BlockStyle) {
        Array(text.utf8).withUnsafeBufferPointer { append($0, style) }
        endBlock()
    }

    fileprivate func appendLines(_ lines: [String]) {
        for line in lines {
            Array(line.utf8).withUnsafeBufferPointer { append($0, .paragraph) }
            breakLine()
        }
        endBlock()
    }

    /// Appends plain text: paragraphs between empty lines, and what is quoted as quotations.
    fileprivate func appendMailText(_ text: [UInt8]) {
        text.withUnsafeBufferPointer { text in
            var line = 0
            while line < text.count, !hasFailed {
                let end = firstIndex(of: 0x0A, in: text, from: line) ?? text.count
                var start = line
                while start < end, text[start] == UInt8(ascii: ">") || start > line && text[start] == 0x20 {
                    start += 1
                }
                let style = start > line ? BlockStyle(kind: .quote) : .paragraph
                let content = UnsafeBufferPointer(rebasing: text[start..<end])
                if WhiteSpace.trim(0..<content.count, in: content).isEmpty || open.map({ $0 != style }) == true {
                    endBlock()
                }
                append(content, style)
                if open != nil { breakLine() }
                line = end + 1
            }
        }
        endBlock()
    }
}
