import KelterModel
import Testing

@testable import KelterServer

@Suite("Multipart headers")
struct MultipartHeaderTests {
    @Test(
        "Names and file names as clients send them",
        arguments: [
            ("; name=\"file\"; filename=\"a b.txt\"", "file", "a b.txt"),
            (" ; name=file;filename=a.txt", "file", "a.txt"),
            ("; filename=\"a.txt\"; name=\"file\"; unknown=1; ;", "file", "a.txt"),
            ("; NAME=\"file\"", "file", nil),
            // WHATWG: three bytes are percent-encoded, a percent sign is not.
            ("; name=\"a%22b\"; filename=\"100%25 %2z%2.txt\"", "a\"b", "100%25 %2z%2.txt"),
            // Others: a backslash before a quote or a backslash.
            (#"; name="a\"b\\c"; filename="x\"y.txt""#, #"a"b\c"#, "x\"y.txt"),
            (#"; name="semi;colon=1"; filename="a;b.txt""#, "semi;colon=1", "a;b.txt"),
            // Paths of either kind are cut to their last component.
            (#"; name=f; filename="C:\dir\new.txt""#, "f", "new.txt"),
            (#"; name=f; filename="C:\\dir\\new.txt""#, "f", "new.txt"),
            ("; name=f; filename=\"../../etc/passwd\"", "f", "passwd"),
            ("; name=f; filename=\"dir/..x\"", "f", "..x"),
            ("; name=f; filename=\"\"", "f", ""),
            ("; name=\"größe\"; filename=\"日本語.pdf\"", "größe", "日本語.pdf"),
            // RFC 8187 wins, whatever the other says and wherever it stands.
            ("; name=f; filename=\"fallback.txt\"; filename*=UTF-8''na%C3%AFve%20file.txt", "f", "naïve file.txt"),
            ("; name=f; filename*=utf-8'en'a%2Fb.txt; filename=\"..\"", "f", "b.txt"),
        ]
    )
    func names(parameters: String, name: String, fileName: String?) throws {
        let parts = try MultipartReading.parts(of: Array(bodyWithDisposition(parameters).utf8))
        #expect(parts == [ReadPart(name, fileName, body: "x")])
    }

    @Test(
        "Malformed dispositions",
        arguments: [
            "", "; filename=a.txt", "; name", "; name=", "; name=\"a", #"; name="a\""#, "; name=\"a\"b", "; name=a b",
            "; name=a; name=b", "; =a", "; name =a", "; name= a", "x; name=a",
        ]
    )
    func disposition(parameters: String) throws {
        let error = try #require(MultipartReading.error(of: bodyWithDisposition(parameters)))
        #expect(error.code == .invalidMultipart)
        #expect(error.message == "A part has no well-formed Content-Disposition 'form-data' with a name.")
        #expect(error.subject == nil)
    }

    @Test(
        "Names that are refused",
        arguments: [
            ("; name=\"\"", nil, "A part has an empty name."),
            ("; name=\"a%0Ab\"", nil, "The name of a field has control characters."),
            ("; name=\"a\tb\"", nil, "The name of a field has control characters."),
            ("; name=\"a\u{85}b\"", nil, "The name of a field has control characters."),
            ("; name=f; filename=\"a%0d%0ab\"", "f", "The file name has control characters."),
            ("; name=f; filename=\"a\u{7F}\"", "f", "The file name has control characters."),
            ("; name=f; filename*=UTF-8''a%00b", "f", "The file name has control characters."),
            ("; name=f; filename*=UTF-8''%FF", "f", "The file name is not UTF-8."),
            ("; name=f; filename*=ISO-8859-1''%E4", "f", "The part's filename* is not of the form UTF-8''name."),
            ("; name=f; filename*=UTF-8''%E", "f", "The part's filename* is not of the form UTF-8''name."),
            ("; name=f; filename*=UTF-8''a*b", "f", "The part's filename* is not of the form UTF-8''name."),
            ("; name=f; filename*=UTF-8'a", "f", "The part's filename* is not of the form UTF-8''name."),
            ("; name=f; filename*=\"UTF-8''a\"", "f", "The part's filename* is not of the form UTF-8''name."),
            ("; name=f; filename=\"..\"", "f", "The part's file name names no file."),
            ("; name=f; filename=\"a/.\"", "f", "The part's file name names no file."),
            ("; name=f; filename=\"a/\"", "f", "The part's file name names no file."),
        ]
    )
    func refused(parameters: String, subject: String?, message: String) throws {
        let error = try #require(MultipartReading.error(of: bodyWithDisposition(parameters)))
        #expect(error.message == message)
        #expect(error.subject == subject)
        #expect(error.code == .invalidMultipart)
    }

    @Test("A name that is not UTF-8 is refused")
    func encoding() throws {
        for parameter in ["name=\"", "name=f; filename=\""] {
            let start = Array("--B\r\nContent-Disposition: form-data; \(parameter)".utf8)
            let body = start + [0xE4] + Array("\"\r\n\r\nx\r\n--B--".utf8)
            let error = #expect(throws: KelterError.self) { try MultipartReading.parts(of: body) }
            #expect(error?.message.hasSuffix("is not UTF-8.") == true)
        }
    }

    @Test("Other fields of the header")
    func otherFields() throws {
        let disposition = "Content-Disposition: form-data; name=f"
        #expect(
            MultipartReading.error(of: bodyWithHeader(disposition, disposition))?.message
                == "A part has content-disposition twice."
        )
        let encoded = MultipartReading.error(of: bodyWithHeader("Content-Transfer-Encoding: base64", disposition))
        #expect(encoded?.message == "The part has a Content-Transfer-Encoding.")
        #expect(encoded?.subject == "f")
        let type = MultipartReading.error(of: bodyWithHeader("Content-Type: a\tb", disposition))
        #expect(type?.message == "The Content-Type has control characters.")
        #expect(type?.subject == "f")
    }

    @Test(
        "The boundary of a Content-Type",
        arguments: [
            ("multipart/form-data; boundary=abc", "abc"),
            (" Multipart/FORM-Data ;  charset=utf-8 ; Boundary=\"a b\\:c\" ;", "a b:c"),
            ("multipart/form-data;boundary=\"----=_Part/1?\"", "----=_Part/1?"),
            (
                "multipart/form-data; boundary=\(String(repeating: "x", count: 70))",
                String(repeating: "x", count: 70)
            ),
        ]
    )
    func boundary(contentType: String, boundary: String) throws {
        #expect(try MultipartBoundary.boundary(ofContentType: contentType) == boundary)
    }

    @Test(
        "Content-Types without a boundary",
        arguments: [
            ("", "is not multipart/form-data"),
            ("application/json", "is not multipart/form-data"),
            ("multipart/mixed; boundary=abc", "is not multipart/form-data"),
            ("multipart/form-data", "names no boundary"),
            ("multipart/form-data; boundaries=a", "names no boundary"),
            ("multipart/form-data; boundary=", "is malformed"),
            ("multipart/form-data; boundary=a=b", "is malformed"),
            ("multipart/form-data; boundary=a; boundary=b", "is malformed"),
            ("multipart/form-data; boundary=\"a", "is malformed"),
            ("multipart/form-data boundary=a", "is not multipart/form-data"),
            ("multipart/form-data; boundary=\"\"", "names a boundary that RFC 2046 does not allow"),
            ("multipart/form-data; boundary=\"a \"", "names a boundary that RFC 2046 does not allow"),
            ("multipart/form-data; boundary=\"a\r\nb\"", "names a boundary that RFC 2046 does not allow"),
            ("multipart/form-data; boundary=a%b", "names a boundary that RFC 2046 does not allow"),
            ("multipart/form-data; boundary=\"ä\"", "names a boundary that RFC 2046 does not allow"),
            (
                "multipart/form-data; boundary=\(String(repeating: "x", count: 71))",
                "names a boundary that RFC 2046 does not allow"
            ),
        ]
    )
    func noBoundary(contentType: String, what: String) throws {
        let error = #expect(throws: KelterError.self) {
            try MultipartBoundary.boundary(ofContentType: contentType)
        }
        #expect(error?.message == "The Content-Type \(what).")
        #expect(error?.subject == "Content-Type")
        #expect(error?.code == .invalidMultipart)
    }

    @Test("The parser refuses a boundary that RFC 2046 does not allow")
    func badBoundary() {
        for boundary in ["", "a ", "a\r\nb", String(repeating: "x", count: 71)] {
            #expect(throws: KelterError.self) { try MultipartParser(boundary: boundary) }
        }
    }
}
