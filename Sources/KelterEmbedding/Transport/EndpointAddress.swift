import CLibCurl
import KelterModel

/// The checked address of one route of an OpenAI-compatible endpoint.
struct EndpointAddress: Sendable, Equatable {
    /// The whole URL, ending in the route.
    let url: String
    /// Whether the host is this machine: such requests never go through a proxy.
    let isLoopback: Bool

    /// Checks a base URL and appends the route.
    ///
    /// - Parameters:
    ///   - baseURL: `LITELLM_BASE_URL`, with or without `/v1` and a slash at the end.
    ///   - route: The path below it, such as `embeddings`.
    /// - Throws: ``KelterError`` with ``ErrorCode/settingInvalid`` about `LITELLM_BASE_URL`.
    init(baseURL: String, route: String) throws(KelterError) {
        let base = trimmed(baseURL)
        guard let handle = curl_url() else { throw KelterError(.internalError, "libcurl could not read an address.") }
        defer { curl_url_cleanup(handle) }
        let scheme = base.split(separator: ":", maxSplits: 1).first.map { lowercasedASCII(String($0)) }
        guard scheme == "http" || scheme == "https", !base.utf8.contains(where: { $0 <= 0x20 || $0 == 0x7F }),
            curl_url_set(handle, CURLUPART_URL, base, 0) == CURLUE_OK,
            let host = Self.part(CURLUPART_HOST, of: handle), !host.isEmpty,
            Self.part(CURLUPART_QUERY, of: handle) == nil, Self.part(CURLUPART_FRAGMENT, of: handle) == nil
        else {
            throw KelterError(
                .settingInvalid,
                "The address of the endpoint is not an HTTP address.",
                subject: "LITELLM_BASE_URL",
                fix: "Give an address such as http://localhost:4000 or https://gateway.example/v1, without query."
            )
        }
        var end = base[...]
        while end.hasSuffix("/") { end.removeLast() }
        url = end + "/" + route
        isLoopback = Self.isLoopback(host: host)
    }

    /// Whether a host, as libcurl writes it, is this machine.
    private static func isLoopback(host: String) -> Bool {
        let name = lowercasedASCII(host)
        // A name such as 127.example may be anybody's.
        let isAddress = name.utf8.allSatisfy { (0x30...0x39).contains($0) || $0 == UInt8(ascii: ".") }
        return name == "localhost" || name == "[::1]" || name.hasPrefix("127.") && isAddress
    }

    private static func part(_ part: CURLUPart, of handle: OpaquePointer) -> String? {
        var text: UnsafeMutablePointer<CChar>?
        guard curl_url_get(handle, part, &text, 0) == CURLUE_OK, let text else { return nil }
        defer { curl_free(text) }
        return String(cString: text)
    }
}

extension EndpointAddress {
    /// Whether the host of any URL is this machine; `false` for what is no URL.
    static func isLoopback(url: String) -> Bool {
        parts(of: url).map { isLoopback(host: $0.host) } ?? false
    }

    /// Scheme, host and port of any URL, without a user, a path or a query, which may hold secrets; at most 200 bytes of
    /// printable ASCII.
    static func origin(of url: String) -> String? {
        guard let parts = parts(of: url) else { return nil }
        let origin = parts.scheme + "://" + parts.host + (parts.port.map { ":" + $0 } ?? "")
        return origin.utf8.count <= 200 && origin.utf8.allSatisfy { (0x21...0x7E).contains($0) } ? origin : nil
    }

    private static func parts(of url: String) -> (scheme: String, host: String, port: String?)? {
        guard let handle = curl_url() else { return nil }
        defer { curl_url_cleanup(handle) }
        guard curl_url_set(handle, CURLUPART_URL, url, 0) == CURLUE_OK,
            let scheme = part(CURLUPART_SCHEME, of: handle), let host = part(CURLUPART_HOST, of: handle)
        else { return nil }
        return (scheme, host, part(CURLUPART_PORT, of: handle))
    }

    /// Refuses a key that no header field can carry.
    ///
    /// - Throws: ``KelterError`` with ``ErrorCode/settingInvalid`` about `LITELLM_MASTER_KEY`.
    static func check(key: String?) throws(KelterError) {
        guard let key, !key.utf8.allSatisfy({ (0x21...0x7E).contains($0) }) else { return }
        throw KelterError(
            .settingInvalid,
            "The key has characters that no header field can carry.",
            subject: "LITELLM_MASTER_KEY",
            fix: "Give the key without spaces and line breaks."
        )
    }
}
