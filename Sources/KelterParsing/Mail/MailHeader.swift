import KelterModel

/// The header of a mail message or of one of its parts: RFC 5322, section 2.2.
struct MailHeader {
    /// Names in lower case, and values without line ends and NUL.
    private let fields: [(name: String, value: [UInt8])]

    /// Reads a header.
    ///
    /// - Parameters:
    ///   - bytes: The message.
    ///   - range: Where the header begins; cut to where its content begins, behind the empty line.
    init(_ bytes: UnsafeBufferPointer<UInt8>, _ range: inout Range<Int>) {
        var fields: [(name: String, value: [UInt8])] = []
        var position = range.lowerBound
        while position < range.upperBound {
            let end = min(firstIndex(of: 0x0A, in: bytes, from: position) ?? range.upperBound, range.upperBound)
            var line = bytes[position..<end]
            if line.last == 0x0D { line.removeLast() }
            let next = min(end + 1, range.upperBound)
            guard let first = line.first else {
                position = next
                break
            }
            if first == 0x20 || first == 0x09 {
                if !fields.isEmpty { fields[fields.count - 1].value += line.filter { $0 != 0 } }
            } else if let colon = line.firstIndex(of: UInt8(ascii: ":")), colon > position,
                line[..<colon].allSatisfy({ 0x21...0x7E ~= $0 || $0 == 0x20 })
            {
                let name = lowercasedASCII(trimmed(String(decoding: line[..<colon], as: UTF8.self)))
                fields.append((name, line[(colon + 1)...].filter { $0 != 0 }))
            } else if !line.starts(with: Array("From ".utf8)) {
                // No header field: the content begins without an empty line.
                break
            }
            position = next
        }
        self.fields = fields
        range = position..<range.upperBound
    }

    /// Whether there is a field that only mail messages have.
    var isOfMessage: Bool {
        fields.contains { ["from", "to", "subject", "date", "message-id", "received"].contains($0.name) }
    }

    /// The first field with a name in lower case, as text; `nil` when it is not there or empty.
    func text(_ name: String) -> String? {
        guard let field = fields.first(where: { $0.name == name }) else { return nil }
        var bytes = Array(decodedWords(field.value).utf8)
        var cleaner = TextCleaner()
        cleaner.clean(&bytes)
        let text = collapsedText(bytes)
        return text.isEmpty ? nil : text
    }

    /// A field of the form `value; name=value; …`, its value and the names in lower case: RFC 2045, section 5.1.
    func parameters(_ name: String) -> (value: String, parameters: [String: String])? {
        guard let field = fields.first(where: { $0.name == name }) else { return nil }
        var parts = Self.divided(field.value)
        let value = lowercasedASCII(trimmed(String(decoding: parts.removeFirst(), as: UTF8.self)))
        var parameters: [String: String] = [:]
        // RFC 2231: a value may come in numbered pieces, and percent-encoded in a charset.
        var pieces: [String: [(number: Int, isEncoded: Bool, value: [UInt8])]] = [:]
        for part in parts {
            guard let equals = part.firstIndex(of: UInt8(ascii: "=")) else { continue }
            var key = lowercasedASCII(trimmed(String(decoding: part[..<equals], as: UTF8.self)))
            let isEncoded = key.hasSuffix("*")
            if isEncoded { key.removeLast() }
            let value = Self.unquoted(part[(equals + 1)...])
            let words = key.split(separator: "*", maxSplits: 1)
            if words.count == 2, let number = Int(words[1]) {
                pieces[String(words[0]), default: []].append((number, isEncoded, value))
            } else if isEncoded {
                pieces[key, default: []].append((0, true, value))
            } else if parameters[key] == nil {
                parameters[key] = decodedWords(value)
            }
        }
        for (key, pieces) in pieces { parameters[key] = Self.joined(pieces) }
        return (value, parameters)
    }

    /// The parts between semicolons that stand outside quotes.
    private static func divided(_ value: [UInt8]) -> [[UInt8]] {
        var parts: [[UInt8]] = [[]]
        var (isQuoted, isEscaped) = (false, false)
        for byte in value {
            if byte == UInt8(ascii: ";"), !isQuoted {
                parts.append([])
                continue
            }
            if byte == UInt8(ascii: "\""), !isEscaped { isQuoted.toggle() }
            isEscaped = byte == UInt8(ascii: "\\") && isQuoted && !isEscaped
            parts[parts.count - 1].append(byte)
        }
        return parts
    }

    private static func unquoted(_ value: ArraySlice<UInt8>) -> [UInt8] {
        let value = value.drop { WhiteSpace.isASCII($0) }
        guard value.first == UInt8(ascii: "\"") else {
            return Array(value.prefix { !WhiteSpace.isASCII($0) })
        }
        var unquoted: [UInt8] = []
        var isEscaped = false
        for byte in value.dropFirst() {
            if isEscaped || byte != UInt8(ascii: "\\") && byte != UInt8(ascii: "\"") {
                unquoted.append(byte)
                isEscaped = false
            } else if byte == UInt8(ascii: "\\") {
                isEscaped = true
            } else {
                break
            }
        }
        return unquoted
    }

    private static func joined(_ pieces: [(number: Int, isEncoded: Bool, value: [UInt8])]) -> String {
        var charset = "utf-8"
        var bytes: [UInt8] = []
        for (index, piece) in pieces.sorted(by: { $0.number < $1.number }).enumerated() {
            var value = piece.value[...]
            if piece.isEncoded, index == 0 {
                let words = value.split(separator: UInt8(ascii: "'"), maxSplits: 2, omittingEmptySubsequences: false)
                if words.count == 3 {
                    charset = String(decoding: words[0], as: UTF8.self)
                    value = words[2]
                }
            }
            bytes += piece.isEncoded ? percentDecoded(value) : Array(value)
        }
        return text(bytes, charset: charset)
    }

    private static func percentDecoded(_ bytes: ArraySlice<UInt8>) -> [UInt8] {
        var decoded: [UInt8] = []
        var rest = bytes
        while let byte = rest.popFirst() {
            if byte == UInt8(ascii: "%"), let high = rest.first.flatMap(hexadecimal),
                let low = rest.dropFirst().first.flatMap(hexadecimal)
            {
                decoded.append(high << 4 | low)
                rest = rest.dropFirst(2)
            } else {
                decoded.append(byte)
            }
        }
        return decoded
    }

    /// Bytes in a charset as text; valid UTF-8 is taken for what it is.
    fileprivate static func text(_ bytes: [UInt8], charset: String) -> String {
        if bytes.withUnsafeBufferPointer({ firstInvalidUTF8($0) }) == nil, bytes.contains(where: { $0 >= 0x80 }) {
            return String(decoding: bytes, as: UTF8.self)
        }
        let converted = CharsetConverter(label: charset)?.convert(bytes).text
        return String(decoding: converted ?? bytes, as: UTF8.self)
    }
}

/// The text of a header field with encoded words, such as `=?utf-8?Q?f=C3=BCr?=`: RFC 2047.
///
/// Encoded words with only white space between them are one text, whose characters may be cut between them.
func decodedWords(_ value: [UInt8]) -> String {
    var text = ""
    var pending: (charset: String, bytes: [UInt8]) = ("", [])
    var position = 0
    var plain = 0
    func isWhite(_ range: Range<Int>) -> Bool { value[range].allSatisfy { WhiteSpace.isASCII($0) } }
    func plainText(_ range: Range<Int>) -> String {
        MailHeader.text(Array(value[range]), charset: "windows-1252")
    }
    while position + 1 < value.count {
        guard value[position] == UInt8(ascii: "="), value[position + 1] == UInt8(ascii: "?"),
            let word = encodedWord(value, at: position)
        else {
            position += 1
            continue
        }
        let isContinued = !pending.bytes.isEmpty && isWhite(plain..<position)
        if !isContinued || pending.charset != word.charset {
            text += MailHeader.text(pending.bytes, charset: pending.charset)
            pending = (word.charset, [])
        }
        if !isContinued { text += plainText(plain..<position) }
        pending.bytes += word.bytes
        position = word.end
        plain = position
    }
    return text + MailHeader.text(pending.bytes, charset: pending.charset) + plainText(plain..<value.count)
}

private func encodedWord(_ value: [UInt8], at start: Int) -> (charset: String, bytes: [UInt8], end: Int)? {
    // At most 75 characters by the standard; programs write longer ones.
    let window = value[(start + 2)..<min(value.count, start + 1_024)]
    let marks = window.indices.lazy.filter { window[$0] == UInt8(ascii: "?") }.prefix(2)
    guard marks.count == 2, let first = marks.first, let second = marks.dropFirst().first, second == first + 2,
        let end = window.indices.first(where: {
            $0 > second && window[$0] == UInt8(ascii: "?") && $0 + 1 < window.endIndex
                && window[$0 + 1] == UInt8(ascii: "=")
        })
    else { return nil }
    // A language may follow the charset: RFC 2231.
    let charset = window[..<first].prefix { $0 != UInt8(ascii: "*") }
    let content = Array(window[(second + 1)..<end])
    let bytes: [UInt8]
    switch window[first + 1] {
    case UInt8(ascii: "B"), UInt8(ascii: "b"):
        bytes = content.withUnsafeBufferPointer { TransferEncoding.base64.decoded($0) }
    case UInt8(ascii: "Q"), UInt8(ascii: "q"):
        let spaced = content.map { $0 == UInt8(ascii: "_") ? UInt8(ascii: " ") : $0 }
        bytes = spaced.withUnsafeBufferPointer { TransferEncoding.quotedPrintable.decoded($0) }
    default: return nil
    }
    return (lowercasedASCII(String(decoding: charset, as: UTF8.self)), bytes, end + 2)
}
