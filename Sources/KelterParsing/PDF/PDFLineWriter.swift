/// Writes lines of running text one behind the other and joins the words that are parted at their ends.
struct PDFLineWriter {
    private let blocks: DocumentBuilder
    /// Whether the text ends in a hyphen that the end of a line may have made.
    private var endsInHyphen = false

    init(_ blocks: DocumentBuilder) {
        self.blocks = blocks
    }

    /// Appends a line.
    ///
    /// - Parameters:
    ///   - line: The line.
    ///   - style: What it is filed as when no block is open.
    ///   - count: Bytes at its beginning that are left out.
    mutating func write(_ line: PDFLine, _ style: BlockStyle, skipping count: Int = 0) {
        let text = Array(line.text.dropFirst(count))
        if blocks.open != nil { join(text) }
        text.withUnsafeBufferPointer { blocks.append($0, style) }
        endsInHyphen = line.endsInHyphen && blocks.open != nil
        if endsInHyphen { blocks.text.append(UInt8(ascii: "-")) }
    }

    /// Puts a space before the next line, or takes a hyphen away, or neither.
    private func join(_ next: [UInt8]) {
        let beginning = String(decoding: next.prefix(8), as: UTF8.self)
        let isLowerCase = beginning.unicodeScalars.first?.properties.isLowercase ?? false
        // "Wind- und Wasserkraft" keeps both.
        let isConjunction = Self.conjunctions.contains { beginning.hasPrefix($0) }
        if endsInHyphen {
            if isConjunction {
                blocks.pendingSpace = true
            } else if isLowerCase {
                blocks.text.removeLast()
            }
        } else if !endsInLetterAndHyphen(blocks.text) || isConjunction {
            blocks.pendingSpace = true
        }
    }

    private static let conjunctions = ["und ", "oder ", "bzw", "sowie ", "and ", "or "]
}
