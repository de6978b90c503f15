import CLibXML2
import KelterModel

/// libxml2's push parser for XML, which reports elements and text to a handler instead of building a tree.
///
/// There is nothing outside the document: external entities are never loaded, declared ones never expanded, only the
/// five predefined ones are known. Belongs to one thread.
final class XMLPushParser {
    /// The deepest nesting.
    static let maximumDepth = 1024

    /// Where the events go; kept alive here because libxml2 holds a bare pointer to it.
    private let handler: XMLHandler
    private let context: xmlParserCtxtPtr

    /// - Parameters:
    ///   - handler: What the document is reported to.
    ///   - isUTF8: Whether the bytes are taken for UTF-8 whatever the declaration says.
    /// - Throws: ``KelterError`` with `parserFailed` when there is no memory.
    init(handler: XMLHandler, isUTF8: Bool = false) throws(KelterError) {
        _ = Self.isInitialised
        self.handler = handler
        var events = xmlSAXHandler()
        events.initialized = XML_SAX2_MAGIC
        events.startElementNs = { handler, name, _, _, _, _, count, _, attributes in
            XMLHandler.at(handler)?.open(XMLName(name), XMLAttributes(attributes, count: count))
        }
        events.endElementNs = { handler, name, _, _ in XMLHandler.at(handler)?.close(XMLName(name)) }
        events.characters = { handler, text, count in
            XMLHandler.at(handler)?.read(UnsafeBufferPointer(start: text, count: Int(count)))
        }
        events.ignorableWhitespace = events.characters
        events.cdataBlock = events.characters
        events.reference = { handler, name in XMLHandler.at(handler)?.reference(XMLName(name)) }
        // An unknown entity is an error to libxml2 that leaves no trace in the text; here the handler decides.
        events.serror = { handler, error in
            guard let handler = XMLHandler.at(handler), let error else { return }
            if [XML_ERR_UNDECLARED_ENTITY.rawValue, XML_WAR_UNDECLARED_ENTITY.rawValue].contains(
                UInt32(error.pointee.code)
            ) {
                if let name = error.pointee.str1 {
                    name.withMemoryRebound(to: xmlChar.self, capacity: 1) { handler.reference(XMLName($0)) }
                }
            } else if error.pointee.level.rawValue >= XML_ERR_ERROR.rawValue {
                handler.malformed(line: error.pointee.line)
            }
        }
        // Without a handler for declarations of entities there are none to expand, whatever the document declares.
        events.internalSubset = { handler, _, _, _ in XMLHandler.at(handler)?.documentType() }
        let pointer = Unmanaged.passUnretained(handler).toOpaque()
        guard let context = xmlCreatePushParserCtxt(&events, pointer, nil, 0, nil) else {
            throw KelterError(.parserFailed, "libxml2 could not be set up.")
        }
        self.context = context
        var options = [XML_PARSE_RECOVER, XML_PARSE_NOERROR, XML_PARSE_NOWARNING, XML_PARSE_NONET]
        if isUTF8 { options.append(XML_PARSE_IGNORE_ENC) }
        xmlCtxtUseOptions(context, options.reduce(into: 0) { $0 |= Int32(bitPattern: $1.rawValue) })
    }

    deinit {
        // The events have no handler that would make a tree, but a declaration may have made one.
        if let document = context.pointee.myDoc { xmlFreeDoc(document) }
        xmlFreeParserCtxt(context)
    }

    /// Parses the next piece.
    ///
    /// - Throws: What the handler failed with, or ``KelterError`` with `parserFailed` for XML that is not well-formed.
    func feed(_ bytes: ArraySlice<UInt8>) throws(KelterError) {
        let result: Result<Void, KelterError> = bytes.withUnsafeBytes { bytes in
            do throws(KelterError) { return .success(try feed(bytes)) } catch { return .failure(error) }
        }
        try result.get()
    }

    /// Parses the next piece; see the other form.
    func feed(_ bytes: UnsafeRawBufferPointer) throws(KelterError) {
        guard !bytes.isEmpty else { return }
        let status = xmlParseChunk(context, bytes.bindMemory(to: CChar.self).baseAddress, Int32(bytes.count), 0)
        if handler.failure != nil { xmlStopParser(context) }
        try check(status)
    }

    /// Ends the document.
    ///
    /// - Throws: As ``feed(_:)``, also for a document that is cut off.
    func finish() throws(KelterError) {
        try check(xmlParseChunk(context, nil, 0, 1))
    }

    private func check(_ status: Int32) throws(KelterError) {
        // An error that nothing was said about, such as a lack of memory.
        let mayGoOn = context.pointee.disableSAX == 0 || context.pointee.instate == XML_PARSER_EOF
        if handler.failure == nil, status != 0, !mayGoOn { handler.malformed(line: 0) }
        if let failure = handler.failure { throw failure }
    }

    /// libxml2 asks to be initialised once before threads use it.
    private static let isInitialised: Bool = {
        xmlInitParser()
        // Belt and braces: even what the options should keep from being loaded is not there.
        xmlSetExternalEntityLoader { _, _, _ in nil }
        return true
    }()
}
