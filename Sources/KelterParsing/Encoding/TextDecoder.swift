import KelterModel

/// Brings the bytes of a text file to UTF-8 with LF line ends and without NUL, counting what had to be changed.
struct TextDecoder {
    /// The bytes as far as they are decoded.
    private(set) var bytes: [UInt8]
    private(set) var repairs: [Repair: Int] = [:]
    /// Whether a byte order mark already settled the encoding.
    private var isDecoded = false
    /// How many bytes of the file stand before ``bytes``.
    private var skipped = 0

    init(_ bytes: [UInt8]) {
        self.bytes = bytes
    }

    /// Removes a byte order mark, and decodes UTF-16 and UTF-32, whether they have one or not.
    ///
    /// - Throws: ``KelterError`` with `invalidEncoding` for broken UTF-16.
    mutating func decodeByteOrderMark() throws(KelterError) {
        switch ByteOrderMark(bytes) {
        case nil:
            switch unmarkedWideEncoding(bytes) {
            case (2, let isBigEndian)?: try decodeUTF16(isBigEndian: isBigEndian, skipping: 0)
            case (_, let isBigEndian)?: decodeUTF32(isBigEndian: isBigEndian, skipping: 0)
            case nil: break
            }
        case .utf8:
            bytes.removeFirst(ByteOrderMark.utf8.length)
            skipped = ByteOrderMark.utf8.length
        case .utf16(let isBigEndian)?: try decodeUTF16(isBigEndian: isBigEndian, skipping: 2)
        case .utf32(let isBigEndian)?: decodeUTF32(isBigEndian: isBigEndian, skipping: 4)
        }
    }

    private mutating func decodeUTF16(isBigEndian: Bool, skipping count: Int) throws(KelterError) {
        var decoder = UTF16Decoder(isBigEndian: isBigEndian, offset: count)
        var text: [UInt8] = []
        text.reserveCapacity(bytes.count * 3 / 4)
        try decoder.decode(Array(bytes.dropFirst(count)), isLast: true, into: &text)
        bytes = text
        repairs[.transcoded] = 1
        isDecoded = true
    }

    private mutating func decodeUTF32(isBigEndian: Bool, skipping count: Int) {
        guard let converter = CharsetConverter(label: isBigEndian ? "utf-32be" : "utf-32le") else { return }
        take(converter.convert(Array(bytes.dropFirst(count))))
        isDecoded = true
    }

    private mutating func take(_ converted: (text: [UInt8], invalid: Int)) {
        bytes = converted.text
        repairs[.transcoded] = 1
        if converted.invalid > 0 { repairs[.invalidReplaced] = converted.invalid }
    }

    /// Decodes the rest: checks UTF-8, converts a declared charset, removes NUL, makes every line end LF.
    ///
    /// A declared charset counts only when the bytes are not valid UTF-8, because declarations are often wrong and
    /// text in another encoding hardly ever is valid UTF-8 by chance. Without a declaration the charset is detected.
    ///
    /// - Parameters:
    ///   - charset: The charset declared outside the file.
    ///   - isHTML: Whether a declaration inside the file is looked for.
    /// - Throws: ``KelterError`` with `binaryContent` or `invalidEncoding`.
    mutating func decode(charset: String?, isHTML: Bool) throws(KelterError) {
        try checkIsText(bytes)
        if !isDecoded, let offset = bytes.withUnsafeBufferPointer({ firstInvalidUTF8($0) }) {
            if let declared = charset ?? (isHTML ? declaredCharset(bytes) : nil),
                let converter = CharsetConverter(label: declared)
            {
                take(converter.convert(bytes))
            } else if skipped == 0, let detected = detectedCharset(bytes),
                let converter = CharsetConverter(label: detected), case let converted = converter.convert(bytes),
                converted.invalid == 0
            {
                take(converted)
                repairs[.charsetDetected] = 1
            } else {
                throw invalidUTF8(at: offset + skipped, isHTML: isHTML)
            }
        }
        var cleaner = TextCleaner()
        cleaner.clean(&bytes)
        repairs.merge(cleaner.repairs) { $0 + $1 }
    }
}

/// What a text file may begin with to tell its encoding.
enum ByteOrderMark: Equatable {
    case utf8
    case utf16(isBigEndian: Bool)
    case utf32(isBigEndian: Bool)

    /// Looks at the beginning of a file; `nil` when there is none.
    init?(_ bytes: [UInt8]) {
        if bytes.starts(with: [0xEF, 0xBB, 0xBF]) {
            self = .utf8
        } else if bytes.starts(with: [0xFF, 0xFE, 0, 0]) || bytes.starts(with: [0, 0, 0xFE, 0xFF]) {
            self = .utf32(isBigEndian: bytes[0] == 0)
        } else if bytes.starts(with: [0xFF, 0xFE]) || bytes.starts(with: [0xFE, 0xFF]) {
            self = .utf16(isBigEndian: bytes[0] == 0xFE)
        } else {
            return nil
        }
    }

    /// Its bytes.
    var length: Int {
        switch self {
        case .utf8: 3
        case .utf16: 2
        case .utf32: 4
        }
    }
}

/// Makes every line end LF and removes what no text needs, piece by piece, and counts it.
///
/// NUL, which PostgreSQL cannot hold; the control characters U+0080 to U+009F but for NEL, which nobody sees; and those of
/// the bidirectional algorithm that embed, override and isolate (U+202A to U+202E, U+2066 to U+2069), with which a text can
/// show something else than it says (CVE-2021-42574). The marks U+200E and U+200F stay, which languages written from right
/// to left need.
struct TextCleaner {
    /// What was removed.
    private(set) var repairs: [Repair: Int] = [:]
    private var endsWithReturn = false

    /// Cleans the next piece of a text in UTF-8, which ends with a whole character.
    mutating func clean(_ bytes: inout [UInt8]) {
        guard endsWithReturn || bytes.withUnsafeBufferPointer({ Self.mayNeedCleaning($0) }) else { return }
        var (nul, c1, bidi, isAfterReturn) = (0, 0, 0, endsWithReturn)
        let kept = bytes.withUnsafeMutableBufferPointer { bytes in
            var written = 0
            var index = 0
            while index < bytes.count {
                let byte = bytes[index]
                if byte == 0xC2, index + 1 < bytes.count, bytes[index + 1] < 0xA0, bytes[index + 1] != 0x85 {
                    c1 += 1
                    index += 2
                    continue
                }
                if byte == 0xE2, index + 2 < bytes.count, Self.isBidirectional(bytes[index + 1], bytes[index + 2]) {
                    bidi += 1
                    index += 3
                    continue
                }
                index += 1
                if byte == 0 { nul += 1 }
                let isKept = byte != 0 && !(byte == 0x0A && isAfterReturn)
                isAfterReturn = byte == 0x0D
                guard isKept else { continue }
                bytes[written] = isAfterReturn ? 0x0A : byte
                written += 1
            }
            return written
        }
        bytes.removeLast(bytes.count - kept)
        endsWithReturn = isAfterReturn
        for (repair, count) in [(Repair.nulRemoved, nul), (.controlsRemoved, c1), (.bidiRemoved, bidi)] where count > 0
        {
            repairs[repair, default: 0] += count
        }
    }

    @inline(__always)
    private static func isBidirectional(_ second: UInt8, _ third: UInt8) -> Bool {
        second == 0x80 && 0xAA...0xAE ~= third || second == 0x81 && 0xA6...0xA9 ~= third
    }

    private static func mayNeedCleaning(_ bytes: UnsafeBufferPointer<UInt8>) -> Bool {
        if firstIndex(of: 0, in: bytes) != nil || firstIndex(of: 0x0D, in: bytes) != nil { return true }
        var position = 0
        while let index = firstIndex(of: 0xC2, in: bytes, from: position) {
            if index + 1 < bytes.count, bytes[index + 1] < 0xA0 { return true }
            position = index + 1
        }
        position = 0
        while let index = firstIndex(of: 0xE2, in: bytes, from: position) {
            if index + 2 < bytes.count, isBidirectional(bytes[index + 1], bytes[index + 2]) { return true }
            position = index + 1
        }
        return false
    }
}

/// Refuses data that is no text.
///
/// Among the first 8 KiB, control characters other than white space and ESC (which terminals' logs have) must not
/// be more than 2 %. Up to four are always forgiven in a file that has more text than that.
///
/// - Throws: ``KelterError`` with `binaryContent`.
func checkIsText(_ bytes: [UInt8]) throws(KelterError) {
    let sample = bytes.prefix(8192)
    let controls = sample.reduce(into: 0) { sum, byte in
        if byte < 0x20 && byte != 0x1B && !WhiteSpace.isASCII(byte) || byte == 0x7F { sum += 1 }
    }
    guard controls > max(4, sample.count / 50) || (controls > 0 && controls * 2 >= sample.count) else { return }
    let nul = sample.reduce(into: 0) { sum, byte in if byte == 0 { sum += 1 } }
    throw KelterError(
        .binaryContent,
        "Of its first \(sample.count) bytes \(controls) are control characters, \(nul) of them NUL.",
        fix: nul * 4 >= sample.count ? "If it is UTF-16, convert it to UTF-8." : "Give a text file."
    )
}

/// The failure of a text that is neither UTF-8 nor declared to be anything else.
func invalidUTF8(at offset: Int, isHTML: Bool) -> KelterError {
    KelterError(
        .invalidEncoding,
        "The text is not valid UTF-8 at byte \(offset).",
        fix: isHTML
            ? "Convert it to UTF-8, or declare its charset in the media type or a meta element."
            : "Convert it to UTF-8, or declare its charset in the media type."
    )
}
