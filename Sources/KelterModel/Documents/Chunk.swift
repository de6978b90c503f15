/// A part of a document that is embedded and found as one.
package struct Chunk: Equatable, Sendable {
    /// Position in the document, from 0 without gaps.
    package var ordinal: Int
    /// Bytes of the extracted text; that slice equals ``body``.
    package var range: Range<Int>
    /// The stored text.
    package var body: String
    /// The headings above the chunk, outermost first.
    package var section: SectionPath
    /// The page the chunk begins on, from 1, where the format has pages.
    package var page: Int?
    /// The exact text sent to the model: prefix, context header and body, NFC, white space collapsed.
    package var embeddedText: String
    /// Tokens of ``embeddedText`` by the profile's tokenizer, special tokens included.
    package var tokens: Int

    package init(
        ordinal: Int,
        range: Range<Int>,
        body: String,
        section: SectionPath,
        page: Int? = nil,
        embeddedText: String,
        tokens: Int
    ) {
        self.ordinal = ordinal
        self.range = range
        self.body = body
        self.section = section
        self.page = page
        self.embeddedText = embeddedText
        self.tokens = tokens
    }
}
