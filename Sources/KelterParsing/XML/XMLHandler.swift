import CLibXML2
import Glibc
import KelterModel

/// What libxml2 reports a document to; subclasses take what they need.
///
/// A class, because libxml2 hands its callbacks a bare pointer; it lives on the thread of its parser.
class XMLHandler {
    /// Why the rest of the document is not wanted.
    private(set) var failure: KelterError?

    /// How many elements are open.
    private var depth = 0
    /// How many of them are open where the one that is left out begins; 0 when none is.
    private var skippedDepth = 0

    /// Begins an element that is not nested too deeply.
    @inline(__always)
    final func open(_ name: XMLName, _ attributes: XMLAttributes) {
        depth += 1
        guard depth <= XMLPushParser.maximumDepth else {
            return fail(
                KelterError(
                    .parserLimit,
                    "The XML has more than \(XMLPushParser.maximumDepth) elements inside one another.",
                    fix: "Save the file anew with the program it comes from."
                )
            )
        }
        if skippedDepth == 0 { start(name, attributes) }
    }

    /// Ends the innermost element.
    @inline(__always)
    final func close(_ name: XMLName) {
        defer { depth -= 1 }
        if skippedDepth == 0 {
            if depth <= XMLPushParser.maximumDepth { end(name) }
        } else if skippedDepth == depth {
            skippedDepth = 0
        }
    }

    /// Passes a piece of text on.
    @inline(__always)
    final func read(_ text: UnsafeBufferPointer<UInt8>) {
        if skippedDepth == 0 { characters(text) }
    }

    /// Leaves out the element that is beginning, with all that is inside, its end included.
    final func skip() {
        skippedDepth = depth
    }

    /// An element begins.
    func start(_ name: XMLName, _ attributes: XMLAttributes) {}

    /// The innermost open element ends.
    func end(_ name: XMLName) {}

    /// A piece of text, references replaced.
    func characters(_ text: UnsafeBufferPointer<UInt8>) {}

    /// The document has a document type declaration.
    ///
    /// Whatever it declares is not read; by default the document is refused.
    func documentType() {
        fail(KelterError(.parserFailed, "The XML has a document type declaration, which is not read."))
    }

    /// A reference to an entity that is none of the five predefined ones; by default the document is refused.
    func reference(_ name: XMLName) {
        fail(KelterError(.parserFailed, "The XML refers to the entity \(name.text), which is not known."))
    }

    /// Libxml2 met an error that leaves the XML not well-formed.
    final func malformed(line: Int32) {
        fail(
            KelterError(
                .parserFailed,
                line > 0 ? "The XML is not well-formed at line \(line)." : "The XML is not well-formed.",
                fix: "Save the file anew with the program it comes from."
            )
        )
    }

    /// Ends the parsing with an error; the first one counts.
    func fail(_ error: KelterError) {
        failure = failure ?? error
    }

    /// The handler behind libxml2's pointer.
    @inline(__always)
    static func at(_ pointer: UnsafeMutableRawPointer?) -> XMLHandler? {
        pointer.map { Unmanaged<XMLHandler>.fromOpaque($0).takeUnretainedValue() }
    }
}

/// A name without its prefix, valid during a callback.
struct XMLName {
    let bytes: UnsafeBufferPointer<UInt8>

    @inline(__always)
    init(_ name: UnsafePointer<xmlChar>?) {
        guard let name else {
            bytes = UnsafeBufferPointer(start: nil, count: 0)
            return
        }
        bytes = UnsafeBufferPointer(start: name, count: strlen(name))
    }

    var text: String { String(decoding: bytes, as: UTF8.self) }

    @inline(__always)
    static func ~= (pattern: StaticString, name: XMLName) -> Bool { name.bytes.equals(pattern) }
}

/// The attributes of a start tag, valid during a callback.
struct XMLAttributes {
    /// Five pointers an attribute: local name, prefix, namespace, begin and end of the value.
    private let pointers: UnsafeMutablePointer<UnsafePointer<xmlChar>?>?
    private let count: Int

    @inline(__always)
    init(_ pointers: UnsafeMutablePointer<UnsafePointer<xmlChar>?>?, count: Int32) {
        self.pointers = pointers
        self.count = Int(count)
    }

    /// The value of the first attribute with a local name, whatever its namespace.
    @inline(__always)
    func bytes(_ name: StaticString) -> UnsafeBufferPointer<UInt8>? {
        guard let pointers else { return nil }
        for index in 0..<count {
            let attribute = pointers + 5 * index
            guard XMLName(attribute[0]).bytes.equals(name), let start = attribute[3], let end = attribute[4] else {
                continue
            }
            return UnsafeBufferPointer(start: start, count: end - start)
        }
        return nil
    }

    subscript(_ name: StaticString) -> String? {
        bytes(name).map(Self.text)
    }

    /// The text of a value: libxml2 leaves the ampersand, and only it, as a reference where it does not replace entities.
    private static func text(_ value: UnsafeBufferPointer<UInt8>) -> String {
        let text = String(decoding: value, as: UTF8.self)
        return value.contains(UInt8(ascii: "&")) ? text.replacing("&#38;", with: "&") : text
    }

    /// A value that is a whole number of at most 31 bits, so that sums of them do not overflow.
    func number(_ name: StaticString) -> Int? {
        self[name].flatMap { Int32($0) }.map { Int($0) }
    }

    /// The value of an attribute whose local name several namespaces have, told by the end of the namespace.
    func value(_ name: StaticString, namespaceSuffix: StaticString) -> String? {
        guard let pointers else { return nil }
        for index in 0..<count {
            let attribute = pointers + 5 * index
            let namespace = XMLName(attribute[2]).bytes.suffix(namespaceSuffix.utf8CodeUnitCount)
            guard XMLName(attribute[0]).bytes.equals(name),
                UnsafeBufferPointer(rebasing: namespace).equals(namespaceSuffix), let start = attribute[3],
                let end = attribute[4]
            else { continue }
            return Self.text(UnsafeBufferPointer(start: start, count: end - start))
        }
        return nil
    }
}

extension UnsafeBufferPointer<UInt8> {
    /// Whether these are the bytes of an ASCII literal that is not empty.
    @inline(__always)
    func equals(_ literal: StaticString) -> Bool {
        guard count == literal.utf8CodeUnitCount, let baseAddress else { return false }
        return memcmp(baseAddress, literal.utf8Start, count) == 0
    }
}
