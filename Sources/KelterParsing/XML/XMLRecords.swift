package import KelterModel

/// One element of an XML document, told when it ends.
package struct XMLRecord: Sendable, Equatable {
    /// The names of the element and those around it, the outermost first, joined by `/` and without prefixes.
    package let path: String
    /// The element's own text as written, without that of elements inside it.
    package let text: String

    package init(path: String, text: String) {
        self.path = path
        self.text = text
    }
}

/// What a document may have at most.
package struct XMLLimits: Sendable, Equatable {
    /// Bytes of the document; default 8 MiB.
    package var bytes = 8 << 20
    /// Elements inside one another; default 32.
    package var depth = 32
    /// Elements in all; default 100 000.
    package var elements = 100_000
    /// Bytes of one element's name; default 256.
    package var nameBytes = 256

    package init() {}
}

/// Reads a small XML document, such as a service's reply, into its elements in the order they end.
///
/// Attributes are left out. There is nothing outside the document: no DTD, which is refused, hence no entities but the
/// five predefined ones; XML 1.0 section 4.6. The bytes are taken for UTF-8 whatever the declaration says.
///
/// - Parameters:
///   - bytes: The whole document.
///   - limits: What it may have at most.
/// - Returns: The elements; a containing one follows those inside it.
/// - Throws: ``KelterError`` with ``ErrorCode/parserLimit`` for a document beyond the limits, and
///   ``ErrorCode/parserFailed`` for one that is not well-formed or has a DTD.
package func readXML(_ bytes: [UInt8], limits: XMLLimits = XMLLimits()) throws(KelterError) -> [XMLRecord] {
    guard bytes.count <= limits.bytes else { throw XMLRecordReader.tooLarge }
    let reader = XMLRecordReader(limits: limits)
    let parser = try XMLPushParser(handler: reader, isUTF8: true)
    // In pieces, so that the parser stops soon after a limit is met.
    for start in stride(from: 0, to: bytes.count, by: 64 << 10) {
        try parser.feed(bytes[start..<min(start + 64 << 10, bytes.count)])
    }
    try parser.finish()
    return reader.records
}

/// Collects elements; lives on the thread of its parser.
private final class XMLRecordReader: XMLHandler {
    private(set) var records: [XMLRecord] = []
    private let limits: XMLLimits
    private var open: [(path: String, text: [UInt8])] = []
    private var started = 0

    init(limits: XMLLimits) {
        self.limits = limits
    }

    static var tooLarge: KelterError {
        KelterError(.parserLimit, "The XML has more bytes or elements than are allowed.")
    }

    override func start(_ name: XMLName, _ attributes: XMLAttributes) {
        guard failure == nil else { return }
        started += 1
        guard open.count < limits.depth, started <= limits.elements, name.bytes.count <= limits.nameBytes else {
            return fail(Self.tooLarge)
        }
        open.append((open.last.map { $0.path + "/" + name.text } ?? name.text, []))
    }

    override func characters(_ text: UnsafeBufferPointer<UInt8>) {
        guard failure == nil, !open.isEmpty else { return }
        open[open.count - 1].text.append(contentsOf: text)
    }

    override func end(_ name: XMLName) {
        guard failure == nil, let element = open.popLast() else { return }
        records.append(XMLRecord(path: element.path, text: String(decoding: element.text, as: UTF8.self)))
    }
}
