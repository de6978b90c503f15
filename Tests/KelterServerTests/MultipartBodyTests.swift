import KelterModel
import Testing

@testable import KelterServer

private let field = "Content-Disposition: form-data; name=\"a\"\r\n\r\n"

@Suite("Multipart bodies")
struct MultipartBodyTests {
    private static let validBodies: [(body: String, parts: [ReadPart])] = [
        // As browsers send a text field and a file.
        (
            "--B\r\n\(field)one\r\n--B\r\nContent-Disposition: form-data; name=\"f\"; filename=\"ü.txt\"\r\n"
                + "Content-Type: text/plain; charset=utf-8\r\n\r\nline\r\n\r\n--B--\r\n",
            [ReadPart("a", body: "one"), ReadPart("f", "ü.txt", "text/plain; charset=utf-8", body: "line\r\n")]
        ),
        // An empty form, and a file field that was left empty.
        ("--B--\r\n", []),
        (
            "--B\r\nContent-Disposition: form-data; name=\"f\"; filename=\"\"\r\n"
                + "Content-Type: application/octet-stream\r\n\r\n\r\n--B--\r\n",
            [ReadPart("f", "", "application/octet-stream", body: "")]
        ),
        // A preamble, padding, an epilogue, and neither.
        ("\r\n--B\r\n\(field)x\r\n--B--", [ReadPart("a", body: "x")]),
        ("This is MIME.\r\n--B \t\r\n\(field)x\r\n--B-- \r\nepilogue\r\n--B\r\n", [ReadPart("a", body: "x")]),
        // A part without the line end before its boundary has no body: the empty line's is the boundary's.
        ("--B\r\n\(field)--B--", [ReadPart("a", body: "")]),
        ("--B\r\n\(field)\r\n--B--", [ReadPart("a", body: "")]),
        // Boundary-like content.
        (
            "--B\r\n\(field)\r\n--C\r\n--Bx\r\n--B -\r\n--B\r\r\n--B--",
            [ReadPart("a", body: "\r\n--C\r\n--Bx\r\n--B -\r\n--B\r")]
        ),
        ("--B\r\n\(field)--Bx\n--B--\r\n\r\n--B--", [ReadPart("a", body: "--Bx\n--B--\r\n")]),
        ("--B\r\n\(field)\r\r\n-\r\n--\r\n--B-\r\n--B--", [ReadPart("a", body: "\r\r\n-\r\n--\r\n--B-")]),
        // Header names in any case, other fields, an encoding that is none.
        (
            "--B\r\ncontent-DISPOSITION:form-data;name=a\r\nX-Other: 1\r\nX-Other: 2\r\n"
                + "Content-Transfer-Encoding: BINARY\r\n\r\nx\r\n--B--",
            [ReadPart("a", body: "x")]
        ),
    ]

    @Test("Valid bodies", arguments: validBodies)
    func valid(body: String, parts: [ReadPart]) throws {
        #expect(try MultipartReading.parts(of: Array(body.utf8)) == parts)
    }

    private static let malformedBodies: [(body: String, subject: String?, message: String)] = [
        ("", nil, "The body has no boundary."),
        ("--b\r\n\(field)x\r\n--b--", nil, "The body has no boundary."),
        ("--B", nil, "The body has no boundary."),
        ("--B\n\(field)x\n--B--", nil, "The body has no boundary."),
        ("--B\r\nContent-Dis", nil, "The body ends before its closing boundary."),
        ("--B\r\n\(field)x", "a", "The body ends before its closing boundary."),
        ("--B\r\n\(field)x\r\n--B", "a", "The body ends before its closing boundary."),
        ("--B\r\n\(field)x\r\n--B-", "a", "The body ends before its closing boundary."),
        ("--B\r\n\(field)x--B--", "a", "The body ends before its closing boundary."),
        ("--B\r\n\(field)x\r\n--B\r\n", nil, "The body ends before its closing boundary."),
        (
            String(repeating: "p", count: 1025) + "\r\n--B--", nil,
            "The first boundary does not come within 1024 bytes."
        ),
        ("--B\r\n\r\nx\r\n--B--", nil, "A part has no well-formed Content-Disposition 'form-data' with a name."),
        ("--B\r\nnonsense\r\n\r\nx\r\n--B--", nil, "A part's header has a line that is not 'name: value'."),
        (
            "--B\r\nX: 1\nContent-Disposition: form-data; name=a\r\n\r\nx\r\n--B--", nil,
            "A line of a part's header does not end in CR LF."
        ),
        ("--B\r\nX: a\rb\r\n\r\nx\r\n--B--", nil, "A part's header has a line that is not 'name: value'."),
        ("--B\r\nX: a\0b\r\n\r\nx\r\n--B--", nil, "A part's header has a line that is not 'name: value'."),
        ("--B\r\nX : 1\r\n\r\nx\r\n--B--", nil, "A part's header has a line that is not 'name: value'."),
        ("--B\r\n: 1\r\n\r\nx\r\n--B--", nil, "A part's header has a line that is not 'name: value'."),
        ("--B\r\nX: 1\r\n folded\r\n\r\nx\r\n--B--", nil, "A part's header has a line that is not 'name: value'."),
    ]

    @Test("Malformed bodies", arguments: malformedBodies)
    func malformed(body: String, subject: String?, message: String) throws {
        let error = try #require(MultipartReading.error(of: body))
        #expect(error.code.rawValue == "invalid_multipart")
        #expect(error.message == message)
        #expect(error.subject == subject)
        #expect(error.fix?.hasSuffix(".") == true)
    }

    @Test("Limits are inclusive")
    func limits() throws {
        let limits = MultipartLimits(parts: 2, headerBytes: 60, nameBytes: 3, fileNameBytes: 4, preambleBytes: 5)
        let part = "Content-Disposition: form-data; name=\"a\"\r\n"
        func error(_ body: String) -> String? {
            MultipartReading.error(of: body, limits: limits)?.message
        }
        #expect(error("--B\r\n\(part)\r\nx\r\n--B\r\n\(part)\r\nx\r\n--B--") == nil)
        #expect(error("--B\r\n\(part)\r\nx\r\n--B\r\n\(part)\r\nx\r\n--B\r\n") == "The body has more than 2 parts.")
        // The line and the empty one are 43 bytes.
        #expect(error("--B\r\n\(part)X: \(String(repeating: "y", count: 11))\r\n\r\nx\r\n--B--") == nil)
        #expect(
            error("--B\r\n\(part)X: \(String(repeating: "y", count: 12))\r\n\r\nx\r\n--B--")
                == "The header of a part is longer than 60 bytes."
        )
        #expect(error(bodyWithDisposition("; name=abc")) == nil)
        #expect(error(bodyWithDisposition("; name=abcd")) == "The name of a field is longer than 3 bytes.")
        #expect(error(bodyWithDisposition("; name=a;filename=\"x/é.c\"")) == nil)
        #expect(error(bodyWithDisposition("; name=a;filename=abcde")) == "The file name is longer than 4 bytes.")
        #expect(error("12345\r\n--B--") == nil)
        #expect(error("123456\r\n--B--") == "The first boundary does not come within 5 bytes.")
    }

    @Test("The default limits")
    func defaultLimits() throws {
        let field = "Content-Disposition: form-data; name=a\r\n\r\n"
        let part = "--B\r\n\(field)x\r\n"
        #expect(MultipartReading.error(of: String(repeating: part, count: 16) + "--B--") == nil)
        #expect(MultipartReading.error(of: String(repeating: part, count: 17) + "--B--") != nil)
        func withFiller(_ count: Int) -> String {
            "--B\r\nX: \(String(repeating: "y", count: count))\r\n\(field)x\r\n--B--"
        }
        // Beside the filler the block has the other field, `X: ` and a line end.
        #expect(MultipartReading.error(of: withFiller(8192 - field.utf8.count - 5)) == nil)
        #expect(MultipartReading.error(of: withFiller(8192 - field.utf8.count - 4)) != nil)
        #expect(MultipartReading.error(of: bodyWithDisposition("; name=\(String(repeating: "n", count: 256))")) == nil)
        #expect(MultipartReading.error(of: bodyWithDisposition("; name=\(String(repeating: "n", count: 257))")) != nil)
        let name = String(repeating: "n", count: 1024)
        #expect(MultipartReading.error(of: bodyWithDisposition("; name=a; filename=\(name)")) == nil)
        #expect(MultipartReading.error(of: bodyWithDisposition("; name=a; filename=\(name)n")) != nil)
    }

    @Test("After an error, every call throws it again, whoever threw it")
    func failure() throws {
        var parser = try MultipartParser(boundary: "B")
        let stop = KelterError(.usage, "Stop.")
        let body = Array("--B\r\n\(field)x\r\n--B--".utf8)
        for _ in 0..<2 {
            #expect(throws: stop) {
                try parser.feed(body.span) { _ throws(KelterError) in throw stop }
            }
        }
        #expect(throws: stop) { try parser.finish() }

        var unfinished = try MultipartParser(boundary: "B")
        let error = try #require(throws: KelterError.self) { try unfinished.finish() }
        #expect(throws: error) { try unfinished.feed(body.span) { _ in } }
    }

    @Test("A large body is handed on in as few pieces as it comes in")
    func pieces() throws {
        let content = (0..<1_000_000).map { UInt8(truncatingIfNeeded: $0 &* 7919 >> 3) }
        let body = Array("--B\r\n\(field)".utf8) + content + Array("\r\n--B--".utf8)
        var reading = try MultipartReading()
        for start in stride(from: 0, to: body.count, by: 65_536) {
            try reading.feed(body[start..<min(start + 65_536, body.count)])
        }
        try reading.finish()
        #expect(reading.parts.map(\.body) == [content])
        // A piece more where one ends in what could begin a boundary.
        #expect(reading.pieces <= 2 * (body.count / 65_536 + 1))
    }
}
