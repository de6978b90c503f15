import Glibc
import KelterModel

/// Reads the reply of `POST /embeddings`, for this one shape and from an untrusted server.
///
/// Members may come in any order and unknown ones are skipped. `index` must be a permutation of 0..<count and is obeyed.
/// Each vector may be base64 (little-endian float32) or an array of numbers.
struct EmbeddingReplyReader {
    /// Why a reply as a whole cannot be used.
    struct Failure: Error, Equatable {
        let code: ErrorCode
        /// The end of a sentence about the reply; of the reply itself at most an error's code.
        let message: String

        init(_ code: ErrorCode, _ message: String) {
            self.code = code
            self.message = message
        }

        /// JSON of another shape, or none.
        init(_ message: String) {
            self.init(.embeddingReplyInvalid, message)
        }
    }

    /// One item's vector, held until the item's index is known.
    private struct Embedding {
        let vector: Result<UnitVector, KelterError>
        let length: Double
        let encoding: EmbeddingEncoding
    }

    private let bytes: [UInt8]
    private let count: Int
    private let dimension: Int
    private var position = 0
    private var raw: [Float] = []
    private var reply: EmbeddingReply
    private var filled: [Bool]
    private var items = 0
    private var hasData = false

    /// Reads a whole reply.
    ///
    /// - Parameters:
    ///   - bytes: The reply's body.
    ///   - count: The number of inputs of the request.
    ///   - dimension: The width every vector must have; another width is that item's error.
    /// - Returns: One result per input, in order.
    /// - Throws: ``Failure`` when the reply as a whole cannot be used: ``ErrorCode/embeddingReplyCut`` for a text that
    ///   ends too early, wherever that is, ``ErrorCode/embeddingReplyInvalid`` for one that is not the JSON it should be,
    ///   ``ErrorCode/embeddingErrorBody``, ``ErrorCode/embeddingCountMismatch``, ``ErrorCode/embeddingIndexInvalid`` or
    ///   ``ErrorCode/embeddingEncodingInvalid``.
    static func read(_ bytes: [UInt8], count: Int, dimension: Int) throws(Failure) -> EmbeddingReply {
        var reader = Self(bytes: bytes, count: count, dimension: dimension)
        return try reader.document()
    }

    private init(bytes: [UInt8], count: Int, dimension: Int) {
        self.bytes = bytes
        self.count = count
        self.dimension = dimension
        raw.reserveCapacity(dimension)
        reply = EmbeddingReply(
            vectors: Array(repeating: .success(.empty), count: count),
            encoding: .base64,
            firstLength: 0,
            model: nil,
            promptTokens: 0
        )
        filled = Array(repeating: false, count: count)
    }

    private mutating func document() throws(Failure) -> EmbeddingReply {
        guard let first = peek() else { throw Self.cut }
        guard first == UInt8(ascii: "{") else { throw Failure("it is no JSON object") }
        try object { reader, name throws(Failure) in
            switch name {
            case .data: try reader.data()
            case .error: try reader.error()
            case .usage: try reader.usage()
            case .model: try reader.model()
            default: try reader.skipValue()
            }
        }
        guard peek() == nil else { throw Failure("something follows the JSON object") }
        guard hasData else { throw Failure("it has no list of vectors") }
        guard items == count else {
            throw Failure(.embeddingCountMismatch, "it has \(items) vectors for \(count) inputs")
        }
        return reply
    }

    private mutating func data() throws(Failure) {
        guard !hasData else { throw Failure("it has two lists of vectors") }
        hasData = true
        guard peek() != nil else { throw Self.cut }
        guard take("[") else { throw Failure("its data is no list") }
        if take("]") { return }
        repeat {
            guard items < count else {
                throw Failure(.embeddingCountMismatch, "it has more vectors than the \(count) inputs")
            }
            try item()
            items += 1
        } while take(",")
        guard take("]") else { throw broken }
    }

    private mutating func item() throws(Failure) {
        var index: Int?
        var embedding: Embedding?
        try object { reader, name throws(Failure) in
            switch name {
            case .index:
                guard index == nil else { throw Self.badIndex("an item has two indices") }
                index = try reader.integer(orElse: Self.badIndex("an index is no whole number"))
            case .embedding:
                guard embedding == nil else { throw Failure("an item has two vectors") }
                embedding = try reader.embedding()
            default: try reader.skipValue()
            }
        }
        guard let index else { throw Self.badIndex("an item has no index") }
        guard let embedding else { throw Failure("an item has no vector") }
        guard filled.indices.contains(index) else { throw Self.badIndex("an index is outside 0..<\(count)") }
        guard !filled[index] else { throw Self.badIndex("an index stands twice") }
        filled[index] = true
        reply.vectors[index] = embedding.vector
        if embedding.encoding == .float { reply.encoding = .float }
        if index == 0 { reply.firstLength = embedding.length }
    }

    private static func badIndex(_ message: String) -> Failure {
        Failure(.embeddingIndexInvalid, message)
    }

    /// Skips `null`; anything else is an error in the place of vectors, of which only a plain code is told.
    private mutating func error() throws(Failure) {
        let isNull = peek() == UInt8(ascii: "n")
        let start = position
        try skipValue()
        guard !isNull else { return }
        let word = errorWord(Array(bytes[start..<position]))
        throw Failure(
            .embeddingErrorBody,
            "it carries \(word.map { "the error \($0)" } ?? "an error") instead of vectors"
        )
    }

    private mutating func usage() throws(Failure) {
        guard peek() == UInt8(ascii: "{") else { return try skipValue() }
        try object { reader, name throws(Failure) in
            guard name == .promptTokens, let byte = reader.peek(), (0x30...0x39).contains(byte) else {
                return try reader.skipValue()
            }
            reader.reply.promptTokens = try reader.integer(orElse: Failure("its number of tokens is no whole number"))
        }
    }

    private mutating func model() throws(Failure) {
        guard peek() == UInt8(ascii: "\"") else { return try skipValue() }
        let start = position
        try skipValue()
        reply.model = (try? JSONReader.read(Array(bytes[start..<position])))?.string
    }
}

// Vectors.
extension EmbeddingReplyReader {
    private mutating func embedding() throws(Failure) -> Embedding {
        switch peek() {
        case UInt8(ascii: "\""):
            try base64()
            return judged(.base64)
        case UInt8(ascii: "["):
            try numbers()
            return judged(.float)
        case UInt8(ascii: "n"):
            try skipValue()
            raw = Array(repeating: .nan, count: dimension)
            return judged(.base64)
        default:
            guard peek() != nil else { throw Self.cut }
            throw Failure("a vector is neither base64 nor a list of numbers")
        }
    }

    private func judged(_ encoding: EmbeddingEncoding) -> Embedding {
        let (vector, length) = VectorCheck.judge(raw, encoding: encoding, dimension: dimension)
        return Embedding(vector: vector, length: length, encoding: encoding)
    }

    private mutating func base64() throws(Failure) {
        let range = try string()
        let text = bytes[range]
        // Some JSON writers escape the slash, which is a character of base64.
        let isEscaped = text.withUnsafeBufferPointer { text in
            text.baseAddress.map { memchr($0, 0x5C, text.count) != nil } ?? false
        }
        try (isEscaped ? Self.unescapedSlashes(text)[...] : text).withUnsafeBufferPointer { text throws(Failure) in
            guard let size = Base64.decodedCount(text), size % 4 == 0 else {
                throw Failure(.embeddingEncodingInvalid, "a base64 vector is no sequence of float32")
            }
            if raw.count != size / 4 { raw = Array(repeating: 0, count: size / 4) }
            guard raw.withUnsafeMutableBytes({ Base64.decode(text, into: $0) }) else {
                throw Failure(.embeddingEncodingInvalid, "a vector is no valid base64")
            }
            #if _endian(big)
                for index in raw.indices { raw[index] = Float(bitPattern: raw[index].bitPattern.byteSwapped) }
            #endif
        }
    }

    private static func unescapedSlashes(_ text: ArraySlice<UInt8>) -> [UInt8] {
        var output: [UInt8] = []
        output.reserveCapacity(text.count)
        var rest = text
        while let byte = rest.popFirst() {
            // Any other escape leaves its backslash, which the decoder refuses.
            if byte == 0x5C, rest.first == UInt8(ascii: "/") { continue }
            output.append(byte)
        }
        return output
    }

    /// Reads an array into ``raw``; NaN, infinities and null, with which no JSON number can be written, become NaN.
    private mutating func numbers() throws(Failure) {
        raw.removeAll(keepingCapacity: true)
        let bytes = bytes
        try bytes.withUnsafeBufferPointer { text throws(Failure) in
            var index = position + 1
            defer { position = index }
            func skipSpace() {
                while index < text.count, Self.isSpace(text[index]) { index += 1 }
            }
            skipSpace()
            if index < text.count, text[index] == UInt8(ascii: "]") {
                index += 1
                return
            }
            while true {
                skipSpace()
                if let value = DecimalNumber.scan(text, at: &index) {
                    raw.append(Float(value))
                } else if Self.skipWord(text, at: &index) {
                    raw.append(.nan)
                } else {
                    throw Self.isCut(text, at: index) ? Self.cut : Self.malformed
                }
                skipSpace()
                guard index < text.count else { throw Self.cut }
                index += 1
                if text[index - 1] == UInt8(ascii: "]") { return }
                guard text[index - 1] == UInt8(ascii: ",") else { throw Self.malformed }
            }
        }
    }

    private static func skipWord(_ text: UnsafeBufferPointer<UInt8>, at index: inout Int) -> Bool {
        for word in ["null", "NaN", "nan", "Infinity", "-Infinity", "inf", "-inf"]
        where text[index...].starts(with: word.utf8) {
            index += word.utf8.count
            return true
        }
        return false
    }
}

// The JSON around them.
extension EmbeddingReplyReader {
    /// The member names with a meaning here.
    private enum Name {
        case data, error, usage, model, index, embedding, promptTokens, other
    }

    private static let cut = Failure(.embeddingReplyCut, "its JSON ends too early")
    private static let malformed = Failure("its JSON is malformed")

    /// Another token was wanted at the current position: its end if nothing is left, else its being malformed.
    private var broken: Failure { position < bytes.count ? Self.malformed : Self.cut }

    /// Whether a number or word that cannot be read goes on to the end of the text.
    private static func isCut(_ text: UnsafeBufferPointer<UInt8>, at index: Int) -> Bool {
        text[index...].allSatisfy(isPlain)
    }

    private static func isSpace(_ byte: UInt8) -> Bool {
        byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09
    }

    /// The next byte that is no white space, without taking it.
    private mutating func peek() -> UInt8? {
        while position < bytes.count, Self.isSpace(bytes[position]) { position += 1 }
        return position < bytes.count ? bytes[position] : nil
    }

    private mutating func take(_ scalar: Unicode.Scalar) -> Bool {
        guard peek() == UInt8(ascii: scalar) else { return false }
        position += 1
        return true
    }

    /// Reads an object, handing each member to a body that must read its value.
    private mutating func object(_ member: (inout Self, Name) throws(Failure) -> Void) throws(Failure) {
        guard take("{") else { throw broken }
        if take("}") { return }
        repeat {
            guard peek() == UInt8(ascii: "\"") else { throw broken }
            let name = Self.name(bytes[try string()])
            guard take(":") else { throw broken }
            try member(&self, name)
        } while take(",")
        guard take("}") else { throw broken }
    }

    private static func name(_ text: ArraySlice<UInt8>) -> Name {
        func isName(_ name: StaticString) -> Bool {
            text.elementsEqual(UnsafeBufferPointer(start: name.utf8Start, count: name.utf8CodeUnitCount))
        }
        switch text.count {
        case 4: return isName("data") ? .data : .other
        case 5:
            return isName("index")
                ? .index : isName("usage") ? .usage : isName("model") ? .model : isName("error") ? .error : .other
        case 9: return isName("embedding") ? .embedding : .other
        case 13: return isName("prompt_tokens") ? .promptTokens : .other
        default: return .other
        }
    }

    /// Reads a string; the range of what is between its quotes, escapes as they are.
    private mutating func string() throws(Failure) -> Range<Int> {
        let start = position + 1
        var from = start
        let bytes = bytes
        let end = bytes.withUnsafeBufferPointer { text -> Int? in
            guard let base = text.baseAddress else { return nil }
            while from < text.count, let found = memchr(base + from, 0x22, text.count - from) {
                let quote = UnsafeRawPointer(found) - UnsafeRawPointer(base)
                // An odd number of backslashes before it makes the quote a part of the text.
                var slashes = 0
                while quote - slashes > start, text[quote - slashes - 1] == 0x5C { slashes += 1 }
                if slashes % 2 == 0 { return quote }
                from = quote + 1
            }
            return nil
        }
        guard let end else { throw Self.cut }
        position = end + 1
        return start..<end
    }

    private mutating func integer(orElse failure: Failure) throws(Failure) -> Int {
        _ = peek()
        let bytes = bytes
        let value = try bytes.withUnsafeBufferPointer { text throws(Failure) in
            let value = DecimalNumber.scan(text, at: &position)
            // A number at the very end may have lost digits as well.
            if Self.isCut(text, at: position) { throw Self.cut }
            return value
        }
        guard let value, let integer = Int(exactly: value) else { throw failure }
        return integer
    }

    /// Skips one value of any kind, minding brackets and strings only.
    private mutating func skipValue() throws(Failure) {
        var depth = 0
        repeat {
            guard let byte = peek() else { throw broken }
            switch byte {
            case UInt8(ascii: "\""): _ = try string()
            case UInt8(ascii: "{"), UInt8(ascii: "["):
                depth += 1
                position += 1
            case UInt8(ascii: "}"), UInt8(ascii: "]"):
                guard depth > 0 else { throw broken }
                depth -= 1
                position += 1
            case UInt8(ascii: ","), UInt8(ascii: ":"):
                guard depth > 0 else { throw broken }
                position += 1
            default:
                let start = position
                while position < bytes.count, Self.isPlain(bytes[position]) { position += 1 }
                guard position > start else { throw broken }
            }
        } while depth > 0
    }

    /// Whether a byte may stand in a number or a word.
    private static func isPlain(_ byte: UInt8) -> Bool {
        (0x30...0x39).contains(byte) || (0x41...0x5A).contains(byte) || (0x61...0x7A).contains(byte)
            || byte == UInt8(ascii: "-") || byte == UInt8(ascii: "+") || byte == UInt8(ascii: ".")
    }
}
