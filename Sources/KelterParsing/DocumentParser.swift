package import KelterModel

/// What a file turned out to be, and what is in it.
package struct ParseResult: Equatable, Sendable {
    /// The text and its blocks; no blocks when the file has no text.
    package var document: ParsedDocument
    /// The media type of its format, by its content.
    package var mediaType: String

    package init(document: ParsedDocument, mediaType: String) {
        self.document = document
        self.mediaType = mediaType
    }
}

/// Turns the bytes of a file into text and blocks.
///
/// A value without state: any number of documents may be parsed at the same time on any threads. Parsing is work for
/// the processor only; there is no network or file access.
package struct DocumentParser: Sendable {
    private let limits: ParsingLimits
    /// The path of PDFium's library.
    private let pdfium: String?
    private let recognition: TextRecognition?

    /// - Parameters:
    ///   - limits: Bounds.
    ///   - pdfium: The path of PDFium's library; without it PDF is not read.
    ///   - recognition: What reads images; without it they are not read.
    package init(
        limits: ParsingLimits = ParsingLimits(),
        pdfium: String? = nil,
        recognition: TextRecognition? = nil
    ) {
        self.limits = limits
        self.pdfium = pdfium
        self.recognition = recognition
    }

    /// Parses one file.
    ///
    /// The format is told from the content first, then from the name, then from the declared type.
    ///
    /// - Parameters:
    ///   - bytes: The file as it is.
    ///   - name: The file's name; its extension takes part in the decision and errors name it.
    ///   - mediaType: The type a sidecar declares, with or without parameters; its `charset` is honoured.
    /// - Returns: The document. A file without text gives a document without blocks, which is not an error.
    /// - Throws: ``KelterError`` with `fileTooLarge`, `unsupportedMediaType`, `binaryContent`, `invalidEncoding`,
    ///   `parserLimit` or `parserFailed`; its subject is `name`.
    package func parse(_ bytes: [UInt8], name: String, mediaType: String? = nil) throws(KelterError) -> ParseResult {
        do throws(KelterError) {
            let declared = mediaType.map(DeclaredMediaType.init)
            var result = try parse(bytes, name: name, declared: declared)
            if isContradicted(result, name: name, declared: declared) {
                result.document.repairs[.mediaTypeContradicted] = 1
            }
            if result.document.language == nil {
                result.document.language = result.document.text.withUnsafeBufferPointer { detectedLanguage(of: $0) }
            }
            return result
        } catch {
            throw error.about(name)
        }
    }

    /// Refuses a file by its beginning when no parser reads its format.
    ///
    /// What passes may still turn out not to be what it seems when all of it is parsed.
    ///
    /// - Parameters:
    ///   - beginning: The first bytes; 64 KiB are enough.
    ///   - name: The file's name.
    ///   - mediaType: The type a sidecar declares.
    /// - Throws: ``KelterError`` with `unsupportedMediaType`; its subject is `name`.
    package func checkMediaType(beginning: [UInt8], name: String, mediaType: String? = nil) throws(KelterError) {
        do throws(KelterError) {
            if let format = BinaryFormat.recognise(beginning) {
                let isLikely = !format.isZIP || PackageFormat.isLikely(beginning, extension: fileExtension(of: name))
                guard format.mayBeRead, isLikely else { throw unsupported(format.mediaType) }
                return
            }
            // A byte order mark of UTF-16 can only be decoded with all bytes; such a file is text in any case.
            guard !beginning.starts(with: [0xFF, 0xFE]), !beginning.starts(with: [0xFE, 0xFF]) else { return }
            _ = try TextFormat.detect(
                beginning,
                extension: fileExtension(of: name),
                declared: mediaType.map(DeclaredMediaType.init)
            )
        } catch {
            throw error.about(name)
        }
    }

    /// Whether a file is read as plain text by its name and declared type; its content may tell otherwise.
    package func expectsPlainText(size: Int, name: String, mediaType: String?) -> Bool {
        let declared = mediaType.map(DeclaredMediaType.init)
        let format = try? TextFormat.detect([], extension: fileExtension(of: name), declared: declared)
        return format == .plainText || size > limits.maximumBytes && format?.isPlainTextWhenLarge == true
    }

    /// How many times as large as the file its text is expected to become, by its name: packed formats grow.
    package func expectedGrowth(name: String) -> Int {
        let `extension` = fileExtension(of: name)
        return `extension` == "gz" || PackageFormat.isNamed(`extension`) ? 8 : 1
    }

    /// Whether a file is read by code that is memory-safe and takes time and memory in proportion to its size.
    func isHarmless(_ bytes: [UInt8], name: String, mediaType: String?) -> Bool {
        // Other encodings are converted and detected by libraries that are not memory-safe.
        guard BinaryFormat.recognise(bytes) == nil, bytes.withUnsafeBufferPointer({ firstInvalidUTF8($0) }) == nil,
            unmarkedWideEncoding(bytes) == nil
        else { return false }
        let declared = mediaType.map(DeclaredMediaType.init)
        switch try? TextFormat.detect(bytes, extension: fileExtension(of: name), declared: declared) {
        case .plainText, .rows, .code: return true
        case .markdown, .html, .xml, .json, .jsonLines, .mail, .reStructuredText, .asciiDoc, nil: return false
        }
    }

    /// Refuses a file that is too large for its format.
    ///
    /// - Parameters:
    ///   - size: Its bytes.
    ///   - beginning: The first of them; 64 KiB are enough.
    ///   - name: Its name.
    ///   - mediaType: The type a sidecar declares.
    /// - Throws: ``KelterError`` with `fileTooLarge`, or as ``checkMediaType(beginning:name:mediaType:)``.
    package func checkSize(
        _ size: Int,
        beginning: [UInt8],
        name: String,
        mediaType: String? = nil
    ) throws(KelterError) {
        guard size > limits.maximumBytes else { return }
        var text = LargeTextWriter(size: size, name: name, mediaType: mediaType, signs: false, limits: limits)
        let isPlainText = try text.isPlainText(beginning)
        let maximum = isPlainText ? limits.maximumPlainTextBytes : limits.maximumBytes
        if size > maximum { throw tooLarge(size, maximum).about(name) }
    }

    /// Whether the name or the declared type says another format than the content, which decided.
    private func isContradicted(_ result: ParseResult, name: String, declared: DeclaredMediaType?) -> Bool {
        // Not having the structure of its format is reported by itself.
        guard result.document.repairs[.readAsPlainText] == nil else { return false }
        var said = [expectedMediaType(extension: fileExtension(of: name.withoutGZIPSuffix))]
        if let declared, !declared.isGeneric, declared.name != result.mediaType {
            // That it is a text of some kind is true of all texts.
            let format = TextFormat(mediaType: declared.name)
            if format != .plainText { said.append(format?.rawValue ?? declared.standardName) }
        }
        return said.contains { $0 != nil && $0 != result.mediaType }
    }

    /// The media type that an extension promises; `nil` for one that is not known.
    private func expectedMediaType(extension: String) -> String? {
        TextFormat(extension: `extension`)?.rawValue ?? SourceLanguage(extension: `extension`)?.mediaType
            ?? PackageFormat(extension: `extension`)?.rawValue
            ?? ["pdf": "application/pdf", "rtf": "application/rtf"][`extension`]
    }

    private func tooLarge(_ size: Int, _ maximum: Int) -> KelterError {
        KelterError(
            .fileTooLarge,
            "The file has \(size) bytes, more than the \(maximum) that are read of its format.",
            fix: "Split the file."
        )
    }

    private func parse(
        _ bytes: [UInt8],
        name: String,
        declared: DeclaredMediaType?,
        isUnpacked: Bool = false
    ) throws(KelterError) -> ParseResult {
        let `extension` = fileExtension(of: name)
        guard bytes.count <= limits.maximumBytes else { throw tooLarge(bytes.count, limits.maximumBytes) }
        if let format = BinaryFormat.recognise(bytes) {
            if format.isPDF {
                let document = try parsePDF(bytes, library: pdfium, recognition: recognition, limits: limits)
                return ParseResult(document: document, mediaType: format.mediaType)
            }
            if format.isImage {
                let isTIFF = format.mediaType == "image/tiff"
                let document = try parseImage(bytes, isTIFF: isTIFF, recognition: recognition, limits: limits)
                return ParseResult(document: document, mediaType: format.mediaType)
            }
            if format.isRTF {
                return ParseResult(document: try parseRTF(bytes, limits: limits), mediaType: format.mediaType)
            }
            if format.isGZIP, !isUnpacked {
                let content = declared?.name.hasSuffix("gzip") == true ? nil : declared
                return try parse(
                    try unzipped(bytes),
                    name: name.withoutGZIPSuffix,
                    declared: content,
                    isUnpacked: true
                )
            }
            guard format.isZIP else { throw unsupported(format.mediaType) }
            return try parsePackage(bytes)
        }
        var decoder = TextDecoder(bytes)
        try decoder.decodeByteOrderMark()
        let format = try TextFormat.detect(decoder.bytes, extension: `extension`, declared: declared)
        // Every part of a message says its own charset.
        if format == .mail, let document = try parseMail(bytes, limits: limits) {
            return ParseResult(document: document, mediaType: format.rawValue)
        }
        try decoder.decode(charset: declared?.charset, isHTML: format == .html || format == .xml)
        guard decoder.bytes.count <= limits.maximumTextBytes else {
            throw KelterError(
                .parserLimit,
                "The text has \(decoder.bytes.count) bytes, more than the \(limits.maximumTextBytes) allowed.",
                fix: "Split the file or raise the limit."
            )
        }

        var document: ParsedDocument
        switch format {
        case .plainText: document = try parsePlainText(decoder.bytes, limits: limits)
        case .markdown: document = try parseMarkdown(decoder.bytes, limits: limits)
        case .html: document = try parseHTML(decoder.bytes, limits: limits)
        case .xml: document = try parseXML(decoder.bytes, limits: limits)
        case .json: document = try parseJSON(decoder.bytes, limits: limits)
        case .jsonLines: document = try parseJSONLines(decoder.bytes, limits: limits)
        case .rows: document = try parseRows(decoder.bytes, limits: limits)
        case .code: document = try parseCode(decoder.bytes, limits: limits)
        case .reStructuredText: document = try parseReStructuredText(decoder.bytes, limits: limits)
        case .asciiDoc: document = try parseAsciiDoc(decoder.bytes, limits: limits)
        case .mail:
            document = try parsePlainText(decoder.bytes, limits: limits)
            document.repairs[.readAsPlainText] = 1
        }
        document.repairs.merge(decoder.repairs) { $0 + $1 }
        let language = format == .code ? SourceLanguage(extension: `extension`) : nil
        return ParseResult(document: document, mediaType: language?.mediaType ?? format.rawValue)
    }
}

extension DocumentParser {
    /// The content of a gzip file.
    private func unzipped(_ bytes: [UInt8]) throws(KelterError) -> [UInt8] {
        var content: [UInt8] = []
        let (maximum, ratio) = (limits.maximumBytes, ArchiveLimits())
        let file = ArchiveFile(bytes: bytes)
        let inflater = try Inflater(.gzip)
        try inflater.inflate(bytes, file: file) { (piece) throws(KelterError) in
            content.append(contentsOf: piece)
            guard content.count <= maximum, ratio.admits(content.count, packedInto: bytes.count) else {
                throw KelterError(
                    .archiveLimit,
                    "It unpacks to more than \(maximum) bytes, or to more than \(ratio.ratio) times its size.",
                    fix: "Unpack it by hand and ingest what belongs to it."
                )
            }
        }
        guard inflater.isAtEnd else { throw file.invalid("The gzip file is cut off.") }
        return content
    }

    private func parsePackage(_ bytes: [UInt8]) throws(KelterError) -> ParseResult {
        let format = try PackageFormat.detect(bytes)
        let document =
            switch format {
            case .wordDocument: try parseWordDocument(bytes, limits: limits)
            case .workbook: try parseWorkbook(bytes, limits: limits)
            case .presentation: try parsePresentation(bytes, limits: limits)
            case .openText, .openSpreadsheet, .openPresentation: try parseOpenDocument(bytes, limits: limits)
            case .epub: try parseEPUB(bytes, limits: limits)
            }
        return ParseResult(document: document, mediaType: format.rawValue)
    }
}

extension String {
    /// The name of what a gzip file holds.
    fileprivate var withoutGZIPSuffix: String { fileExtension(of: self) == "gz" ? String(dropLast(3)) : self }
}

/// The lower-case extension of a file name without its dot; empty when there is none.
func fileExtension(of name: String) -> String {
    let last = name.utf8.split(separator: UInt8(ascii: "/")).last ?? Substring(name).utf8
    guard let dot = last.lastIndex(of: UInt8(ascii: ".")), dot > last.startIndex else { return "" }
    return lowercasedASCII(String(Substring(last[last.index(after: dot)...])))
}

/// The failure of a file whose format no parser reads.
func unsupported(_ mediaType: String) -> KelterError {
    KelterError(
        .unsupportedMediaType,
        "The file is \(mediaType), which cannot be read.",
        fix: "Convert it to a format that is read, such as DOCX, HTML or plain text."
    )
}
