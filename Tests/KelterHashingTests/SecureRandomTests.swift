import KelterHashing
import KelterModel
import Testing

@Suite("Random bytes and comparing secrets")
struct SecureRandomTests {
    @Test("as many bytes as asked for, never the same", arguments: [0, 1, 16, 32, 100_000])
    func count(count: Int) throws {
        let bytes = try secureRandomBytes(count)
        #expect(bytes.count == count)
        #expect(try count < 16 || secureRandomBytes(count) != bytes)
    }

    @Test("all values occur")
    func spread() throws {
        // A value is missing from 10 000 with a probability of 3e-15.
        #expect(try Set(secureRandomBytes(10_000)).count == 256)
    }

    @Test("more bytes than libcrypto can count are refused, not attempted")
    func tooMany() throws {
        let error = try #require(throws: KelterError.self) { try secureRandomBytes(Int(Int32.max) + 1) }
        #expect(error.code == .internalError)
    }

    @Test(
        "equal only with every byte",
        arguments: [
            ([], [], true), ([1], [1], true), ([1, 2, 3], [1, 2, 3], true),
            ([], [0], false), ([0], [], false), ([1], [2], false), ([1, 2, 3], [1, 2], false),
            ([1, 2], [1, 2, 3], false), ([9, 2, 3], [1, 2, 3], false), ([1, 2, 3], [1, 2, 0x83], false),
        ] as [([UInt8], [UInt8], Bool)]
    )
    func equality(a: [UInt8], b: [UInt8], isEqual: Bool) {
        #expect(constantTimeEqual(a, b) == isEqual)
    }
}
