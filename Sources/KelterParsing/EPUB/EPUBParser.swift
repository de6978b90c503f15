import KelterModel

/// Parses a book in EPUB 2 or 3: the chapters of its reading order, one behind the other; W3C EPUB 3.3, section 5.
///
/// The table of contents, which is made for reading systems, is left out unless it is part of the reading order.
///
/// - Throws: ``KelterError`` of the package, with `parserLimit` or `parserFailed`.
func parseEPUB(_ bytes: [UInt8], limits: ParsingLimits) throws(KelterError) -> ParsedDocument {
    let package = try Package(bytes, limits: limits)
    let container = EPUBContainer()
    try package.parse("META-INF/container.xml", container)
    guard let path = container.path else {
        throw KelterError(.parserFailed, "The book does not say what it consists of.", fix: "Convert it anew.")
    }
    let book = EPUBPackage()
    try package.parse(path, book)
    let builder = DocumentBuilder(limits: limits, capacity: bytes.count)
    var repairs: [Repair: Int] = [:]
    for reference in book.chapters {
        guard let part = partName(percentDecoded(reference), from: path), package.contains(part) else {
            repairs[.partsMissing, default: 0] += 1
            continue
        }
        var decoder = TextDecoder(try package.content(part))
        try decoder.decodeByteOrderMark()
        try decoder.decode(charset: nil, isHTML: true)
        repairs.merge(decoder.repairs) { $0 + $1 }
        try readHTML(decoder.bytes, into: builder, limits: limits)
        builder.endBlock()
        if let failure = builder.failure { throw failure }
    }
    var document = try builder.finish(title: book.title, language: book.language)
    document.repairs = repairs
    return document
}

/// Where the package document lies.
private final class EPUBContainer: XMLHandler {
    private(set) var path: String?

    override func start(_ name: XMLName, _ attributes: XMLAttributes) {
        if case "rootfile" = name, path == nil { path = attributes["full-path"] }
    }
}

/// The package document: title, language, and the chapters in their order.
private final class EPUBPackage: DublinCoreReader {
    private var references: [String: String] = [:]
    private var order: [String] = []

    /// The references of the chapters.
    var chapters: [String] { order.compactMap { references[$0] } }

    override func start(_ name: XMLName, _ attributes: XMLAttributes) {
        switch name {
        case "item":
            let types = ["application/xhtml+xml", "text/html", "application/x-dtbook+xml"]
            guard let id = attributes["id"], let reference = attributes["href"],
                types.contains(attributes["media-type"] ?? "")
            else { break }
            references[id] = reference
        case "itemref":
            if let id = attributes["idref"], attributes["linear"] != "no" { order.append(id) }
        default: super.start(name, attributes)
        }
    }
}

/// A reference with its `%XX` replaced; RFC 3986, section 2.1.
private func percentDecoded(_ reference: String) -> String {
    let path = reference.split(separator: "#", omittingEmptySubsequences: false).first.map(String.init) ?? ""
    var bytes: [UInt8] = []
    var rest = path.utf8[...]
    while let byte = rest.popFirst() {
        if byte == UInt8(ascii: "%"), let code = UInt8(String(Substring(rest.prefix(2))), radix: 16) {
            bytes.append(code)
            rest = rest.dropFirst(2)
        } else {
            bytes.append(byte)
        }
    }
    return String(decoding: bytes, as: UTF8.self)
}
