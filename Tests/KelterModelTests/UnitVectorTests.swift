import KelterModel
import Testing

@Suite("Unit vectors")
struct UnitVectorTests {
    private func norm(_ values: [Float]) -> Double {
        values.reduce(0.0) { $0 + Double($1) * Double($1) }.squareRoot()
    }

    @Test("the length is 1 within 1e-6 at every width and magnitude", arguments: [1, 2, 3, 384, 1_536, 4_096])
    func length(dimension: Int) throws {
        var generator = SeededGenerator(seed: UInt64(dimension))
        for exponent in stride(from: Float(-5), through: 38, by: 1) {
            let magnitude = Float.exp10(exponent)
            for _ in 0..<5 {
                var raw = (0..<dimension).map { _ in Float.random(in: -1...1, using: &generator) * magnitude }
                raw[0] = magnitude
                let values = try #require(try UnitVector(normalising: raw, dimension: dimension).values)
                #expect(abs(norm(values) - 1) <= 1e-6)
            }
        }
    }

    @Test("the direction is kept")
    func direction() throws {
        #expect(try UnitVector(normalising: [3, -4], dimension: 2) == .unit([0.6, -0.8]))
        #expect(try UnitVector(normalising: [0, 0, -7], dimension: 3) == .unit([0, 0, -1]))
    }

    @Test("normalising twice changes nothing beyond rounding")
    func idempotence() throws {
        var generator = SeededGenerator(seed: 50)
        for _ in 0..<50 {
            let raw = (0..<384).map { _ in Float.random(in: -1...1, using: &generator) }
            let once = try #require(try UnitVector(normalising: raw, dimension: 384).values)
            let twice = try #require(try UnitVector(normalising: once, dimension: 384).values)
            #expect(zip(once, twice).allSatisfy { abs($0 - $1) <= $0.ulp })
        }
    }

    @Test("the greatest numbers do not overflow")
    func huge() throws {
        let raw = [Float](repeating: .greatestFiniteMagnitude, count: 4_096)
        let values = try #require(try UnitVector(normalising: raw, dimension: 4_096).values)
        #expect(abs(norm(values) - 1) <= 1e-6)
        #expect(values.allSatisfy { $0 == 1 / 64 })
    }

    @Test("numbers too small for a direction are no vector")
    func empty() throws {
        for value: Float in [0, -0, .leastNonzeroMagnitude, .leastNormalMagnitude, 1e-20, -1e-9] {
            #expect(try UnitVector(normalising: [Float](repeating: value, count: 384), dimension: 384) == .empty)
        }
        #expect(try UnitVector(normalising: [0], dimension: 1).values == nil)
    }

    @Test("the border is a squared length of 1e-12")
    func border() throws {
        #expect(try UnitVector(normalising: [1e-6], dimension: 1) == .empty)
        #expect(try UnitVector(normalising: [Float(1e-6).nextUp], dimension: 1) == .unit([1]))
        #expect(try UnitVector(normalising: [-2e-6, 0], dimension: 2) == .unit([-1, 0]))
    }

    @Test("subnormal parts beside a normal one are harmless")
    func subnormal() throws {
        let raw: [Float] = [1, .leastNonzeroMagnitude, -.leastNormalMagnitude]
        #expect(try UnitVector(normalising: raw, dimension: 3) == .unit(raw))
    }

    @Test(
        "NaN and infinity are refused wherever they stand",
        arguments: [Float.nan, .signalingNaN, -.nan, .infinity, -.infinity],
        [0, 1, 383]
    )
    func notFinite(value: Float, index: Int) {
        var raw = [Float](repeating: 0.1, count: 384)
        raw[index] = value
        let error = #expect(throws: KelterError.self) { try UnitVector(normalising: raw, dimension: 384) }
        #expect(error?.code == .embeddingInvalid)
        raw = [Float](repeating: 0, count: 384)
        raw[index] = value
        #expect(throws: KelterError.self) { try UnitVector(normalising: raw, dimension: 384) }
    }

    @Test("infinities of both signs do not cancel")
    func bothInfinities() {
        #expect(throws: KelterError.self) { try UnitVector(normalising: [.infinity, -.infinity], dimension: 2) }
    }

    @Test("another width is refused before the numbers are looked at", arguments: [0, 1, 383, 385, 768])
    func width(count: Int) {
        let raw = [Float](repeating: .nan, count: count)
        let error = #expect(throws: KelterError.self) { try UnitVector(normalising: raw, dimension: 384) }
        #expect(error?.code == .vectorDimensionMismatch)
        #expect(error?.message.contains("\(count)") == true)
        #expect(error?.message.contains("384") == true)
    }
}

extension Float {
    /// Ten to an integral power, within the range of the type.
    fileprivate static func exp10(_ exponent: Float) -> Float {
        Float("1e\(Int(exponent))") ?? .nan
    }
}
