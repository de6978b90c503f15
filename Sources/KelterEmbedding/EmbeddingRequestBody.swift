import KelterModel

/// The body of `POST /embeddings`: `{"model":…,"input":[…],"encoding_format":…}`.
///
/// `encoding_format` is always there and never null: some gateways answer 422 to null.
func embeddingRequestBody(model: String, texts: [String], encoding: EmbeddingEncoding) -> [UInt8] {
    var body: [UInt8] = []
    body.reserveCapacity(texts.reduce(128) { $0 + $1.utf8.count + 16 })
    body.append(contentsOf: #"{"model":"#.utf8)
    appendJSONString(model, to: &body)
    body.append(contentsOf: #","input":["#.utf8)
    for (index, text) in texts.enumerated() {
        if index > 0 { body.append(UInt8(ascii: ",")) }
        appendText(text, to: &body)
    }
    body.append(contentsOf: #"],"encoding_format":"#.utf8)
    appendJSONString(encoding.rawValue, to: &body)
    body.append(UInt8(ascii: "}"))
    return body
}

/// Appends a text as a JSON string; one without anything to escape, as most are, is copied in one go.
private func appendText(_ text: String, to body: inout [UInt8]) {
    let isPlain = text.utf8.withContiguousStorageIfAvailable { bytes in
        // Without an early end the compiler looks at many bytes at a time.
        var found: UInt8 = 0
        for byte in bytes {
            found |= byte < 0x20 ? 1 : 0
            found |= byte == UInt8(ascii: "\"") ? 1 : 0
            found |= byte == UInt8(ascii: "\\") ? 1 : 0
        }
        if found == 0 {
            body.append(UInt8(ascii: "\""))
            body.append(contentsOf: bytes)
            body.append(UInt8(ascii: "\""))
        }
        return found == 0
    }
    if isPlain != true { appendJSONString(text, to: &body) }
}
