import Glibc
import KelterModel

extension FaultInjectingEndpoint {
    /// The body of a request, read.
    struct Call {
        var model = ""
        var encoding = "float"
        /// The UTF-8 of each input.
        var inputs: [ArraySlice<UInt8>] = []

        /// Reads a body; `nil` for anything but `{model, input, encoding_format}` with a string or a list of strings.
        init?(_ body: [UInt8]) {
            if readPlain(body) { return }
            self = Self()
            guard let value = try? JSONReader.read(body), let model = value["model"]?.string else { return nil }
            self.model = model
            guard value["encoding_format"] != .null else { return nil }
            encoding = value["encoding_format"]?.string ?? "float"
            if let text = value["input"]?.string { inputs = [Array(text.utf8)[...]] }
            for item in value["input"]?.array ?? [] {
                guard let text = item.string else { return nil }
                inputs.append(Array(text.utf8)[...])
            }
            guard !inputs.isEmpty else { return nil }
        }

        private init() {}

        /// The way of a benchmark: an object without white space whose values are strings and lists of strings.
        private mutating func readPlain(_ body: [UInt8]) -> Bool {
            var scanner = StringScanner(body: body)
            guard scanner.take("{") else { return false }
            repeat {
                guard let name = scanner.string(), scanner.take(":") else { return false }
                if scanner.take("[") {
                    guard name.elementsEqual("input".utf8) else { return false }
                    repeat {
                        guard let text = scanner.string() else { return false }
                        inputs.append(text)
                    } while scanner.take(",")
                    guard scanner.take("]") else { return false }
                } else {
                    guard let text = scanner.string() else { return false }
                    if name.elementsEqual("model".utf8) { model = String(decoding: text, as: UTF8.self) }
                    if name.elementsEqual("encoding_format".utf8) { encoding = String(decoding: text, as: UTF8.self) }
                }
            } while scanner.take(",")
            return scanner.take("}") && scanner.position == body.count && !inputs.isEmpty && !model.isEmpty
        }
    }

    private struct StringScanner {
        let body: [UInt8]
        var position = 0

        mutating func take(_ scalar: Unicode.Scalar) -> Bool {
            guard position < body.count, body[position] == UInt8(ascii: scalar) else { return false }
            position += 1
            return true
        }

        /// The text of a string, unescaped.
        mutating func string() -> ArraySlice<UInt8>? {
            guard take("\"") else { return nil }
            let start = position
            let found = body.withUnsafeBytes { bytes -> Int? in
                guard let base = bytes.baseAddress else { return nil }
                return memchr(base + start, 0x22, bytes.count - start).map { UnsafeRawPointer($0) - base }
            }
            guard let end = found else { return nil }
            let isEscaped = body[start..<end].withUnsafeBytes { bytes in
                bytes.baseAddress.map { memchr($0, 0x5C, bytes.count) != nil } ?? false
            }
            guard isEscaped else {
                position = end + 1
                return body[start..<end]
            }
            var index = start
            while index < body.count, body[index] != 0x22 { index += body[index] == 0x5C ? 2 : 1 }
            guard index < body.count, let text = (try? JSONReader.read(Array(body[start - 1...index])))?.string else {
                return nil
            }
            position = index + 1
            return Array(text.utf8)[...]
        }
    }
}
