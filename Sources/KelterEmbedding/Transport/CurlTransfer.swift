import CLibCurl
import Glibc
import KelterModel

/// One reusable easy handle with the reply it is receiving; lives on the driver's thread.
final class CurlTransfer {
    /// What all requests of a client have in common.
    struct Options {
        var address: EndpointAddress
        var timeout: Duration
        /// The header fields; the owner keeps the list alive longer than its transfers.
        var headers: UnsafeMutablePointer<curl_slist>?
    }

    let easy: UnsafeMutableRawPointer
    var request = 0
    private var body: [UInt8] = []
    private var maximumBytes = 0
    private var isTooLarge = false
    private var retryAfter: String?
    private var providerRetryAfter: String?
    private var retryAfterMilliseconds: String?
    private var limitFields: [(name: String, value: String)] = []

    /// Sets up a handle; `nil` when libcurl refuses one.
    init?(_ options: Options) {
        guard let easy = curl_easy_init() else { return nil }
        self.easy = easy
        let context = Unmanaged.passUnretained(self).toOpaque()
        let milliseconds = { (duration: Duration) in
            Int(max(1, duration.components.seconds * 1000 + duration.components.attoseconds / 1_000_000_000_000_000))
        }
        let results = [
            ccurl_setopt_string(easy, CURLOPT_URL, options.address.url),
            ccurl_allow_http_only(easy),
            // Signals for timeouts are no option in a program with threads.
            ccurl_setopt_long(easy, CURLOPT_NOSIGNAL, 1),
            ccurl_setopt_long(easy, CURLOPT_POST, 1),
            ccurl_setopt_long(easy, CURLOPT_FOLLOWLOCATION, 0),
            ccurl_setopt_long(easy, CURLOPT_SSL_VERIFYPEER, 1),
            ccurl_setopt_long(easy, CURLOPT_SSL_VERIFYHOST, 2),
            ccurl_setopt_long(easy, CURLOPT_TCP_KEEPALIVE, 1),
            ccurl_setopt_long(easy, CURLOPT_BUFFERSIZE, 256 << 10),
            ccurl_setopt_long(easy, CURLOPT_UPLOAD_BUFFERSIZE, 256 << 10),
            ccurl_setopt_long(easy, CURLOPT_TIMEOUT_MS, milliseconds(options.timeout)),
            ccurl_setopt_long(easy, CURLOPT_CONNECTTIMEOUT_MS, milliseconds(min(options.timeout, .seconds(10)))),
            ccurl_setopt_list(easy, CURLOPT_HTTPHEADER, options.headers),
            ccurl_setopt_string(easy, CURLOPT_USERAGENT, "kelter"),
            options.address.isLoopback ? ccurl_setopt_string(easy, CURLOPT_NOPROXY, "*") : CURLE_OK,
            ccurl_setopt_socket_callback(easy, closeOnExec),
            ccurl_setopt_callback(easy, CURLOPT_WRITEFUNCTION, receiveBody),
            ccurl_setopt_pointer(easy, CURLOPT_WRITEDATA, context),
            ccurl_setopt_callback(easy, CURLOPT_HEADERFUNCTION, receiveHeader),
            ccurl_setopt_pointer(easy, CURLOPT_HEADERDATA, context),
        ]
        guard results.allSatisfy({ $0 == CURLE_OK }) else { return nil }
    }

    deinit {
        curl_easy_cleanup(easy)
    }

    /// Makes the handle ready for a request.
    func prepare(_ request: Int, body: [UInt8], maximumReply: Int) -> Bool {
        self.request = request
        maximumBytes = maximumReply
        isTooLarge = false
        retryAfter = nil
        providerRetryAfter = nil
        retryAfterMilliseconds = nil
        limitFields.removeAll(keepingCapacity: true)
        self.body.removeAll(keepingCapacity: true)
        return body.withUnsafeBytes { ccurl_set_body(easy, $0.baseAddress, $0.count) } == CURLE_OK
    }

    /// Takes the outcome out of the handle, which may then be used again.
    func finish(_ code: CURLcode) -> TransferResult {
        var result = TransferResult()
        result.connections = ccurl_getinfo_long(easy, CURLINFO_NUM_CONNECTS)
        result.failure = Self.failure(code, isTooLarge: isTooLarge)
        result.status = ccurl_getinfo_long(easy, CURLINFO_RESPONSE_CODE)
        result.retryAfter = retryAfter ?? providerRetryAfter
        result.retryAfterMilliseconds = retryAfterMilliseconds
        result.limitFields = limitFields
        swap(&result.body, &body)
        // A buffer of the same size is likely to be wanted next time, and growing one means copying it.
        body.reserveCapacity(result.body.count)
        // A refusal that broke off is still a refusal.
        if result.failure == .cut, result.status >= 300 { result.failure = nil }
        return result
    }

    private static func failure(_ code: CURLcode, isTooLarge: Bool) -> TransferResult.Failure? {
        switch code {
        case CURLE_OK: nil
        case CURLE_OPERATION_TIMEDOUT: .timedOut
        case CURLE_COULDNT_CONNECT, CURLE_COULDNT_RESOLVE_HOST, CURLE_COULDNT_RESOLVE_PROXY: .unreachable
        case CURLE_PEER_FAILED_VERIFICATION, CURLE_SSL_CONNECT_ERROR, CURLE_SSL_CACERT_BADFILE: .untrusted
        case CURLE_PARTIAL_FILE: .cut
        case CURLE_WRITE_ERROR where isTooLarge: .tooLarge
        default: .broken
        }
    }

    fileprivate func append(_ bytes: UnsafeRawBufferPointer) -> Bool {
        guard body.count + bytes.count <= maximumBytes else {
            isTooLarge = true
            return false
        }
        body.append(contentsOf: bytes)
        return true
    }

    fileprivate func header(_ line: UnsafeRawBufferPointer) {
        // Only names beginning with R, L or X can be meant; most lines end here.
        guard let first = line.first.map({ $0 | 0x20 }),
            first == UInt8(ascii: "r") || first == UInt8(ascii: "l") || first == UInt8(ascii: "x"),
            let colon = line.firstIndex(of: UInt8(ascii: ":"))
        else { return }
        let name = lowercasedASCII(String(decoding: line[..<colon], as: UTF8.self))
        let value = { trimmed(String(decoding: line[(colon + 1)...], as: UTF8.self)) }
        switch name {
        case "retry-after": retryAfter = value()
        case "retry-after-ms", "llm_provider-retry-after-ms": retryAfterMilliseconds = value()
        case "llm_provider-retry-after": providerRetryAfter = value()
        default:
            // A server that sends thousands of them has nothing to tell.
            if name.contains("x-ratelimit-"), limitFields.count < 32 { limitFields.append((name, value())) }
        }
    }
}

// libcurl calls these on the driver's thread, within curl_multi_perform, while the transfer is alive.

private func receiveBody(
    _ bytes: UnsafeMutablePointer<CChar>?,
    _ size: Int,
    _ count: Int,
    _ context: UnsafeMutableRawPointer?
) -> Int {
    guard let bytes, let context else { return 0 }
    let transfer = Unmanaged<CurlTransfer>.fromOpaque(context).takeUnretainedValue()
    // Another number than was offered makes libcurl end the transfer.
    return transfer.append(UnsafeRawBufferPointer(start: bytes, count: size * count)) ? size * count : 0
}

private func receiveHeader(
    _ bytes: UnsafeMutablePointer<CChar>?,
    _ size: Int,
    _ count: Int,
    _ context: UnsafeMutableRawPointer?
) -> Int {
    guard let bytes, let context else { return 0 }
    let transfer = Unmanaged<CurlTransfer>.fromOpaque(context).takeUnretainedValue()
    transfer.header(UnsafeRawBufferPointer(start: bytes, count: size * count))
    return size * count
}

/// Keeps connections out of child processes, which would hold them open.
private func closeOnExec(_ context: UnsafeMutableRawPointer?, _ socket: curl_socket_t, _ purpose: curlsocktype) -> Int32
{
    _ = fcntl(socket, F_SETFD, FD_CLOEXEC)
    return Int32(CURL_SOCKOPT_OK)
}
