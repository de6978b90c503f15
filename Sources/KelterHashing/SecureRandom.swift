import CLibCrypto
package import KelterModel

/// Bytes nobody can guess, from libcrypto's generator, which the kernel seeds.
///
/// - Parameter count: Number of bytes, not negative.
/// - Returns: That many bytes.
/// - Throws: ``KelterError`` with ``ErrorCode/internalError`` when the system gives no random numbers.
package func secureRandomBytes(_ count: Int) throws(KelterError) -> [UInt8] {
    let failure = KelterError(.internalError, "The system gives no random numbers.")
    guard let length = Int32(exactly: count) else { throw failure }
    var bytes = [UInt8](repeating: 0, count: count)
    guard RAND_bytes(&bytes, length) == 1 else { throw failure }
    return bytes
}

/// Whether two secrets are equal, in a time that does not tell where they differ.
///
/// Secrets of different lengths are unequal; that they differ in length is not hidden.
package func constantTimeEqual(_ a: [UInt8], _ b: [UInt8]) -> Bool {
    a.count == b.count && CRYPTO_memcmp(a, b, a.count) == 0
}
