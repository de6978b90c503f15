import KelterModel

extension KelterError {
    /// A multipart body that cannot be read.
    static func multipart(
        _ message: String,
        subject: String? = nil,
        fix: String = "Send the body as browsers and curl -F do."
    ) -> Self {
        Self(.invalidMultipart, message, subject: subject, fix: fix)
    }
}
