/// What a parser makes of a file: its text and the blocks that text is divided into.
package struct ParsedDocument: Equatable, Sendable {
    /// The extracted text: valid UTF-8 without NUL.
    ///
    /// All byte ranges refer to it.
    package var text: [UInt8]
    /// The blocks in reading order.
    ///
    /// Ranges do not overlap and do not descend.
    package var blocks: [Block]
    /// The heading paths that blocks refer to by index; index 0 is the empty path of text before any heading.
    package var sections: [SectionPath]
    /// The document's own title, from its markup; a sidecar's title is stronger.
    package var title: String?
    /// The document's own language, a BCP 47 tag: from its markup, else detected; a sidecar's language is stronger.
    package var language: String?
    /// What was repaired on the way, counted: nothing is changed silently.
    package var repairs: [Repair: Int]

    package init(
        text: [UInt8],
        blocks: [Block],
        sections: [SectionPath] = [.root],
        title: String? = nil,
        language: String? = nil,
        repairs: [Repair: Int] = [:]
    ) {
        self.text = text
        self.blocks = blocks
        self.sections = sections
        self.title = title
        self.language = language
        self.repairs = repairs
    }
}

/// A place in the outline of a document.
package struct SectionPath: Hashable, Sendable {
    /// The headings from the outermost to the innermost.
    package let headings: [String]

    package init(_ headings: [String]) {
        self.headings = headings
    }

    /// The path of text before any heading.
    package static let root = SectionPath([])
}

/// A piece of a document that belongs together.
package struct Block: Equatable, Sendable {
    package enum Kind: UInt8, Sendable {
        case heading, paragraph, listItem, table, code, quote
    }

    package var kind: Kind
    /// Bytes of ``ParsedDocument/text``, on UTF-8 boundaries, without white space at the ends.
    package var range: Range<Int>
    /// Index into ``ParsedDocument/sections``.
    ///
    /// A heading belongs to the section it opens.
    package var section: Int
    /// A heading's level from 1 to 6, a list item's depth from 1; 0 for other kinds.
    package var level: Int
    /// Where the block begins, in formats with pages, slides or rows.
    package var place: Place?
    /// The line of a table, within ``range``, that names its columns.
    package var header: Range<Int>?

    package init(
        _ kind: Kind,
        range: Range<Int>,
        section: Int = 0,
        level: Int = 0,
        place: Place? = nil,
        header: Range<Int>? = nil
    ) {
        self.kind = kind
        self.range = range
        self.section = section
        self.level = level
        self.place = place
        self.header = header
    }
}

/// Where something is found in the file as people see it; all numbers begin at 1.
package enum Place: Hashable, Sendable {
    case page(Int)
    case slide(Int)
    /// A row of a sheet, whose name is the first heading of the section path, or of a file of rows.
    case row(Int)

    /// The name of the kind in metadata and in JSON.
    package var name: String {
        switch self {
        case .page: "page"
        case .slide: "slide"
        case .row: "row"
        }
    }

    package var number: Int {
        switch self {
        case .page(let number), .slide(let number), .row(let number): number
        }
    }
}

/// A change a parser had to make to a document's text.
package enum Repair: String, Hashable, Sendable, CaseIterable {
    /// The member of a document's metadata that has the counts.
    package static let metadataName = "parser_repairs"

    /// Counts as JSON, in the order of their names.
    package static func json(_ counts: [Repair: Int]) -> JSONValue {
        .object(counts.map { ($0.key.rawValue, JSONValue.int($0.value)) }.sorted { $0.0 < $1.0 })
    }

    /// NUL characters were removed: PostgreSQL cannot hold them.
    case nulRemoved = "nul_removed"
    /// Byte sequences that are not valid in the file's encoding became U+FFFD.
    case invalidReplaced = "invalid_replaced"
    /// The text was converted from another encoding than UTF-8.
    case transcoded
    /// The encoding was not declared and was guessed.
    case charsetDetected = "charset_detected"
    /// Control characters from U+0080 to U+009F were removed.
    case controlsRemoved = "controls_removed"
    /// Characters that change the direction of text were removed.
    case bidiRemoved = "bidi_removed"
    /// The name or the metadata says another format than the content, which decided.
    case mediaTypeContradicted = "media_type_contradicted"
    /// The file does not have the structure that its name promises and was read as plain text.
    case readAsPlainText = "read_as_plain_text"
    /// Lines that are repeated at the edges of pages were left out: running titles, page numbers.
    case repeatedLinesRemoved = "repeated_lines_removed"
    /// Bytes of navigation, footers and what else every page of a site has were left out.
    case boilerplateRemoved = "boilerplate_removed"
    /// Attachments of a mail message are documents of their own where it is taken apart.
    case attachmentsApart = "attachments_apart"
    /// Parts that the document is said to consist of, such as the chapters of a book, are not there.
    case partsMissing = "parts_missing"
    /// Pages could not be read at all.
    case pagesUnreadable = "pages_unreadable"
    /// The text of so many pages was recognised in images, with mistakes.
    case textRecognised = "text_recognised"
    /// Pages are images and have no text.
    case pagesWithoutText = "pages_without_text"
}
