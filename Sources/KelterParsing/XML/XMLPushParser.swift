import CLibXML2
import KelterModel

/// libxml2's push parser for XML, which reports elements and text to a reader instead of building a tree.
///
/// Belongs to one thread.
final class XMLPushParser {
    /// Where the events go; kept alive here because libxml2 holds a bare pointer to it.
    private let reader: XMLRecordReader
    private let context: xmlParserCtxtPtr

    /// - Throws: ``KelterError`` with `parserFailed` when there is no memory.
    init(reader: XMLRecordReader) throws(KelterError) {
        _ = Self.isInitialised
        self.reader = reader
        var events = xmlSAXHandler()
        events.initialized = XML_SAX2_MAGIC
        events.startElementNs = { reader, name, _, _, _, _, _, _, _ in
            XMLRecordReader.at(reader)?.start(XMLPushParser.bytes(name))
        }
        events.endElementNs = { reader, _, _, _ in XMLRecordReader.at(reader)?.end() }
        events.characters = { reader, text, count in
            XMLRecordReader.at(reader)?.characters(UnsafeBufferPointer(start: text, count: Int(count)))
        }
        events.ignorableWhitespace = events.characters
        events.cdataBlock = events.characters
        // Without a handler for declarations of entities there are none to expand, whatever the document declares.
        events.internalSubset = { reader, _, _, _ in XMLRecordReader.at(reader)?.refuseDTD() }
        let pointer = Unmanaged.passUnretained(reader).toOpaque()
        guard let context = xmlCreatePushParserCtxt(&events, pointer, nil, 0, nil) else {
            throw KelterError(.parserFailed, "libxml2 could not be set up.")
        }
        self.context = context
        let options = [XML_PARSE_NOERROR, XML_PARSE_NOWARNING, XML_PARSE_NONET, XML_PARSE_IGNORE_ENC]
        xmlCtxtUseOptions(context, options.reduce(into: 0) { $0 |= Int32(bitPattern: $1.rawValue) })
    }

    deinit {
        // The events have no handler that would make a tree, but a declaration may have made one.
        if let document = context.pointee.myDoc { xmlFreeDoc(document) }
        xmlFreeParserCtxt(context)
    }

    /// Parses the next piece; after an error nothing more is reported.
    func feed(_ bytes: [UInt8]) {
        bytes.withUnsafeBytes { bytes in
            _ = xmlParseChunk(context, bytes.bindMemory(to: CChar.self).baseAddress, Int32(bytes.count), 0)
        }
        if reader.failure != nil { xmlStopParser(context) }
    }

    /// Ends the document; whether it was well-formed, which libxml2 also says of one in well-formed UTF-8 only.
    func finish() -> Bool {
        xmlParseChunk(context, nil, 0, 1) == 0 && context.pointee.wellFormed == 1
    }

    /// libxml2 asks to be initialised once before threads use it.
    private static let isInitialised: Bool = {
        xmlInitParser()
        return true
    }()

    private static func bytes(_ name: UnsafePointer<xmlChar>?) -> UnsafeBufferPointer<UInt8> {
        guard let name else { return UnsafeBufferPointer(start: nil, count: 0) }
        var count = 0
        while name[count] != 0 { count += 1 }
        return UnsafeBufferPointer(start: name, count: count)
    }
}
