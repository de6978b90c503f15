import KelterModel

/// The formats that are read; the raw value is the media type.
enum TextFormat: String, Sendable {
    case plainText = "text/plain"
    case markdown = "text/markdown"
    case html = "text/html"
    case xml = "application/xml"
    case json = "application/json"
    case jsonLines = "application/jsonl"
    /// Rows of values: comma, semicolon, tab or bar between them.
    case rows = "text/csv"
    case code = "text/x-source"
    case mail = "message/rfc822"
    case reStructuredText = "text/x-rst"
    case asciiDoc = "text/asciidoc"

    /// Whether a file that is too large to be parsed may be read as plain text, which loses nothing but structure.
    var isPlainTextWhenLarge: Bool { [.json, .jsonLines, .rows, .code, .reStructuredText, .asciiDoc].contains(self) }

    /// Decides the format of a text: by content, then by the name's extension, then by the declared type.
    ///
    /// Content decides only where it is beyond doubt: a document type or an `html` element at the start. Markdown often
    /// begins with other HTML elements, so those count only when neither name nor declaration say anything.
    ///
    /// - Throws: ``KelterError`` with `unsupportedMediaType` for a picture in XML, and for text without a known extension
    ///   that is declared to be something no parser reads.
    static func detect(
        _ bytes: [UInt8],
        extension: String,
        declared: DeclaredMediaType?
    ) throws(KelterError) -> TextFormat {
        let opening = bytes.withUnsafeBufferPointer { MarkupOpening($0) }
        switch opening {
        case .htmlDocument: return .html
        case .xml(let mediaType):
            // What a picture has of text is not worth its markup.
            guard mediaType != "image/svg+xml" else { throw unsupported(mediaType) }
            return .xml
        case .htmlElement, nil: break
        }
        if let format = Self(extension: `extension`) { return format }
        guard `extension` != "mbox" else {
            throw KelterError(
                .unsupportedMediaType,
                "A mailbox is no document but holds many.",
                fix: "Ingest it with 'kelter ingest', which takes it apart."
            )
        }
        if SourceLanguage(extension: `extension`) != nil { return .code }
        if let declared, !declared.name.isEmpty {
            guard let format = Self(mediaType: declared.name) else { throw unsupported(declared.name) }
            return format
        }
        return opening == .htmlElement ? .html : .plainText
    }

    /// The format that an extension promises; `nil` for source code and all others.
    init?(extension: String) {
        guard let format = Self.extensions[`extension`] else { return nil }
        self = format
    }

    private static let extensions: [String: TextFormat] = [
        "txt": .plainText, "text": .plainText, "log": .plainText, "csv": .rows, "tsv": .rows, "tab": .rows,
        "json": .json, "jsonl": .jsonLines, "ndjson": .jsonLines, "xml": .xml, "yaml": .plainText, "yml": .plainText,
        "toml": .plainText, "ini": .plainText,
        "rst": .reStructuredText, "rest": .reStructuredText, "adoc": .asciiDoc, "asciidoc": .asciiDoc,
        "tex": .plainText, "srt": .plainText, "vtt": .plainText,
        "md": .markdown, "markdown": .markdown, "mdown": .markdown, "mkd": .markdown, "mkdn": .markdown,
        "eml": .mail, "html": .html, "htm": .html, "xhtml": .html, "xht": .html,
    ]

    /// The format of a declared type; `nil` for one that no parser reads.
    init?(mediaType name: String) {
        switch name {
        case "text/markdown", "text/x-markdown": self = .markdown
        case "text/html", "application/xhtml+xml": self = .html
        case "text/csv", "text/tab-separated-values", "application/csv": self = .rows
        case "application/json": self = .json
        case "application/jsonl", "application/x-ndjson", "application/json-lines": self = .jsonLines
        case "text/xml", "application/xml": self = .xml
        case "message/rfc822": self = .mail
        case "text/x-rst", "text/prs.fallenstein.rst", "text/restructured": self = .reStructuredText
        case "text/asciidoc", "text/x-asciidoc": self = .asciiDoc
        case "application/yaml", "application/x-yaml", "application/toml", "application/octet-stream": self = .plainText
        case "text/rtf": return nil
        case _ where name.utf8.starts(with: "text/".utf8): self = .plainText
        default: return nil
        }
    }
}

/// What markup a text opens with, after white space, comments and processing instructions.
enum MarkupOpening: Equatable {
    /// `<!DOCTYPE html` or `<html`.
    case htmlDocument
    /// An element that usually stands at the top of an HTML fragment.
    case htmlElement
    /// An XML declaration or document type that is not XHTML's.
    case xml(mediaType: String)

    /// Looks at the beginning of a text; nil when it does not open with markup that is known.
    init?(_ bytes: UnsafeBufferPointer<UInt8>) {
        // Licence comments before the first element are long at times; beyond this nothing is sniffed.
        let bytes = UnsafeBufferPointer(rebasing: bytes.prefix(16_384))
        var position = 0
        var isXML = false
        while true {
            while position < bytes.count, WhiteSpace.isASCII(bytes[position]) { position += 1 }
            guard position < bytes.count, bytes[position] == UInt8(ascii: "<") else { break }
            if isPrefix("<?xml", of: bytes, at: position) { isXML = true }
            let end: [UInt8]
            if isPrefix("<!--", of: bytes, at: position) {
                end = Array("-->".utf8)
            } else if isPrefix("<?", of: bytes, at: position) {
                end = Array("?>".utf8)
            } else {
                break
            }
            let rest = UnsafeBufferPointer(rebasing: bytes[position...])
            guard let offset = firstIndex(of: end, in: rest) else { break }
            position += offset + end.count
        }
        if isElement("<!doctype html", of: bytes, at: position) || isElement("<html", of: bytes, at: position) {
            self = .htmlDocument
        } else if isElement("<svg", of: bytes, at: position) || isElement("<!doctype svg", of: bytes, at: position) {
            self = .xml(mediaType: "image/svg+xml")
        } else if isXML || isPrefix("<!doctype", of: bytes, at: position) {
            self = .xml(mediaType: "application/xml")
        } else if ["<head", "<body", "<title", "<meta", "<table", "<div", "<p", "<h1"].contains(where: {
            isElement($0, of: bytes, at: position)
        }) {
            self = .htmlElement
        } else {
            return nil
        }
    }
}

/// Whether an ASCII word given in lower case stands at a position, in any case.
func isPrefix(_ word: StaticString, of bytes: UnsafeBufferPointer<UInt8>, at position: Int) -> Bool {
    let count = word.utf8CodeUnitCount
    guard position + count <= bytes.count else { return false }
    for index in 0..<count where lowercased(bytes[position + index]) != word.utf8Start[index] { return false }
    return true
}

/// Whether an opening like `<html` stands at a position and the name ends there.
private func isElement(_ word: StaticString, of bytes: UnsafeBufferPointer<UInt8>, at position: Int) -> Bool {
    guard isPrefix(word, of: bytes, at: position) else { return false }
    let next = position + word.utf8CodeUnitCount
    guard next < bytes.count else { return true }
    return WhiteSpace.isASCII(bytes[next]) || bytes[next] == UInt8(ascii: ">") || bytes[next] == UInt8(ascii: "/")
}

/// The byte with an ASCII capital folded.
@inline(__always)
func lowercased(_ byte: UInt8) -> UInt8 {
    byte &- 0x41 < 26 ? byte | 0x20 : byte
}
