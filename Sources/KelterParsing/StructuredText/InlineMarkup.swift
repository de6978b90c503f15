/// Markup in markup is looked for so deep.
private let deepestMarkup = 8

/// The text of a paragraph of reStructuredText without its inline markup.
///
/// Source: the specification, section "Inline Markup".
func plainReStructuredText(_ text: ArraySlice<UInt8>, depth: Int = 0) -> [UInt8] {
    guard depth < deepestMarkup else { return Array(text) }
    var reader = InlineReader(text)
    func inner(_ text: ArraySlice<UInt8>) -> [UInt8] { plainReStructuredText(text, depth: depth + 1) }
    while let byte = reader.current {
        switch byte {
        case UInt8(ascii: "\\"):
            reader.skip(1)
            if reader.current == 0x20 { reader.skip(1) } else { reader.keep() }
        case UInt8(ascii: "`") where reader.isNext("``"):
            if !reader.take(between: "``", "``", reading: { Array($0) }) { reader.keep() }
        case UInt8(ascii: "`"):
            if reader.take(between: "`", "`", reading: { inner(withoutTarget($0)) }) {
                while reader.current == UInt8(ascii: "_") { reader.skip(1) }
            } else {
                reader.keep()
            }
        case UInt8(ascii: ":") where reader.isAtWordStart:
            // A role, before what it is about.
            let name = reader.rest.dropFirst().prefix {
                ($0 | 0x20) &- 0x61 < 26 || [0x2D, 0x3A, 0x2B, 0x2E, 0x5F].contains($0)
            }
            if name.last == UInt8(ascii: ":"), reader.rest.dropFirst(name.count + 1).first == UInt8(ascii: "`") {
                reader.skip(name.count + 1)
            } else {
                reader.keep()
            }
        case UInt8(ascii: "*") where reader.isNext("**"):
            if !reader.take(between: "**", "**", reading: inner) { reader.keep() }
        case UInt8(ascii: "*"):
            if !reader.take(between: "*", "*", reading: inner) { reader.keep() }
        case UInt8(ascii: "|"):
            if reader.take(between: "|", "|", reading: { Array($0) }) {
                while reader.current == UInt8(ascii: "_") { reader.skip(1) }
            } else {
                reader.keep()
            }
        case UInt8(ascii: "_") where reader.isAtWordEnd || reader.follows(UInt8(ascii: "]")) && !reader.isBeforeWord:
            reader.skip(1)
        default: reader.keep()
        }
    }
    return reader.output
}

/// The text of a paragraph of AsciiDoc without its inline markup.
///
/// Source: AsciiDoc Language Documentation, sections "Text Formatting" and "Macros", https://docs.asciidoctor.org/asciidoc/latest/.
func plainAsciiDoc(_ text: ArraySlice<UInt8>, attributes: [String: [UInt8]] = [:], depth: Int = 0) -> [UInt8] {
    guard depth < deepestMarkup else { return Array(text) }
    var reader = InlineReader(text)
    func inner(_ text: ArraySlice<UInt8>) -> [UInt8] {
        plainAsciiDoc(text, attributes: attributes, depth: depth + 1)
    }
    while let byte = reader.current {
        switch byte {
        case UInt8(ascii: "\\") where reader.rest.count > 1:
            reader.skip(1)
            reader.keep()
        case UInt8(ascii: "*"), UInt8(ascii: "_"), UInt8(ascii: "`"), UInt8(ascii: "#"), UInt8(ascii: "+"):
            let (one, two) = markupPair(byte)
            let isTaken =
                reader.isNext(two) && reader.take(between: two, two, isConstrained: false, reading: inner)
                || reader.take(between: one, one, reading: inner)
            if !isTaken { reader.keep() }
        case UInt8(ascii: "^"), UInt8(ascii: "~"):
            let (one, _) = markupPair(byte)
            if !reader.take(between: one, one, isConstrained: false, reading: inner) { reader.keep() }
        case UInt8(ascii: "<") where reader.isNext("<<"):
            let isTaken = reader.take(between: "<<", ">>", isConstrained: false) { reference in
                let comma = reference.firstIndex(of: UInt8(ascii: ","))
                return comma.map { inner(reference[($0 + 1)...].drop { $0 == 0x20 }) } ?? Array(reference)
            }
            if !isTaken { reader.keep() }
        case UInt8(ascii: "{"):
            let name = reader.rest.dropFirst().prefix { $0 != UInt8(ascii: "}") }
            if let value = attributes[String(decoding: name, as: UTF8.self)], reader.rest.count > name.count + 1 {
                reader.write(value)
                reader.skip(name.count + 2)
            } else {
                reader.keep()
            }
        default:
            if !reader.isAtWordStart || !takeMacro(&reader, inner) { reader.keep() }
        }
    }
    return reader.output
}

/// Takes a link or an inline macro, such as `https://x[text]` or `footnote:[text]`; only its text is kept.
private func takeMacro(_ reader: inout InlineReader, _ inner: (ArraySlice<UInt8>) -> [UInt8]) -> Bool {
    let names: [StaticString] = [
        "https://", "http://", "link:", "xref:", "mailto:", "image:", "footnote:", "kbd:", "btn:", "menu:", "pass:",
        "stem:",
        "icon:", "anchor:",
    ]
    guard let name = names.first(where: { reader.isNext($0) }) else { return false }
    let target = reader.rest.dropFirst(name.utf8CodeUnitCount).prefix {
        !WhiteSpace.isASCII($0) && $0 != UInt8(ascii: "[")
    }
    let opening = target.endIndex
    guard opening < reader.rest.endIndex, reader.rest[opening] == UInt8(ascii: "["),
        let closing = reader.rest[opening...].firstIndex(of: UInt8(ascii: "]"))
    else { return false }
    let content = reader.rest[(opening + 1)..<closing]
    // Named attributes follow the text.
    let text = content.prefix { $0 != UInt8(ascii: ",") }
    let isFootnote = reader.isNext("footnote:")
    let plain = inner(isFootnote ? content : text)
    if isFootnote {
        reader.write([0x20, UInt8(ascii: "(")] + plain + [UInt8(ascii: ")")])
    } else {
        reader.write(plain.isEmpty ? Array(target) : plain)
    }
    reader.skip(closing + 1 - reader.rest.startIndex)
    return true
}

private func markupPair(_ byte: UInt8) -> (one: StaticString, two: StaticString) {
    switch byte {
    case UInt8(ascii: "*"): ("*", "**")
    case UInt8(ascii: "_"): ("_", "__")
    case UInt8(ascii: "`"): ("`", "``")
    case UInt8(ascii: "#"): ("#", "##")
    case UInt8(ascii: "^"): ("^", "^^")
    case UInt8(ascii: "~"): ("~", "~~")
    default: ("+", "++")
    }
}

/// The text of `text <target>`.
private func withoutTarget(_ text: ArraySlice<UInt8>) -> ArraySlice<UInt8> {
    guard text.last == UInt8(ascii: ">"), let start = text.lastIndex(of: UInt8(ascii: "<")), start > text.startIndex
    else {
        return text
    }
    return text[..<start]
}

/// Walks over a paragraph; markup that ends is taken, all else kept.
private struct InlineReader {
    /// What has not been read.
    private(set) var rest: ArraySlice<UInt8>
    private(set) var output: [UInt8] = []
    private let start: Int
    private let text: ArraySlice<UInt8>
    /// End marks that are known not to come any more, by their bytes.
    private var missing: Set<[UInt8]> = []

    init(_ text: ArraySlice<UInt8>) {
        self.text = text
        rest = text
        start = text.startIndex
        output.reserveCapacity(text.count)
    }

    var current: UInt8? { rest.first }

    /// Whether no letter or digit stands before.
    var isAtWordStart: Bool { rest.startIndex == start || !isWordByte(text[rest.startIndex - 1]) }

    /// Whether a letter or digit stands before and none behind.
    var isAtWordEnd: Bool { !isAtWordStart && !isBeforeWord }

    var isBeforeWord: Bool { rest.dropFirst().first.map(isWordByte) ?? false }

    /// Whether the last byte that was kept is this one.
    func follows(_ byte: UInt8) -> Bool { output.last == byte }

    func isNext(_ mark: StaticString) -> Bool {
        rest.starts(with: UnsafeBufferPointer(start: mark.utf8Start, count: mark.utf8CodeUnitCount))
    }

    mutating func skip(_ count: Int) { rest = rest.dropFirst(count) }

    mutating func keep() {
        if let byte = rest.popFirst() { output.append(byte) }
    }

    mutating func write(_ text: [UInt8]) { output += text }

    /// Takes what stands between two marks that begin here, without them.
    ///
    /// - Parameters:
    ///   - opening: The mark here.
    ///   - closing: The mark at the end.
    ///   - isConstrained: Whether it must not begin or end inside a word, nor with a space.
    ///   - reading: Makes text of it.
    /// - Returns: Whether it ends.
    mutating func take(
        between opening: StaticString,
        _ closing: StaticString,
        isConstrained: Bool = true,
        reading: (ArraySlice<UInt8>) -> [UInt8]
    ) -> Bool {
        let mark = Array(UnsafeBufferPointer(start: closing.utf8Start, count: closing.utf8CodeUnitCount))
        let content = rest.dropFirst(opening.utf8CodeUnitCount)
        guard !missing.contains(mark), !isConstrained || isAtWordStart, let first = content.first,
            !WhiteSpace.isASCII(first)
        else { return false }
        var position = content.startIndex + 1
        while position + mark.count <= content.endIndex {
            if content[position] == mark[0], content[position..<position + mark.count].elementsEqual(mark) {
                let next = position + mark.count
                let isInWord = next < content.endIndex && isWordByte(content[next])
                let isBehindSpace = WhiteSpace.isASCII(content[position - 1])
                if !isConstrained || !isInWord && !isBehindSpace {
                    output += reading(content[..<position])
                    rest = content[next...]
                    return true
                }
            }
            position += 1
        }
        missing.insert(mark)
        return false
    }
}

private func isWordByte(_ byte: UInt8) -> Bool {
    (byte | 0x20) &- 0x61 < 26 || byte &- 0x30 < 10 || byte >= 0x80
}
