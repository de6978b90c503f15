extension JSONValue {
    /// The value on one line, without spaces.
    package var compactText: String {
        String(decoding: bytes(indented: false), as: UTF8.self)
    }

    /// The value over several lines with two spaces a level, as in files and on a terminal.
    package var indentedText: String {
        String(decoding: bytes(indented: true), as: UTF8.self)
    }

    /// The UTF-8 bytes of the value's text.
    package func bytes(indented: Bool) -> [UInt8] {
        var output: [UInt8] = []
        write(to: &output, indent: indented ? 0 : nil)
        return output
    }

    private func write(to output: inout [UInt8], indent: Int?) {
        switch self {
        case .null: output.append(contentsOf: "null".utf8)
        case .bool(let value): output.append(contentsOf: (value ? "true" : "false").utf8)
        case .number(let literal): output.append(contentsOf: literal.utf8)
        case .string(let text): appendJSONString(text, to: &output)
        case .array(let items):
            Self.writeList(items, open: "[", close: "]", to: &output, indent: indent) { item, output, indent in
                item.write(to: &output, indent: indent)
            }
        case .object(let members):
            Self.writeList(members, open: "{", close: "}", to: &output, indent: indent) { member, output, indent in
                appendJSONString(member.name, to: &output)
                output.append(UInt8(ascii: ":"))
                if indent != nil { output.append(UInt8(ascii: " ")) }
                member.value.write(to: &output, indent: indent)
            }
        }
    }

    private static func writeList<Item>(
        _ items: [Item],
        open: Unicode.Scalar,
        close: Unicode.Scalar,
        to output: inout [UInt8],
        indent: Int?,
        write: (Item, inout [UInt8], Int?) -> Void
    ) {
        func newLine(_ level: Int) {
            output.append(UInt8(ascii: "\n"))
            output.append(contentsOf: repeatElement(UInt8(ascii: " "), count: level * 2))
        }
        output.append(UInt8(ascii: open))
        for (index, item) in items.enumerated() {
            if index > 0 { output.append(UInt8(ascii: ",")) }
            if let indent { newLine(indent + 1) }
            write(item, &output, indent.map { $0 + 1 })
        }
        if let indent, !items.isEmpty { newLine(indent) }
        output.append(UInt8(ascii: close))
    }
}

/// Appends a text as a JSON string: quotes, backslashes and control characters escaped, the rest as UTF-8.
package func appendJSONString(_ text: String, to output: inout [UInt8]) {
    output.append(UInt8(ascii: "\""))
    var text = text
    text.withUTF8 { bytes in
        // Whole runs between the few bytes that need an escape: texts of requests and sidecars are mostly one run.
        var start = 0
        for index in bytes.indices {
            let byte = bytes[index]
            guard byte < 0x20 || byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "\\") else { continue }
            output.append(contentsOf: UnsafeBufferPointer(rebasing: bytes[start..<index]))
            appendEscape(of: byte, to: &output)
            start = index + 1
        }
        output.append(contentsOf: UnsafeBufferPointer(rebasing: bytes[start...]))
    }
    output.append(UInt8(ascii: "\""))
}

private func appendEscape(of byte: UInt8, to output: inout [UInt8]) {
    output.append(UInt8(ascii: "\\"))
    switch byte {
    case 0x0A: output.append(UInt8(ascii: "n"))
    case 0x0D: output.append(UInt8(ascii: "r"))
    case 0x09: output.append(UInt8(ascii: "t"))
    case 0..<0x20:
        output.append(contentsOf: "u00".utf8)
        output.append(hexDigit(byte >> 4))
        output.append(hexDigit(byte & 0xF))
    default: output.append(byte)
    }
}
