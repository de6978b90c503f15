import KelterModel

/// The charset an HTML file declares in its first 4 KiB: in an XML declaration, `<meta charset>` or `http-equiv`.
///
/// The HTML standard looks at 1 KiB; real files put scripts and comments before the declaration.
func declaredCharset(_ bytes: [UInt8]) -> String? {
    bytes.withUnsafeBufferPointer { bytes in
        let bytes = UnsafeBufferPointer(rebasing: bytes.prefix(4096))
        var position = 0
        while let start = firstIndex(of: UInt8(ascii: "<"), in: bytes, from: position) {
            position = start + 1
            if isPrefix("<!--", of: bytes, at: start) {
                let rest = UnsafeBufferPointer(rebasing: bytes[start...])
                guard let end = firstIndex(of: Array("-->".utf8), in: rest) else { return nil }
                position = start + end
            } else if isPrefix("<meta", of: bytes, at: start) || isPrefix("<?xml", of: bytes, at: start) {
                let end = firstIndex(of: UInt8(ascii: ">"), in: bytes, from: start) ?? bytes.count
                if let charset = charset(in: UnsafeBufferPointer(rebasing: bytes[start..<end])) { return charset }
                position = end
            }
        }
        return nil
    }
}

/// The word after `charset=` or `encoding=` in a tag.
private func charset(in tag: UnsafeBufferPointer<UInt8>) -> String? {
    for index in tag.indices {
        var position = index
        if isPrefix("charset", of: tag, at: index) {
            position += 7
        } else if isPrefix("encoding", of: tag, at: index) {
            position += 8
        } else {
            continue
        }
        while position < tag.count, WhiteSpace.isASCII(tag[position]) { position += 1 }
        guard position < tag.count, tag[position] == UInt8(ascii: "=") else { continue }
        position += 1
        while position < tag.count, WhiteSpace.isASCII(tag[position]) || isQuote(tag[position]) { position += 1 }
        let value = tag[position...].prefix { !WhiteSpace.isASCII($0) && !isQuote($0) && $0 != UInt8(ascii: ";") }
        if !value.isEmpty { return String(decoding: value, as: UTF8.self) }
    }
    return nil
}

private func isQuote(_ byte: UInt8) -> Bool {
    byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "'")
}
