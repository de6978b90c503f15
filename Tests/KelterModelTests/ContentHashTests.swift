import KelterModel
import Testing

@Suite("Content hashes")
struct ContentHashTests {
    private let hex = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1eff"

    @Test("hexadecimal and bytes are two forms of one value")
    func roundTrip() throws {
        let hash = try #require(ContentHash(hex: hex))
        #expect(hash.hex == hex)
        #expect(hash.description == hex)
        #expect(hash.bytes == Array(0..<31) + [0xFF])
        #expect(ContentHash(bytes: hash.bytes) == hash)
        #expect(ContentHash(hex: hex.uppercased()) == hash)
    }

    @Test("random digests survive both forms")
    func property() {
        var generator = SeededGenerator(seed: 3)
        for _ in 0..<500 {
            let bytes = (0..<32).map { _ in UInt8.random(in: 0...255, using: &generator) }
            let hash = ContentHash(bytes: bytes)
            #expect(hash?.bytes == bytes)
            #expect(hash == hash.flatMap { ContentHash(hex: $0.hex) })
        }
    }

    @Test("another count of bytes is refused", arguments: [0, 20, 31, 33, 64])
    func byteCounts(count: Int) {
        #expect(ContentHash(bytes: [UInt8](repeating: 0, count: count)) == nil)
    }

    @Test("text that is not 64 hexadecimal digits is refused")
    func malformed() {
        for text in [
            "", "00", String(hex.dropLast()), hex + "0", hex + "00", hex.dropLast() + "g", " " + hex.dropLast(),
        ] {
            #expect(ContentHash(hex: text) == nil)
        }
    }

    @Test("every byte counts for equality")
    func equality() {
        let zero = [UInt8](repeating: 0, count: 32)
        for index in 0..<32 {
            var other = zero
            other[index] = 1
            #expect(ContentHash(bytes: other) != ContentHash(bytes: zero))
        }
    }

    @Test("hexadecimal digits map both ways")
    func digits() {
        for value in UInt8(0)..<16 {
            #expect(hexValue(hexDigit(value)) == value)
        }
        for byte in "/:@G`g -".utf8 {
            #expect(hexValue(byte) == nil)
        }
        #expect(hexValue(UInt8(ascii: "F")) == 15)
    }
}
