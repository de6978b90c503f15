import Testing

@testable import KelterEmbedding

@Suite("Reading JSON numbers")
struct DecimalNumberTests {
    private func scan(_ text: String) -> (value: Double?, end: Int) {
        var position = 0
        let value = Array(text.utf8).withUnsafeBufferPointer { DecimalNumber.scan($0, at: &position) }
        return (value, position)
    }

    @Test(
        "reads what Swift reads",
        arguments: [
            "0", "-0", "1", "-1", "0.5", "-0.012345678918063641", "1e3", "1E+3", "1e-3", "123456789.123456789",
            "0.00000000000000000000012345678901234567890123456789", "12345678901234567890123", "3.4028235e38", "1e-45",
            "1e-330", "9007199254740993", "0.1234567", "0.12345678", "0.123456789", "00000000.1", "1e22", "1e23",
            "1e-22",
        ]
    )
    func values(_ text: String) throws {
        let (value, end) = scan(text)
        let wanted = try #require(Double(text))
        let got = try #require(value)
        #expect(abs(got - wanted) <= abs(wanted) * 0x1p-48)
        #expect(Float(got) == Float(wanted))
        #expect(end == text.utf8.count)
    }

    @Test("stops behind the number", arguments: [("1.5,2", 3), ("-7]", 2), ("0.25e1}", 6), ("1 ", 1)])
    func ends(_ text: String, _ end: Int) {
        #expect(scan(text).end == end)
    }

    @Test("is no number", arguments: ["", "-", ".", ".5", "1.", "1.e3", "1e", "1e+", "e5", "NaN", "null", "+1", "-x"])
    func refused(_ text: String) {
        let (value, end) = scan(text)
        #expect(value == nil)
        #expect(end == 0)
    }

    @Test("too large is infinite, too small is zero")
    func extremes() {
        #expect(scan("1e999").value == .infinity)
        #expect(scan("-1e999999999999").value == -.infinity)
        #expect(scan("1e-999999999").value == 0)
        #expect(scan("0e999").value == 0)
    }

    @Test("gives back every float32, printed short or as a double")
    func roundTrip() {
        var generator = TestGenerator(seed: 11)
        for _ in 0..<20_000 {
            let value = Float(bitPattern: UInt32(truncatingIfNeeded: generator.next()))
            guard value.isFinite else { continue }
            #expect(scan("\(value)").value.map { Float($0) } == value)
            #expect(scan("\(Double(value))").value.map { Float($0) } == value)
        }
    }
}

/// A seeded source of randomness for property tests.
struct TestGenerator: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) {
        state = seed
    }

    mutating func next() -> UInt64 {
        // Marsaglia's xorshift64*, seeded with anything but zero.
        state = state == 0 ? 1 : state
        state ^= state >> 12
        state ^= state << 25
        state ^= state >> 27
        return state &* 0x2545_F491_4F6C_DD1D
    }
}
