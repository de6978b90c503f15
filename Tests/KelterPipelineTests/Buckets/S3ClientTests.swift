import KelterLocal
import KelterModel
import Synchronization
import Testing

@testable import KelterPipeline

@Suite("Reading buckets")
struct S3ClientTests {
    private func withBucket(_ objects: [String: String] = [:], _ body: (FakeBucket) throws -> Void) throws {
        let bucket = try FakeBucket(objects)
        defer { bucket.stop() }
        try body(bucket)
    }

    private func read(_ key: String, of bucket: FakeBucket, as text: String) throws -> String {
        let object = S3Object(size: text.utf8.count, etag: FakeBucket.etag(Array(text.utf8)))
        var bytes: [UInt8] = []
        try bucket.client().read(key, of: "bucket", object) { bytes.append(contentsOf: $0) }
        return String(decoding: bytes, as: UTF8.self)
    }

    private func entries(_ address: String, of bucket: FakeBucket, _ filter: GlobFilter = GlobFilter()) throws
        -> [FoundEntry]
    {
        var walk = S3Walk(try S3Location(address), client: bucket.client(), filter: filter)
        var entries: [FoundEntry] = []
        while case let next = try walk.next(2), !next.isEmpty { entries += next }
        return entries
    }

    private func describe(_ entries: [FoundEntry]) -> [String] {
        entries.map { entry in
            switch entry {
            case .file(let file): file.relativePath + (file.sidecar.map { " with \(lastComponent($0.path))" } ?? "")
            case .skipped(let path, let reason): "\(path) \(reason.rawValue)"
            case .failed(let path, let error): "\(path) \(error.code.rawValue)"
            }
        }
    }

    @Test("a walk finds the files below a directory with their sidecars, across the pages of the listing")
    func walk() throws {
        let names = [
            "d/a.txt", "d/a.txt.meta.json", "d/b.meta.json", "d/b.pdf", "d/c/", "d/c/.x/y.txt", "d/c/z.txt",
            "d/c/z.zip", "d/rest.meta.json", "dd.txt", "d/ä.md",
        ]
        try withBucket(Dictionary(uniqueKeysWithValues: names.map { ($0, $0) })) { bucket in
            let found = describe(try entries("s3://bucket/d/", of: bucket))
            #expect(
                found == [
                    "a.txt with a.txt.meta.json", "b.pdf with b.meta.json", "c/.x/y.txt hidden", "c/z.txt",
                    "c/z.zip ARCHIVE_INVALID", "ä.md", "rest.meta.json orphan_sidecar",
                ]
            )
            let single = describe(try entries("s3://bucket/d/b.pdf", of: bucket))
            #expect(single == ["b.pdf with b.meta.json"])
            let filter = GlobFilter(include: ["*.txt"])
            let filtered = describe(try entries("s3://bucket", of: bucket, filter))
            #expect(
                filtered == [
                    "d/a.txt with a.txt.meta.json", "d/c/.x/y.txt hidden", "d/c/z.txt", "dd.txt",
                ]
            )
            for address in ["s3://bucket/d", "s3://bucket/e/"] {
                #expect(throws: KelterError.self) { try entries(address, of: bucket) }
            }
        }
    }

    @Test("an entry survives the ledger")
    func ledger() throws {
        try withBucket(["d/a.txt": "A", "d/a.txt.meta.json": "{}"]) { bucket in
            let entry = try #require(try entries("s3://bucket/d/", of: bucket).first)
            let root = "s3://bucket/d"
            #expect(FoundEntry(entry.json(root: root), root: root) == entry)
        }
    }

    @Test("requests are signed, with the token of temporary keys")
    func signed() throws {
        try withBucket(["a": "A"]) { bucket in
            let content = try read("a", of: bucket, as: "A")
            #expect(content == "A")
            let request = try #require(bucket.shared.state.withLock { $0.requests.first })
            let authorization = try #require(request.header("authorization"))
            #expect(authorization.hasPrefix("AWS4-HMAC-SHA256 Credential=key/"))
            #expect(
                authorization.contains(
                    "/eu-test-1/s3/aws4_request, SignedHeaders=host;if-match;x-amz-content-sha256;x-amz-date;"
                        + "x-amz-security-token, Signature="
                )
            )
            #expect(request.header("x-amz-security-token") == "token")
        }
    }

    @Test("a transfer that breaks off goes on where it was")
    func resumed() throws {
        let text = String(repeating: "Zeile um Zeile. ", count: 20_000)
        try withBucket(["a": text]) { bucket in
            bucket.shared.state.withLock { $0.cuts = [100_000, 0, 50_000] }
            let content = try read("a", of: bucket, as: text)
            #expect(content == text)
            let ranges = bucket.shared.state.withLock { $0.requests.map { $0.header("range") } }
            #expect(ranges == [nil, "bytes=100000-", "bytes=100000-", "bytes=150000-"])
        }
    }

    @Test("a transfer that breaks off behind the last byte has come to its end")
    func brokenAtTheEnd() throws {
        try withBucket(["a": "A"]) { bucket in
            let late = LoopbackHTTPServer.Response(body: Array("A".utf8), delivery: .claimedLength(100))
            bucket.shared.state.withLock { $0.faults = [late] }
            let content = try read("a", of: bucket, as: "A")
            #expect(content == "A")
        }
    }

    @Test("an overloaded service is asked again when it says, and one that stays so ends the run")
    func overloaded() throws {
        try withBucket(["a": "A"]) { bucket in
            let slow = FakeBucket.refusal(503, "SlowDown", headers: [("Retry-After", "0")])
            bucket.shared.state.withLock { $0.faults = [slow, .init(status: 500)] }
            let content = try read("a", of: bucket, as: "A")
            #expect(content == "A")
            bucket.shared.state.withLock { $0.faults = [slow, slow, slow] }
            let error = #expect(throws: KelterError.self) { try read("a", of: bucket, as: "A") }
            #expect(error?.code == .s3Unreachable && error?.endsRun == true)
        }
    }

    @Test("a service that has answered before is waited for")
    func patience() throws {
        try withBucket(["a": "A"]) { bucket in
            let client = bucket.client()
            let object = S3Object(size: 1, etag: FakeBucket.etag(Array("A".utf8)))
            try client.read("a", of: "bucket", object) { _ in }
            let down = FakeBucket.refusal(503, "ServiceUnavailable")
            bucket.shared.state.withLock { $0.faults = Array(repeating: down, count: 8) }
            try client.read("a", of: "bucket", object) { _ in }
            bucket.shared.state.withLock { $0.faults = [.init(delivery: .hang)] }
            client.cancel()
            let error = #expect(throws: KelterError.self) { try client.read("a", of: "bucket", object) { _ in } }
            #expect(error?.code == .interrupted)
        }
    }

    @Test(
        "each refusal has its code",
        arguments: [
            (FakeBucket.refusal(403, "AccessDenied"), ErrorCode.s3Forbidden, false),
            (FakeBucket.refusal(403, "SignatureDoesNotMatch"), .s3Unauthorised, true),
            (FakeBucket.refusal(400, "ExpiredToken"), .s3Unauthorised, true),
            (FakeBucket.refusal(404, "NoSuchBucket"), .s3NotFound, false),
            (
                FakeBucket.refusal(301, "PermanentRedirect", headers: [("x-amz-bucket-region", "eu-west-3")]),
                .s3WrongRegion, true
            ),
            (FakeBucket.refusal(400, "InvalidRequest"), .s3ReplyInvalid, false),
            (.init(contentType: "text/html", text: "<html><p>Guten Tag</html>"), .s3ReplyInvalid, false),
            (
                .init(text: "<ListBucketResult><IsTruncated>true</IsTruncated></ListBucketResult>"), .s3ReplyInvalid,
                false
            ),
        ]
    )
    func refused(response: LoopbackHTTPServer.Response, code: ErrorCode, endsRun: Bool) throws {
        try withBucket(["a": "A"]) { bucket in
            bucket.shared.state.withLock { $0.faults = [response] }
            let error = #expect(throws: KelterError.self) { try bucket.client().list("", of: "bucket", after: nil) }
            #expect(error?.code == code && error?.endsRun == endsRun && error?.fix != nil)
        }
    }

    @Test("an object that changed, grew or went away is not read as what it was")
    func changed() throws {
        try withBucket(["a": "Anders", "lang": "A und mehr"]) { bucket in
            let other = #expect(throws: KelterError.self) { try read("a", of: bucket, as: "Was es war") }
            #expect(other?.code == .objectChanged)
            let gone = #expect(throws: KelterError.self) { try read("weg", of: bucket, as: "A") }
            #expect(gone?.code == .s3NotFound)
            let object = S3Object(size: 1, etag: FakeBucket.etag(Array("A und mehr".utf8)))
            var bytes = 0
            let grown = #expect(throws: KelterError.self) {
                try bucket.client().read("lang", of: "bucket", object) { bytes += $0.count }
            }
            #expect(grown?.code == .s3ReplyInvalid && bytes == 0)
        }
    }

    @Test(
        "addresses",
        arguments: [
            ("s3://abc", "", true), ("s3://abc/", "", true), ("s3://a.b-c/d/", "d/", true),
            ("s3://abc/d/e", "d/e", false),
        ]
    )
    func addresses(text: String, key: String, isDirectory: Bool) throws {
        let location = try S3Location(text)
        #expect(location.key == key && location.isDirectory == isDirectory)
    }

    @Test(
        "what is no address is refused",
        arguments: ["s3://", "s3://ab", "s3://ABC/x", "s3://a_b/x", "s3:///x", "s3://a..b"]
    )
    func noAddress(text: String) {
        let error = #expect(throws: KelterError.self) { try S3Location(text) }
        #expect(error?.code == .s3Invalid)
    }
}
