import KelterLocal
import KelterModel

extension FaultInjectingEndpoint {
    /// A right reply, and what a fault makes of it.
    struct Reply {
        private struct Item {
            var index: Int?
            var vector: [Float]
            var isNull = false
        }

        private let model: String
        private var items: [Item]
        private let isBase64: Bool
        private let tokens: Int

        init(model: String, inputs: [ArraySlice<UInt8>], dimension: Int, isBase64: Bool) {
            self.model = model
            self.isBase64 = isBase64
            items = inputs.enumerated().map { index, text in
                Item(index: index, vector: FaultInjectingEndpoint.vector(for: text, dimension: dimension))
            }
            // A token a byte: no tokenizer makes more.
            tokens = inputs.reduce(0) { $0 + $1.count + 2 }
        }

        /// The answer with a fault, or without one.
        func response(_ fault: Fault?) -> LoopbackHTTPServer.Response {
            var reply = self
            var bytes = { (vector: [Float]) in vector.withUnsafeBytes { Array($0) } }
            switch fault {
            case .tooFewItems: reply.items.removeLast()
            case .tooManyItems: reply.items.append(Item(index: items.count, vector: items[0].vector))
            case .duplicateIndex: reply.items[items.count - 1].index = 0
            case .shuffledItems:
                reply.items = Array(items.dropFirst(items.count / 2) + items.prefix(items.count / 2)).reversed()
            case .indexOutOfRange: reply.items[0].index = items.count
            case .missingIndex: for position in items.indices { reply.items[position].index = nil }
            case .wrongWidth(let item):
                for position in items.indices where item ?? position == position {
                    reply.items[position].vector.removeLast()
                }
            case .float64: bytes = { vector in vector.map(Double.init).withUnsafeBytes { Array($0) } }
            case .bigEndian: bytes = { vector in vector.map(\.bitPattern.bigEndian).withUnsafeBytes { Array($0) } }
            case .oddLength: bytes = { vector in vector.withUnsafeBytes { Array($0) } + [0] }
            case .notANumber(let item): reply.change(item) { $0[0] = .nan }
            case .nullVector(let item): if items.indices.contains(item) { reply.items[item].isNull = true }
            case .infinity(let item, let isNegative): reply.change(item) { $0[0] = isNegative ? -.infinity : .infinity }
            case .zeroVector(let item): reply.change(item) { $0 = $0.map { _ in 0 } }
            default: break
            }
            var body = reply.body(bytes)
            if case .invalidBase64 = fault, let start = body.firstRange(of: Array(#""embedding":""#.utf8))?.upperBound {
                body[start] = UInt8(ascii: "!")
            }
            return fault.map { $0.response(body) } ?? LoopbackHTTPServer.Response(body: body)
        }

        /// Changes one item's vector, if the reply has that item.
        private mutating func change(_ item: Int, _ body: (inout [Float]) -> Void) {
            guard items.indices.contains(item) else { return }
            body(&items[item].vector)
        }

        /// The reply in LiteLLM's order of members, `embedding` before `index`.
        private func body(_ bytes: ([Float]) -> [UInt8]) -> [UInt8] {
            var output: [UInt8] = []
            output.reserveCapacity(256 + items.count * ((items.first?.vector.count ?? 0) * (isBase64 ? 6 : 14) + 64))
            output.append(contentsOf: #"{"model":"#.utf8)
            appendJSONString(model, to: &output)
            output.append(contentsOf: #","data":["#.utf8)
            for (position, item) in items.enumerated() {
                output.append(contentsOf: (position > 0 ? #",{"embedding":"# : #"{"embedding":"#).utf8)
                if item.isNull {
                    output.append(contentsOf: "null".utf8)
                } else if isBase64 {
                    output.append(UInt8(ascii: "\""))
                    Self.appendBase64(bytes(item.vector), to: &output)
                    output.append(UInt8(ascii: "\""))
                } else {
                    Self.appendNumbers(item.vector, to: &output)
                }
                if let index = item.index { output.append(contentsOf: #","index":\#(index)"#.utf8) }
                output.append(contentsOf: #","object":"embedding"}"#.utf8)
            }
            output.append(
                contentsOf: #"],"object":"list","usage":{"prompt_tokens":\#(tokens),"total_tokens":\#(tokens)}}"#.utf8
            )
            return output
        }

        private static func appendNumbers(_ vector: [Float], to output: inout [UInt8]) {
            output.append(UInt8(ascii: "["))
            for (index, value) in vector.enumerated() {
                if index > 0 { output.append(UInt8(ascii: ",")) }
                let text = value.isNaN ? "null" : value.isInfinite ? (value < 0 ? "-1e999" : "1e999") : "\(value)"
                output.append(contentsOf: text.utf8)
            }
            output.append(UInt8(ascii: "]"))
        }

        private static let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)

        /// Base64 with padding; RFC 4648 section 4.
        private static func appendBase64(_ bytes: [UInt8], to output: inout [UInt8]) {
            alphabet.withUnsafeBufferPointer { alphabet in
                var position = 0
                while position + 3 <= bytes.count {
                    let word = Int(bytes[position]) << 16 | Int(bytes[position + 1]) << 8 | Int(bytes[position + 2])
                    output.append(alphabet[word >> 18])
                    output.append(alphabet[word >> 12 & 63])
                    output.append(alphabet[word >> 6 & 63])
                    output.append(alphabet[word & 63])
                    position += 3
                }
                let rest = bytes.count - position
                guard rest > 0 else { return }
                let word = Int(bytes[position]) << 16 | (rest == 2 ? Int(bytes[position + 1]) << 8 : 0)
                output.append(alphabet[word >> 18])
                output.append(alphabet[word >> 12 & 63])
                output.append(rest == 2 ? alphabet[word >> 6 & 63] : UInt8(ascii: "="))
                output.append(UInt8(ascii: "="))
            }
        }
    }
}
