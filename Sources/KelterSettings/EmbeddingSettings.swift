import KelterModel

/// How the embedding endpoint is used, beside what a profile says, and how long its answers are kept.
package struct EmbeddingSettings: Equatable, Sendable {
    /// `EMBEDDINGS_REQUESTS_IN_FLIGHT`: the most requests at a time; how many there are adapts to the endpoint.
    ///
    /// Default 16.
    package let requestsInFlight: Int
    /// `EMBEDDINGS_OUTAGE_PATIENCE_SECONDS`: how long a batch waits for an endpoint that has worked and is away.
    ///
    /// Default 300 s.
    package let outagePatience: Duration
    /// `EMBEDDINGS_CACHE`: whether vectors are looked up in the cache and entered there; `on` or `off`.
    ///
    /// Default on.
    package let usesCache: Bool
    /// `EMBEDDINGS_CACHE_MAX_DAYS`: entries that were not used for so long are removed.
    ///
    /// Default 90 days.
    package let cacheAge: Duration
    /// `EMBEDDINGS_CACHE_MAX_MB`: what is beyond, of one tenant, is removed, least recently used first; in bytes.
    ///
    /// Default 2048 MB.
    package let cacheBytes: Int

    /// Reads the settings.
    ///
    /// - Throws: ``KelterError`` with ``ErrorCode/settingInvalid``.
    init(_ reader: inout SettingsReader) throws(KelterError) {
        requestsInFlight = try reader.integer("EMBEDDINGS_REQUESTS_IN_FLIGHT", builtIn: 16, in: 1...256)
        outagePatience = .seconds(
            try reader.integer("EMBEDDINGS_OUTAGE_PATIENCE_SECONDS", builtIn: 300, in: 0...86_400)
        )
        let name = "EMBEDDINGS_CACHE"
        switch lowercasedASCII(reader.text(name, builtIn: "on") ?? "") {
        case "on": usesCache = true
        case "off": usesCache = false
        default: throw reader.invalid(name, allowed: "on or off")
        }
        cacheAge = .seconds(86_400 * (try reader.integer("EMBEDDINGS_CACHE_MAX_DAYS", builtIn: 90, in: 1...36_500)))
        cacheBytes = try reader.integer("EMBEDDINGS_CACHE_MAX_MB", builtIn: 2048, in: 1...16_777_216) << 20
    }
}
