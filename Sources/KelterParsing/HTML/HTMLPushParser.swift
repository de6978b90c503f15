import CLibXML2
import KelterModel

/// libxml2's push parser for HTML, reporting elements and text to a block reader.
///
/// No tree is built: libxml2's own loses text below a depth and above a size. Belongs to one thread; many may exist.
final class HTMLPushParser {
    /// Where the events go; kept alive here because libxml2 holds a bare pointer to it.
    let reader: HTMLBlockReader
    private let context: htmlParserCtxtPtr

    /// - Throws: ``KelterError`` with `parserFailed` when there is no memory.
    init(reader: HTMLBlockReader) throws(KelterError) {
        _ = Self.isInitialised
        self.reader = reader
        var events = xmlSAXHandler()
        events.startElement = { reader, name, _ in HTMLBlockReader.at(reader)?.start(HTMLPushParser.tag(name)) }
        events.endElement = { reader, name in HTMLBlockReader.at(reader)?.end(HTMLPushParser.tag(name)) }
        events.characters = { reader, text, count in
            HTMLBlockReader.at(reader)?.characters(UnsafeBufferPointer(start: text, count: Int(count)))
        }
        events.ignorableWhitespace = events.characters
        let pointer = Unmanaged.passUnretained(reader).toOpaque()
        guard let context = htmlCreatePushParserCtxt(&events, pointer, nil, 0, nil, XML_CHAR_ENCODING_UTF8) else {
            throw Self.failure
        }
        self.context = context
        // Without handlers for errors they are dropped; the options keep libxml2 from installing its own.
        let options = [
            HTML_PARSE_RECOVER, HTML_PARSE_NOERROR, HTML_PARSE_NOWARNING, HTML_PARSE_NONET, HTML_PARSE_IGNORE_ENC,
        ]
        htmlCtxtUseOptions(context, options.reduce(into: 0) { $0 |= Int32(bitPattern: $1.rawValue) })
        // libxml2 stops at the first text after the outermost element has ended, so that one is never ended.
        try feed(Array("<html><body>".utf8))
    }

    deinit {
        htmlFreeParserCtxt(context)
    }

    /// Parses the next piece, which must not end inside a character.
    ///
    /// - Throws: ``KelterError`` with `parserFailed` when libxml2 has given up.
    func feed(_ bytes: [UInt8]) throws(KelterError) {
        guard !bytes.isEmpty else { return }
        bytes.withUnsafeBytes { bytes in
            _ = htmlParseChunk(context, bytes.bindMemory(to: CChar.self).baseAddress, Int32(bytes.count), 0)
        }
        guard context.pointee.instate != XML_PARSER_EOF, context.pointee.disableSAX == 0 else { throw Self.failure }
    }

    /// libxml2 asks to be initialised once before threads use it.
    private static let isInitialised: Bool = {
        xmlInitParser()
        return true
    }()

    private static var failure: KelterError {
        KelterError(.parserFailed, "libxml2 gave up on the file.", fix: "Convert it to plain text or Markdown.")
    }

    @inline(__always)
    private static func tag(_ name: UnsafePointer<xmlChar>?) -> HTMLTag? {
        guard let name else { return nil }
        var count = 0
        while name[count] != 0 { count += 1 }
        return HTMLTag(name: UnsafeBufferPointer(start: name, count: count))
    }
}
