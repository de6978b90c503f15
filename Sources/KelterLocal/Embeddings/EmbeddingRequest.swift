import KelterModel

/// The body of `POST /v1/embeddings`; https://platform.openai.com/docs/api-reference/embeddings/create.
struct EmbeddingRequest: Sendable {
    /// Why a request is refused, as OpenAI's `error` object says it.
    struct Refusal: Error, Equatable, Sendable {
        var status: Int = 400
        var message: String
        /// The field at fault.
        var parameter: String?
        var code: String?
    }

    /// OpenAI's own limit.
    static let maximumInputs = 2048
    /// No text of 512 tokens comes near; counting the tokens of much more would only take time.
    static let maximumBytes = 1 << 20

    let texts: [EngineText]
    let isBase64: Bool

    /// Reads and checks a body.
    ///
    /// - Throws: ``Refusal``.
    init(body: [UInt8]) throws(Refusal) {
        let value: JSONValue
        do throws(JSONReader.Failure) {
            value = try JSONReader.read(body)
        } catch {
            throw Refusal(message: "The body is not JSON: \(error).")
        }
        guard value.members != nil else { throw Refusal(message: "The body is not a JSON object.") }
        try Self.checkModel(value["model"])
        isBase64 = try Self.readEncoding(value["encoding_format"])
        if let dimensions = value["dimensions"], dimensions != .null, dimensions.int != EmbeddingModel.dimension {
            throw Refusal(
                message: "This model's vectors have \(EmbeddingModel.dimension) dimensions.",
                parameter: "dimensions"
            )
        }
        texts = try Self.readInput(value["input"])
    }

    private static func checkModel(_ value: JSONValue?) throws(Refusal) {
        guard let value, value != .null else { throw Refusal(message: "The model is missing.", parameter: "model") }
        guard let name = value.string else { throw Refusal(message: "The model is not a string.", parameter: "model") }
        guard name == EmbeddingModel.name else {
            throw Refusal(
                status: 404,
                message: "This endpoint has one model: \(EmbeddingModel.name).",
                parameter: "model",
                code: "model_not_found"
            )
        }
    }

    private static func readEncoding(_ value: JSONValue?) throws(Refusal) -> Bool {
        switch value {
        case nil, .null, .string("float"): return false
        case .string("base64"): return true
        default: throw Refusal(message: "The encoding is `float` or `base64`.", parameter: "encoding_format")
        }
    }

    private static func readInput(_ value: JSONValue?) throws(Refusal) -> [EngineText] {
        let items: [JSONValue]
        switch value {
        case .string(let text): items = [.string(text)]
        case .array(let array): items = array
        case nil, .null: throw Refusal(message: "The input is missing.", parameter: "input")
        default: throw Refusal(message: "The input is a string or an array of strings.", parameter: "input")
        }
        guard (1...maximumInputs).contains(items.count) else {
            throw Refusal(
                message: "A request has 1 to \(maximumInputs) inputs, this one has \(items.count).",
                parameter: "input"
            )
        }
        var texts: [EngineText] = []
        texts.reserveCapacity(items.count)
        for (index, item) in items.enumerated() {
            guard let text = item.string else {
                throw Refusal(message: "Input \(index) is not a string.", parameter: "input")
            }
            guard text.utf8.count <= maximumBytes else {
                throw Refusal(
                    message:
                        "Input \(index) has \(text.utf8.count) bytes, more than any text this model takes.",
                    parameter: "input",
                    code: "context_length_exceeded"
                )
            }
            guard !text.utf8.contains(0) else {
                throw Refusal(message: "Input \(index) contains NUL.", parameter: "input")
            }
            let engineText = EngineText(input: text)
            guard !engineText.bytes.isEmpty else {
                throw Refusal(message: "Input \(index) is empty.", parameter: "input")
            }
            texts.append(engineText)
        }
        return texts
    }
}
