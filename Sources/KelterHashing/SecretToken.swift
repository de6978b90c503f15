package import KelterModel

/// An API key: `klt_<32 lower-case hexadecimal digits of its row's identifier>_<43 characters of base64url>`.
///
/// The last part is the secret: 32 random bytes in RFC 4648's base64url without padding. The database keeps only
/// ``digest``: nobody can try the values of a 256-bit random secret, so it needs no slow hash like a password's.
package struct SecretToken: Sendable {
    private static let prefix = "klt_"
    private static let secretLength = 43

    /// The row that holds the digest; not secret.
    package let id: RowID
    /// SHA-256 of the secret part's ASCII bytes, which the database keeps.
    package let digest: ContentHash
    private let secret: String

    /// - Throws: ``KelterError`` with ``ErrorCode/internalError`` when libcrypto refuses.
    private init(id: RowID, secretBytes: [UInt8]) throws(KelterError) {
        self.id = id
        secret = Self.base64URL(secretBytes)
        digest = try SHA256.hash(secret)
    }

    /// A new key for a row.
    ///
    /// - Throws: ``KelterError`` with ``ErrorCode/internalError`` when the system gives no random numbers or libcrypto
    ///   refuses.
    package static func make(id: RowID) throws(KelterError) -> SecretToken {
        try SecretToken(id: id, secretBytes: secureRandomBytes(32))
    }

    /// Reads a key; anything that ``text`` would not print in exactly this way is `nil`.
    package init?(text: String) {
        let bytes = Array(text.utf8)
        let idStart = Self.prefix.utf8.count
        let secretStart = idStart + 32 + 1
        guard bytes.count == secretStart + Self.secretLength,
            let high = UInt64(String(decoding: bytes[idStart..<idStart + 16], as: UTF8.self), radix: 16),
            let low = UInt64(String(decoding: bytes[idStart + 16..<idStart + 32], as: UTF8.self), radix: 16),
            let secretBytes = Self.bytes(base64URL: bytes[secretStart...]),
            let token = try? SecretToken(id: RowID(high: high, low: low), secretBytes: secretBytes),
            // Also refuses what the steps before are lenient about: the prefix, capitals, signs and stray bits.
            token.text.utf8.elementsEqual(bytes)
        else { return nil }
        self = token
    }

    /// The whole key with its secret, shown to its owner once and sent with each call.
    package var text: String { publicPart + secret }

    /// Whether this key's secret is the one a digest was made of, in constant time.
    package func matches(digest: ContentHash) -> Bool {
        constantTimeEqual(self.digest.bytes, digest.bytes)
    }

    private var publicPart: String {
        let digits = id.bytes.flatMap { [hexDigit($0 >> 4), hexDigit($0 & 0xF)] }
        return "\(Self.prefix)\(String(decoding: digits, as: UTF8.self))_"
    }

    private static func base64URL(_ bytes: [UInt8]) -> String {
        let digits = encodedBase64(bytes).compactMap { digit -> UInt8? in
            switch digit {
            case UInt8(ascii: "+"): UInt8(ascii: "-")
            case UInt8(ascii: "/"): UInt8(ascii: "_")
            case UInt8(ascii: "="): nil
            default: digit
            }
        }
        return String(decoding: digits, as: UTF8.self)
    }

    /// Takes base64's own digits, too; the caller compares what is printed.
    private static func bytes(base64URL: ArraySlice<UInt8>) -> [UInt8]? {
        let digits = base64URL.map { digit in
            switch digit {
            case UInt8(ascii: "-"): UInt8(ascii: "+")
            case UInt8(ascii: "_"): UInt8(ascii: "/")
            default: digit
            }
        }
        return decodedBase64(digits + [UInt8(ascii: "=")])
    }
}

extension SecretToken: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    /// The key without its secret, fit for a log.
    package var description: String { publicPart + "…" }

    package var debugDescription: String { description }

    /// Empty, because `dump` and test failures would print the stored secret.
    package var customMirror: Mirror { Mirror(self, children: []) }
}
