import KelterModel

extension Chunker {
    /// A text to embed and its size.
    package struct Input: Sendable, Equatable {
        /// Prefix, context header and text.
        package let text: String
        /// Its tokens, special tokens included.
        package let tokens: Int
    }

    /// The embedded text of a chunk that is stored, made again from its row.
    ///
    /// Whether the header names the innermost section depends on whether the chunk's text begins with its heading, which
    /// a row does not say: there are up to two candidates, the likelier one first. The hash of the embedded text, where
    /// the row has one, tells which it was.
    ///
    /// - Parameters:
    ///   - body: The chunk's stored text.
    ///   - section: Its heading path, outermost first.
    ///   - title: The document's title.
    ///   - tableHeader: The names of the columns that were put before the text.
    /// - Returns: The candidates, which may exceed the profile's limit for a chunk that was cut for another profile.
    package func inputs(forStored body: String, section: [String], title: String?, tableHeader: String? = nil)
        -> [Input]
    {
        var header = ContextHeader(title: title, limit: headerLimit, counter: counter)
        let collapsed = EmbeddedText.normalised(body)
        let innermost = section.last.map { EmbeddedText.normalised($0) } ?? ""
        let begins = !innermost.isEmpty && collapsed.hasPrefix(innermost)
        var texts: [String] = []
        for isOpened in begins ? [true, false] : [false] {
            let columns = tableHeader.map { $0 + " " } ?? ""
            var text = Array((header.text(for: SectionPath(section), isOpened: isOpened) + columns + collapsed).utf8)
            CanonicalComposition.normalise(&text)
            texts.append(profile.passagePrefix + String(decoding: text, as: UTF8.self))
        }
        if texts.count == 2, texts[0] == texts[1] { texts.removeLast() }
        return texts.map { Input(text: $0, tokens: counter.count($0) + counter.specialTokens) }
    }
}
