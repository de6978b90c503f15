import CLibCrypto
package import KelterModel

/// SHA-256 (FIPS 180-4) by OpenSSL's libcrypto, which uses the processor's instructions where it has them.
///
/// The only implementation of hashing documents and texts. A value must stay on one thread; it is consumed by
/// ``finish()``.
package struct SHA256: ~Copyable {
    private let context: OpaquePointer?
    private var isGood: Bool

    package init() {
        context = EVP_MD_CTX_new()
        isGood = EVP_DigestInit_ex(context, EVP_sha256(), nil) == 1
    }

    deinit {
        EVP_MD_CTX_free(context)
    }

    /// Adds bytes to the message.
    package mutating func update(_ bytes: UnsafeRawBufferPointer) {
        guard let base = bytes.baseAddress, !bytes.isEmpty else { return }
        isGood = EVP_DigestUpdate(context, base, bytes.count) == 1 && isGood
    }

    /// The digest of all bytes added.
    ///
    /// - Throws: ``KelterError`` with ``ErrorCode/internalError`` when libcrypto refuses, as it does without memory.
    package consuming func finish() throws(KelterError) -> ContentHash {
        var digest = [UInt8](repeating: 0, count: 32)
        isGood =
            digest.withUnsafeMutableBufferPointer { EVP_DigestFinal_ex(context, $0.baseAddress, nil) } == 1 && isGood
        guard isGood, let hash = ContentHash(bytes: digest) else {
            throw KelterError(.internalError, "libcrypto could not compute a SHA-256 digest.")
        }
        return hash
    }

    /// The digest of bytes in memory.
    ///
    /// - Throws: ``KelterError`` with ``ErrorCode/internalError`` when libcrypto refuses.
    package static func hash(_ bytes: [UInt8]) throws(KelterError) -> ContentHash {
        var hasher = SHA256()
        bytes.withUnsafeBytes { hasher.update($0) }
        return try hasher.finish()
    }

    /// The digest of a text's UTF-8 bytes.
    ///
    /// - Throws: ``KelterError`` with ``ErrorCode/internalError`` when libcrypto refuses.
    package static func hash(_ text: String) throws(KelterError) -> ContentHash {
        var hasher = SHA256()
        var text = text
        text.withUTF8 { hasher.update(UnsafeRawBufferPointer($0)) }
        return try hasher.finish()
    }
}
