import KelterModel

/// Reduces HTML to the few elements that matter for the text, without attributes, and feeds it to libxml2 in slices.
///
/// Tags are found as the HTML standard's tokenizer finds them. Comments, scripts, attributes, inline elements and
/// unknown elements never reach libxml2, which keeps away what it is slow or wrong at: long tags, thousands of
/// attributes, declared charsets, deep stacks, and end tags that match nothing.
struct HTMLTagFilter {
    private static let sliceBytes = 65_536

    let parser: HTMLPushParser
    let maximumDepth: Int
    /// Whether `<p/>` is an element without content, as in XHTML.
    let isXHTML: Bool
    /// What is left out of the page; `nil` when all of it is content.
    var boilerplate: HTMLBoilerplate?
    /// The value of the first `lang` on `html` or `body`.
    var language: String?

    var output: [UInt8] = []
    /// The forwarded start tags of each kind that have no end tag yet.
    var unended = [Int](repeating: 0, count: HTMLTag.nestingCount)
    /// Start tags written since libxml2 last reported its depth.
    private var startsInSlice = 0
    /// Whether end tags have been written since then.
    private var hasEndsInSlice = false
    /// Start tags below the depth limit that were not forwarded.
    private var suppressed = 0
    /// Whether a heading has begun and no text has come since.
    var inEmptyHeading = false
    /// The elements whose end tag is known not to come any more.
    var unendable: Set<HTMLTag> = []
    /// Whether the title has been seen.
    var hasTitle = false
    // What is known not to come any more in the input.
    var isWithoutDoubleQuote = false
    var isWithoutSingleQuote = false
    var isWithoutSectionEnd = false
    var isWithoutTagEnd = false
    /// Whether quotes no longer hide a `>`, because they do not match.
    var ignoresQuotes = false

    init(parser: HTMLPushParser, maximumDepth: Int, isXHTML: Bool, boilerplate: HTMLBoilerplate? = nil) {
        self.parser = parser
        self.boilerplate = boilerplate
        self.maximumDepth = maximumDepth
        self.isXHTML = isXHTML
        output.reserveCapacity(Self.sliceBytes + 1024)
    }

    /// Reads one whole document or fragment; its text has reached the block reader afterwards, and no element is open.
    mutating func read(_ input: UnsafeBufferPointer<UInt8>, while isWanted: () -> Bool) throws(KelterError) {
        unendable = []
        isWithoutDoubleQuote = false
        isWithoutSingleQuote = false
        isWithoutSectionEnd = false
        isWithoutTagEnd = false
        ignoresQuotes = false
        var position = 0
        while position < input.count, isWanted() {
            let tag = firstIndex(of: UInt8(ascii: "<"), in: input, from: position) ?? input.count
            try write(content: UnsafeBufferPointer(rebasing: input[position..<tag]))
            position = tag < input.count ? try readMarkup(input, at: tag) : tag
            if output.count >= Self.sliceBytes { try flush() }
        }
        // libxml2 hands text over only when it sees the markup after it.
        output.append("<!-- -->")
        try flush()
        for tag in parser.reader.openTags.reversed() { writeTag(tag, isEnd: true) }
        try flush()
        for index in unended.indices { unended[index] = 0 }
        suppressed = 0
    }

    /// Gives libxml2 what has been written so far.
    mutating func flush() throws(KelterError) {
        try parser.feed(output)
        output.removeAll(keepingCapacity: true)
        startsInSlice = 0
        hasEndsInSlice = false
    }

    /// Whether what stands here is left out.
    var hides: Bool { boilerplate?.hides ?? false }

    /// Forwards text that holds no `<`, unless it is left out.
    private mutating func write(content: UnsafeBufferPointer<UInt8>) throws(KelterError) {
        boilerplate?.count(content)
        if !hides { try write(text: content) }
    }

    /// Forwards text that holds no `<`.
    mutating func write(text: UnsafeBufferPointer<UInt8>) throws(KelterError) {
        if inEmptyHeading, text.contains(where: { !WhiteSpace.isASCII($0) }) { inEmptyHeading = false }
        var rest = text
        while rest.count > Self.sliceBytes {
            let cut = Self.cut(rest)
            output.append(contentsOf: UnsafeBufferPointer(rebasing: rest[..<cut]))
            // Without markup libxml2 would gather the whole text before it reports any of it.
            output.append("<!-- -->")
            try flush()
            rest = UnsafeBufferPointer(rebasing: rest[cut...])
        }
        output.append(contentsOf: rest)
    }

    /// Forwards text that may hold `<` and, when it holds no references, `&`.
    mutating func write(literal text: UnsafeBufferPointer<UInt8>, escapingAmpersand: Bool) throws(KelterError) {
        var start = 0
        for index in text.indices {
            let isAmpersand = escapingAmpersand && text[index] == UInt8(ascii: "&")
            guard text[index] == UInt8(ascii: "<") || isAmpersand else { continue }
            try write(text: UnsafeBufferPointer(rebasing: text[start..<index]))
            output.append(isAmpersand ? "&amp;" : "&lt;")
            if output.count >= Self.sliceBytes { try flush() }
            start = index + 1
        }
        try write(text: UnsafeBufferPointer(rebasing: text[start...]))
    }

    /// Where a long text may be cut: after white space, else before a reference, else before a character.
    private static func cut(_ text: UnsafeBufferPointer<UInt8>) -> Int {
        let end = sliceBytes
        for position in stride(from: end, to: end - 256, by: -1) where WhiteSpace.isASCII(text[position - 1]) {
            return position
        }
        for position in stride(from: end, to: end - 64, by: -1) where text[position] == UInt8(ascii: "&") {
            return position
        }
        var position = end
        while isContinuation(text[position]) { position -= 1 }
        return position
    }

    /// Forwards the start of an element.
    mutating func start(_ tag: HTMLTag) throws(KelterError) {
        guard tag.nests else {
            writeTag(tag, isEnd: false)
            return
        }
        // libxml2 ends a heading where a paragraph begins; one that has no text yet is meant to hold the paragraph.
        if tag == .paragraph, inEmptyHeading { return }
        if parser.reader.openTags.count + startsInSlice >= maximumDepth {
            if startsInSlice > 0 || hasEndsInSlice { try flush() }
            if parser.reader.openTags.count >= maximumDepth {
                suppressed += 1
                writeTag(.rule, isEnd: false)
                return
            }
        }
        inEmptyHeading = tag.headingLevel > 0
        startsInSlice += 1
        unended[Int(tag.rawValue)] += 1
        writeTag(tag, isEnd: false)
    }

    /// Forwards the end of an element that has begun.
    mutating func end(_ tag: HTMLTag) {
        guard tag.nests else { return }
        if suppressed > 0 {
            suppressed -= 1
            writeTag(.rule, isEnd: false)
        } else if unended[Int(tag.rawValue)] > 0 {
            unended[Int(tag.rawValue)] -= 1
            hasEndsInSlice = true
            writeTag(tag, isEnd: true)
            if tag.headingLevel > 0 {
                inEmptyHeading = false
                // Divides what follows from a paragraph that made libxml2 end the heading early.
                writeTag(.rule, isEnd: false)
            }
        } else if tag == .paragraph {
            // The standard makes an empty paragraph of it.
            writeTag(.rule, isEnd: false)
        }
    }

    mutating func writeTag(_ tag: HTMLTag, isEnd: Bool) {
        output.append(isEnd ? "</" : "<")
        output.append(tag.name)
        output.append(UInt8(ascii: ">"))
    }
}
