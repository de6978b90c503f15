/// Bounds that keep one hostile or broken file from taking the process down.
///
/// A file that exceeds a bound fails with a code; nothing is cut off silently.
package struct ParsingLimits: Equatable, Sendable {
    /// The largest file that is parsed in memory, in bytes.
    ///
    /// Default 100 MiB.
    package var maximumBytes: Int
    /// The largest plain text, in bytes, which ``LargeText`` reads.
    ///
    /// Default 2 GiB.
    package var maximumPlainTextBytes: Int
    /// The largest extracted text, in bytes, before and after markup is taken away.
    ///
    /// Default 100 MiB.
    package var maximumTextBytes: Int
    /// The largest Markdown file, in bytes.
    ///
    /// Default 8 MiB.
    ///
    /// Lower than ``maximumBytes`` because cmark keeps the whole syntax tree: about ten times the size of usual text,
    /// up to two hundred times that of text made for the purpose.
    package var maximumMarkdownBytes: Int
    /// The deepest nesting that structure is kept for.
    ///
    /// Default 1024.
    ///
    /// HTML below it keeps its text but loses its structure; Markdown that opens more lists and quotes in one line is
    /// refused.
    package var maximumDepth: Int
    /// The most blocks of one document.
    ///
    /// Default 2,000,000.
    package var maximumBlocks: Int
    /// The longest heading, in bytes.
    ///
    /// Default 1,000.
    ///
    /// A longer one is a paragraph that was marked up wrongly and opens no section.
    package var maximumHeadingBytes: Int
    /// The most pages of a PDF.
    ///
    /// Default 20,000.
    package var maximumPages: Int
    /// The most parts of an office document or a book.
    ///
    /// Default 10,000.
    package var maximumPackageParts: Int
    /// The most bytes that such a document's parts unpack to.
    ///
    /// Default 512 MiB.
    package var maximumPackageBytes: Int

    package init(
        maximumBytes: Int = 100 << 20,
        maximumPlainTextBytes: Int = 2 << 30,
        maximumTextBytes: Int = 100 << 20,
        maximumMarkdownBytes: Int = 8 << 20,
        maximumDepth: Int = 1024,
        maximumBlocks: Int = 2_000_000,
        maximumHeadingBytes: Int = 1_000,
        maximumPages: Int = 20_000,
        maximumPackageParts: Int = 10_000,
        maximumPackageBytes: Int = 512 << 20
    ) {
        self.maximumBytes = maximumBytes
        self.maximumPlainTextBytes = maximumPlainTextBytes
        self.maximumTextBytes = maximumTextBytes
        self.maximumMarkdownBytes = maximumMarkdownBytes
        self.maximumDepth = maximumDepth
        self.maximumBlocks = maximumBlocks
        self.maximumHeadingBytes = maximumHeadingBytes
        self.maximumPages = maximumPages
        self.maximumPackageParts = maximumPackageParts
        self.maximumPackageBytes = maximumPackageBytes
    }
}
