import CLibCrypto
package import KelterModel

/// HMAC-SHA256 (RFC 2104 with SHA-256) of a message in memory.
///
/// - Parameters:
///   - message: The message; may be empty.
///   - key: The key of any length; may be empty.
/// - Returns: The 32 bytes of the code.
/// - Throws: ``KelterError`` with ``ErrorCode/internalError`` when libcrypto refuses.
package func hmacSHA256(_ message: [UInt8], key: [UInt8]) throws(KelterError) -> [UInt8] {
    let failure = KelterError(.internalError, "libcrypto could not compute an HMAC.")
    guard let keyLength = Int32(exactly: key.count) else { throw failure }
    // Without a byte there may be no address, which libcrypto takes for "the key of the time before".
    let keyBytes = key.isEmpty ? [0] : key
    var code = [UInt8](repeating: 0, count: 32)
    var length: UInt32 = 0
    let result = HMAC(EVP_sha256(), keyBytes, keyLength, message, message.count, &code, &length)
    guard result != nil, length == 32 else { throw failure }
    return code
}
