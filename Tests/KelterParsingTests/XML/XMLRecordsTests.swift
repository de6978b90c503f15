import KelterModel
import KelterParsing
import Testing

@Suite("Small XML documents")
struct XMLRecordsTests {
    private func failure(_ text: String, limits: XMLLimits = XMLLimits()) -> ErrorCode? {
        do throws(KelterError) {
            _ = try readXML(Array(text.utf8), limits: limits)
            return nil
        } catch {
            return error.code
        }
    }

    @Test("elements come in the order they end, with their paths and their own text")
    func elements() throws {
        let text = """
            <?xml version="1.0" encoding="ISO-8859-1"?>
            <a xmlns="urn:x" n="1"><b>ü &amp;&lt;&#x1F347;</b><x:c xmlns:x="urn:y"><![CDATA[<d>]]></x:c>z</a>
            """
        let records = try readXML(Array(text.utf8))
        #expect(
            records == [
                XMLRecord(path: "a/b", text: "ü &<🍇"), XMLRecord(path: "a/c", text: "<d>"),
                XMLRecord(path: "a", text: "z"),
            ]
        )
    }

    @Test("text across the pieces that the parser is fed with stays whole")
    func pieces() throws {
        let long = String(repeating: "Fäßchen ", count: 40_000)
        let records = try readXML(Array("<a><b>\(long)</b></a>".utf8))
        #expect(records.first?.text == long)
    }

    @Test(
        "what is not well-formed is refused",
        arguments: ["", "<a>", "<a></b>", "text", "<a/><b/>", "<a>&unknown;</a>", "<a>\u{1}</a>", "<a b=c/>"]
    )
    func malformed(text: String) {
        #expect(failure(text) == .parserFailed)
    }

    @Test("bytes that are no UTF-8 are refused")
    func encoding() {
        do throws(KelterError) {
            _ = try readXML(Array("<a>".utf8) + [0xFC] + Array("</a>".utf8))
            Issue.record("It was read.")
        } catch {
            #expect(error.code == .parserFailed)
        }
    }

    @Test(
        "a document type is refused, and with it all entities that could be declared",
        arguments: [
            "<!DOCTYPE a><a/>", "<!DOCTYPE a [<!ENTITY e \"x\">]><a>&e;</a>",
            "<!DOCTYPE a [<!ENTITY e SYSTEM \"file:///etc/hostname\">]><a>&e;</a>",
            "<!DOCTYPE a [<!ENTITY e \"xx\"><!ENTITY f \"&e;&e;\">]><a>&f;</a>",
        ]
    )
    func documentType(text: String) {
        #expect(failure(text) == .parserFailed)
    }

    @Test("depth, elements, bytes and names are bounded")
    func limits() {
        var limits = XMLLimits()
        limits.depth = 3
        #expect(failure("<a><b><c/></b></a>", limits: limits) == nil)
        #expect(failure("<a><b><c><d/></c></b></a>", limits: limits) == .parserLimit)
        limits = XMLLimits()
        limits.elements = 3
        #expect(failure("<a><b/><b/></a>", limits: limits) == nil)
        #expect(failure("<a><b/><b/><b/></a>", limits: limits) == .parserLimit)
        limits = XMLLimits()
        limits.bytes = 7
        #expect(failure("<a></a>", limits: limits) == nil)
        #expect(failure("<a> </a>", limits: limits) == .parserLimit)
        limits = XMLLimits()
        limits.nameBytes = 2
        #expect(failure("<aa/>", limits: limits) == nil)
        #expect(failure("<aaa/>", limits: limits) == .parserLimit)
    }
}
