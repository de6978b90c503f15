import Foundation
import KelterModel
import Testing

@testable import KelterEmbedding

@Suite("Reading an embeddings reply")
struct EmbeddingReplyReaderTests {
    private func read(_ text: String, count: Int = 2, dimension: Int = 2) throws -> EmbeddingReply {
        try EmbeddingReplyReader.read(Array(text.utf8), count: count, dimension: dimension)
    }

    private func base64(_ values: [Float]) -> String {
        values.withUnsafeBytes { Data($0).base64EncodedString() }
    }

    private let good: [Result<UnitVector, KelterError>] = [.success(.unit([1, 0])), .success(.unit([0, -1]))]

    @Test("in the order of OpenAI, with white space")
    func openAI() throws {
        let reply = try read(
            """
            {
              "object": "list",
              "data": [
                { "object": "embedding", "index": 0, "embedding": [ 2.0, 0 ] },
                { "object": "embedding", "index": 1, "embedding": [0,-3e0] }
              ],
              "model": "text-\\u00e4",
              "usage": { "prompt_tokens": 8, "total_tokens": 8 }
            }
            """
        )
        #expect(reply.vectors == good)
        #expect(reply.encoding == .float)
        #expect(reply.firstLength == 2)
        #expect(reply.model == "text-ä")
        #expect(reply.promptTokens == 8)
    }

    @Test("in the order of LiteLLM, base64, shuffled, with members nobody knows")
    func liteLLM() throws {
        let reply = try read(
            #"{"x":{"data":[1,{"index":"}"}]},"model":null,"data":[{"embedding":"\#(base64([0, -3]))","index":1,"meta":[[]]},"#
                + #"{"embedding":"\#(base64([4, 0]))","index":0}],"error":null,"usage":null}"#
        )
        #expect(reply.vectors == good)
        #expect(reply.encoding == .base64)
        #expect(reply.firstLength == 4)
        #expect(reply.model == nil)
    }

    @Test("base64 and numbers side by side count as numbers")
    func mixed() throws {
        let reply = try read(
            #"{"data":[{"index":0,"embedding":"\#(base64([1, 0]))"},{"index":1,"embedding":[0,-1]}]}"#
        )
        #expect(reply.vectors == good)
        #expect(reply.encoding == .float)
    }

    @Test("base64 with escaped slashes")
    func escapedSlashes() throws {
        let values: [Float] = [Float(bitPattern: 0x3FFF_FFFF), Float(bitPattern: 0x3FFF_FFFF)]
        let text = base64(values)
        #expect(text.contains("/"))
        let escaped = text.replacing("/", with: #"\/"#)
        let plain = try read(#"{"data":[{"index":0,"embedding":"\#(text)"}]}"#, count: 1)
        #expect(try read(#"{"data":[{"index":0,"embedding":"\#(escaped)"}]}"#, count: 1) == plain)
    }

    @Test("base64 of any width equals Foundation's", arguments: 1...9)
    func widths(_ dimension: Int) throws {
        var generator = TestGenerator(seed: UInt64(dimension))
        for _ in 0..<200 {
            let values = (0..<dimension).map { _ in Float.random(in: -1...1, using: &generator) }
            let reply = try read(
                #"{"data":[{"embedding":"\#(base64(values))","index":0}]}"#,
                count: 1,
                dimension: dimension
            )
            #expect(try reply.vectors[0].get() == UnitVector(normalising: values, dimension: dimension))
        }
    }

    @Test(
        "one bad vector is that item's error",
        arguments: [
            ("[1,null]", ErrorCode.embeddingInvalid), ("[NaN,1]", .embeddingInvalid),
            ("[1,Infinity]", .embeddingInvalid),
            ("[-Infinity,1]", .embeddingInvalid), ("[1e999,1]", .embeddingInvalid), ("null", .embeddingInvalid),
            ("[1]", .vectorDimensionMismatch), ("[1,2,3]", .vectorDimensionMismatch), ("[]", .vectorDimensionMismatch),
            ("\"\"", .vectorDimensionMismatch), ("\"AAAAAA==\"", .vectorDimensionMismatch),
        ]
    )
    func badItem(_ vector: String, _ code: ErrorCode) throws {
        let reply = try read(#"{"data":[{"index":1,"embedding":\#(vector)},{"index":0,"embedding":[1,0]}]}"#)
        #expect(reply.vectors[0] == good[0])
        #expect(throws: KelterError.self) { try reply.vectors[1].get() }
        if case .failure(let error) = reply.vectors[1] { #expect(error.code == code) }
    }

    /// What is read for two inputs of width 2, and the code it ends with.
    static let unusable: [(text: String, code: ErrorCode)] = [
        ("", .embeddingReplyCut), (" ", .embeddingReplyCut), ("{", .embeddingReplyCut),
        ("{\"data\"", .embeddingReplyCut),
        ("null", .embeddingReplyInvalid), ("[]", .embeddingReplyInvalid), ("\"data\"", .embeddingReplyInvalid),
        ("<html></html>", .embeddingReplyInvalid), ("{}", .embeddingReplyInvalid),
        ("{data:[]}", .embeddingReplyInvalid),
        ("{\"data\":null}", .embeddingReplyInvalid), ("{\"data\":{}}", .embeddingReplyInvalid),
        ("{\"data\" []}", .embeddingReplyInvalid), ("{\"data\":[],\"data\":[]}", .embeddingReplyInvalid),
        (item(0) + "x", .embeddingReplyInvalid), (pair(item(0), item(1)) + "}", .embeddingReplyInvalid),
        (pair(item(0), item(1)) + " 1", .embeddingReplyInvalid), (pair(item(0), "7"), .embeddingReplyInvalid),
        (pair(item(0), "{\"index\":1}"), .embeddingReplyInvalid),
        (pair(item(0), "{\"index\":1,\"embedding\":{}}"), .embeddingReplyInvalid),
        (pair(item(0), "{\"index\":1,\"embedding\":[\"1\",0]}"), .embeddingReplyInvalid),
        (pair(item(0), "{\"index\":1,\"embedding\":[1 0]}"), .embeddingReplyInvalid),
        (pair(item(0), "{\"index\":1,\"embedding\":[1,]}"), .embeddingReplyInvalid),
        ("{\"data\":[]}", .embeddingCountMismatch), ("{\"data\":[" + item(0) + "]}", .embeddingCountMismatch),
        (pair(item(0), item(1) + "," + item(1)), .embeddingCountMismatch),
        (pair(item(0), item(0)), .embeddingIndexInvalid), (pair(item(0), item(2)), .embeddingIndexInvalid),
        (pair(item(0), item(-1)), .embeddingIndexInvalid),
        (pair(item(0), "{\"embedding\":[1,0]}"), .embeddingIndexInvalid),
        (pair(item(0), "{\"index\":0.5,\"embedding\":[1,0]}"), .embeddingIndexInvalid),
        (pair(item(0), "{\"index\":null,\"embedding\":[1,0]}"), .embeddingIndexInvalid),
        (pair(item(0), "{\"index\":\"1\",\"embedding\":[1,0]}"), .embeddingIndexInvalid),
        (pair(item(0), "{\"index\":0,\"index\":1,\"embedding\":[1,0]}"), .embeddingIndexInvalid),
        (pair(item(0), "{\"index\":1,\"embedding\":\"AAAA\"}"), .embeddingEncodingInvalid),
        (pair(item(0), "{\"index\":1,\"embedding\":\"AAAAAAAAAA!=\"}"), .embeddingEncodingInvalid),
        (pair(item(0), "{\"index\":1,\"embedding\":\"AAA\"}"), .embeddingEncodingInvalid),
        ("{\"error\":{\"message\":\"x\"}}", .embeddingErrorBody), ("{\"error\":\"x\"}", .embeddingErrorBody),
        ("{\"data\":[" + item(0) + "," + item(1) + "],\"error\":{\"code\":500}}", .embeddingErrorBody),
        ("{\"error\":{\"message\":\"x", .embeddingReplyCut),
    ]

    @Test("a reply that cannot be used is refused with the code of what is wrong", arguments: unusable.indices)
    func refused(_ index: Int) {
        let (text, code) = Self.unusable[index]
        let failure = #expect(throws: EmbeddingReplyReader.Failure.self) { try read(text) }
        #expect(failure?.code == code, "\(text)")
    }

    @Test(
        "of an error no more is told than a plain code",
        arguments: [
            (#"{"code":429,"type":"x"}"#, "429"), (#"{"code":null,"type":"RateLimitError"}"#, "RateLimitError"),
            (#"{"code":"invalid_api_key","message":"sk-geheim1"}"#, "invalid_api_key"),
            (#"{"code":"sk-geheim1","type":"auth_error"}"#, "auth_error"), (#"{"code":"der ganze Text"}"#, nil),
            (#"{"message":"geheim"}"#, nil), (#""geheim""#, nil), (#"{"code":"a1b2c3d4e5"}"#, nil),
            (#"{"code":12345678901}"#, nil), (#"{"code":true}"#, nil), ("[7]", nil), (#"{"code":""}"#, nil),
        ] as [(String, String?)]
    )
    func errorWords(_ error: String, _ word: String?) {
        let failure = #expect(throws: EmbeddingReplyReader.Failure.self) { try read(#"{"error":\#(error)}"#) }
        #expect(
            failure?.message == "it carries \(word.map { "the error \($0)" } ?? "an error") instead of vectors"
        )
    }

    private static func item(_ index: Int) -> String { "{\"index\":\(index),\"embedding\":[1,0]}" }
    private static func pair(_ first: String, _ second: String) -> String { "{\"data\":[\(first),\(second)]}" }

    @Test("cut anywhere it is refused, never misread and never out of bounds", arguments: ["base64", "float"])
    func cut(_ encoding: String) throws {
        let vector = encoding == "base64" ? "\"\(base64([3, 4]))\"" : "[3.0,4.0]"
        let text = Array(
            #"{"model":"m\"x","data":[{"embedding":\#(vector),"index":1},{"index":0,"embedding":\#(vector)}],"usage":{"prompt_tokens":1}}"#
                .utf8
        )
        _ = try EmbeddingReplyReader.read(text, count: 2, dimension: 2)
        for end in 0..<text.count {
            let failure = #expect(throws: EmbeddingReplyReader.Failure.self) {
                try EmbeddingReplyReader.read(Array(text[..<end]), count: 2, dimension: 2)
            }
            #expect(failure?.code == .embeddingReplyCut, "cut after \(end) bytes")
        }
    }

    @Test("changed bytes never crash and never give a vector of another length than 1")
    func fuzz() throws {
        let text = Array(
            #"{"data":[{"embedding":"\#(base64([3, 4]))","index":1},{"index":0,"embedding":[3.25,-4e-1]}],"usage":{"prompt_tokens":1}}"#
                .utf8
        )
        var generator = TestGenerator(seed: 5)
        let interesting = Array(#"{}[]",:\/0e-.n=A"#.utf8) + [0, 0x80, 0xFF]
        for _ in 0..<20_000 {
            var changed = text
            for _ in 0...Int.random(in: 0...2, using: &generator) {
                changed[Int.random(in: text.indices, using: &generator)] =
                    interesting.randomElement(using: &generator) ?? 0
            }
            guard let reply = try? EmbeddingReplyReader.read(changed, count: 2, dimension: 2) else { continue }
            for case .success(.unit(let values)) in reply.vectors {
                let length = values.reduce(0) { $0 + Double($1) * Double($1) }.squareRoot()
                #expect(abs(length - 1) <= 1e-6)
            }
        }
    }

    @Test("deep nesting in an unknown member is skipped without recursion")
    func deep() throws {
        let nested = String(repeating: "[", count: 200_000) + String(repeating: "]", count: 200_000)
        let reply = try read(#"{"x":\#(nested),"data":[{"index":0,"embedding":[1,0]},{"index":1,"embedding":[0,-1]}]}"#)
        #expect(reply.vectors == good)
    }
}
