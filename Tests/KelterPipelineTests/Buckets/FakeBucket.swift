import KelterEmbedding
import KelterLocal
import KelterModel
import Synchronization

@testable import KelterPipeline

/// A bucket on a loopback port that misbehaves as it is told; objects are listed three at a time.
final class FakeBucket: Sendable {
    struct State {
        var objects: [String: [UInt8]] = [:]
        /// What the next requests are answered with instead, from the front.
        var faults: [LoopbackHTTPServer.Response] = []
        /// Of the next objects this many bytes are sent before the connection is cut.
        var cuts: [Int] = []
        var requests: [LoopbackHTTPServer.Request] = []
    }

    /// What the server's threads and the test share.
    final class Shared: Sendable {
        let state: Mutex<State>

        init(_ objects: [String: String]) {
            state = Mutex(State(objects: objects.mapValues { Array($0.utf8) }))
        }
    }

    let shared: Shared
    private let server: LoopbackHTTPServer

    init(_ objects: [String: String] = [:]) throws {
        let shared = Shared(objects)
        self.shared = shared
        server = try LoopbackHTTPServer { request in shared.state.withLock { Self.answer(request, &$0) } }
    }

    func stop() { server.stop() }

    func client(patience: Duration = .seconds(5)) -> S3Client {
        S3Client(
            S3Configuration(
                endpoint: "http://127.0.0.1:\(server.port)",
                region: "eu-test-1",
                credentials: S3Credentials(accessKey: "key", secretKey: "secret", sessionToken: "token"),
                backoff: Backoff(base: .milliseconds(1)),
                patience: patience
            )
        )
    }

    /// How objects are told apart: by their length and first byte.
    static func etag(_ bytes: [UInt8]) -> String { "\"\(bytes.count)-\(bytes.first ?? 0)\"" }

    private static func answer(
        _ request: LoopbackHTTPServer.Request,
        _ state: inout State
    ) -> LoopbackHTTPServer.Response {
        state.requests.append(request)
        if !state.faults.isEmpty { return state.faults.removeFirst() }
        let parts = request.path.split(separator: "?", maxSplits: 1)
        let key = parts[0].split(separator: "/").dropFirst().joined(separator: "/")
        return key.isEmpty ? listing(String(parts[1]), state) : object(key, request, &state)
    }

    private static func listing(_ query: String, _ state: State) -> LoopbackHTTPServer.Response {
        let fields = query.split(separator: "&").map { $0.split(separator: "=", omittingEmptySubsequences: false) }
        let prefix = fields.first { $0[0] == "prefix" }.map { $0[1].replacing("%2F", with: "/") } ?? ""
        let token = fields.first { $0[0] == "continuation-token" }.map { String($0[1]) } ?? ""
        let keys = state.objects.keys.filter { $0.hasPrefix(prefix) }.sorted()
        let start = Int(token) ?? 0
        let page = keys[start..<min(start + 3, keys.count)]
        let contents = page.map { key in
            let bytes = state.objects[key] ?? []
            let etag = etag(bytes).replacing("\"", with: "&quot;")
            return "<Contents><Key>\(key)</Key><Size>\(bytes.count)</Size><ETag>\(etag)</ETag></Contents>"
        }
        let rest = page.endIndex < keys.count
        let next = rest ? "<NextContinuationToken>\(page.endIndex)</NextContinuationToken>" : ""
        return LoopbackHTTPServer.Response(
            contentType: "application/xml",
            text: "<ListBucketResult><IsTruncated>\(rest)</IsTruncated>\(next)\(contents.joined())</ListBucketResult>"
        )
    }

    private static func object(
        _ key: String,
        _ request: LoopbackHTTPServer.Request,
        _ state: inout State
    ) -> LoopbackHTTPServer.Response {
        guard let bytes = state.objects[key] else { return refusal(404, "NoSuchKey") }
        guard request.header("if-match") == etag(bytes) else { return refusal(412, "PreconditionFailed") }
        let start = request.header("range").flatMap { Int($0.dropFirst("bytes=".count).dropLast()) }
        guard start ?? 0 < max(1, bytes.count) else { return refusal(416, "InvalidRange") }
        var response = LoopbackHTTPServer.Response(
            status: start == nil ? 200 : 206,
            body: Array(bytes[(start ?? 0)...])
        )
        if let start { response.headers = [("Content-Range", "bytes \(start)-\(bytes.count - 1)/\(bytes.count)")] }
        if !state.cuts.isEmpty { response.delivery = .cut(after: state.cuts.removeFirst()) }
        return response
    }

    /// An answer as S3 refuses.
    static func refusal(
        _ status: Int,
        _ code: String,
        headers: [(name: String, value: String)] = []
    ) -> LoopbackHTTPServer.Response {
        LoopbackHTTPServer.Response(
            status: status,
            contentType: "application/xml",
            headers: headers,
            body: Array("<Error><Code>\(code)</Code></Error>".utf8)
        )
    }
}
