import KelterModel

/// The settings of the HTTP service.
package struct ServiceSettings: Equatable, Sendable {
    /// So many requests in so much time.
    package struct Quota: Equatable, Sendable {
        package let requests: Int
        package let period: Duration
    }

    /// What `X-Internal-Key` may be; secrets.
    package let internalKeys: [String]
    /// Requests of one tenant; `nil` for no limit.
    package let quota: Quota?
    /// The largest file of an upload, in bytes.
    package let maximumUploadBytes: Int

    /// Reads the settings.
    ///
    /// - Throws: ``KelterError`` with ``ErrorCode/settingInvalid``.
    init(_ reader: inout SettingsReader) throws(KelterError) {
        let keys = reader.text("RAG_INTERNAL_KEYS", mask: { _ in "********" }) ?? ""
        internalKeys = keys.split(separator: ",").map { trimmed(String($0)) }.filter { !$0.isEmpty }
        // The value is a secret, which the usual message would quote.
        guard internalKeys.allSatisfy({ $0.utf8.count >= 16 }) else {
            throw KelterError(
                .settingInvalid,
                "One of the keys is shorter than 16 characters.",
                subject: "RAG_INTERNAL_KEYS",
                fix: "Use random keys of 16 or more characters, separated by commas."
            )
        }
        quota = try Self.quota(&reader)
        maximumUploadBytes = try reader.integer("RAG_UPLOAD_MAX_BYTES", builtIn: 100 << 20, in: 1...(1 << 40))
    }

    private static func quota(_ reader: inout SettingsReader) throws(KelterError) -> Quota? {
        let name = "AI_CORE_RATE_LIMIT_QUOTA"
        let text = lowercasedASCII(reader.text(name, builtIn: "60/min") ?? "")
        if text == "off" { return nil }
        let parts = text.split(separator: "/", omittingEmptySubsequences: false).map { trimmed(String($0)) }
        let periods: [String: Duration] = [
            "s": .seconds(1), "sec": .seconds(1), "min": .seconds(60), "m": .seconds(60), "h": .seconds(3600),
        ]
        guard (1...2).contains(parts.count), let requests = Int(parts[0]), (1...1_000_000_000).contains(requests),
            let period = periods[parts.count == 2 ? parts[1] : "min"]
        else {
            throw reader.invalid(name, allowed: "a number of requests a period such as 60/min, 10/s or 1000/h, or off")
        }
        return Quota(requests: requests, period: period)
    }
}
