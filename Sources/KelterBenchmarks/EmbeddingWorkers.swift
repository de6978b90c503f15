import Glibc
import KelterEmbedding
import KelterModel
import KelterTestSupport

/// The modes in which `kelter-bench` runs as a child of itself, so that each side's processor time is its own.
enum EmbeddingWorkers {
    static let endpointMode = "embedding-endpoint"
    static let clientMode = "embedding-client"

    /// What both clients are asked to do at a time.
    static let inputsPerRequest = 64
    static let requestsAtATime = 4
    /// Requests before the measured ones: connections are open then, and memory has been touched.
    static let warmUpRequests = 32

    /// Serves prepared replies until the end of standard input; the first line of output is the address.
    ///
    /// - Parameter arguments: The mode, the dimension, and `base64` or `float`, the only encoding it answers in.
    /// - Throws: ``KelterError`` when it cannot listen.
    static func serve(_ arguments: [String]) throws(KelterError) {
        guard arguments.count == 3, let dimension = Int(arguments[1]),
            let encoding = EmbeddingEncoding(rawValue: arguments[2])
        else { throw Self.badArguments }
        var options = FaultInjectingEndpoint.Options()
        options.recordsTexts = false
        options.reusesReplies = true
        options.base64 = encoding == .base64 ? .supported : .ignored
        let endpoint = try FaultInjectingEndpoint(dimension: dimension, options: options)
        defer { endpoint.stop() }
        let line = Array((endpoint.baseURL + "\n").utf8)
        guard write(STDOUT_FILENO, line, line.count) == line.count else { return }
        var byte: UInt8 = 0
        while read(STDIN_FILENO, &byte, 1) > 0 {}
    }

    /// Embeds texts with Kelter's client and prints what the work cost.
    ///
    /// As many callers as there may be requests embed the texts of one request each, again and again, as the threads of
    /// the Python program do.
    ///
    /// - Parameter arguments: The mode, the address, the dimension and the number of texts.
    /// - Throws: ``KelterError`` of the client.
    static func embed(_ arguments: [String]) async throws {
        guard arguments.count == 4, let dimension = Int(arguments[2]), let count = Int(arguments[3]) else {
            throw Self.badArguments
        }
        let client = try EmbeddingClient(
            endpoint: EmbeddingEndpoint(
                baseURL: arguments[1],
                maximumInputs: inputsPerRequest,
                requestsInFlight: requestsAtATime
            ),
            model: "bench",
            dimension: dimension
        )
        defer { client.close() }
        _ = try await embed(texts(warmUpRequests * inputsPerRequest), with: client)
        let inputs = texts(count)
        let before = Self.cpuTime
        let start = ContinuousClock.now
        let vectors = try await embed(inputs, with: client)
        let wall = ContinuousClock.now - start
        let cpu = Self.cpuTime - before
        print(
            JSONValue.object([
                ("vectors", .int(vectors)), ("wall_us", .int(Int(wall / .microseconds(1)))),
                ("cpu_us", .int(Int(cpu / .microseconds(1)))),
            ])
            .compactText
        )
    }

    private static func embed(_ inputs: [EmbeddingInput], with client: EmbeddingClient) async throws -> Int {
        try await withThrowingTaskGroup(of: Int.self) { group in
            for caller in 0..<requestsAtATime {
                group.addTask {
                    var vectors = 0
                    let step = inputsPerRequest * requestsAtATime
                    for start in stride(from: caller * inputsPerRequest, to: inputs.count, by: step) {
                        let end = min(start + inputsPerRequest, inputs.count)
                        vectors += try await client.embed(Array(inputs[start..<end])).count { $0 != .empty }
                    }
                    return vectors
                }
            }
            return try await group.reduce(0, +)
        }
    }

    /// Texts of 40 bytes; those of the Python program are the same.
    private static func texts(_ count: Int) -> [EmbeddingInput] {
        (0..<count).map { number in
            let digits = String(number)
            let padding = String(repeating: "0", count: max(0, 7 - digits.count))
            return EmbeddingInput(text: "Text \(padding)\(digits) of a document, forty bytes.", tokens: 10)
        }
    }

    /// User and system time of this process.
    private static var cpuTime: Duration {
        var usage = rusage()
        getrusage(RUSAGE_SELF.rawValue, &usage)
        return .seconds(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec)
            + .microseconds(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec)
    }

    private static var badArguments: KelterError {
        KelterError(.internalError, "This mode is for kelter-bench's own use.")
    }
}
