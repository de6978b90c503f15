/// Appends a text so that it neither begins a line nor steers a terminal: control characters are escaped, and with
/// `quoting` also quotes and backslashes.
func appendLogText(_ text: String, quoting: Bool = false, to output: inout [UInt8]) {
    for scalar in text.unicodeScalars {
        switch scalar {
        case "\n": output.append(contentsOf: #"\n"#.utf8)
        case "\r": output.append(contentsOf: #"\r"#.utf8)
        case "\t": output.append(contentsOf: #"\t"#.utf8)
        case "\"" where quoting, "\\" where quoting:
            output.append(UInt8(ascii: "\\"))
            output.append(contentsOf: UTF8.encode(scalar) ?? UTF8.encodedReplacementCharacter)
        case _ where breaksLine(scalar):
            output.append(contentsOf: "\\u{\(String(scalar.value, radix: 16))}".utf8)
        default:
            output.append(contentsOf: UTF8.encode(scalar) ?? UTF8.encodedReplacementCharacter)
        }
    }
}

/// Appends a key or value, in quotes when it is empty or has spaces, quotes, equals signs or control characters.
func appendLogWord(_ text: String, to output: inout [UInt8]) {
    let isPlain = text.unicodeScalars.allSatisfy { scalar in
        scalar != "\"" && scalar != "=" && !scalar.properties.isWhitespace && !breaksLine(scalar)
    }
    if isPlain, !text.isEmpty {
        output.append(contentsOf: text.utf8)
        return
    }
    output.append(UInt8(ascii: "\""))
    appendLogText(text, quoting: true, to: &output)
    output.append(UInt8(ascii: "\""))
}

/// Whether a character is a control character or one of Unicode's own line ends.
private func breaksLine(_ scalar: Unicode.Scalar) -> Bool {
    switch scalar.value {
    case 0..<0x20, 0x7F...0x9F, 0x2028, 0x2029: true
    default: false
    }
}
