import KelterModel

/// Divides source code into blocks at the blank lines between its outermost parts; the text itself stays as it is.
///
/// A part begins with a line that is not indented, behind a blank line: a function with its body and the comment above
/// it stay together in every language that indents.
///
/// - Throws: ``KelterError`` with `parserLimit` for too many blocks.
func parseCode(_ text: [UInt8], limits: ParsingLimits) throws(KelterError) -> ParsedDocument {
    var blocks: [Block] = []
    text.withUnsafeBufferPointer { text in
        var start: Int?
        var end = 0
        var line = 0
        var isBehindBlankLine = true
        while line < text.count, blocks.count <= limits.maximumBlocks {
            let lineEnd = firstIndex(of: 0x0A, in: text, from: line) ?? text.count
            let content = WhiteSpace.trim(line..<lineEnd, in: text)
            if content.isEmpty {
                isBehindBlankLine = true
            } else {
                let closes = [UInt8(ascii: "}"), UInt8(ascii: ")"), UInt8(ascii: "]")].contains(text[line])
                if isBehindBlankLine, content.lowerBound == line, !closes, let first = start {
                    blocks.append(Block(.code, range: first..<end))
                    start = nil
                }
                start = start ?? content.lowerBound
                end = content.upperBound
                isBehindBlankLine = false
            }
            line = lineEnd + 1
        }
        if let start { blocks.append(Block(.code, range: start..<end)) }
    }
    guard blocks.count <= limits.maximumBlocks else { throw tooManyBlocks(limits) }
    return ParsedDocument(text: text, blocks: blocks)
}
