import KelterModel

/// Refuses Markdown on which cmark-gfm 0.29 takes time that grows with the square of the text.
///
/// That is: image brackets in one paragraph (`![[]()` repeated: 160 kB take 1.8 s); rows that lack most cells of a wide
/// table (1 MB takes 26 s and 8 GB, because each lacking cell becomes a node); lists or quotes that one line nests
/// thousands deep, through which every later line walks. Later versions of cmark-gfm bound the first two, the second at
/// the number used here.
///
/// - Throws: ``KelterError`` with `parserLimit` or `fileTooLarge`.
func checkMarkdown(_ text: UnsafeBufferPointer<UInt8>, limits: ParsingLimits) throws(KelterError) {
    guard text.count <= limits.maximumMarkdownBytes else {
        throw KelterError(
            .fileTooLarge,
            "The Markdown file has \(text.count) bytes, more than the \(limits.maximumMarkdownBytes) allowed.",
            fix: "Split the file or give it as plain text."
        )
    }
    let maximumBrackets = 2_000
    let maximumLackingCells = 0x80000
    var brackets = 0
    var columns = 0
    var lackingCells = 0
    var lines = LineCursor(text)
    while let line = lines.next() {
        guard markers(line, maximum: limits.maximumDepth) < limits.maximumDepth else {
            throw tooComplex("A line nests more than \(limits.maximumDepth) lists and quotes.")
        }
        if WhiteSpace.trim(0..<line.count, in: line).isEmpty {
            brackets = 0
            columns = 0
            continue
        }
        let pipes = count(UInt8(ascii: "|"), in: line)
        if pipes > columns, isDelimiterRow(line) { columns = pipes }
        lackingCells += max(0, columns - pipes)
        guard lackingCells <= maximumLackingCells else {
            throw tooComplex("The rows of the tables lack more than \(maximumLackingCells) cells.")
        }
        brackets += countImageBrackets(line)
        guard brackets <= maximumBrackets else {
            throw tooComplex("A paragraph has more than \(maximumBrackets) images.")
        }
    }
}

private func count(_ byte: UInt8, in line: UnsafeBufferPointer<UInt8>) -> Int {
    var count = 0
    var position = 0
    while let found = firstIndex(of: byte, in: line, from: position) {
        count += 1
        position = found + 1
    }
    return count
}

private func countImageBrackets(_ line: UnsafeBufferPointer<UInt8>) -> Int {
    var count = 0
    var position = 0
    while let mark = firstIndex(of: UInt8(ascii: "!"), in: line, from: position) {
        if mark + 1 < line.count, line[mark + 1] == UInt8(ascii: "[") { count += 1 }
        position = mark + 1
    }
    return count
}

/// Whether a line could be the one below a table's head, in a list or quote too.
private func isDelimiterRow(_ line: UnsafeBufferPointer<UInt8>) -> Bool {
    line.allSatisfy { "|-: \t>*+.)0123456789".utf8.contains($0) }
}

private func tooComplex(_ message: String) -> KelterError {
    KelterError(.parserLimit, message, fix: "Give the file as plain text.")
}

/// How many markers of lists and quotes a line begins with, counted up to a maximum.
private func markers(_ line: UnsafeBufferPointer<UInt8>, maximum: Int) -> Int {
    // A marker takes at least a byte.
    guard line.count >= maximum else { return 0 }
    var count = 0
    var position = 0
    while position < line.count, count < maximum {
        switch line[position] {
        case UInt8(ascii: ">"):
            count += 1
        case UInt8(ascii: "-"), UInt8(ascii: "*"), UInt8(ascii: "+"), UInt8(ascii: "."), UInt8(ascii: ")"):
            guard position + 1 == line.count || WhiteSpace.isASCII(line[position + 1]) else { return count }
            count += 1
        case 0x20, 0x09, UInt8(ascii: "0")...UInt8(ascii: "9"):
            break
        default:
            return count
        }
        position += 1
    }
    return count
}
