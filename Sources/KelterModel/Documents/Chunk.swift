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
    /// Where the chunk begins, in formats with pages, slides or rows.
    package var place: Place?
    /// The line that names the columns of the table the chunk begins in the middle of; embedded before ``body``.
    package var tableHeader: String?
    /// The exact text sent to the model: prefix, context header and body, NFC, white space collapsed.
    package var embeddedText: String
    /// Tokens of ``embeddedText`` by the profile's tokenizer, special tokens included.
    package var tokens: Int

    package init(
        ordinal: Int,
        range: Range<Int>,
        body: String,
        section: SectionPath,
        place: Place? = nil,
        tableHeader: String? = nil,
        embeddedText: String,
        tokens: Int
    ) {
        self.ordinal = ordinal
        self.range = range
        self.body = body
        self.section = section
        self.place = place
        self.tableHeader = tableHeader
        self.embeddedText = embeddedText
        self.tokens = tokens
    }
}
