import KelterModel
import Testing

@testable import KelterServer

/// SplitMix64: small, seeded, the same everywhere; https://prng.di.unimi.it/splitmix64.c.
private struct SeededGenerator: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ mixed >> 30) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ mixed >> 27) &* 0x94D0_49BB_1331_11EB
        return mixed ^ mixed >> 31
    }
}

@Suite("Multipart bodies in pieces")
struct MultipartPieceTests {
    private static let boundary = "--Boundary7MA"

    /// A body whose parts hold whatever resembles a boundary.
    private static let body = Array(
        ("preamble\r\n----Boundary7MX\r\n----Boundary7MA\t\r\n"
            + "Content-Disposition: form-data; name=\"collection_id\"\r\n\r\n"
            + "42\r\n----Boundary7MA\r\n"
            + "Content-Disposition: form-data; name=\"file\"; filename=\"a.txt\"\r\nContent-Type: text/plain\r\n\r\n"
            + "\r\n\r\r\n-\r\n--\r\n----Boundary\r\n----Boundary7MAB\r\n----Boundary7MA -\r\n----Boundary7MA-x"
            + "\r\n----Boundary7MA\r\r\n----Boundary7MA\r\n"
            + "Content-Disposition: form-data; name=\"empty\"\r\n\r\n"
            + "\r\n----Boundary7MA--\r\nepilogue\r\n----Boundary7MA\r\n").utf8
    )

    private static let parts = [
        ReadPart("collection_id", body: "42"),
        ReadPart(
            "file",
            "a.txt",
            "text/plain",
            body: "\r\n\r\r\n-\r\n--\r\n----Boundary\r\n----Boundary7MAB\r\n----Boundary7MA -\r\n----Boundary7MA-x"
                + "\r\n----Boundary7MA\r"
        ),
        ReadPart("empty", body: ""),
    ]

    private func read(_ body: [UInt8], cuts: [Int]) throws -> [ReadPart] {
        try MultipartReading.parts(of: body, boundary: Self.boundary, cuts: cuts)
    }

    @Test("The same parts with one cut at every position, with two, and byte by byte")
    func cuts() throws {
        let count = Self.body.count
        #expect(try read(Self.body, cuts: []) == Self.parts)
        #expect(try read(Self.body, cuts: Array(0..<count)) == Self.parts)
        for first in 0...count {
            let parts = try read(Self.body, cuts: [first])
            #expect(parts == Self.parts, "cut at \(first)")
            for length in [1, 2, 3, 17] where first + length <= count {
                let parts = try read(Self.body, cuts: [first, first + length])
                #expect(parts == Self.parts, "cut at \(first) and \(length) further")
            }
        }
    }

    @Test("The same parts with random cuts")
    func randomCuts() throws {
        var generator = SeededGenerator(state: 7578)
        for round in 0..<500 {
            let cuts = (0..<Int.random(in: 1...40, using: &generator)).map { _ in
                Int.random(in: 0...Self.body.count, using: &generator)
            }
            let parts = try read(Self.body, cuts: cuts.sorted())
            #expect(parts == Self.parts, "round \(round)")
        }
    }

    @Test("Random content from the bytes of boundaries comes out as it went in, however it is cut")
    func randomContent() throws {
        var generator = SeededGenerator(state: 2046)
        let pieces = ["\r", "\n", "-", "--", "\r\n--", "\r\n--AB", "A", "B", " ", "\t", "x"].map { Array($0.utf8) }
        for round in 0..<2000 {
            let content = (0..<Int.random(in: 0...30, using: &generator)).flatMap { _ in
                pieces[Int.random(in: 0..<pieces.count, using: &generator)]
            }
            let body =
                Array("--AB\r\nContent-Disposition: form-data; name=f\r\n\r\n".utf8) + content
                + Array("\r\n--AB--".utf8)
            let expected = Self.content(content)
            let cuts = (0..<Int.random(in: 0...9, using: &generator)).map { _ in
                Int.random(in: 0...body.count, using: &generator)
            }
            // Content with a whole boundary in it may make a second part without a header, which is an error.
            let read = try? MultipartReading.parts(of: body, boundary: "AB", cuts: cuts.sorted())
            #expect(read?.map(\.body) == expected.map { [$0] }, "round \(round): \(content)")
        }
    }

    /// What remains of a content with the boundary `AB`, found the slow way; `nil` when it begins another part.
    private static func content(_ content: [UInt8]) -> [UInt8]? {
        let text = Array("\r\n".utf8) + content + Array("\r\n--AB--".utf8)
        let delimiter = Array("\r\n--AB".utf8)
        for start in text.indices where text[start...].starts(with: delimiter) {
            let end = text[(start + delimiter.count)...]
            if end.starts(with: "--".utf8) { return Array(text[..<start].dropFirst(2)) }
            if end.drop(while: { $0 == 0x20 || $0 == 0x09 }).starts(with: "\r\n".utf8) { return nil }
        }
        return nil
    }

    @Test("Whatever is changed in a body, it is read or refused, and does not depend on the cuts")
    func mutations() throws {
        var generator = SeededGenerator(state: 100)
        var refused = 0
        for round in 0..<1000 {
            var body = Self.body
            for _ in 0..<Int.random(in: 1...4, using: &generator) {
                let position = Int.random(in: 0..<body.count, using: &generator)
                let end = min(body.count, position + Int.random(in: 0...30, using: &generator))
                switch Int.random(in: 0..<4, using: &generator) {
                case 0: body.removeSubrange(position..<end)
                case 1: body[position] = UInt8.random(in: .min ... .max, using: &generator)
                case 2: body.insert(contentsOf: body[position..<end], at: position)
                default: body.insert(contentsOf: "\\\"%;\r\n:=*'".utf8.shuffled(using: &generator), at: position)
                }
            }
            let whole = Result { () throws(KelterError) in
                try MultipartReading.parts(of: body, boundary: Self.boundary)
            }
            let bytewise = Result { () throws(KelterError) in
                try MultipartReading.parts(of: body, boundary: Self.boundary, cuts: Array(0..<body.count))
            }
            #expect(whole == bytewise, "round \(round)")
            if case .failure(let error) = whole {
                refused += 1
                #expect(error.code == .invalidMultipart)
            }
        }
        #expect((100..<900).contains(refused))
    }
}
