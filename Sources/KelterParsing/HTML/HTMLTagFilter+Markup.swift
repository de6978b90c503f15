import KelterModel

extension HTMLTagFilter {
    /// The longest tag that a file may break off in; what follows a `<` for longer is text.
    private static let maximumUnendedTag = 65_536

    /// Reads what begins with the `<` at a position; the position after it.
    mutating func readMarkup(_ input: UnsafeBufferPointer<UInt8>, at start: Int) throws(KelterError) -> Int {
        guard start + 1 < input.count else { return literalLess(start) }
        switch input[start + 1] {
        case UInt8(ascii: "!"):
            if isPrefix("<!--", of: input, at: start) { return endOfComment(input, at: start + 4) }
            if isPrefix("<![cdata[", of: input, at: start) { return try readCharacterData(input, at: start + 9) }
            return after(UInt8(ascii: ">"), in: input, from: start)
        case UInt8(ascii: "?"):
            return after(UInt8(ascii: ">"), in: input, from: start)
        case UInt8(ascii: "/"):
            guard start + 2 < input.count else { return literalLess(start) }
            guard isLetter(input[start + 2]) else { return after(UInt8(ascii: ">"), in: input, from: start) }
            return try readEndTag(input, at: start)
        case let byte where isLetter(byte):
            return try readStartTag(input, at: start)
        default:
            return literalLess(start)
        }
    }

    /// Forwards a `<` that begins no markup.
    private mutating func literalLess(_ start: Int) -> Int {
        if !hides {
            output.append("&lt;")
            inEmptyHeading = false
        }
        return start + 1
    }

    private mutating func readEndTag(_ input: UnsafeBufferPointer<UInt8>, at start: Int) throws(KelterError) -> Int {
        let name = nameRange(input, at: start + 2)
        let tag = HTMLTag(name: UnsafeBufferPointer(rebasing: input[name]))
        guard let close = endOfTag(input, from: name.upperBound, attribute: { _, _ in }) else {
            return brokenOff(input, at: start)
        }
        let isHidden = hides
        boilerplate?.end(named: UnsafeBufferPointer(rebasing: input[name]))
        if hides || isHidden {
            if hides != isHidden, tag != nil { writeTag(.rule, isEnd: false) }
            return close.end
        }
        switch tag {
        case .lineBreak: try self.start(.lineBreak)
        case .root, .body: writeTag(.rule, isEnd: false)
        case let tag?: end(tag)
        case nil: break
        }
        return close.end
    }

    private mutating func readStartTag(_ input: UnsafeBufferPointer<UInt8>, at start: Int) throws(KelterError) -> Int {
        let name = nameRange(input, at: start + 1)
        let tag = HTMLTag(name: UnsafeBufferPointer(rebasing: input[name]))
        let wantsLanguage = language == nil && (tag == .root || tag == .body)
        let wantsMarks =
            boilerplate != nil && HTMLBoilerplate.mayMark(tag, named: UnsafeBufferPointer(rebasing: input[name]))
        var found: String?
        var marks = HTMLBoilerplate.Marks()
        let close = endOfTag(input, from: name.upperBound) { attribute, value in
            if wantsLanguage, found == nil { found = languageTag(attribute: attribute, value: value) }
            if wantsMarks { marks.read(attribute, value) }
        }
        guard let close else { return brokenOff(input, at: start) }
        if let found { language = found }
        let isEmpty = isXHTML && close.isSelfClosing
        let isHidden = hides
        if !isEmpty { boilerplate?.start(tag, named: UnsafeBufferPointer(rebasing: input[name]), marks) }
        guard let tag else { return close.end }
        // What stands before it and behind it do not stand together.
        if hides != isHidden { writeTag(.rule, isEnd: false) }
        switch tag {
        case .root, .body:
            return close.end
        case .script, .style, .inlineFrame, .noScript, .template:
            return isEmpty ? close.end : skipContent(of: tag, named: name, in: input, from: close.end)
        case .title, .textArea:
            return isEmpty ? close.end : try readCharacters(of: tag, named: name, in: input, from: close.end)
        case _ where hides || isHidden:
            return close.end
        default:
            try self.start(tag)
            if isEmpty { end(tag) }
            return close.end
        }
    }

    /// A tag that the file ends in: dropped, as browsers do, unless so much follows that it cannot be a tag.
    private mutating func brokenOff(_ input: UnsafeBufferPointer<UInt8>, at start: Int) -> Int {
        input.count - start <= Self.maximumUnendedTag ? input.count : literalLess(start)
    }

    // MARK: - Attributes

    /// Where the tag ends whose name ends at a position; nil when the file has no more `>`.
    ///
    /// When quotes swallow the rest of the file, browsers drop it. Here every tag from that one on ends at the first
    /// `>`, which keeps the text and the time linear.
    private mutating func endOfTag(
        _ input: UnsafeBufferPointer<UInt8>,
        from start: Int,
        attribute: (_ name: UnsafeBufferPointer<UInt8>, _ value: UnsafeBufferPointer<UInt8>) -> Void
    ) -> (end: Int, isSelfClosing: Bool)? {
        guard !isWithoutTagEnd else { return nil }
        if !ignoresQuotes {
            if let end = scanAttributes(input, from: start, attribute: attribute) { return end }
            ignoresQuotes = true
        }
        if let end = firstIndex(of: UInt8(ascii: ">"), in: input, from: start) {
            return (end + 1, input[end - 1] == UInt8(ascii: "/"))
        }
        isWithoutTagEnd = true
        return nil
    }

    /// Reads attributes up to the tag's `>`; nil when there is none outside quotes.
    private mutating func scanAttributes(
        _ input: UnsafeBufferPointer<UInt8>,
        from start: Int,
        attribute: (_ name: UnsafeBufferPointer<UInt8>, _ value: UnsafeBufferPointer<UInt8>) -> Void
    ) -> (end: Int, isSelfClosing: Bool)? {
        var position = start
        while position < input.count {
            let byte = input[position]
            if byte == UInt8(ascii: ">") {
                return (position + 1, input[position - 1] == UInt8(ascii: "/"))
            }
            if WhiteSpace.isASCII(byte) || byte == UInt8(ascii: "/") {
                position += 1
                continue
            }
            let name = position
            position += 1
            while position < input.count, !isNameEnd(input[position]), input[position] != UInt8(ascii: "=") {
                position += 1
            }
            let nameEnd = position
            while position < input.count, WhiteSpace.isASCII(input[position]) { position += 1 }
            guard position < input.count, input[position] == UInt8(ascii: "=") else { continue }
            position += 1
            while position < input.count, WhiteSpace.isASCII(input[position]) { position += 1 }
            guard position < input.count else { return nil }
            let value: Range<Int>
            if let end = endOfQuotes(input, at: position) {
                value = position + 1..<end
                position = end + 1
            } else {
                let valueStart = position
                while position < input.count, !WhiteSpace.isASCII(input[position]), input[position] != UInt8(ascii: ">")
                {
                    position += 1
                }
                value = valueStart..<position
            }
            attribute(
                UnsafeBufferPointer(rebasing: input[name..<nameEnd]),
                UnsafeBufferPointer(rebasing: input[value])
            )
        }
        return nil
    }

    /// The position of the quote that ends the one at a position; nil when none stands there or none ends it.
    private mutating func endOfQuotes(_ input: UnsafeBufferPointer<UInt8>, at position: Int) -> Int? {
        let quote = input[position]
        let isDouble = quote == UInt8(ascii: "\"")
        guard isDouble ? !isWithoutDoubleQuote : quote == UInt8(ascii: "'") && !isWithoutSingleQuote else { return nil }
        if let end = firstIndex(of: quote, in: input, from: position + 1) { return end }
        // Remembered, so that a file full of unbalanced quotes is not searched to its end for each.
        if isDouble { isWithoutDoubleQuote = true } else { isWithoutSingleQuote = true }
        return nil
    }

    // MARK: - Content that is not markup

    /// Forwards the content of an element that holds text and references only.
    private mutating func readCharacters(
        of tag: HTMLTag,
        named name: Range<Int>,
        in input: UnsafeBufferPointer<UInt8>,
        from start: Int
    ) throws(KelterError) -> Int {
        guard let end = endTag(of: tag, named: name, in: input, from: start) else { return start }
        if tag == .textArea ? !hides : !hasTitle {
            if tag == .title {
                hasTitle = true
                writeTag(.title, isEnd: false)
            }
            try write(literal: UnsafeBufferPointer(rebasing: input[start..<end]), escapingAmpersand: false)
            if tag == .title { writeTag(.title, isEnd: true) }
        }
        return after(UInt8(ascii: ">"), in: input, from: end)
    }

    /// The position after an element whose content is no text of the document.
    private mutating func skipContent(
        of tag: HTMLTag,
        named name: Range<Int>,
        in input: UnsafeBufferPointer<UInt8>,
        from start: Int
    ) -> Int {
        if let end = endTag(of: tag, named: name, in: input, from: start) {
            return after(UInt8(ascii: ">"), in: input, from: end)
        }
        // Without an end tag a script runs to the end of the file, but a noscript is just markup.
        return tag == .noScript || tag == .template ? start : input.count
    }

    /// The position of the end tag that matches a start tag with the given name; a template may hold templates.
    private mutating func endTag(
        of tag: HTMLTag,
        named name: Range<Int>,
        in input: UnsafeBufferPointer<UInt8>,
        from start: Int
    ) -> Int? {
        guard !unendable.contains(tag) else { return nil }
        if tag == .script { return endOfScript(named: name, in: input, from: start) }
        var depth = 0
        var position = start
        while let next = firstIndex(of: UInt8(ascii: "<"), in: input, from: position) {
            if tag == .template, isTag(name, in: input, at: next + 1) {
                depth += 1
            } else if isEndTag(name, in: input, at: next) {
                if depth == 0 { return next }
                depth -= 1
            }
            position = next + 1
        }
        // Remembered, so that a file full of such start tags is not searched to its end for each.
        unendable.insert(tag)
        return nil
    }

    /// The position of a script's end tag.
    ///
    /// A script may hold a comment with a whole script in it: the "double escaped" states of the standard's tokenizer.
    private func endOfScript(named name: Range<Int>, in input: UnsafeBufferPointer<UInt8>, from start: Int) -> Int? {
        var inComment = false
        var inNestedScript = false
        var position = start
        while position < input.count {
            switch input[position] {
            case UInt8(ascii: "<"):
                if isPrefix("<!--", of: input, at: position) {
                    inComment = true
                } else if isTag(name, in: input, at: position + 1) {
                    inNestedScript = inComment
                } else if isEndTag(name, in: input, at: position) {
                    if !inNestedScript { return position }
                    inNestedScript = false
                }
            case UInt8(ascii: "-") where inComment && isPrefix("-->", of: input, at: position):
                inComment = false
                inNestedScript = false
            default: break
            }
            position += 1
        }
        return nil
    }

    /// Forwards the text of a CDATA section; without an end it is a comment that ends with the next `>`.
    private mutating func readCharacterData(
        _ input: UnsafeBufferPointer<UInt8>,
        at start: Int
    ) throws(KelterError) -> Int {
        let rest = UnsafeBufferPointer(rebasing: input[start...])
        guard !isWithoutSectionEnd, let count = firstIndex(of: Array("]]>".utf8), in: rest) else {
            isWithoutSectionEnd = true
            return after(UInt8(ascii: ">"), in: input, from: start)
        }
        if !hides { try write(literal: UnsafeBufferPointer(rebasing: rest[..<count]), escapingAmpersand: true) }
        return start + count + 3
    }

    /// The position after a comment whose content begins at a position; an unended one runs to the end of the file.
    private func endOfComment(_ input: UnsafeBufferPointer<UInt8>, at start: Int) -> Int {
        var position = start
        while let end = firstIndex(of: UInt8(ascii: ">"), in: input, from: position) {
            let content = UnsafeBufferPointer(rebasing: input[start..<end])
            // `<!-->` and `<!--->` are comments, and so is `<!-- --!>`.
            if content.isEmpty || content.elementsEqual("-".utf8) || content.suffix(2).elementsEqual("--".utf8)
                || content.suffix(3).elementsEqual("--!".utf8)
            {
                return end + 1
            }
            position = end + 1
        }
        return input.count
    }
}

// MARK: - Bytes

@inline(__always)
private func isLetter(_ byte: UInt8) -> Bool {
    (byte | 0x20) &- 0x61 < 26
}

@inline(__always)
private func isNameEnd(_ byte: UInt8) -> Bool {
    WhiteSpace.isASCII(byte) || byte == UInt8(ascii: "/") || byte == UInt8(ascii: ">")
}

@inline(__always)
private func nameRange(_ input: UnsafeBufferPointer<UInt8>, at start: Int) -> Range<Int> {
    var end = start
    while end < input.count, !isNameEnd(input[end]) { end += 1 }
    return start..<end
}

/// Whether the name in a range of the input stands, in any case, as a whole name at a position.
private func isTag(_ name: Range<Int>, in input: UnsafeBufferPointer<UInt8>, at position: Int) -> Bool {
    guard position + name.count <= input.count else { return false }
    for offset in 0..<name.count
    where lowercased(input[position + offset]) != lowercased(input[name.lowerBound + offset]) {
        return false
    }
    return position + name.count == input.count || isNameEnd(input[position + name.count])
}

private func isEndTag(_ name: Range<Int>, in input: UnsafeBufferPointer<UInt8>, at position: Int) -> Bool {
    position + 1 < input.count && input[position + 1] == UInt8(ascii: "/") && isTag(name, in: input, at: position + 2)
}

/// The position after the next occurrence of a byte, or the end.
private func after(_ byte: UInt8, in input: UnsafeBufferPointer<UInt8>, from position: Int) -> Int {
    firstIndex(of: byte, in: input, from: position).map { $0 + 1 } ?? input.count
}

/// The value of a `lang` or `xml:lang` attribute when it has the form of a BCP 47 tag.
private func languageTag(attribute: UnsafeBufferPointer<UInt8>, value: UnsafeBufferPointer<UInt8>) -> String? {
    let name = attribute.map(lowercased)
    guard name.elementsEqual("lang".utf8) || name.elementsEqual("xml:lang".utf8) else { return nil }
    return validLanguageTag(String(decoding: value, as: UTF8.self))
}

/// The trimmed text if it has the form of a BCP 47 tag: letters and digits in parts of one to eight.
func validLanguageTag(_ text: String) -> String? {
    let text = trimmed(text)
    let parts = text.utf8.split(separator: UInt8(ascii: "-"), omittingEmptySubsequences: false)
    guard let first = parts.first, (2...8).contains(first.count), first.allSatisfy(isLetter), text.utf8.count <= 35,
        parts.allSatisfy({ (1...8).contains($0.count) && $0.allSatisfy { isLetter($0) || $0 &- 0x30 < 10 } })
    else { return nil }
    return text
}
