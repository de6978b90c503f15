package import KelterModel

/// Who asks which S3-compatible service for objects; the names are those of AWS's own tools.
package struct BucketSettings: Equatable, Sendable {
    /// `AWS_ENDPOINT_URL_S3`, or else `AWS_ENDPOINT_URL`: a service other than AWS.
    package let endpoint: String?
    /// `AWS_REGION`, or else `AWS_DEFAULT_REGION`.
    ///
    /// Default `us-east-1`.
    package let region: String
    /// `AWS_ACCESS_KEY_ID`; without it requests are not signed.
    package let accessKey: String?
    /// `AWS_SECRET_ACCESS_KEY`; a secret.
    package let secretKey: String?
    /// `AWS_SESSION_TOKEN`; a secret.
    package let sessionToken: String?
    /// `AWS_CA_BUNDLE`: the authorities to trust instead of the system's.
    package let caFile: String?

    /// Reads the settings; they are checked when a bucket is read.
    ///
    /// The variables may be there for other programs.
    init(_ reader: inout SettingsReader) {
        let endpoint = reader.text("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", mask: maskedPassword)
        self.endpoint = endpoint?.hasSuffix("/") == true ? endpoint.map { String($0.dropLast()) } : endpoint
        region = reader.text("AWS_REGION", "AWS_DEFAULT_REGION", builtIn: "us-east-1") ?? ""
        accessKey = reader.text("AWS_ACCESS_KEY_ID")
        secretKey = reader.text("AWS_SECRET_ACCESS_KEY", mask: { _ in SettingFile.mask })
        sessionToken = reader.text("AWS_SESSION_TOKEN", mask: { _ in SettingFile.mask })
        caFile = reader.text("AWS_CA_BUNDLE")
    }

    /// Makes sure that a bucket can be read with them.
    ///
    /// - Throws: ``KelterError`` with ``ErrorCode/settingInvalid`` about the setting at fault.
    package func check() throws(KelterError) {
        if let endpoint { try Self.check(endpoint: endpoint) }
        let isPlain = { (text: String) in text.utf8.allSatisfy { (0x21...0x7E).contains($0) } }
        guard !region.isEmpty, region.utf8.allSatisfy({ isLabelByte($0) }) else {
            throw invalid("AWS_REGION", "The region is no name.", fix: "Give a region such as eu-central-1.")
        }
        guard (accessKey == nil) == (secretKey == nil) else {
            throw invalid(
                accessKey == nil ? "AWS_ACCESS_KEY_ID" : "AWS_SECRET_ACCESS_KEY",
                "Of the key's two parts one is missing.",
                fix: "Set both, or neither for a public bucket."
            )
        }
        for (name, value) in [
            ("AWS_ACCESS_KEY_ID", accessKey), ("AWS_SECRET_ACCESS_KEY", secretKey), ("AWS_SESSION_TOKEN", sessionToken),
        ] {
            guard value.map(isPlain) ?? true else {
                throw invalid(name, "It has characters that a key cannot have.", fix: "Give it as it was issued.")
            }
        }
        if let caFile { try SettingFile("AWS_CA_BUNDLE", caFile).requireCertificate() }
    }

    private static func check(endpoint: String) throws(KelterError) {
        let scheme = ["http://", "https://"].first { endpoint.utf8.starts(with: $0.utf8) }
        let host = endpoint.utf8.dropFirst(scheme?.utf8.count ?? 0)
        let allowed = host.allSatisfy { isLabelByte($0) || ".:[]".utf8.contains($0) }
        guard scheme != nil, !host.isEmpty, allowed else {
            throw KelterError(
                .settingInvalid,
                "The address of the bucket's service is not an HTTP address.",
                subject: "AWS_ENDPOINT_URL_S3",
                fix: "Give an address such as https://minio.example:9000, without path."
            )
        }
    }

    private func invalid(_ name: String, _ message: String, fix: String) -> KelterError {
        KelterError(.settingInvalid, message, subject: name, fix: fix)
    }
}

private func isLabelByte(_ byte: UInt8) -> Bool {
    (0x30...0x39).contains(byte) || (0x61...0x7A).contains(byte | 0x20) || byte == UInt8(ascii: "-")
}
