import Testing

@testable import KelterModel

@Suite("SHA-1, for version 5 identifiers")
struct SHA1Tests {
    private func hex(_ message: [UInt8]) -> String {
        String(decoding: SHA1.digest(message).flatMap { [hexDigit($0 >> 4), hexDigit($0 & 15)] }, as: UTF8.self)
    }

    /// FIPS 180-2, appendix A, and RFC 3174, section 7.3.
    @Test(
        "the published vectors",
        arguments: [
            ("abc", "a9993e364706816aba3e25717850c26c9cd0d89d"),
            (
                "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", "84983e441c3bd26ebaae4aa1f95129e5e54670f1"
            ),
            ("", "da39a3ee5e6b4b0d3255bfef95601890afd80709"),
        ]
    )
    func vectors(message: String, digest: String) {
        #expect(hex(Array(message.utf8)) == digest)
    }

    /// Computed by Python's `hashlib`.
    @Test(
        "lengths around the padding's boundaries",
        arguments: [
            (55, "c1c8bbdc22796e28c0e15163d20899b65621d65a"), (56, "c2db330f6083854c99d4b5bfb6e8f29f201be699"),
            (63, "03f09f5b158a7a8cdad920bddc29b81c18a551f5"), (64, "0098ba824b5c16427bd7a1122a5a442a25ec644d"),
            (65, "11655326c708d70319be2610e8a57d9a5b959d3b"), (119, "ee971065aaa017e0632a8ca6c77bb3bf8b1dfc56"),
            (120, "f34c1488385346a55709ba056ddd08280dd4c6d6"), (128, "ad5b3fdbcb526778c2839d2f151ea753995e26a0"),
            (1000, "291e9a6c66994949b57ba5e650361e98fc36b1ba"),
        ]
    )
    func boundaries(count: Int, digest: String) {
        #expect(hex([UInt8](repeating: UInt8(ascii: "a"), count: count)) == digest)
    }
}
