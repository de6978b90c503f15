import KelterModel

/// The request line and header fields of one request, as far as they decide how the body is read; RFC 9112.
struct LoopbackRequestHead {
    enum Framing: Equatable {
        case length(Int)
        case chunked
    }

    /// A request that is answered with a status instead of a handler's answer.
    struct Refusal: Error, Equatable {
        let status: Int
        let reason: String

        init(_ status: Int, _ reason: String) {
            self.status = status
            self.reason = reason
        }
    }

    let method: String
    let path: String
    let headers: [(name: String, value: String)]
    let framing: Framing
    let keepsAlive: Bool
    let expectsContinue: Bool

    /// Reads a head without its final empty line.
    init(_ bytes: ArraySlice<UInt8>) throws(Refusal) {
        var lines = bytes.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false).map { line in
            line.last == UInt8(ascii: "\r") ? line.dropLast() : line
        }[...]
        let parts = (lines.popFirst() ?? []).split(separator: UInt8(ascii: " "), omittingEmptySubsequences: false)
        guard parts.count == 3, !parts[0].isEmpty, !parts[1].isEmpty else { throw Refusal(400, "bad request line") }
        let version = String(decoding: parts[2], as: UTF8.self)
        guard version == "HTTP/1.1" || version == "HTTP/1.0" else { throw Refusal(505, "HTTP/1.1 only") }

        method = String(decoding: parts[0], as: UTF8.self)
        path = String(decoding: parts[1], as: UTF8.self)
        headers = try Self.fields(lines)

        var length: Int?
        var isChunked = false
        var keepsAlive = version == "HTTP/1.1"
        var expectsContinue = false
        for (name, value) in headers {
            switch lowercasedASCII(name) {
            case "content-length":
                guard let number = Self.decimal(value), length ?? number == number else {
                    throw Refusal(400, "bad Content-Length")
                }
                length = number
            case "transfer-encoding":
                guard lowercasedASCII(value) == "chunked", !isChunked else {
                    throw Refusal(501, "unknown Transfer-Encoding")
                }
                isChunked = true
            case "connection":
                let options = value.split(separator: ",").map { lowercasedASCII(trimmed(String($0))) }
                if options.contains("close") { keepsAlive = false }
                if options.contains("keep-alive") { keepsAlive = true }
            case "expect":
                guard lowercasedASCII(value) == "100-continue" else { throw Refusal(417, "unknown expectation") }
                expectsContinue = true
            default: break
            }
        }
        // Both together is the classic way of smuggling a request past a proxy.
        guard !isChunked || length == nil else { throw Refusal(400, "Content-Length beside Transfer-Encoding") }
        framing = isChunked ? .chunked : .length(length ?? 0)
        self.keepsAlive = keepsAlive
        self.expectsContinue = expectsContinue
    }

    private static func fields(_ lines: ArraySlice<ArraySlice<UInt8>>) throws(Refusal) -> [(
        name: String, value: String
    )] {
        var fields: [(name: String, value: String)] = []
        for line in lines where !line.isEmpty {
            guard let colon = line.firstIndex(of: UInt8(ascii: ":")), colon > line.startIndex,
                !line[..<colon].contains(where: { $0 <= 0x20 })
            else { throw Refusal(400, "bad header field") }
            let name = String(decoding: line[..<colon], as: UTF8.self)
            let value = trimmed(String(decoding: line[line.index(after: colon)...], as: UTF8.self))
            fields.append((name, value))
        }
        return fields
    }

    /// A non-negative number without sign; `nil` for anything else, overflow included.
    private static func decimal(_ text: String) -> Int? {
        guard !text.isEmpty, text.utf8.allSatisfy({ (0x30...0x39).contains($0) }) else { return nil }
        return Int(text)
    }
}
