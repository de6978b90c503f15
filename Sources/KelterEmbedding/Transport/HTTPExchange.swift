import CLibCurl
import Glibc
package import KelterModel

/// One HTTP request of any kind, for checks and health; the embedding client has its own, faster way.
package struct HTTPExchange: Sendable {
    /// A reply with at most 4 MiB of body and 256 KiB of header fields.
    package struct Reply: Sendable {
        package let status: Int
        /// Header fields by lower-case name; of several with one name the last.
        package let headers: [String: String]
        package let body: [UInt8]
    }

    package var method: String
    package var url: String
    package var headers: [(name: String, value: String)]
    package var body: [UInt8]?
    /// Whom the connection trusts and how it shows who it is.
    package var security = ConnectionSecurity()
    /// The whole time of the exchange; default 30 s.
    package var timeout: Duration

    package init(
        _ method: String,
        _ url: String,
        headers: [(name: String, value: String)] = [],
        body: [UInt8]? = nil,
        timeout: Duration = .seconds(30)
    ) {
        self.method = method
        self.url = url
        self.headers = headers
        self.body = body
        self.timeout = timeout
    }

    /// Sends the request on a thread of its own and waits for the reply; redirects are not followed.
    ///
    /// - Throws: ``KelterError`` with ``ErrorCode/serviceUnreachable`` when there is no reply, or
    ///   ``ErrorCode/settingInvalid`` about a file of ``security``.
    package func send() async throws(KelterError) -> Reply {
        try security.check()
        let exchange = self
        let result: Result<Reply, KelterError> = await withCheckedContinuation { continuation in
            let isStarted = startThread { continuation.resume(returning: exchange.perform()) }
            if !isStarted {
                continuation.resume(returning: .failure(KelterError(.internalError, "No thread could be started.")))
            }
        }
        return try result.get()
    }

    private func perform() -> Result<Reply, KelterError> {
        guard let easy = curl_easy_init() else {
            return .failure(KelterError(.internalError, "libcurl could not be set up."))
        }
        defer { curl_easy_cleanup(easy) }
        let list = headerList()
        defer { curl_slist_free_all(list) }
        let received = Received()
        let context = Unmanaged.passUnretained(received).toOpaque()
        let milliseconds = Int(
            timeout.components.seconds * 1000 + timeout.components.attoseconds / 1_000_000_000_000_000
        )
        guard security.apply(to: easy, isLoopback: EndpointAddress.isLoopback(url: url)) else {
            return .failure(KelterError(.internalError, "libcurl could not be set up."))
        }
        var codes = [
            ccurl_setopt_string(easy, CURLOPT_URL, url),
            ccurl_setopt_long(easy, CURLOPT_NOSIGNAL, 1),
            ccurl_setopt_long(easy, CURLOPT_TIMEOUT_MS, max(1, milliseconds)),
            ccurl_setopt_list(easy, CURLOPT_HTTPHEADER, list),
            ccurl_setopt_string(easy, CURLOPT_USERAGENT, "kelter"),
            ccurl_setopt_callback(easy, CURLOPT_WRITEFUNCTION, Self.receiveBody),
            ccurl_setopt_pointer(easy, CURLOPT_WRITEDATA, context),
            ccurl_setopt_callback(easy, CURLOPT_HEADERFUNCTION, Self.receiveHeader),
            ccurl_setopt_pointer(easy, CURLOPT_HEADERDATA, context),
        ]
        if let body { codes.append(body.withUnsafeBytes { ccurl_set_body(easy, $0.baseAddress, $0.count) }) }
        codes.append(ccurl_setopt_string(easy, CURLOPT_CUSTOMREQUEST, method))
        let code = withExtendedLifetime(received) {
            codes.first { $0 != CURLE_OK } ?? curl_easy_perform(easy)
        }
        guard code == CURLE_OK else {
            return .failure(
                KelterError(
                    .serviceUnreachable,
                    "There is no reply: \(String(cString: curl_easy_strerror(code))).",
                    // The whole address may hold a password.
                    subject: EndpointAddress.origin(of: url),
                    fix: code == CURLE_PEER_FAILED_VERIFICATION
                        ? "Set LITELLM_CA_FILE to the certificate of the service's authority, or correct the address."
                        : "Check the address, and that the service is running."
                )
            )
        }
        return .success(
            Reply(
                status: ccurl_getinfo_long(easy, CURLINFO_RESPONSE_CODE),
                headers: received.headers,
                body: received.body
            )
        )
    }

    /// The header fields as libcurl takes them; the caller frees the list.
    func headerList() -> UnsafeMutablePointer<curl_slist>? {
        var list: UnsafeMutablePointer<curl_slist>?
        for (name, value) in headers {
            // libcurl leaves a field without value out, unless a semicolon takes the colon's place.
            list = curl_slist_append(list, trimmed(value).isEmpty ? "\(name);" : "\(name): \(value)")
        }
        // It waits a second for a 100 unless it is told not to ask for one.
        return curl_slist_append(list, "Expect:")
    }

    /// What the callbacks have received; only the exchange's thread touches it.
    private final class Received {
        static let maximumBytes = 4 << 20
        var body: [UInt8] = []
        var headers: [String: String] = [:]
        var headBytes = 0
    }

    private static func bytes(
        _ pointer: UnsafeMutablePointer<CChar>?,
        _ count: Int
    ) -> UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(start: pointer, count: pointer == nil ? 0 : count)
    }

    private static let receiveBody: ccurl_write_callback = { pointer, size, count, context in
        guard let context else { return 0 }
        let received = Unmanaged<Received>.fromOpaque(context).takeUnretainedValue()
        guard received.body.count + size * count <= Received.maximumBytes else { return 0 }
        received.body.append(contentsOf: HTTPExchange.bytes(pointer, size * count))
        return size * count
    }

    private static let receiveHeader: ccurl_write_callback = { pointer, size, count, context in
        guard let context else { return 0 }
        let received = Unmanaged<Received>.fromOpaque(context).takeUnretainedValue()
        received.headBytes += size * count
        guard received.headBytes <= maximumHeadBytes else { return 0 }
        let line = String(decoding: HTTPExchange.bytes(pointer, size * count), as: UTF8.self)
        if let colon = line.firstIndex(of: ":") {
            received.headers[lowercasedASCII(String(line[..<colon]))] = trimmed(
                String(line[line.index(after: colon)...])
            )
        }
        return size * count
    }
}
