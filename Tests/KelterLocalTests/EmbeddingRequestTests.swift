import KelterModel
import Testing

@testable import KelterLocal

@Suite("Bodies of embedding requests")
struct EmbeddingRequestTests {
    private func refusal(_ body: String) -> EmbeddingRequest.Refusal? {
        do throws(EmbeddingRequest.Refusal) {
            _ = try EmbeddingRequest(body: Array(body.utf8))
            return nil
        } catch {
            return error
        }
    }

    @Test(
        "bad bodies are refused, naming the field",
        arguments: [
            ("", nil), ("[]", nil), ("{", nil), (#"{"input":"a"}"#, "model"), (#"{"model":7,"input":"a"}"#, "model"),
            (#"{"model":"multilingual-e5-small"}"#, "input"),
            (#"{"model":"multilingual-e5-small","input":null}"#, "input"),
            (#"{"model":"multilingual-e5-small","input":[]}"#, "input"),
            (#"{"model":"multilingual-e5-small","input":""}"#, "input"),
            (#"{"model":"multilingual-e5-small","input":"query: "}"#, "input"),
            (#"{"model":"multilingual-e5-small","input":["a",""]}"#, "input"),
            (#"{"model":"multilingual-e5-small","input":[[1,2]]}"#, "input"),
            (#"{"model":"multilingual-e5-small","input":7}"#, "input"),
            (#"{"model":"multilingual-e5-small","input":"a\u0000b"}"#, "input"),
            (#"{"model":"multilingual-e5-small","input":"\ud800"}"#, nil),
            (#"{"model":"multilingual-e5-small","input":"a","encoding_format":"hex"}"#, "encoding_format"),
            (#"{"model":"multilingual-e5-small","input":"a","dimensions":256}"#, "dimensions"),
        ] as [(String, String?)]
    )
    func badBodies(body: String, parameter: String?) throws {
        let found = try #require(refusal(body))
        #expect(found.status == 400)
        #expect(found.parameter == parameter)
    }

    @Test("another model is 404 with OpenAI's code")
    func otherModel() {
        let found = refusal(#"{"model":"text-embedding-3-small","input":"a"}"#)
        #expect(found?.status == 404)
        #expect(found?.code == "model_not_found")
    }

    @Test("more than 2048 inputs are refused, as many are taken")
    func manyInputs() throws {
        func body(_ count: Int) -> String {
            let inputs = Array(repeating: #""a""#, count: count).joined(separator: ",")
            return #"{"model":"multilingual-e5-small","input":["# + inputs + "]}"
        }
        #expect(refusal(body(2048)) == nil)
        #expect(refusal(body(2049))?.parameter == "input")
    }

    @Test(
        "the prefix decides the kind and is taken off",
        arguments: [
            ("query: Wein", EngineText.Kind.query, "Wein"), ("passage: Wein", .passage, "Wein"),
            ("Wein", .passage, "Wein"), ("query:Wein", .passage, "query:Wein"), (" query: x", .passage, " query: x"),
            ("query: passage: x", .query, "passage: x"),
        ]
    )
    func prefixes(input: String, kind: EngineText.Kind, text: String) {
        #expect(EngineText(input: input) == EngineText(kind: kind, bytes: Array(text.utf8)))
    }

    @Test("the ligature the engine has no room for is written out, its neighbours are not touched")
    func ligature() {
        let written = "صلى الله عليه وسلم"
        #expect(EngineText(input: "a\u{FDFA}ﬀ\u{FDFB}").bytes == Array("a\(written)ﬀ\u{FDFB}".utf8))
        #expect(EngineText(input: "\u{FDFA}\u{FDFA}").bytes == Array((written + written).utf8))
    }

    @Test(
        "Base64 equals RFC 4648's test vectors",
        arguments: [
            ("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg=="), ("fooba", "Zm9vYmE="),
            ("foobar", "Zm9vYmFy"),
        ]
    )
    func base64(text: String, encoded: String) {
        var output: [UInt8] = []
        Base64.append(Array(text.utf8), to: &output)
        #expect(String(decoding: output, as: UTF8.self) == encoded)
    }
}
