import KelterModel
import KelterParsing

/// What a parsed document breaks of the promises of ``ParsedDocument``; empty when it keeps them all.
func violations(of document: ParsedDocument) -> [String] {
    var found: [String] = []
    let text = document.text
    if String(validating: text, as: UTF8.self) == nil { found.append("the text is not UTF-8") }
    if text.contains(0) { found.append("the text has NUL") }
    if document.title?.utf8.contains(0) == true { found.append("the title has NUL") }
    if text.contains(0x0D) { found.append("the text has CR") }
    if document.sections.first != .root { found.append("section 0 is not the root") }

    var isCovered = [Bool](repeating: false, count: text.count)
    var end = 0
    for block in document.blocks {
        let range = block.range
        guard range.lowerBound >= end, range.upperBound <= text.count, !range.isEmpty else {
            found.append("range \(range) after \(end) of \(text.count)")
            continue
        }
        end = range.upperBound
        guard let body = String(validating: text[range], as: UTF8.self), let first = body.unicodeScalars.first,
            let last = body.unicodeScalars.last
        else {
            found.append("range \(range) does not lie on character boundaries")
            continue
        }
        if first.properties.isWhitespace || last.properties.isWhitespace {
            found.append("\(range) has space at an end")
        }
        if !document.sections.indices.contains(block.section) { found.append("section \(block.section)") }
        if block.kind == .heading {
            if document.sections[block.section].headings.last != body {
                found.append("\(range) is not its section's heading")
            }
            if !(1...6).contains(block.level) { found.append("heading level \(block.level)") }
        } else if block.kind == .listItem ? block.level < 1 : block.level != 0 {
            found.append("\(block.kind) has level \(block.level)")
        }
        if let header = block.header {
            // Lines, with others behind them.
            let isLines = range.contains(header.upperBound) && text[header.upperBound] == 0x0A && !header.isEmpty
            if block.kind != .table || header.lowerBound != range.lowerBound || !isLines {
                found.append("header \(header)")
            }
        }
        for index in range { isCovered[index] = true }
    }
    var position = 0
    for scalar in String(decoding: text, as: UTF8.self).unicodeScalars {
        let count = UTF8.width(scalar)
        defer { position += count }
        guard !scalar.properties.isWhitespace, !isCovered[position..<position + count].allSatisfy({ $0 }) else {
            continue
        }
        found.append("byte \(position) lies in no block")
        break
    }
    return found
}

/// The blocks of a document, one a line: kind, level if any, path of a heading, text.
func outline(_ document: ParsedDocument) -> [String] {
    document.blocks.map { block in
        let level = block.level > 0 ? String(block.level) : ""
        let path = block.kind == .heading ? document.sections[block.section].headings.dropLast().map { $0 + " > " } : []
        return "\(block.kind)\(level): " + path.joined() + String(decoding: document.text[block.range], as: UTF8.self)
    }
}

/// Parses a text as the file with the given name.
func parse(_ text: String, name: String, limits: ParsingLimits = ParsingLimits()) throws -> ParsedDocument {
    try DocumentParser(limits: limits).parse(Array(text.utf8), name: name).document
}

/// The code of the failure that a closure ends with; nil when it ends well.
func failure(_ body: () throws -> Void) -> KelterError? {
    do {
        try body()
        return nil
    } catch {
        return error as? KelterError
    }
}
