import KelterHashing
import KelterModel
import Testing

@Suite("API keys")
struct SecretTokenTests {
    private static let id = RowID(high: 0x0198_7654_3210_7abc, low: 0x8def_0000_0000_00ff)
    private static let hex = "0198765432107abc8def0000000000ff"
    private static let secret = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"

    /// Computed by Python's `base64.urlsafe_b64encode` and `hashlib.sha256`.
    @Test(
        "a written key is read, and its digest is SHA-256 of the secret part",
        arguments: [
            (secret, "ea866a757e4c38babfa8127cbe9a409d3e1f93a00ff1488ff735fcf917afffd0"),
            (
                "--__--__--__--__--__--__--__--__--__--____4",
                "4ba584b83ef999590620d32bbc0e214e1cb074ac6ec5478738459cc01ace8d01"
            ),
        ]
    )
    func vectors(secret: String, digest: String) throws {
        let text = "klt_\(Self.hex)_\(secret)"
        let token = try #require(SecretToken(text: text))
        #expect(token.id == Self.id)
        #expect(token.text == text)
        #expect(token.digest.hex == digest)
        #expect(token.matches(digest: try #require(ContentHash(hex: digest))))
    }

    @Test(
        "a made key is read back and matches its digest",
        arguments: [
            id, RowID(high: 0, low: 0), RowID(high: .max, low: .max), .version7(milliseconds: 1_790_000_000_000),
        ]
    )
    func roundTrip(id: RowID) throws {
        let made = try SecretToken.make(id: id)
        let read = try #require(SecretToken(text: made.text))
        #expect(made.id == id && read.id == id)
        #expect(made.text.utf8.count == 80 && read.text == made.text)
        #expect(read.digest == made.digest && read.matches(digest: made.digest))
        #expect(try made.digest == SHA256.hash(String(made.text.suffix(43))))
    }

    @Test("keys of one row differ and do not match each other")
    func distinct() throws {
        let first = try SecretToken.make(id: Self.id)
        let second = try SecretToken.make(id: Self.id)
        #expect(first.text != second.text)
        #expect(!first.matches(digest: second.digest))
    }

    @Test("a key with any character of the secret changed does not match")
    func tampered() throws {
        let text = "klt_\(Self.hex)_\(Self.secret)"
        let digest = try #require(SecretToken(text: text)).digest
        for position in text.utf8.count - 43..<text.utf8.count {
            var bytes = Array(text.utf8)
            bytes[position] = bytes[position] == UInt8(ascii: "Q") ? UInt8(ascii: "g") : UInt8(ascii: "Q")
            let token = try #require(SecretToken(text: String(decoding: bytes, as: UTF8.self)))
            #expect(!token.matches(digest: digest))
        }
    }

    @Test(
        "other texts are no keys",
        arguments: [
            "", "klt_", "klt__", secret, "klt_\(hex)", "klt_\(hex)_", "\(hex)_\(secret)",
            "KLT_\(hex)_\(secret)", "klt-\(hex)_\(secret)", "abc_\(hex)_\(secret)", "klt_\(hex)-\(secret)",
            "klt_\(hex)\(secret)_", "klt_\(hex)_\(secret) ", " klt_\(hex)_\(secret)", "klt_\(hex)_\(secret)\n",
            "klt_\(hex)_\(secret)=", "klt_\(hex)_\(secret)A", "klt_\(hex)_\(secret.dropLast())",
            "klt_\(hex)0_\(secret)", "klt_\(hex.dropLast())_\(secret)", "klt_\(hex.uppercased())_\(secret)",
            "klt_\(id)_\(secret)", "klt_g\(hex.dropFirst())_\(secret)", "klt_+\(hex.dropFirst())_\(secret)",
            "klt_-\(hex.dropFirst())_\(secret)", "klt_ \(hex.dropFirst())_\(secret)",
            // Base64's own digits, white space, padding, a letter of two bytes, and stray bits in the last digit.
            "klt_\(hex)_+\(secret.dropFirst())", "klt_\(hex)_/\(secret.dropFirst())",
            "klt_\(hex)_ \(secret.dropFirst())", "klt_\(hex)_*\(secret.dropFirst())",
            "klt_\(hex)_\(secret.dropLast())=", "klt_\(hex)_\(secret.dropLast()) ",
            "klt_\(hex)_ü\(secret.dropFirst(2))", "klt_\(hex)_\(secret.dropLast())9",
            String(repeating: "=", count: 80), String(repeating: "_", count: 80),
        ]
    )
    func malformed(text: String) {
        #expect(SecretToken(text: text) == nil)
    }

    @Test("no description shows the secret")
    func description() throws {
        let token = try #require(SecretToken(text: "klt_\(Self.hex)_\(Self.secret)"))
        var dumped = ""
        dump(token, to: &dumped)
        let nested = [String(describing: [token]), String(reflecting: Optional(token)), "\((key: token, 1))"]
        for text in nested + ["\(token)", String(reflecting: token), token.debugDescription, dumped] {
            #expect(text.contains("klt_\(Self.hex)_…"))
            #expect(!text.contains(Self.secret.prefix(6)) && !text.contains(Self.secret.suffix(6)))
        }
        #expect(Mirror(reflecting: token).children.isEmpty)
    }
}
