import Glibc
package import KelterEmbedding
import KelterModel
import KelterParsing
import Synchronization

/// Where buckets are and who asks for them.
package struct S3Configuration: Sendable {
    /// The service's address, `https://…` without a path, with buckets as the first part of the path; `nil` for AWS.
    package var endpoint: String?
    package var region: String
    /// `nil` asks without a signature, as for public buckets.
    package var credentials: S3Credentials?
    package var security: ConnectionSecurity
    /// How often a request is sent while none has ever been answered.
    package var attempts: Int
    package var backoff: Backoff
    /// For how long a service that has answered before is waited for.
    package var patience: Duration

    package init(
        endpoint: String?,
        region: String,
        credentials: S3Credentials?,
        security: ConnectionSecurity = ConnectionSecurity(),
        attempts: Int = 3,
        backoff: Backoff = Backoff(base: .milliseconds(50)),
        patience: Duration = .seconds(60)
    ) {
        self.endpoint = endpoint
        self.region = region
        self.credentials = credentials
        self.security = security
        self.attempts = attempts
        self.backoff = backoff
        self.patience = patience
    }
}

/// Lists and reads the objects of S3-compatible buckets; blocks.
///
/// Any number of threads may ask; each has a connection of its own while it does, which the next one takes over.
package final class S3Client: Sendable {
    private let configuration: S3Configuration
    private let idle = Mutex<[Idle]>([])
    private let isCancelled = Atomic(false)
    private let hasAnswered = Atomic(false)

    /// Unchecked: a connection is handed from one thread to the next, never shared.
    private struct Idle: @unchecked Sendable {
        let connection: HTTPStream
    }

    package init(_ configuration: S3Configuration) {
        self.configuration = configuration
    }

    /// Breaks off what is under way, and refuses what comes after, with ``ErrorCode/interrupted``.
    package func cancel() { isCancelled.store(true, ordering: .relaxed) }

    /// A page of a listing.
    struct Page {
        /// Keys and objects in the order of the keys' bytes.
        var objects: [(key: String, object: S3Object)] = []
        /// Where the next page goes on; `nil` after the last.
        var next: String?
    }

    /// Lists the objects whose keys begin with a prefix; ListObjectsV2.
    ///
    /// - Parameters:
    ///   - prefix: The prefix.
    ///   - bucket: The bucket.
    ///   - token: Where the page before ended; `nil` for the first.
    /// - Returns: At most a thousand objects.
    /// - Throws: ``KelterError`` with one of the `s3…` codes.
    func list(_ prefix: String, of bucket: String, after token: String?) throws(KelterError) -> Page {
        let subject = S3Location.address(prefix, in: bucket)
        var query: [(name: String, value: String)] = [
            ("list-type", "2"), ("encoding-type", "url"), ("prefix", prefix),
        ]
        if let token { query.append(("continuation-token", token)) }
        var bytes: [UInt8] = []
        try retrying { () throws(S3Failure) in
            bytes = []
            let request = try request(bucket, key: "", query, headers: [], subject)
            _ = try exchange(request, subject) { piece in
                bytes.append(contentsOf: piece)
                return bytes.count <= XMLLimits().bytes
            }
        }
        guard let records = try? readXML(bytes), let page = Page(records, prefix: prefix) else {
            throw S3Failure.invalidReply("a listing that cannot be read", subject).error
        }
        return page
    }

    /// What a listing tells of one object now; `nil` when there is none.
    ///
    /// - Throws: ``KelterError`` with one of the `s3…` codes.
    func object(_ key: String, of bucket: String) throws(KelterError) -> S3Object? {
        // In the order of keys it comes before all that it is the beginning of.
        try list(key, of: bucket, after: nil).objects.first { $0.key == key }?.object
    }

    /// Reads an object that must still be what the listing told; a transfer that breaks off goes on where it was.
    ///
    /// - Parameters:
    ///   - key: Its key.
    ///   - bucket: Its bucket.
    ///   - object: What the listing told.
    ///   - body: Gets the bytes in pieces.
    /// - Throws: ``KelterError`` with ``ErrorCode/objectChanged`` or one of the `s3…` codes, and what `body` throws.
    func read(
        _ key: String,
        of bucket: String,
        _ object: S3Object,
        into body: (UnsafeRawBufferPointer) throws(KelterError) -> Void
    ) throws(KelterError) {
        let subject = S3Location.address(key, in: bucket)
        var received = 0
        var refusal: KelterError?
        try retrying(progress: { received }) { () throws(S3Failure) in
            let start = received
            // The connection broke behind the last byte; there is no range that begins there.
            guard start == 0 || start < object.size else { return }
            var headers = [(name: "if-match", value: object.etag)]
            if start > 0 { headers.append(("range", "bytes=\(start)-")) }
            let request = try request(bucket, key: key, [], headers: headers, subject)
            let head: HTTPStream.Head
            do throws(S3Failure) {
                head = try exchange(request, subject, isPart: start > 0) { piece in
                    guard received + piece.count <= object.size else { return false }
                    received += piece.count
                    do throws(KelterError) { try body(piece) } catch { refusal = error }
                    return refusal == nil
                }
            } catch {
                throw refusal.map { S3Failure(error: $0) } ?? error
            }
            let range = head.headers["content-range"]
            guard start == 0 || range?.hasPrefix("bytes \(start)-") == true, received == object.size else {
                throw .invalidReply("another part of the object than it was asked for", subject)
            }
        }
    }
}

extension S3Client {
    /// Repeats what fails for the moment.
    ///
    /// - Parameters:
    ///   - progress: How many bytes have come so far.
    ///   - attempt: One attempt.
    /// - Throws: ``KelterError`` of the last attempt.
    private func retrying(
        progress: () -> Int = { 0 },
        _ attempt: () throws(S3Failure) -> Void
    ) throws(KelterError) {
        let clock = ContinuousClock()
        var (failures, since) = (0, clock.now)
        while true {
            let before = progress()
            do throws(S3Failure) {
                try attempt()
                hasAnswered.store(true, ordering: .relaxed)
                return
            } catch {
                guard error.isPassing else { throw error.error }
                // A transfer that goes on has not failed.
                if progress() > before { (failures, since) = (0, clock.now) }
                failures += 1
                let isPatient = hasAnswered.load(ordering: .relaxed) && clock.now - since < configuration.patience
                guard failures < configuration.attempts || isPatient else { throw error.error }
                let delay = configuration.backoff.delay(attempt: failures - 1, fraction: .random(in: 0...1))
                try pause(max(delay, min(error.pause ?? .zero, .seconds(60))))
            }
        }
    }

    private func pause(_ duration: Duration) throws(KelterError) {
        let end = ContinuousClock.now + duration
        while ContinuousClock.now < end {
            guard !isCancelled.load(ordering: .relaxed) else { throw S3Failure.interrupted.error }
            usleep(20_000)
        }
    }

    /// Sends a request and takes a reply of status 200, or 206 for a part.
    private func exchange(
        _ request: HTTPExchange,
        _ subject: String,
        isPart: Bool = false,
        body: (UnsafeRawBufferPointer) -> Bool
    ) throws(S3Failure) -> HTTPStream.Head {
        let expected = isPart ? 206 : 200
        var refusal: [UInt8] = []
        let connection = try connection()
        let head: HTTPStream.Head
        do throws(HTTPStream.Failure) {
            head = try connection.perform(request, isCancelled: { self.isCancelled.load(ordering: .relaxed) }) {
                head,
                piece in
                guard head.status != expected else { return body(piece) }
                refusal.append(contentsOf: piece.prefix(S3Failure.maximumRefusal - refusal.count))
                return true
            }
        } catch {
            throw S3Failure(error, subject)
        }
        idle.withLock { $0.append(Idle(connection: connection)) }
        guard head.status == expected else {
            throw S3Failure(head, refusal, region: configuration.region, subject)
        }
        return head
    }

    private func connection() throws(S3Failure) -> HTTPStream {
        if let idle = idle.withLock({ $0.popLast() }) { return idle.connection }
        do throws(KelterError) { return try HTTPStream() } catch { throw S3Failure(error: error) }
    }

    /// A signed request.
    private func request(
        _ bucket: String,
        key: String,
        _ query: [(name: String, value: String)],
        headers: [(name: String, value: String)],
        _ subject: String
    ) throws(S3Failure) -> HTTPExchange {
        let origin: String
        var path = "/" + key
        if let endpoint = configuration.endpoint {
            origin = endpoint
            path = "/" + bucket + path
        } else if bucket.utf8.contains(UInt8(ascii: ".")) {
            // A dot in the host's name is none that the service's certificate stands for.
            origin = "https://s3.\(configuration.region).amazonaws.com"
            path = "/" + bucket + path
        } else {
            origin = "https://\(bucket).s3.\(configuration.region).amazonaws.com"
        }
        let host = origin.firstRange(of: "://").map { String(origin[$0.upperBound...]) } ?? origin
        let time = Self.time()
        // SHA-256 of no bytes.
        let payloadHash = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        var fields = headers + [("host", host), ("x-amz-content-sha256", payloadHash), ("x-amz-date", time)]
        if let credentials = configuration.credentials {
            if let token = credentials.sessionToken { fields.append(("x-amz-security-token", token)) }
            let signature = S3Signature(credentials: credentials, region: configuration.region)
            do throws(KelterError) {
                let authorization = try signature.authorization(
                    method: "GET",
                    path: path,
                    query: query,
                    headers: fields,
                    payloadHash: payloadHash,
                    time: time
                )
                fields.append(("authorization", authorization))
            } catch {
                throw S3Failure(error: error)
            }
        }
        let suffix = query.isEmpty ? "" : "?" + S3Signature.canonical(query)
        let url = origin + S3Signature.encoded(path, keepingSlashes: true) + suffix
        var exchange = HTTPExchange("GET", url, headers: fields, timeout: .seconds(30))
        exchange.security = configuration.security
        return exchange
    }

    /// Now, as `20130524T000000Z`.
    private static func time() -> String {
        var (seconds, parts) = (time_t(), tm())
        Glibc.time(&seconds)
        gmtime_r(&seconds, &parts)
        func digits(_ number: Int32) -> String { (number < 10 ? "0" : "") + String(number) }
        return "\(parts.tm_year + 1900)\(digits(parts.tm_mon + 1))\(digits(parts.tm_mday))"
            + "T\(digits(parts.tm_hour))\(digits(parts.tm_min))\(digits(parts.tm_sec))Z"
    }
}

extension S3Client.Page {
    /// Reads a ListBucketResult with `encoding-type=url`; `nil` for anything else.
    init?(_ records: [XMLRecord], prefix: String) {
        guard records.last?.path == "ListBucketResult" else { return nil }
        var (key, size, etag): (String?, Int?, String?) = (nil, nil, nil)
        var isTruncated = false
        for record in records {
            switch record.path {
            case "ListBucketResult/Contents/Key": key = percentDecoded(record.text)
            case "ListBucketResult/Contents/Size": size = Int(record.text)
            case "ListBucketResult/Contents/ETag": etag = record.text
            case "ListBucketResult/Contents":
                guard let foundKey = key, let size, size >= 0, let etag, foundKey.utf8.starts(with: prefix.utf8) else {
                    return nil
                }
                objects.append((foundKey, S3Object(size: size, etag: etag)))
                key = nil
            case "ListBucketResult/IsTruncated": isTruncated = record.text == "true"
            case "ListBucketResult/NextContinuationToken": next = record.text
            default: break
            }
        }
        if !isTruncated { next = nil }
        // Without it the rest of the listing would be lost.
        guard !isTruncated || next?.isEmpty == false else { return nil }
    }
}

/// Text with `%XX` for bytes and `+` for spaces; `nil` when it is none, or no UTF-8.
private func percentDecoded(_ text: String) -> String? {
    var bytes: [UInt8] = []
    var rest = Array(text.utf8)[...]
    while let byte = rest.popFirst() {
        switch byte {
        case UInt8(ascii: "%"):
            guard rest.count >= 2, let value = UInt8(String(decoding: rest.prefix(2), as: UTF8.self), radix: 16) else {
                return nil
            }
            bytes.append(value)
            rest = rest.dropFirst(2)
        case UInt8(ascii: "+"): bytes.append(UInt8(ascii: " "))
        default: bytes.append(byte)
        }
    }
    return String(validating: bytes, as: UTF8.self)
}
