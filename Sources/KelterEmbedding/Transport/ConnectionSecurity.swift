import CLibCurl
import Glibc
package import KelterModel

/// How connections to an endpoint prove who is who.
///
/// TLS 1.2 is the least there is, and the server's certificate and host name are always verified: no setting switches
/// that off. Redirects are never followed, so the key goes to the configured address and nowhere else.
package struct ConnectionSecurity: Sendable, Equatable {
    /// `LITELLM_CA_FILE`: certificates in PEM of the authorities to trust; default those of the system.
    package var caFile: String?
    /// `LITELLM_CLIENT_CERT_FILE`: the client's own certificate in PEM, for servers that ask for one.
    package var clientCertificateFile: String?
    /// `LITELLM_CLIENT_KEY_FILE`: its key in PEM, without a passphrase; default ``clientCertificateFile`` itself.
    package var clientKeyFile: String?

    package init(caFile: String? = nil, clientCertificateFile: String? = nil, clientKeyFile: String? = nil) {
        self.caFile = caFile
        self.clientCertificateFile = clientCertificateFile
        self.clientKeyFile = clientKeyFile
    }

    /// Makes sure that the files are there before anything is sent.
    ///
    /// What is in them is libcurl's to read, for each connection anew.
    ///
    /// - Throws: ``KelterError`` with ``ErrorCode/settingInvalid`` about the setting of the file at fault.
    package func check() throws(KelterError) {
        guard clientKeyFile == nil || clientCertificateFile != nil else {
            throw KelterError(
                .settingInvalid,
                "There is a client key but no client certificate.",
                subject: "LITELLM_CLIENT_KEY_FILE",
                fix: "Set LITELLM_CLIENT_CERT_FILE to the certificate of that key."
            )
        }
        try Self.check("LITELLM_CA_FILE", caFile)
        try Self.check("LITELLM_CLIENT_CERT_FILE", clientCertificateFile)
        try Self.check("LITELLM_CLIENT_KEY_FILE", clientKeyFile)
    }

    private static func check(_ setting: String, _ path: String?) throws(KelterError) {
        guard let path else { return }
        var status = stat()
        guard stat(path, &status) == 0, access(path, R_OK) == 0, status.st_mode & S_IFMT == S_IFREG else {
            throw KelterError(
                .settingInvalid,
                "The file \(shortened(path)) cannot be read.",
                subject: setting,
                fix: "Name a file in PEM that this user may read."
            )
        }
    }
}

extension ConnectionSecurity {
    /// Sets up a handle.
    ///
    /// - Parameters:
    ///   - easy: The handle.
    ///   - isLoopback: Whether the host is this machine, to which no proxy leads; other hosts are reached as the usual
    ///     variables such as `https_proxy` and `no_proxy` say.
    /// - Returns: `false` when libcurl refuses an option.
    func apply(to easy: UnsafeMutableRawPointer, isLoopback: Bool) -> Bool {
        var results = [
            ccurl_allow_http_only(easy),
            ccurl_setopt_long(easy, CURLOPT_FOLLOWLOCATION, 0),
            ccurl_setopt_long(easy, CURLOPT_SSLVERSION, Int(CURL_SSLVERSION_TLSv1_2)),
            ccurl_setopt_long(easy, CURLOPT_SSL_VERIFYPEER, 1),
            ccurl_setopt_long(easy, CURLOPT_SSL_VERIFYHOST, 2),
        ]
        if isLoopback { results.append(ccurl_setopt_string(easy, CURLOPT_NOPROXY, "*")) }
        if let caFile {
            results.append(ccurl_setopt_string(easy, CURLOPT_CAINFO, caFile))
            // The system's directory of certificates would be looked into as well.
            results.append(ccurl_reset_string(easy, CURLOPT_CAPATH))
        }
        if let clientCertificateFile {
            results.append(ccurl_setopt_string(easy, CURLOPT_SSLCERT, clientCertificateFile))
            // Without an answer of ours OpenSSL would ask the terminal for the passphrase of a key that has one.
            results.append(ccurl_setopt_string(easy, CURLOPT_KEYPASSWD, ""))
        }
        if let clientKeyFile { results.append(ccurl_setopt_string(easy, CURLOPT_SSLKEY, clientKeyFile)) }
        return results.allSatisfy { $0 == CURLE_OK }
    }
}
