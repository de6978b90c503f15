import KelterLocal

extension FaultInjectingEndpoint.Fault {
    /// What this fault makes of a right reply; the faults of vectors leave it as it is.
    func response(_ body: [UInt8]) -> LoopbackHTTPServer.Response {
        var response = LoopbackHTTPServer.Response(body: body)
        switch self {
        case .status(let status, let headers, let body):
            return LoopbackHTTPServer.Response(status: status, headers: headers, body: Array(body.utf8))
        case .cutJSON(let count): response.body = Array(body.prefix(count))
        case .cutConnection(let count): response.delivery = .cut(after: count)
        case .malformedJSON:
            if let colon = response.body.firstIndex(of: UInt8(ascii: ":")) {
                response.body[colon] = UInt8(ascii: ";")
            }
        case .contentType(let type): response.contentType = type
        case .errorBody:
            return LoopbackHTTPServer.Response(text: #"{"error":{"message":"model crashed","code":500}}"#)
        case .html(let type):
            return LoopbackHTTPServer.Response(
                contentType: type,
                text: "<!doctype html><title>Login</title>"
            )
        case .endless:
            return LoopbackHTTPServer.Response(body: Array(repeating: 0x20, count: 1 << 16), delivery: .endless)
        case .drip(let count, let pause): response.delivery = .drip(bytes: count, pause: pause)
        case .redirect(let address):
            return LoopbackHTTPServer.Response(status: 307, headers: [("Location", address)])
        case .hang: response.delivery = .hang
        case .reset: response.delivery = .reset
        case .noReply: response.delivery = .noReply
        case .tooFewItems, .tooManyItems, .duplicateIndex, .shuffledItems, .indexOutOfRange, .missingIndex, .wrongWidth,
            .float64, .bigEndian, .oddLength, .invalidBase64, .notANumber, .nullVector, .infinity, .zeroVector:
            break
        }
        return response
    }
}
