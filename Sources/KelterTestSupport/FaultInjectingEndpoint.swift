import Glibc
import KelterLocal
package import KelterModel
import Synchronization

/// An embeddings endpoint on the loopback interface with vectors that follow from the text, and faults on request.
///
/// It answers `POST …/embeddings` in OpenAI's shape, base64 or numbers, at once and for any model name. The vectors are
/// those of ``vector(for:dimension:)``. `POST …/chat/completions` is answered with a fixed text; both routes have a log
/// and faults of their own.
package final class FaultInjectingEndpoint: Sendable {
    /// What it does with `encoding_format: base64`.
    package enum Base64Support: Sendable {
        case supported
        /// Answers 422, as gateways with a strict schema do.
        case refused
        /// Answers with numbers, as older servers do.
        case ignored
    }

    package struct Options: Sendable {
        /// A bearer token that is required; default none.
        package var apiKey: String?
        package var base64 = Base64Support.supported
        /// Inputs that contain this text are refused with 400, and with them their whole request.
        package var refusedMarker: String?
        /// Requests with more inputs are refused with 413.
        package var maximumInputs: Int?
        /// How long an answer takes; default no time.
        package var latency: Duration = .zero
        /// Further time for each input; default no time.
        package var latencyPerInput: Duration = .zero
        package var script = Script.none
        /// A limit on requests, answered with 429; default none.
        package var limit: RequestLimit?
        /// Added to the text from which a vector follows: another model under the same name; default none.
        package var modelSalt = ""
        /// The widths of models that differ from the endpoint's own; default none.
        package var dimensions: [String: Int] = [:]
        /// How many bytes of an input the model reads; default all.
        ///
        /// The rest is left out in silence.
        package var readBytes: Int?
        /// What every chat request is answered with.
        package var chatText = "Das steht in der ersten Quelle [1]."
        /// The faults of chat requests, which are counted by themselves.
        package var chatScript = Script.none
        /// Whether the log keeps the texts; default yes, benchmarks say no.
        package var recordsTexts = true
        /// Whether a right reply is made once for each model, number of inputs and encoding, and given to all later
        /// requests of that kind whatever their texts; default no, benchmarks say yes: making vectors is dear.
        package var reusesReplies = false

        package init() {}
    }

    /// A token bucket: so many requests a second, of which some may come at once.
    package struct RequestLimit: Sendable {
        package let rate: Double
        package let burst: Double
        /// Whether 429 says in `retry-after-ms` when the next request will be admitted.
        package let saysWhen: Bool

        package init(rate: Double, burst: Double, saysWhen: Bool) {
            self.rate = rate
            self.burst = burst
            self.saysWhen = saysWhen
        }
    }

    /// What has been asked.
    package struct Log: Sendable {
        package var requests = 0
        package var inputs = 0
        /// The texts in the order of their arrival.
        package var texts: [String] = []
        /// The number of inputs of each request.
        package var sizes: [Int] = []
        package var encodings: [String] = []
        /// The bodies of the chat requests, in the order of their arrival; they are not counted as ``requests``.
        package var chats: [JSONValue] = []
        /// The most requests that were being answered at one time.
        package var maximumInFlight = 0
        /// Requests refused for ``Options/limit``.
        package var throttled = 0
        fileprivate var inFlight = 0
        fileprivate var level: (tokens: Double, at: ContinuousClock.Instant)?
    }

    /// The width of its vectors.
    package let vectorDimension: Int
    let options: Options
    private let state: State
    private let server: LoopbackHTTPServer

    private final class State: Sendable {
        let log = Mutex(Log())
        /// What takes the place of ``Options/latency`` by now.
        let latency = Mutex<Duration?>(nil)
        let replies = Mutex<[ReplyKind: LoopbackHTTPServer.Response]>([:])
    }

    /// What replies that are used again have in common.
    private struct ReplyKind: Hashable {
        let model: String
        let inputs: Int
        let isBase64: Bool
    }

    /// Begins to serve on a free port.
    ///
    /// - Throws: ``KelterError`` with ``ErrorCode/serviceStartFailed``.
    package init(dimension: Int, options: Options = Options(), port: UInt16 = 0) throws(KelterError) {
        vectorDimension = dimension
        self.options = options
        let state = State()
        self.state = state
        server = try LoopbackHTTPServer(port: port) { request in
            Self.answer(request, dimension: dimension, options: options, state: state)
        }
    }

    /// `http://127.0.0.1:PORT/v1`.
    package var baseURL: String { "http://127.0.0.1:\(server.port)/v1" }

    /// The port it listens on.
    package var port: UInt16 { server.port }

    package var log: Log { state.log.withLock { $0 } }

    /// Changes ``Options/latency``, also of the requests that are waiting.
    package func setLatency(_ latency: Duration) { state.latency.withLock { $0 = latency } }

    /// Connections accepted since the start.
    package var connectionsAccepted: Int { server.connectionsAccepted }

    /// Connections open now.
    package var connectionsOpen: Int { server.connectionsOpen }

    package func stop() {
        server.stop()
    }

    private static func answer(
        _ request: LoopbackHTTPServer.Request,
        dimension: Int,
        options: Options,
        state: State
    ) -> LoopbackHTTPServer.Response {
        if request.method == "POST", request.path.hasSuffix("/chat/completions") {
            return answerChat(request, options: options, log: state.log)
        }
        let number = state.log.withLock { log in
            defer { log.requests += 1 }
            log.inFlight += 1
            log.maximumInFlight = max(log.maximumInFlight, log.inFlight)
            return log.requests
        }
        defer { state.log.withLock { $0.inFlight -= 1 } }

        guard request.method == "POST", request.path.hasSuffix("/embeddings") else {
            return error(404, "no such route")
        }
        guard isAuthorised(request, options) else { return error(401, "bad key") }
        if let limit = options.limit, let wait = state.log.withLock({ $0.admit(limit) }) {
            var response = error(429, "too many requests")
            if limit.saysWhen { response.headers.append(("retry-after-ms", "\(wait * 1000)")) }
            return response
        }
        guard let call = Call(request.body) else { return error(400, "bad request") }
        state.log.withLock { log in
            log.inputs += call.inputs.count
            log.sizes.append(call.inputs.count)
            log.encodings.append(call.encoding)
            if options.recordsTexts { log.texts += call.inputs.map { String(decoding: $0, as: UTF8.self) } }
        }
        let begin = ContinuousClock.now
        while true {
            let latency = state.latency.withLock { $0 } ?? options.latency
            let rest = begin + latency + options.latencyPerInput * call.inputs.count - ContinuousClock.now
            guard rest > .zero else { break }
            pause(min(rest, .milliseconds(50)))
        }

        if let maximum = options.maximumInputs, call.inputs.count > maximum { return error(413, "too many inputs") }
        if let marker = options.refusedMarker.map({ Array($0.utf8) }),
            call.inputs.contains(where: { $0.contains(marker) })
        {
            return error(400, "an input is not acceptable")
        }
        var isBase64 = call.encoding == "base64"
        switch options.base64 {
        case .supported: break
        case .refused: if isBase64 { return error(422, "encoding_format must be float") }
        case .ignored: isBase64 = false
        }
        let fault = options.script.fault(number)
        let make = {
            let salt = Array(options.modelSalt.utf8)
            let read = call.inputs.map { ($0.prefix(options.readBytes ?? $0.count) + salt)[...] }
            let width = options.dimensions[call.model] ?? dimension
            return Reply(model: call.model, inputs: read, dimension: width, isBase64: isBase64)
        }
        guard options.reusesReplies, fault == nil else { return make().response(fault) }
        let kind = ReplyKind(model: call.model, inputs: call.inputs.count, isBase64: isBase64)
        return state.replies.withLock { replies in
            if let reply = replies[kind] { return reply }
            let reply = make().response(nil)
            replies[kind] = reply
            return reply
        }
    }

    private static func answerChat(
        _ request: LoopbackHTTPServer.Request,
        options: Options,
        log: borrowing Mutex<Log>
    ) -> LoopbackHTTPServer.Response {
        let body = (try? JSONReader.read(request.body)) ?? .null
        let number = log.withLock { log in
            log.chats.append(body)
            return log.chats.count - 1
        }
        guard isAuthorised(request, options) else { return error(401, "bad key") }
        pause(options.latency)
        return chatAnswer(body, text: options.chatText, fault: options.chatScript.fault(number))
            ?? error(400, "bad request")
    }

    private static func isAuthorised(_ request: LoopbackHTTPServer.Request, _ options: Options) -> Bool {
        options.apiKey.map { request.header("Authorization") == "Bearer \($0)" } ?? true
    }

    static func error(_ status: Int, _ message: String) -> LoopbackHTTPServer.Response {
        LoopbackHTTPServer.Response(status: status, text: #"{"error":{"message":"\#(message)","code":"\#(status)"}}"#)
    }

    private static func pause(_ duration: Duration) {
        guard duration > .zero else { return }
        let (seconds, attoseconds) = duration.components
        var time = timespec(tv_sec: Int(seconds), tv_nsec: Int(attoseconds / 1_000_000_000))
        nanosleep(&time, nil)
    }
}

extension FaultInjectingEndpoint.Log {
    /// Takes a request out of the bucket, or says how many seconds are missing.
    fileprivate mutating func admit(_ limit: FaultInjectingEndpoint.RequestLimit) -> Double? {
        let now = ContinuousClock.now
        let tokens = level.map { min(limit.burst, $0.tokens + ($0.at.duration(to: now) / .seconds(1)) * limit.rate) }
        let left = tokens ?? limit.burst
        level = (left < 1 ? left : left - 1, now)
        guard left < 1 else { return nil }
        throttled += 1
        return (1 - left) / limit.rate
    }
}
