import KelterModel

/// Divides a plain text into paragraphs at blank lines; the text itself stays as it is.
///
/// No headings are guessed.
///
/// - Throws: ``KelterError`` with `parserLimit` for too many paragraphs.
func parsePlainText(_ text: [UInt8], limits: ParsingLimits) throws(KelterError) -> ParsedDocument {
    var blocks: [Block] = []
    let isComplete = text.withUnsafeBufferPointer { text in
        var start: Int?
        var end = 0
        var line = 0
        while line < text.count {
            let lineEnd = firstIndex(of: 0x0A, in: text, from: line) ?? text.count
            let content = WhiteSpace.trim(line..<lineEnd, in: text)
            if !content.isEmpty {
                if start == nil { start = content.lowerBound }
                end = content.upperBound
            } else if let first = start {
                guard blocks.count < limits.maximumBlocks else { return false }
                blocks.append(Block(.paragraph, range: first..<end))
                start = nil
            }
            line = lineEnd + 1
        }
        if let start { blocks.append(Block(.paragraph, range: start..<end)) }
        return blocks.count <= limits.maximumBlocks
    }
    guard isComplete else { throw tooManyBlocks(limits) }
    return ParsedDocument(text: text, blocks: blocks)
}

/// The failure of a document with more blocks than allowed.
func tooManyBlocks(_ limits: ParsingLimits) -> KelterError {
    KelterError(
        .parserLimit,
        "The document has more than \(limits.maximumBlocks) paragraphs, headings, items and tables.",
        fix: "Split the file or raise the limit."
    )
}
