import KelterHashing
import KelterModel

/// Who asks.
package struct S3Credentials: Sendable, Equatable {
    package var accessKey: String
    package var secretKey: String
    /// Of credentials that are valid for some time only.
    package var sessionToken: String?

    package init(accessKey: String, secretKey: String, sessionToken: String? = nil) {
        self.accessKey = accessKey
        self.secretKey = secretKey
        self.sessionToken = sessionToken
    }
}

/// AWS Signature Version 4 in a header, by the rules of S3: a path is encoded once and never normalised.
///
/// Source: "Authenticating Requests: Using the Authorization Header (AWS Signature Version 4)", Amazon S3 API Reference.
struct S3Signature {
    let credentials: S3Credentials
    let region: String
    /// Default `s3`; others only in the published examples.
    var service = "s3"

    /// Signs a request.
    ///
    /// - Parameters:
    ///   - method: The method in upper case.
    ///   - path: The path, not encoded.
    ///   - query: Names and values, not encoded.
    ///   - headers: The header fields that are signed, `host` among them.
    ///   - payloadHash: SHA-256 of the body in hexadecimal digits.
    ///   - time: The time as `20130524T000000Z`, which is also the field `x-amz-date`.
    /// - Returns: The value of `Authorization`.
    /// - Throws: ``KelterError`` with ``ErrorCode/internalError`` when libcrypto refuses.
    func authorization(
        method: String,
        path: String,
        query: [(name: String, value: String)],
        headers: [(name: String, value: String)],
        payloadHash: String,
        time: String
    ) throws(KelterError) -> String {
        let fields = Dictionary(grouping: headers) { lowercasedASCII($0.name) }.sorted {
            $0.key.utf8.lexicographicallyPrecedes($1.key.utf8)
        }
        let names = fields.map(\.key).joined(separator: ";")
        let lines = fields.map { name, values in
            "\(name):\(values.map { Self.collapsed($0.value) }.joined(separator: ","))\n"
        }
        let request = [
            method, Self.encoded(path, keepingSlashes: true), Self.canonical(query), lines.joined(), names, payloadHash,
        ].joined(separator: "\n")
        let scope = "\(time.prefix(8))/\(region)/\(service)/aws4_request"
        let text = "AWS4-HMAC-SHA256\n\(time)\n\(scope)\n\(try SHA256.hash(request).hex)"
        var key = Array("AWS4\(credentials.secretKey)".utf8)
        for part in scope.split(separator: "/") { key = try hmacSHA256(Array(part.utf8), key: key) }
        let signature = try hmacSHA256(Array(text.utf8), key: key)
        let digits = String(decoding: signature.flatMap { [hexDigit($0 >> 4), hexDigit($0 & 0xF)] }, as: UTF8.self)
        return
            "AWS4-HMAC-SHA256 Credential=\(credentials.accessKey)/\(scope), SignedHeaders=\(names), Signature=\(digits)"
    }

    /// The query as it is signed and sent: encoded, in the order of the encoded names.
    static func canonical(_ query: [(name: String, value: String)]) -> String {
        query.map { (encoded($0.name), encoded($0.value)) }.sorted {
            ($0.0, $0.1) < ($1.0, $1.1)
        }.map { "\($0.0)=\($0.1)" }.joined(separator: "&")
    }

    /// Text with every byte but unreserved ones (RFC 3986) as `%XX`.
    static func encoded(_ text: String, keepingSlashes: Bool = false) -> String {
        var bytes: [UInt8] = []
        for byte in text.utf8 {
            switch byte {
            case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"),
                UInt8(ascii: "~"):
                bytes.append(byte)
            case UInt8(ascii: "/") where keepingSlashes:
                bytes.append(byte)
            default:
                bytes += [UInt8(ascii: "%"), upperHexDigit(byte >> 4), upperHexDigit(byte & 0xF)]
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    private static func upperHexDigit(_ value: UInt8) -> UInt8 {
        value < 10 ? UInt8(ascii: "0") + value : UInt8(ascii: "A") + value - 10
    }

    private static func collapsed(_ value: String) -> String {
        value.split(separator: " ").joined(separator: " ")
    }
}
