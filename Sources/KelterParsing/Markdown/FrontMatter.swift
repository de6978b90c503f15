import KelterModel

/// The YAML block between `---` lines that may stand at the top of a Markdown file.
struct FrontMatter: Equatable {
    /// The value of `title`.
    var title: String?
    /// The value of `lang` or `language`, when it has the form of a BCP 47 tag.
    var language: String?
    /// The offset of the first byte after the block.
    var end: Int

    /// Reads the block; nil when the text does not begin with one.
    ///
    /// The first line of content must be a `key:`, because `---` also draws a line in Markdown. Only scalars on one
    /// line are understood; everything else in the block is left out.
    init?(_ text: UnsafeBufferPointer<UInt8>) {
        var lines = LineCursor(text)
        guard let opening = lines.next(), Self.isFence(opening, "---") else { return nil }
        var hasKey = false
        while let line = lines.next() {
            if Self.isFence(line, "---") || Self.isFence(line, "...") {
                end = lines.position
                return
            }
            if WhiteSpace.trim(0..<line.count, in: line).isEmpty || line.first == UInt8(ascii: "#") { continue }
            let pair = Self.pair(line)
            guard hasKey || pair != nil else { return nil }
            hasKey = true
            switch pair?.key {
            case "title": title = title ?? pair?.value
            case "lang", "language": language = language ?? pair?.value.flatMap(validLanguageTag)
            default: break
            }
        }
        return nil
    }

    private static func isFence(_ line: UnsafeBufferPointer<UInt8>, _ fence: StaticString) -> Bool {
        isPrefix(fence, of: line, at: 0) && WhiteSpace.trim(3..<line.count, in: line).isEmpty
    }

    /// Key and scalar of a line that is not indented; the value is nil when it is no scalar on one line.
    private static func pair(_ line: UnsafeBufferPointer<UInt8>) -> (key: String, value: String?)? {
        guard let colon = firstIndex(of: UInt8(ascii: ":"), in: line),
            colon + 1 == line.count || WhiteSpace.isASCII(line[colon + 1]),
            let first = line.first, !WhiteSpace.isASCII(first), first != UInt8(ascii: "-")
        else { return nil }
        let key = trimmed(String(decoding: line[..<colon], as: UTF8.self))
        guard isName(key, maximum: 64, marks: "._- ") else { return nil }
        let value = WhiteSpace.trim(colon + 1..<line.count, in: line)
        return (lowercasedASCII(key), scalar(UnsafeBufferPointer(rebasing: line[value])))
    }

    /// A YAML scalar: plain, single-quoted or double-quoted; https://yaml.org/spec/1.2.2/#73-flow-scalar-styles.
    private static func scalar(_ text: UnsafeBufferPointer<UInt8>) -> String? {
        guard let first = text.first else { return nil }
        var value: [UInt8] = []
        switch first {
        case UInt8(ascii: "'"), UInt8(ascii: "\""):
            var index = 1
            while index < text.count {
                let byte = text[index]
                let next = index + 1 < text.count ? text[index + 1] : 0
                if byte == first {
                    guard first == UInt8(ascii: "'"), next == first else { break }
                    index += 1
                } else if byte == UInt8(ascii: "\\"), first == UInt8(ascii: "\"") {
                    guard next == first || next == byte else { return nil }
                    value.append(next)
                    index += 2
                    continue
                }
                value.append(byte)
                index += 1
            }
            guard index < text.count else { return nil }
        case UInt8(ascii: "|"), UInt8(ascii: ">"), UInt8(ascii: "["), UInt8(ascii: "{"), UInt8(ascii: "&"),
            UInt8(ascii: "*"), UInt8(ascii: "!"), UInt8(ascii: "#"):
            return nil
        default:
            for index in text.indices {
                if text[index] == UInt8(ascii: "#"), WhiteSpace.isASCII(text[index - 1]) { break }
                value.append(text[index])
            }
        }
        let string = collapsedText(value)
        return string.isEmpty || string == "null" || string == "~" ? nil : string
    }
}

/// Walks over the lines of a text.
struct LineCursor {
    private let text: UnsafeBufferPointer<UInt8>
    /// The beginning of the line that comes next.
    private(set) var position = 0

    init(_ text: UnsafeBufferPointer<UInt8>) {
        self.text = text
    }

    /// The next line without its LF; nil at the end.
    mutating func next() -> UnsafeBufferPointer<UInt8>? {
        guard position < text.count else { return nil }
        let end = firstIndex(of: 0x0A, in: text, from: position) ?? text.count
        let line = UnsafeBufferPointer(rebasing: text[position..<end])
        position = min(end + 1, text.count)
        return line
    }
}
