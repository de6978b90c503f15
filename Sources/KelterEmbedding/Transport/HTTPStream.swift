import CLibCurl
package import KelterModel

/// A connection that sends one request after the other on the caller's thread and passes replies on piece by piece.
///
/// Redirects are not followed, the path is sent as it is, and a body's coding is left as it is. Belongs to one thread at a
/// time.
package final class HTTPStream {
    /// Why there is no whole reply.
    package enum Failure: Error, Sendable, Equatable {
        /// No connection: refused, unknown host, or not made within 10 s.
        case unreachable
        /// The two sides do not trust each other; libcurl's words.
        case untrusted(String)
        /// The connection ended before the reply did, no byte came for too long, or there were too many header fields.
        case broken
        /// Who takes the bytes wants no more.
        case stopped
        /// The caller was told to give up.
        case cancelled
        /// libcurl refused; no setting helps.
        case internalError
    }

    /// The status and the header fields, by lower-case name; of several with one name the last.
    package struct Head: Sendable {
        package let status: Int
        package let headers: [String: String]
    }

    private let easy: UnsafeMutableRawPointer

    /// Opens nothing yet.
    ///
    /// - Throws: ``KelterError`` with ``ErrorCode/internalError``.
    package init() throws(KelterError) {
        guard let easy = curl_easy_init() else { throw KelterError(.internalError, "libcurl could not be set up.") }
        self.easy = easy
    }

    deinit {
        curl_easy_cleanup(easy)
    }

    /// Sends a request and takes the reply; blocks.
    ///
    /// - Parameters:
    ///   - exchange: The request; its time-out bounds the time without a byte.
    ///   - isCancelled: Is asked about once a second, and more often while bytes come; `true` ends the transfer.
    ///   - body: Gets the head, known by the first piece, and the pieces; `false` ends the transfer.
    /// - Returns: The head.
    /// - Throws: ``Failure``.
    package func perform(
        _ exchange: HTTPExchange,
        isCancelled: @escaping () -> Bool,
        body: (Head, UnsafeRawBufferPointer) -> Bool
    ) throws(Failure) -> Head {
        curl_easy_reset(easy)
        let list = exchange.headerList()
        defer { curl_slist_free_all(list) }
        return try withoutActuallyEscaping(body) { body throws(Failure) -> Head in
            let transfer = Transfer(body, isCancelled)
            let context = Unmanaged.passUnretained(transfer).toOpaque()
            let stall = max(1, Int(exchange.timeout.components.seconds))
            guard exchange.security.apply(to: easy, isLoopback: EndpointAddress.isLoopback(url: exchange.url)) else {
                throw .internalError
            }
            let codes = [
                ccurl_setopt_string(easy, CURLOPT_URL, exchange.url),
                // A key may have `..` between slashes, and what is signed is what must be sent.
                ccurl_setopt_long(easy, CURLOPT_PATH_AS_IS, 1),
                ccurl_setopt_long(easy, CURLOPT_NOSIGNAL, 1),
                ccurl_setopt_long(easy, CURLOPT_CONNECTTIMEOUT_MS, 10_000),
                ccurl_setopt_long(easy, CURLOPT_LOW_SPEED_LIMIT, 1),
                ccurl_setopt_long(easy, CURLOPT_LOW_SPEED_TIME, stall),
                ccurl_setopt_list(easy, CURLOPT_HTTPHEADER, list),
                ccurl_setopt_string(easy, CURLOPT_USERAGENT, "kelter"),
                ccurl_setopt_callback(easy, CURLOPT_WRITEFUNCTION, Transfer.receiveBody),
                ccurl_setopt_pointer(easy, CURLOPT_WRITEDATA, context),
                ccurl_setopt_callback(easy, CURLOPT_HEADERFUNCTION, Transfer.receiveHeader),
                ccurl_setopt_pointer(easy, CURLOPT_HEADERDATA, context),
                ccurl_setopt_long(easy, CURLOPT_NOPROGRESS, 0),
                ccurl_setopt_progress_callback(easy, Transfer.reportProgress),
                ccurl_setopt_pointer(easy, CURLOPT_XFERINFODATA, context),
                ccurl_setopt_string(easy, CURLOPT_CUSTOMREQUEST, exchange.method),
            ]
            guard codes.allSatisfy({ $0 == CURLE_OK }) else { throw .internalError }
            let code = withExtendedLifetime(transfer) { curl_easy_perform(easy) }
            if let failure = transfer.failure(code) { throw failure }
            return transfer.head
        }
    }

    /// One reply on its way.
    private final class Transfer {
        private let body: (Head, UnsafeRawBufferPointer) -> Bool
        private let isCancelled: () -> Bool
        private var status = 0
        private var headers: [String: String] = [:]
        private var headBytes = 0
        private var isStopped = false

        init(_ body: @escaping (Head, UnsafeRawBufferPointer) -> Bool, _ isCancelled: @escaping () -> Bool) {
            self.body = body
            self.isCancelled = isCancelled
        }

        var head: Head { Head(status: status, headers: headers) }

        func failure(_ code: CURLcode) -> Failure? {
            switch code {
            case CURLE_OK: nil
            case _ where isStopped: .stopped
            case CURLE_ABORTED_BY_CALLBACK: .cancelled
            case CURLE_COULDNT_CONNECT, CURLE_COULDNT_RESOLVE_HOST, CURLE_COULDNT_RESOLVE_PROXY: .unreachable
            case CURLE_PEER_FAILED_VERIFICATION, CURLE_SSL_ISSUER_ERROR, CURLE_SSL_CACERT_BADFILE,
                CURLE_SSL_CERTPROBLEM,
                CURLE_SSL_CONNECT_ERROR:
                .untrusted(String(cString: curl_easy_strerror(code)))
            default: .broken
            }
        }

        private func receive(_ bytes: UnsafeRawBufferPointer) -> Bool {
            isStopped = !body(head, bytes)
            return !isStopped
        }

        private func receive(line: UnsafeRawBufferPointer) -> Bool {
            headBytes += line.count
            guard headBytes <= maximumHeadBytes else { return false }
            let text = String(decoding: line, as: UTF8.self)
            if text.hasPrefix("HTTP/") {
                // After a 100 comes another head, of which alone the fields count.
                headers = [:]
                status = text.split(separator: " ").dropFirst().first.flatMap { Int($0.prefix(3)) } ?? 0
            } else if let colon = text.firstIndex(of: ":") {
                headers[lowercasedASCII(String(text[..<colon]))] = trimmed(String(text[text.index(after: colon)...]))
            }
            return true
        }

        private static func at(_ context: UnsafeMutableRawPointer?) -> Transfer? {
            context.map { Unmanaged<Transfer>.fromOpaque($0).takeUnretainedValue() }
        }

        static let reportProgress: curl_xferinfo_callback = { context, _, _, _, _ in
            Transfer.at(context)?.isCancelled() == true ? 1 : 0
        }

        static let receiveBody: ccurl_write_callback = { pointer, size, count, context in
            let bytes = UnsafeRawBufferPointer(start: pointer, count: pointer == nil ? 0 : size * count)
            // Another number than was offered makes libcurl end the transfer.
            return Transfer.at(context)?.receive(bytes) == true ? size * count : 0
        }

        static let receiveHeader: ccurl_write_callback = { pointer, size, count, context in
            let line = UnsafeRawBufferPointer(start: pointer, count: pointer == nil ? 0 : size * count)
            return Transfer.at(context)?.receive(line: line) == true ? size * count : 0
        }
    }
}
