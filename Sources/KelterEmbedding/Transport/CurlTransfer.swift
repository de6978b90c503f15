import CLibCurl
import Glibc
import KelterModel

/// One reusable easy handle with the reply it is receiving; lives on the driver's thread.
final class CurlTransfer {
    /// What all requests of a client have in common.
    struct Options {
        var address: EndpointAddress
        var security: ConnectionSecurity
        var timeout: Duration
        /// The header fields; the owner keeps the list alive longer than its transfers.
        var headers: UnsafeMutablePointer<curl_slist>?
    }

    let easy: UnsafeMutableRawPointer
    var request = 0
    private var body: [UInt8] = []
    private var maximumBytes = 0
    private var isTooLarge = false
    /// Bytes of header fields so far; libcurl itself keeps all of them.
    private var headBytes = 0
    /// Where libcurl writes what went wrong.
    private let message: UnsafeMutablePointer<CChar>
    private var retryAfter: String?
    private var providerRetryAfter: String?
    private var retryAfterMilliseconds: String?
    private var limitFields: [(name: String, value: String)] = []

    /// Sets up a handle; `nil` when libcurl refuses one.
    init?(_ options: Options) {
        guard let easy = curl_easy_init() else { return nil }
        self.easy = easy
        message = .allocate(capacity: Int(CURL_ERROR_SIZE))
        message.initialize(repeating: 0, count: Int(CURL_ERROR_SIZE))
        let context = Unmanaged.passUnretained(self).toOpaque()
        let milliseconds = { (duration: Duration) in
            Int(max(1, duration.components.seconds * 1000 + duration.components.attoseconds / 1_000_000_000_000_000))
        }
        let results = [
            ccurl_setopt_string(easy, CURLOPT_URL, options.address.url),
            // Signals for timeouts are no option in a program with threads.
            ccurl_setopt_long(easy, CURLOPT_NOSIGNAL, 1),
            ccurl_setopt_long(easy, CURLOPT_POST, 1),
            ccurl_setopt_long(easy, CURLOPT_TCP_KEEPALIVE, 1),
            ccurl_setopt_long(easy, CURLOPT_BUFFERSIZE, 256 << 10),
            ccurl_setopt_long(easy, CURLOPT_UPLOAD_BUFFERSIZE, 256 << 10),
            // This one limit ends a reply that drips, too. A limit of the speed would also end a model that thinks.
            ccurl_setopt_long(easy, CURLOPT_TIMEOUT_MS, milliseconds(options.timeout)),
            ccurl_setopt_long(easy, CURLOPT_CONNECTTIMEOUT_MS, milliseconds(min(options.timeout, .seconds(10)))),
            ccurl_setopt_list(easy, CURLOPT_HTTPHEADER, options.headers),
            ccurl_setopt_string(easy, CURLOPT_USERAGENT, "kelter"),
            ccurl_setopt_socket_callback(easy, closeOnExec),
            ccurl_setopt_callback(easy, CURLOPT_WRITEFUNCTION, receiveBody),
            ccurl_setopt_pointer(easy, CURLOPT_WRITEDATA, context),
            ccurl_setopt_callback(easy, CURLOPT_HEADERFUNCTION, receiveHeader),
            ccurl_setopt_pointer(easy, CURLOPT_HEADERDATA, context),
            ccurl_setopt_pointer(easy, CURLOPT_ERRORBUFFER, message),
        ]
        guard results.allSatisfy({ $0 == CURLE_OK }),
            options.security.apply(to: easy, isLoopback: options.address.isLoopback)
        else { return nil }
    }

    deinit {
        curl_easy_cleanup(easy)
        message.deallocate()
    }

    /// Makes the handle ready for a request.
    func prepare(_ request: Int, body: [UInt8], maximumReply: Int) -> Bool {
        self.request = request
        maximumBytes = maximumReply
        isTooLarge = false
        headBytes = 0
        message[0] = 0
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
        result.failure = failure(code)
        result.status = ccurl_getinfo_long(easy, CURLINFO_RESPONSE_CODE)
        result.contentType = ccurl_getinfo_string(easy, CURLINFO_CONTENT_TYPE).map { String(cString: $0) }
        if (300..<400).contains(result.status) {
            result.redirect = ccurl_getinfo_string(easy, CURLINFO_REDIRECT_URL).flatMap {
                EndpointAddress.origin(of: String(cString: $0))
            }
        }
        result.retryAfter = retryAfter ?? providerRetryAfter
        result.retryAfterMilliseconds = retryAfterMilliseconds
        result.limitFields = limitFields
        swap(&result.body, &body)
        // A buffer of the same size is likely to be wanted next time, and growing one means copying it.
        body.reserveCapacity(result.body.count)
        // With TLS and with HTTP/2 a reply that has begun breaks off in ways of their own.
        if result.failure == .broken, result.status != 0 { result.failure = .cut }
        // A refusal that broke off is still a refusal.
        if result.failure == .cut, result.status >= 300 { result.failure = nil }
        return result
    }

    private func failure(_ code: CURLcode) -> TransferResult.Failure? {
        guard code != CURLE_OK else { return nil }
        let verification = ccurl_getinfo_long(easy, CURLINFO_SSL_VERIFYRESULT)
        if let failure = TLSFailure(code, verification: verification, message: String(cString: message)) {
            return .untrusted(failure)
        }
        return switch code {
        case CURLE_OPERATION_TIMEDOUT: .timedOut
        case CURLE_COULDNT_CONNECT, CURLE_COULDNT_RESOLVE_HOST, CURLE_COULDNT_RESOLVE_PROXY: .unreachable
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

    /// Counts the bytes of a header line; `false` when there are too many of them.
    fileprivate func takeHead(_ count: Int) -> Bool {
        headBytes += count
        isTooLarge = isTooLarge || headBytes > maximumHeadBytes
        return !isTooLarge
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

/// The most bytes of a reply's header fields: 256 KiB.
let maximumHeadBytes = 256 << 10

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
    guard transfer.takeHead(size * count) else { return 0 }
    transfer.header(UnsafeRawBufferPointer(start: bytes, count: size * count))
    return size * count
}

/// Keeps connections out of child processes, which would hold them open.
private func closeOnExec(_ context: UnsafeMutableRawPointer?, _ socket: curl_socket_t, _ purpose: curlsocktype) -> Int32
{
    _ = fcntl(socket, F_SETFD, FD_CLOEXEC)
    return Int32(CURL_SOCKOPT_OK)
}
