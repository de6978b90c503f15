/// What an RTF file consists of: Rich Text Format Specification 1.9.1, section "RTF Syntax".
enum RTFToken {
    case groupStart, groupEnd
    /// A control word, and its number if it has one.
    case word(UnsafeBufferPointer<UInt8>, Int?)
    /// A control symbol, such as `\~`.
    case symbol(UInt8)
    /// A byte as text: `\'hh`.
    case byte(UInt8)
    /// Text without line ends, which mean nothing.
    case text(UnsafeBufferPointer<UInt8>)
}

/// Divides an RTF file into tokens; the data behind `\bin` is passed over.
struct RTFTokens {
    private let bytes: UnsafeBufferPointer<UInt8>
    private var position = 0

    init(_ bytes: UnsafeBufferPointer<UInt8>) {
        self.bytes = bytes
    }

    /// The next token; `nil` at the end.
    mutating func next() -> RTFToken? {
        while position < bytes.count, bytes[position] == 0x0A || bytes[position] == 0x0D { position += 1 }
        guard position < bytes.count else { return nil }
        switch bytes[position] {
        case UInt8(ascii: "{"):
            position += 1
            return .groupStart
        case UInt8(ascii: "}"):
            position += 1
            return .groupEnd
        case UInt8(ascii: "\\"):
            position += 1
            return control()
        default:
            let start = position
            while position < bytes.count, !Self.endsText(bytes[position]) { position += 1 }
            return .text(UnsafeBufferPointer(rebasing: bytes[start..<position]))
        }
    }

    private static func endsText(_ byte: UInt8) -> Bool {
        byte == 0x0A || byte == 0x0D || byte == UInt8(ascii: "{") || byte == UInt8(ascii: "}")
            || byte == UInt8(ascii: "\\")
    }

    private mutating func control() -> RTFToken? {
        guard position < bytes.count else { return nil }
        let start = position
        while position < bytes.count, (bytes[position] | 0x20) &- 0x61 < 26 { position += 1 }
        guard position > start else {
            position += 1
            return bytes[start] == UInt8(ascii: "'") ? hexadecimal() : .symbol(bytes[start])
        }
        let name = UnsafeBufferPointer(rebasing: bytes[start..<position])
        let number = number()
        if position < bytes.count, bytes[position] == UInt8(ascii: " ") { position += 1 }
        if name.elementsEqual("bin".utf8), let number {
            position = min(bytes.count, position + max(0, number))
        }
        return .word(name, number)
    }

    /// A number of at most ten digits, with its sign.
    private mutating func number() -> Int? {
        var end = position
        let isNegative = end < bytes.count && bytes[end] == UInt8(ascii: "-")
        if isNegative { end += 1 }
        let start = end
        var value = 0
        while end < bytes.count, bytes[end] &- 0x30 < 10, end - start < 10 {
            value = value * 10 + Int(bytes[end] - 0x30)
            end += 1
        }
        guard end > start else { return nil }
        position = end
        return isNegative ? -value : value
    }

    private mutating func hexadecimal() -> RTFToken {
        var value: UInt8 = 0
        for _ in 0..<2 {
            guard position < bytes.count, let digit = Character(Unicode.Scalar(bytes[position])).hexDigitValue else {
                break
            }
            value = value << 4 | UInt8(digit)
            position += 1
        }
        return .byte(value)
    }
}
