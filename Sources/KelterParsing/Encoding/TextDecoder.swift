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

    /// Removes a byte order mark and decodes UTF-16 that has one.
    ///
    /// - Throws: ``KelterError`` with `invalidEncoding` for UTF-32 and for broken UTF-16.
    mutating func decodeByteOrderMark() throws(KelterError) {
        switch try ByteOrderMark(bytes) {
        case nil:
            break
        case .utf8:
            bytes.removeFirst(ByteOrderMark.utf8.length)
            skipped = ByteOrderMark.utf8.length
        case .utf16(let isBigEndian)?:
            var decoder = UTF16Decoder(isBigEndian: isBigEndian)
            var text: [UInt8] = []
            text.reserveCapacity(bytes.count * 3 / 4)
            try decoder.decode(Array(bytes.dropFirst(2)), isLast: true, into: &text)
            bytes = text
            repairs[.transcoded] = 1
            isDecoded = true
        }
    }

    /// Decodes the rest: checks UTF-8, converts a declared charset, removes NUL, makes every line end LF.
    ///
    /// A declared charset counts only when the bytes are not valid UTF-8, because declarations are often wrong and
    /// text in another encoding hardly ever is valid UTF-8 by chance.
    ///
    /// - Parameters:
    ///   - charset: The charset declared outside the file.
    ///   - isHTML: Whether a declaration inside the file is looked for.
    /// - Throws: ``KelterError`` with `binaryContent` or `invalidEncoding`.
    mutating func decode(charset: String?, isHTML: Bool) throws(KelterError) {
        try checkIsText(bytes)
        if !isDecoded, let offset = bytes.withUnsafeBufferPointer({ firstInvalidUTF8($0) }) {
            let declared = charset ?? (isHTML ? declaredCharset(bytes) : nil)
            guard let declared, let converter = CharsetConverter(label: declared) else {
                throw invalidUTF8(at: offset + skipped, isHTML: isHTML)
            }
            let converted = converter.convert(bytes)
            bytes = converted.text
            repairs[.transcoded] = 1
            if converted.invalid > 0 { repairs[.invalidReplaced] = converted.invalid }
        }
        removeNULAndCarriageReturns()
    }

    private mutating func removeNULAndCarriageReturns() {
        var cleaner = TextCleaner()
        cleaner.clean(&bytes)
        if cleaner.removed > 0 { repairs[.nulRemoved] = cleaner.removed }
    }
}

/// What a text file may begin with to tell its encoding.
enum ByteOrderMark: Equatable {
    case utf8
    case utf16(isBigEndian: Bool)

    /// Looks at the beginning of a file; `nil` when there is none.
    ///
    /// - Throws: ``KelterError`` with `invalidEncoding` for that of UTF-32.
    init?(_ bytes: [UInt8]) throws(KelterError) {
        if bytes.starts(with: [0xEF, 0xBB, 0xBF]) {
            self = .utf8
        } else if bytes.starts(with: [0xFF, 0xFE, 0, 0]) || bytes.starts(with: [0, 0, 0xFE, 0xFF]) {
            throw KelterError(.invalidEncoding, "The text is UTF-32.", fix: "Convert it to UTF-8.")
        } else if bytes.starts(with: [0xFF, 0xFE]) || bytes.starts(with: [0xFE, 0xFF]) {
            self = .utf16(isBigEndian: bytes[0] == 0xFE)
        } else {
            return nil
        }
    }

    /// Its bytes.
    var length: Int { self == .utf8 ? 3 : 2 }
}

/// Removes NUL and makes every line end LF, piece by piece.
struct TextCleaner {
    /// How many NUL were removed.
    private(set) var removed = 0
    private var endsWithReturn = false

    /// Cleans the next piece of a text.
    mutating func clean(_ bytes: inout [UInt8]) {
        guard
            endsWithReturn
                || bytes.withUnsafeBufferPointer({
                    firstIndex(of: 0, in: $0) != nil || firstIndex(of: 0x0D, in: $0) != nil
                })
        else { return }
        var (nul, isAfterReturn) = (0, endsWithReturn)
        let kept = bytes.withUnsafeMutableBufferPointer { bytes in
            var written = 0
            for index in bytes.indices {
                let byte = bytes[index]
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
        removed += nul
        endsWithReturn = isAfterReturn
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
