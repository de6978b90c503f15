import CLibCurl
import KelterModel

/// Why there is no trusted connection.
enum TLSFailure: Sendable, Equatable {
    /// The server's certificate comes from nobody that is trusted.
    case unknownAuthority
    /// Its certificate is not valid any more, or not yet.
    case expired
    /// Its certificate is for another host.
    case otherName
    /// The two sides do not understand each other: no TLS at all, or none of 1.2 or later.
    case noAgreement
    /// The server refused the client's certificate, or its having none.
    case clientRefused
    /// The client's certificate and key cannot be used.
    case clientFiles
    /// The file of authorities cannot be used.
    case authorityFile
}

extension TLSFailure {
    /// Recognises a failure; `nil` for an outcome that has nothing to do with TLS.
    ///
    /// - Parameters:
    ///   - code: The outcome of the transfer.
    ///   - verification: `CURLINFO_SSL_VERIFYRESULT`: OpenSSL's reason, an `X509_V_ERR_…`.
    ///   - message: libcurl's text, which alone says that a name does not match or that the server has sent an alert.
    init?(_ code: CURLcode, verification: Int, message: String) {
        switch code {
        case CURLE_PEER_FAILED_VERIFICATION, CURLE_SSL_ISSUER_ERROR, CURLE_SSL_INVALIDCERTSTATUS:
            switch verification {
            // X509_V_ERR_CERT_NOT_YET_VALID and X509_V_ERR_CERT_HAS_EXPIRED.
            case 9, 10: self = .expired
            // libcurl compares the names itself, before it asks OpenSSL for a result.
            default: self = message.contains(" match") ? .otherName : .unknownAuthority
            }
        case CURLE_SSL_CACERT_BADFILE: self = .authorityFile
        case CURLE_SSL_CERTPROBLEM: self = .clientFiles
        case CURLE_SSL_CONNECT_ERROR, CURLE_RECV_ERROR, CURLE_SEND_ERROR:
            // In TLS 1.3 the server refuses a client when that one considers the connection made.
            if message.contains(" alert "), Self.clientAlerts.contains(where: message.contains) {
                self = .clientRefused
            } else if code == CURLE_SSL_CONNECT_ERROR, !message.contains("SYSCALL"), !message.contains("reset by peer")
            {
                self = .noAgreement
            } else {
                return nil
            }
        case CURLE_SSL_CIPHER, CURLE_USE_SSL_FAILED: self = .noAgreement
        default: return nil
        }
    }

    /// The alerts of RFC 8446 section 6.2 about the client's certificate, as OpenSSL spells them.
    private static let clientAlerts = [
        "certificate required", "bad certificate", "unsupported certificate", "certificate revoked",
        "certificate expired", "certificate unknown", "unknown ca", "access denied",
    ]

    /// The error of a service.
    ///
    /// - Parameters:
    ///   - service: Its name in the message, such as `embedding`.
    ///   - untrusted: The code when the server cannot be trusted.
    ///   - unauthorised: The code when the server refuses the client.
    /// - Returns: The error; its code is ``ErrorCode/settingInvalid`` when a file of the client's is at fault.
    func error(service: String, untrusted: ErrorCode, unauthorised: ErrorCode) -> KelterError {
        let address = "LITELLM_BASE_URL"
        return switch self {
        case .unknownAuthority:
            KelterError(
                untrusted,
                "The certificate of the \(service) endpoint comes from an authority that is not trusted.",
                subject: address,
                fix: "Set LITELLM_CA_FILE to that authority's certificate in PEM, or correct the address."
            )
        case .expired:
            KelterError(
                untrusted,
                "The certificate of the \(service) endpoint has expired or is not valid yet.",
                subject: address,
                fix: "Renew the service's certificate, and check this machine's clock."
            )
        case .otherName:
            KelterError(
                untrusted,
                "The certificate of the \(service) endpoint is for another host.",
                subject: address,
                fix: "Use the host name that the certificate was made for."
            )
        case .noAgreement:
            KelterError(
                untrusted,
                "TLS 1.2 or later cannot be agreed upon with the \(service) endpoint.",
                subject: address,
                fix: "Check that the port is one for https, and whether the service wants a client certificate."
            )
        case .clientRefused:
            KelterError(
                unauthorised,
                "The \(service) endpoint refuses the connection without a client certificate that it accepts.",
                subject: "LITELLM_CLIENT_CERT_FILE",
                fix: "Set LITELLM_CLIENT_CERT_FILE and LITELLM_CLIENT_KEY_FILE to a certificate of that service."
            )
        case .clientFiles:
            KelterError(
                .settingInvalid,
                "The client certificate and its key cannot be used.",
                subject: "LITELLM_CLIENT_CERT_FILE",
                fix: "Give a certificate in PEM with the key that belongs to it, without a passphrase."
            )
        case .authorityFile:
            KelterError(
                .settingInvalid,
                "The file of certificate authorities cannot be used.",
                subject: "LITELLM_CA_FILE",
                fix: "Give a file with certificates in PEM."
            )
        }
    }
}
