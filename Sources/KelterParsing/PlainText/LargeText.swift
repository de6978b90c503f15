package import KelterModel

/// A plain text that is too large for memory, decoded into a file.
///
/// It is cut into documents of half a megabyte: behind an empty line where there is one, else behind a line end, else
/// behind a space. The places depend on the text alone.
package struct LargeText: Sendable {
    /// Smaller texts are parsed in memory.
    package static let minimumBytes = 2 << 20
    /// The type of all of them.
    package static let mediaType = TextFormat.plainText.rawValue
    /// The most bytes of one part.
    static let partBytes = 1 << 19

    private let file: ScratchFile
    /// Bytes of the text.
    package let count: Int
    /// By what near duplicates are found, when it was asked for.
    package let signature: NearDuplicateSignature?
    /// Whether there is more than white space.
    package let hasText: Bool
    /// The language its beginning is in.
    package let language: String?
    /// What had to be repaired, counted.
    package let repairs: [Repair: Int]

    init(
        file: ScratchFile,
        count: Int,
        signature: NearDuplicateSignature?,
        hasText: Bool,
        language: String?,
        repairs: [Repair: Int]
    ) {
        self.file = file
        self.count = count
        self.signature = signature
        self.hasText = hasText
        self.language = language
        self.repairs = repairs
    }

    /// The part that begins at a byte, and where the next one does.
    ///
    /// - Parameter start: 0, or what was returned as `next`.
    /// - Returns: The part's document, whose ranges count from `start`; `next` is the text's ``count`` after the last.
    /// - Throws: ``KelterError`` of the temporary file.
    package func part(from start: Int) throws(KelterError) -> (document: ParsedDocument, next: Int) {
        var bytes = try file.read(at: start, count: min(Self.partBytes, count - start))
        if start + bytes.count < count { bytes.removeLast(bytes.count - Self.end(of: bytes)) }
        let next = start + bytes.count
        return (try parsePlainText(bytes, limits: ParsingLimits()), next)
    }

    /// The bytes of a range of the text.
    ///
    /// - Throws: ``KelterError`` of the temporary file.
    package func bytes(_ range: Range<Int>) throws(KelterError) -> [UInt8] {
        try file.read(at: range.lowerBound, count: range.count)
    }

    /// Where a part ends that is not the last: in its second half if there is any white space.
    private static func end(of bytes: [UInt8]) -> Int {
        let half = bytes.count / 2
        var (lineEnd, space) = (0, 0)
        for index in stride(from: bytes.count - 1, through: half, by: -1) {
            if bytes[index] == 0x0A {
                if bytes[index - 1] == 0x0A { return index + 1 }
                if lineEnd == 0 { lineEnd = index + 1 }
            } else if bytes[index] == 0x20, space == 0 {
                space = index + 1
            }
        }
        if lineEnd > 0 { return lineEnd }
        return space > 0 ? space : bytes.withUnsafeBufferPointer { completeUTF8($0) }
    }
}

/// Decodes a file piece by piece into a ``LargeText``, if it is plain text; it never leaves the thread that is at it.
package struct LargeTextWriter {
    /// What a file turned out to be.
    package enum Outcome {
        case text(LargeText)
        /// Another format: its bytes.
        case other([UInt8])
        /// The file is not UTF-8: it has to be read again in this charset.
        case inCharset(Charset)
    }

    /// The charset of a file that is not UTF-8.
    package struct Charset: Equatable, Sendable {
        /// A label that ``CharsetConverter`` takes.
        package let name: String
        /// Whether nobody declared it.
        package let isDetected: Bool
        /// The first byte that is not UTF-8.
        let place: Int
    }

    private enum Mode {
        case undecided
        case utf8
        case utf16(UTF16Decoder)
        case charset(CharsetConversion)
        case other
        case inCharset(Charset)
    }

    /// How much is looked at to tell the format.
    private static let beginningBytes = 1 << 16

    private let size: Int
    private let limits: ParsingLimits
    private let name: String
    private let declared: DeclaredMediaType?
    private let charset: Charset?

    private var mode = Mode.undecided
    /// What is not decoded yet, or all of a file of another format.
    private var pending: [UInt8] = []
    /// Where ``pending`` stands in the file.
    private var offset = 0
    /// Whether the text had characters of more than a byte in UTF-8.
    private var hasWideCharacters = false
    private var cleaner = TextCleaner()
    private var shingles: ShingleReader?
    private var file: ScratchFile?
    private var count = 0
    private var hasText = false
    private var language: String?

    /// Begins.
    ///
    /// - Parameters:
    ///   - size: The file's bytes: above the limit for parsing, formats of lines are read as plain text, too.
    ///   - name: The file's name; its extension takes part in the decision and errors name it.
    ///   - mediaType: The type a sidecar declares, with or without parameters.
    ///   - charset: What reading it before has shown it to be in. Default `nil`: that is to be found out.
    ///   - signs: Whether the text gets a signature.
    ///   - limits: The limit for parsing.
    package init(
        size: Int,
        name: String,
        mediaType: String?,
        charset: Charset? = nil,
        signs: Bool,
        limits: ParsingLimits = ParsingLimits()
    ) {
        self.size = size
        self.limits = limits
        self.name = name
        declared = mediaType.map(DeclaredMediaType.init)
        self.charset = charset
        if signs { shingles = ShingleReader() }
    }

    /// Takes the next bytes of the file.
    ///
    /// - Throws: ``KelterError`` with `unsupportedMediaType`, `binaryContent`, `invalidEncoding` or of the temporary file.
    package mutating func add(_ piece: UnsafeRawBufferPointer) throws(KelterError) {
        if case .inCharset = mode { return }
        pending.append(contentsOf: piece)
        if pending.count >= Self.beginningBytes { try take(isLast: false) }
    }

    /// Ends the file.
    ///
    /// - Returns: What it is.
    /// - Throws: As ``add(_:)``.
    package mutating func finish() throws(KelterError) -> Outcome {
        try take(isLast: true)
        switch mode {
        case .other: return .other(pending)
        case .inCharset(let charset): return .inCharset(charset)
        case .undecided, .utf8, .utf16, .charset:
            // What was guessed must fit all of the text.
            if let charset, charset.isDetected, case .charset(let conversion) = mode, conversion.invalid > 0 {
                throw invalidUTF8(at: charset.place, isHTML: false).about(name)
            }
            let file = if let file { file } else { try ScratchFile() }
            let text = LargeText(
                file: file,
                count: count,
                signature: shingles?.finish(),
                hasText: hasText,
                language: language,
                repairs: repairs
            )
            return .text(text)
        }
    }

    private var repairs: [Repair: Int] {
        var repairs = cleaner.repairs
        switch mode {
        case .utf16: repairs[.transcoded] = 1
        case .charset(let conversion):
            repairs[.transcoded] = 1
            if charset?.isDetected == true { repairs[.charsetDetected] = 1 }
            if conversion.invalid > 0 { repairs[.invalidReplaced] = conversion.invalid }
        case .undecided, .utf8, .other, .inCharset: break
        }
        return repairs
    }

    /// Whether a file that begins so is plain text.
    ///
    /// - Throws: As ``add(_:)``.
    mutating func isPlainText(_ beginning: [UInt8]) throws(KelterError) -> Bool {
        pending = beginning
        do throws(KelterError) { try decide() } catch { throw error.about(name) }
        if case .other = mode { return false }
        return true
    }

    private mutating func take(isLast: Bool) throws(KelterError) {
        do throws(KelterError) {
            if case .undecided = mode { try decide() }
            guard var text = try decoded(isLast: isLast) else { return }
            cleaner.clean(&text)
            try append(text)
        } catch {
            throw error.about(name)
        }
    }

    /// Tells format and encoding by the beginning, which is ``pending``.
    private mutating func decide() throws(KelterError) {
        if let format = BinaryFormat.recognise(pending) {
            guard format.mayBeRead else { throw unsupported(format.mediaType) }
            mode = .other
            return
        }
        let mark = ByteOrderMark(pending) ?? unmarkedEncoding
        let markLength = ByteOrderMark(pending)?.length ?? 0
        var sample = mark == .utf8 ? Array(pending.dropFirst(ByteOrderMark.utf8.length)) : pending
        if case .utf16(let isBigEndian)? = mark {
            var decoder = UTF16Decoder(isBigEndian: isBigEndian)
            sample.removeAll(keepingCapacity: true)
            try decoder.decode(Array(pending.dropFirst(markLength)), isLast: false, into: &sample)
        }
        if case .utf32? = mark { sample.removeAll { $0 == 0 } }
        let format = try TextFormat.detect(sample, extension: fileExtension(of: name), declared: declared)
        guard format == .plainText || size > limits.maximumBytes && format.isPlainTextWhenLarge else {
            mode = .other
            return
        }
        try checkIsText(sample)
        pending.removeFirst(markLength)
        offset = markLength
        switch mark {
        case .utf32(let isBigEndian)?:
            let conversion = CharsetConverter(label: isBigEndian ? "utf-32be" : "utf-32le")?.conversion()
            mode = conversion.map { .charset($0) } ?? .utf8
        case .utf16(let isBigEndian)?: mode = .utf16(UTF16Decoder(isBigEndian: isBigEndian, offset: markLength))
        case .utf8?, nil:
            let conversion = charset.flatMap { CharsetConverter(label: $0.name)?.conversion() }
            mode = conversion.map { .charset($0) } ?? .utf8
        }
    }

    /// UTF-16 or UTF-32 without a byte order mark, as its beginning tells.
    private var unmarkedEncoding: ByteOrderMark? {
        guard let (width, isBigEndian) = unmarkedWideEncoding(Array(pending.prefix(4096))) else { return nil }
        return width == 2 ? .utf16(isBigEndian: isBigEndian) : .utf32(isBigEndian: isBigEndian)
    }

    /// The charset of a file that is not UTF-8 at a place: the declared one, or what these bytes are likely to be.
    ///
    /// A text that was UTF-8 before is one that was damaged.
    private func charset(of bytes: [UInt8], at place: Int) -> Charset? {
        if let name = declared?.charset, CharsetConverter(label: name) != nil {
            return Charset(name: name, isDetected: false, place: place)
        }
        guard !hasWideCharacters, let name = detectedCharset(bytes), CharsetConverter(label: name) != nil else {
            return nil
        }
        return Charset(name: name, isDetected: true, place: place)
    }

    /// The text of ``pending``, of which only an incomplete character stays; `nil` when there is none.
    private mutating func decoded(isLast: Bool) throws(KelterError) -> [UInt8]? {
        switch mode {
        case .undecided, .other, .inCharset:
            return nil
        case .utf8:
            let end = isLast ? pending.count : pending.withUnsafeBufferPointer { completeUTF8($0) }
            var text = pending
            text.removeLast(text.count - end)
            if let place = text.withUnsafeBufferPointer({ firstInvalidUTF8($0) }) {
                guard charset == nil, let charset = charset(of: pending, at: offset + place) else {
                    throw invalidUTF8(at: offset + place, isHTML: false)
                }
                mode = .inCharset(charset)
                pending.removeAll()
                return nil
            }
            if !hasWideCharacters { hasWideCharacters = text.contains { $0 >= 0x80 } }
            offset += end
            pending.removeFirst(end)
            return text
        case .utf16(var decoder):
            var text: [UInt8] = []
            try decoder.decode(pending, isLast: isLast, into: &text)
            mode = .utf16(decoder)
            pending.removeAll(keepingCapacity: true)
            return text
        case .charset(let conversion):
            var text: [UInt8] = []
            conversion.convert(pending, isLast: isLast, into: &text)
            pending.removeAll(keepingCapacity: true)
            return text
        }
    }

    private mutating func append(_ text: [UInt8]) throws(KelterError) {
        let file = if let file { file } else { try ScratchFile() }
        self.file = file
        text.withUnsafeBufferPointer { shingles?.read($0) }
        if !hasText { hasText = !text.withUnsafeBufferPointer { WhiteSpace.trim(0..<$0.count, in: $0).isEmpty } }
        let start = count
        if start == 0 { language = text.withUnsafeBufferPointer { detectedLanguage(of: $0) } }
        let result: Result<Void, KelterError> = text.withUnsafeBytes { bytes in
            do throws(KelterError) { return .success(try file.write(bytes, at: start)) } catch {
                return .failure(error)
            }
        }
        try result.get()
        count += text.count
    }
}

/// How many bytes end with a whole character, as far as the last one tells.
func completeUTF8(_ bytes: UnsafeBufferPointer<UInt8>) -> Int {
    for back in 1...3 where back <= bytes.count {
        let byte = bytes[bytes.count - back]
        if isContinuation(byte) { continue }
        let length = byte >= 0xF0 ? 4 : byte >= 0xE0 ? 3 : byte >= 0xC0 ? 2 : 1
        return length > back ? bytes.count - back : bytes.count
    }
    return bytes.count
}
