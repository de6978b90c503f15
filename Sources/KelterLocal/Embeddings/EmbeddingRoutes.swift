import KelterModel

/// What the embedded endpoint answers: OpenAI's shapes over the worker pool.
struct EmbeddingRoutes: Sendable {
    private let pool: EmbeddingWorkerPool

    init(pool: EmbeddingWorkerPool) {
        self.pool = pool
    }

    /// Answers one request; blocks while the workers are at it.
    func answer(_ request: LoopbackHTTPServer.Request) -> LoopbackHTTPServer.Response {
        var path = request.path.prefix { $0 != "?" }
        if path.hasPrefix("/v1/") { path = path.dropFirst(3) }
        switch (request.method, path) {
        case ("POST", "/embeddings"):
            do throws(EmbeddingRequest.Refusal) {
                return LoopbackHTTPServer.Response(body: try embed(request.body))
            } catch {
                return Self.response(error)
            }
        case ("GET", "/models"), ("HEAD", "/models"):
            return Self.response(models)
        case ("GET", "/health"), ("HEAD", "/health"):
            return Self.response(health)
        case (_, "/embeddings"), (_, "/models"), (_, "/health"):
            return Self.response(EmbeddingRequest.Refusal(status: 405, message: "This method is not for this path."))
        default:
            return Self.response(EmbeddingRequest.Refusal(status: 404, message: "There is nothing at this path."))
        }
    }

    private func embed(_ body: [UInt8]) throws(EmbeddingRequest.Refusal) -> [UInt8] {
        let request = try EmbeddingRequest(body: body)
        // All are counted before the first is embedded: a refused request should not cost more than its refusal.
        let counts = try ask(.countTokens, request.texts).map { payload in
            Int(payload.withUnsafeBytes { $0.loadUnaligned(as: UInt32.self) })
        }
        if let index = counts.firstIndex(where: { $0 > EmbeddingModel.maximumTokens }) {
            throw EmbeddingRequest.Refusal(
                message: "Input \(index) has \(counts[index]) tokens; \(EmbeddingModel.maximumTokens) are allowed.",
                parameter: "input",
                code: "context_length_exceeded"
            )
        }
        let vectors = try ask(.embed, request.texts)
        return Self.embeddings(vectors, isBase64: request.isBase64, tokens: counts.reduce(0, +))
    }

    private func ask(
        _ operation: EngineChannel.Operation,
        _ texts: [EngineText]
    ) throws(EmbeddingRequest.Refusal) -> [[UInt8]] {
        do throws(EmbeddingBatch.Failure) {
            return try pool.ask(operation, texts)
        } catch {
            switch error {
            case .engine(let index):
                throw EmbeddingRequest.Refusal(status: 500, message: "The engine failed on input \(index).")
            case .stopped:
                throw EmbeddingRequest.Refusal(status: 503, message: "The endpoint is being stopped.")
            }
        }
    }

    /// The answer's text, written without intermediate values: a request of 64 has 24,576 numbers.
    private static func embeddings(_ vectors: [[UInt8]], isBase64: Bool, tokens: Int) -> [UInt8] {
        var output = Array("{\"object\":\"list\",\"data\":[".utf8)
        for (index, vector) in vectors.enumerated() {
            if index > 0 { output.append(UInt8(ascii: ",")) }
            output.append(contentsOf: "{\"object\":\"embedding\",\"index\":\(index),\"embedding\":".utf8)
            if isBase64 {
                // The workers' floats are little-endian, as all platforms of the engine.
                output.append(UInt8(ascii: "\""))
                Base64.append(vector, to: &output)
                output.append(UInt8(ascii: "\""))
            } else {
                vector.withUnsafeBytes { bytes in
                    for offset in stride(from: 0, to: bytes.count, by: 4) {
                        output.append(UInt8(ascii: offset == 0 ? "[" : ","))
                        output.append(contentsOf: "\(bytes.loadUnaligned(fromByteOffset: offset, as: Float.self))".utf8)
                    }
                }
                output.append(UInt8(ascii: "]"))
            }
            output.append(UInt8(ascii: "}"))
        }
        output.append(contentsOf: "],\"model\":\"\(EmbeddingModel.name)\",\"usage\":".utf8)
        output.append(contentsOf: "{\"prompt_tokens\":\(tokens),\"total_tokens\":\(tokens)}}".utf8)
        return output
    }

    private var models: JSONValue {
        .object([
            ("object", .string("list")),
            (
                "data",
                .array([
                    .object([
                        ("id", .string(EmbeddingModel.name)), ("object", .string("model")), ("created", .int(0)),
                        ("owned_by", .string("kelter")),
                    ])
                ])
            ),
        ])
    }

    private var health: JSONValue {
        .object([
            ("status", .string("ok")),
            ("model", .string(EmbeddingModel.name)),
            ("dimension", .int(EmbeddingModel.dimension)),
            (
                "workers",
                .array(
                    pool.workers.map { worker in
                        .object([
                            ("core", .int(worker.core)),
                            ("pid", worker.pid.map { .int($0) } ?? .null),
                            ("engine", .string(String(worker.engine.split(separator: "/").last ?? ""))),
                            ("answered", .int(worker.answered)),
                            ("deaths", .int(worker.deaths)),
                        ])
                    }
                )
            ),
        ])
    }

    private static func response(_ value: JSONValue) -> LoopbackHTTPServer.Response {
        LoopbackHTTPServer.Response(body: value.bytes(indented: false))
    }

    private static func response(_ refusal: EmbeddingRequest.Refusal) -> LoopbackHTTPServer.Response {
        let error = JSONValue.object([
            ("message", .string(refusal.message)),
            ("type", .string(refusal.status >= 500 ? "server_error" : "invalid_request_error")),
            ("param", .optional(refusal.parameter)),
            ("code", .optional(refusal.code)),
        ])
        return LoopbackHTTPServer.Response(
            status: refusal.status,
            body: JSONValue.object([("error", error)]).bytes(indented: false)
        )
    }
}
