import CLibCrypto
package import KelterModel

/// A password as Django keeps it: `pbkdf2_sha256$<iterations>$<salt>$<base64 of 32 bytes>`.
///
/// The form of `django.contrib.auth.hashers.PBKDF2PasswordHasher`, so that accounts work in both systems. Passwords are
/// hashed as their UTF-8 bytes, without normalisation, as Django does.
///
/// > Warning: Making one and ``matches(_:)`` block for some tenths of a second with the default iterations; run them
/// > on a thread of their own, never on the cooperative pool.
package struct PasswordHash: Sendable {
    /// Django 5.2's number.
    package static let defaultIterations = 1_000_000

    /// The upper bound keeps a bad row of the database from hanging a server.
    private static let allowedIterations = 1...10_000_000
    private static let algorithm = "pbkdf2_sha256"
    private static let digestLength = 32

    private let iterations: Int
    private let salt: String
    private let digest: [UInt8]

    /// Hashes a password with a fresh salt.
    ///
    /// - Parameters:
    ///   - password: The password; whether it is good enough is for the caller to judge.
    ///   - iterations: Rounds of PBKDF2, 1 to 10 000 000; the default is ``defaultIterations``.
    /// - Throws: ``KelterError`` with ``ErrorCode/settingInvalid`` for iterations out of range, and
    ///   ``ErrorCode/internalError`` when the system gives no random numbers or libcrypto refuses.
    package init(password: String, iterations: Int = defaultIterations) throws(KelterError) {
        guard Self.allowedIterations.contains(iterations) else {
            throw KelterError(
                .settingInvalid,
                "A password cannot be hashed with \(iterations) iterations.",
                fix: "Use 1 to 10000000 iterations."
            )
        }
        let salt = try Self.makeSalt()
        guard let digest = Self.derive(password, salt: salt, iterations: iterations) else {
            throw KelterError(.internalError, "libcrypto could not hash a password.")
        }
        self.iterations = iterations
        self.salt = salt
        self.digest = digest
    }

    /// Reads Django's form; anything that ``encoded`` would not print in exactly this way is `nil`.
    ///
    /// So are other algorithms, an empty salt and more than 10 000 000 iterations.
    package init?(encoded: String) {
        let fields = encoded.utf8.split(separator: UInt8(ascii: "$"), omittingEmptySubsequences: false)
        guard fields.count == 4, fields[0].elementsEqual(Self.algorithm.utf8),
            let iterations = Int(Substring(fields[1])), Self.allowedIterations.contains(iterations),
            !fields[2].isEmpty,
            let digest = decodedBase64(Array(fields[3])), digest.count == Self.digestLength
        else { return nil }
        self.iterations = iterations
        salt = String(Substring(fields[2]))
        self.digest = digest
        // `Int` takes a sign and leading zeros, libcrypto white space and stray bits at the end. Django compares texts.
        guard self.encoded.utf8.elementsEqual(encoded.utf8) else { return nil }
    }

    /// Django's form, which the database keeps.
    package var encoded: String {
        "\(Self.algorithm)$\(iterations)$\(salt)$\(String(decoding: encodedBase64(digest), as: UTF8.self))"
    }

    /// Whether this is the hash of a password, compared in constant time; `false` when libcrypto refuses.
    package func matches(_ password: String) -> Bool {
        guard let candidate = Self.derive(password, salt: salt, iterations: iterations) else { return false }
        return constantTimeEqual(candidate, digest)
    }

    /// 22 characters of 62, Django's default: 131 bits.
    private static func makeSalt() throws(KelterError) -> String {
        let alphabet = Array("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789".utf8)
        // Bytes above the last multiple of 62 would make the first letters more frequent.
        let limit = 256 / alphabet.count * alphabet.count
        var salt: [UInt8] = []
        while salt.count < 22 {
            let usable = try secureRandomBytes(32).map { Int($0) }.filter { $0 < limit }
            salt += usable.prefix(22 - salt.count).map { alphabet[$0 % alphabet.count] }
        }
        return String(decoding: salt, as: UTF8.self)
    }

    private static func derive(_ password: String, salt: String, iterations: Int) -> [UInt8]? {
        // C's `char` for the password, but bytes for the salt.
        let password = password.utf8.map { CChar(bitPattern: $0) }
        let salt = Array(salt.utf8)
        guard let passwordLength = Int32(exactly: password.count), let saltLength = Int32(exactly: salt.count),
            let rounds = Int32(exactly: iterations)
        else { return nil }
        var digest = [UInt8](repeating: 0, count: digestLength)
        let result = PKCS5_PBKDF2_HMAC(
            password,
            passwordLength,
            salt,
            saltLength,
            rounds,
            EVP_sha256(),
            Int32(digestLength),
            &digest
        )
        return result == 1 ? digest : nil
    }
}

extension PasswordHash: CustomStringConvertible, CustomReflectable {
    /// Neither salt nor digest, which would let a reader of a log guess passwords.
    package var description: String { "\(Self.algorithm)$\(iterations)$…" }

    package var customMirror: Mirror { Mirror(self, children: []) }
}

/// Base64 (RFC 4648, section 4) with padding, as ASCII bytes.
func encodedBase64(_ bytes: [UInt8]) -> [UInt8] {
    // libcrypto ends the text with a NUL.
    var text = [UInt8](repeating: 0, count: (bytes.count + 2) / 3 * 4 + 1)
    let length = EVP_EncodeBlock(&text, bytes, Int32(bytes.count))
    return Array(text.prefix(Int(length)))
}

/// The bytes of base64 with padding; `nil` for a character of another alphabet or a length that is no multiple of 4.
///
/// libcrypto overlooks white space at the ends and stray bits in the last digit, so a strict caller encodes the result
/// and compares.
package func decodedBase64(_ text: [UInt8]) -> [UInt8]? {
    guard text.count % 4 == 0, let length = Int32(exactly: text.count) else { return nil }
    var bytes = [UInt8](repeating: 0, count: text.count / 4 * 3)
    let decoded = EVP_DecodeBlock(&bytes, text, length)
    // Padding is decoded as zero bits and counted.
    let padding = text.suffix(2).count { $0 == UInt8(ascii: "=") }
    guard decoded >= padding else { return nil }
    return Array(bytes.prefix(Int(decoded) - padding))
}
