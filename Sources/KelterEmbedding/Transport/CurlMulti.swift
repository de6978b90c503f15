import CLibCurl
import KelterModel

/// All transfers of one client; made, used and ended on the driver's thread, apart from ``Waker``.
final class CurlMulti {
    /// Interrupts ``CurlMulti/wait(_:)`` from another thread.
    ///
    /// Unchecked: `curl_multi_wakeup` is the one function libcurl allows from any thread while the handle lives; the
    /// holder drops its waker, under a lock, before the handle is freed.
    struct Waker: @unchecked Sendable {
        fileprivate let multi: UnsafeMutableRawPointer

        func wake() {
            curl_multi_wakeup(multi)
        }
    }

    private let multi: UnsafeMutableRawPointer
    private let options: CurlTransfer.Options
    private var idle: [CurlTransfer] = []
    private var active: [Int: CurlTransfer] = [:]

    /// Runs once in a process, before any other use of libcurl.
    private static let isReady = curl_global_init(Int(CURL_GLOBAL_DEFAULT)) == CURLE_OK

    /// Sets up the handle; `nil` when libcurl refuses one.
    init?(
        address: EndpointAddress,
        apiKey: String?,
        security: ConnectionSecurity,
        timeout: Duration,
        connections: Int
    ) {
        guard Self.isReady, let multi = curl_multi_init() else { return nil }
        self.multi = multi
        ccurl_multi_setopt_long(multi, CURLMOPT_MAXCONNECTS, connections)
        ccurl_multi_setopt_long(multi, CURLMOPT_MAX_HOST_CONNECTIONS, connections)
        var fields = ["Content-Type: application/json", "Accept: application/json"]
        // An empty field removes what libcurl would send: a server's 100 is not worth waiting for.
        fields.append("Expect:")
        if let apiKey { fields.append("Authorization: Bearer \(apiKey)") }
        var headers: UnsafeMutablePointer<curl_slist>?
        for field in fields { headers = curl_slist_append(headers, field) }
        options = CurlTransfer.Options(address: address, security: security, timeout: timeout, headers: headers)
    }

    deinit {
        for transfer in active.values { curl_multi_remove_handle(multi, transfer.easy) }
        active.removeAll()
        idle.removeAll()
        curl_multi_cleanup(multi)
        curl_slist_free_all(options.headers)
    }

    var waker: Waker { Waker(multi: multi) }

    /// Starts a request; `false` when libcurl refuses it.
    func start(_ request: Int, body: [UInt8], maximumReply: Int) -> Bool {
        guard let transfer = idle.popLast() ?? CurlTransfer(options),
            transfer.prepare(request, body: body, maximumReply: maximumReply),
            curl_multi_add_handle(multi, transfer.easy) == CURLM_OK
        else { return false }
        active[request] = transfer
        return true
    }

    /// Ends a request without an outcome; its connection is closed if it was in use.
    func abort(_ request: Int) {
        guard let transfer = active.removeValue(forKey: request) else { return }
        curl_multi_remove_handle(multi, transfer.easy)
        idle.append(transfer)
    }

    /// Does what can be done without blocking; the requests that have ended.
    func perform() -> [(request: Int, result: TransferResult)] {
        var running: Int32 = 0
        curl_multi_perform(multi, &running)
        var finished: [(Int, TransferResult)] = []
        var left: Int32 = 0
        while let message = curl_multi_info_read(multi, &left) {
            guard ccurl_message_is_done(message) != 0, let easy = message.pointee.easy_handle else { continue }
            // Removing the handle makes the message invalid.
            let code = ccurl_message_result(message)
            curl_multi_remove_handle(multi, easy)
            guard let transfer = active.values.first(where: { $0.easy == easy }) else { continue }
            active[transfer.request] = nil
            finished.append((transfer.request, transfer.finish(code)))
            idle.append(transfer)
        }
        return finished
    }

    /// Blocks until there is something to perform, the waker is used or the time is over.
    func wait(_ time: Duration) {
        let milliseconds =
            time.components.seconds * 1000 + (time.components.attoseconds + 999_999_999_999_999) / 1_000_000_000_000_000
        curl_multi_poll(multi, nil, 0, Int32(clamping: max(0, milliseconds)), nil)
    }
}
