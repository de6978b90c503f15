import KelterModel

/// How the endpoint is to be trusted, and how it is to know its client.
///
/// Certificates and keys are files in PEM, so that they need not be in any variable.
package struct EndpointSettings: Equatable, Sendable {
    /// `LITELLM_MASTER_KEY`, or what is in the file `LITELLM_MASTER_KEY_FILE`; a secret.
    package let key: String?
    /// `LITELLM_CA_FILE`: the authorities to trust instead of the system's.
    package let caFile: String?
    /// `LITELLM_CLIENT_CERT_FILE`: the certificate for endpoints that ask their clients for one.
    package let clientCertificateFile: String?
    /// `LITELLM_CLIENT_KEY_FILE`: its key; `nil` when it is in ``clientCertificateFile``.
    package let clientKeyFile: String?

    /// Reads the settings and the files they name.
    ///
    /// - Parameters:
    ///   - reader: The settings.
    ///   - baseURL: `LITELLM_BASE_URL`, without which, or without TLS, certificates would have no effect.
    /// - Throws: ``KelterError`` with ``ErrorCode/settingInvalid`` about the setting at fault.
    init(_ reader: inout SettingsReader, baseURL: String?) throws(KelterError) {
        let key = reader.text("LITELLM_MASTER_KEY", mask: { _ in SettingFile.mask })
        let keyFile = reader.text("LITELLM_MASTER_KEY_FILE", mask: SettingFile.shown)
        caFile = reader.text("LITELLM_CA_FILE")
        clientCertificateFile = reader.text("LITELLM_CLIENT_CERT_FILE", mask: SettingFile.shown)
        clientKeyFile = reader.text("LITELLM_CLIENT_KEY_FILE", mask: SettingFile.shown)
        self.key = try Self.key(key, file: keyFile)

        let files = [
            ("LITELLM_CA_FILE", caFile), ("LITELLM_CLIENT_CERT_FILE", clientCertificateFile),
            ("LITELLM_CLIENT_KEY_FILE", clientKeyFile),
        ]
        if let (name, _) = files.first(where: { $0.1 != nil }), baseURL?.hasPrefix("https://") != true {
            throw reader.invalid(name, allowed: "it together with an https:// address in LITELLM_BASE_URL")
        }
        guard clientKeyFile == nil || clientCertificateFile != nil else {
            throw reader.invalid("LITELLM_CLIENT_KEY_FILE", allowed: "it together with LITELLM_CLIENT_CERT_FILE")
        }
        if let caFile { try SettingFile("LITELLM_CA_FILE", caFile).requireCertificate() }
        guard let clientCertificateFile else { return }
        let certificate = SettingFile("LITELLM_CLIENT_CERT_FILE", clientCertificateFile)
        try certificate.requireCertificate()
        if let clientKeyFile {
            try SettingFile("LITELLM_CLIENT_KEY_FILE", clientKeyFile).requirePrivateKey()
        } else {
            try certificate.requirePrivateKey()
        }
    }

    private static func key(_ key: String?, file: String?) throws(KelterError) -> String? {
        guard let file else { return key }
        guard key == nil else {
            throw KelterError(
                .settingInvalid,
                "The key is given twice, by LITELLM_MASTER_KEY and by LITELLM_MASTER_KEY_FILE.",
                subject: "LITELLM_MASTER_KEY_FILE",
                fix: "Remove one of the two."
            )
        }
        return try SettingFile("LITELLM_MASTER_KEY_FILE", file).secret()
    }
}
