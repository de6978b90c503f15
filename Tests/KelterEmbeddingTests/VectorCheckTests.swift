import KelterModel
import Testing

@testable import KelterEmbedding

@Suite("Telling vectors from misread bytes")
struct VectorCheckTests {
    /// A vector like a model's: 384 numbers of either sign, most of them small.
    private static func sample(_ seed: UInt64, scale: Float = 0.05) -> [Float] {
        var generator = TestGenerator(seed: seed)
        return (0..<384).map { _ in Float.random(in: -1...1, using: &generator) * scale }
    }

    private func code(_ raw: [Float], _ encoding: EmbeddingEncoding = .base64, dimension: Int = 384) -> ErrorCode? {
        guard case .failure(let error) = VectorCheck.judge(raw, encoding: encoding, dimension: dimension).vector else {
            return nil
        }
        return error.code
    }

    /// The halves of float64 numbers, as a reader of float32 sees them.
    private func halves(_ values: [Double]) -> [Float] {
        values.flatMap { value in
            [UInt32(truncatingIfNeeded: value.bitPattern), UInt32(value.bitPattern >> 32)].map(Float.init(bitPattern:))
        }
    }

    @Test("float64 is known from a model of twice the width", arguments: 0..<50 as Range<UInt64>)
    func float64(_ seed: UInt64) {
        for scale: Float in [0.001, 0.05, 1, 20] {
            let values = Self.sample(seed, scale: scale)
            #expect(code(halves(values.map { Double($0) })) == .embeddingEncodingInvalid)
            #expect(code(halves(values.map { Double($0) / 3 })) == .embeddingEncodingInvalid)
            // Numbers that were bfloat16 once leave nothing but zeros.
            let short = values.map { Float(bitPattern: $0.bitPattern & 0xFFFF_0000) }
            #expect(code(halves(short.map { Double($0) })) == .embeddingEncodingInvalid)
            let wide = values + Self.sample(seed + 1000, scale: scale)
            #expect(code(wide) == .vectorDimensionMismatch)
            #expect(code(wide, .float) == .vectorDimensionMismatch)
        }
    }

    @Test(
        "big-endian is known whether it reads as NaN, as huge or as next to nothing",
        arguments: 0..<50 as Range<UInt64>
    )
    func bigEndian(_ seed: UInt64) {
        let values = Self.sample(seed)
        let swapped = { (values: [Float]) in values.map { Float(bitPattern: $0.bitPattern.byteSwapped) } }
        #expect(code(swapped(values)) == .embeddingEncodingInvalid)
        // Numbers that were bfloat16 once end in two zero bytes and are denormal when swapped.
        let short = values.map { Float(bitPattern: $0.bitPattern & 0xFFFF_0000) }
        #expect(code(swapped(short)) == .embeddingEncodingInvalid)
        #expect(code(values) == nil)
        #expect(code(short) == nil)
    }

    @Test("the length counts every number of a vector of any width")
    func everyNumber() {
        for width in 1...40 {
            for position in 0..<width {
                var raw = [Float](repeating: 0, count: width)
                raw[position] = -3
                #expect(
                    VectorCheck.judge(raw, encoding: .float, dimension: width).length == 3,
                    "\(position) of \(width)"
                )
            }
        }
    }

    @Test("lengths at the bounds are plausible, those beyond are not")
    func lengths() {
        for (length, wanted) in [
            (1e-4 as Float).nextUp: nil, 1: nil, 999_999: nil, 0.000_09: .embeddingEncodingInvalid,
            1_000_001: .embeddingEncodingInvalid,
        ] as [Float: ErrorCode?] {
            #expect(code([length, 0], .float, dimension: 2) == wanted, "\(length)")
        }
    }

    @Test("NaN and infinity are the vector's, and nothing at all is no fault")
    func others() {
        for value in [Float.nan, .infinity, -.infinity] {
            var values = Self.sample(1)
            values[7] = value
            #expect(code(values) == .embeddingInvalid)
            #expect(code(values, .float) == .embeddingInvalid)
        }
        let zero = [Float](repeating: 0, count: 384)
        #expect(VectorCheck.judge(zero, encoding: .base64, dimension: 384).vector == .success(.empty))
        let tiny = Self.sample(2, scale: 1e-9)
        #expect(VectorCheck.judge(tiny, encoding: .base64, dimension: 384).vector == .success(.empty))
    }
}
