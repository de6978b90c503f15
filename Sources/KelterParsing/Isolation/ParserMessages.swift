import KelterModel

/// What is asked of a parser process: a file and what is known of it.
struct ParserRequest: Equatable {
    var name: String
    var mediaType: String?
    /// Seconds of processor time that it may take.
    var seconds: Int
    var bytes: [UInt8]

    /// Bytes of a message's head: the lengths of what follows.
    static let headBytes = 20

    /// The message but for the file's bytes, which follow.
    var head: [UInt8] {
        var writer = MessageWriter()
        var rest = MessageWriter()
        rest.write(name)
        rest.write(mediaType)
        writer.write(UInt32(seconds))
        writer.write(UInt64(rest.bytes.count))
        writer.write(UInt64(bytes.count))
        return writer.bytes + rest.bytes
    }
}

/// A parser process's answer.
struct ParserReply: Equatable {
    var result: Result<ParseResult, KelterError>
    /// The memory it has after it, in bytes.
    var memory: Int

    /// Bytes of a message's head: memory, and the lengths of what follows.
    static let headBytes = 24

    /// The message but for the extracted text, which follows.
    var head: [UInt8] {
        var writer = MessageWriter()
        var rest = MessageWriter()
        var textBytes = 0
        switch result {
        case .success(let result):
            rest.write(UInt8(0))
            rest.write(result)
            textBytes = result.document.text.count
        case .failure(let error):
            rest.write(UInt8(1))
            rest.write(error.code.rawValue)
            rest.write(error.message)
            rest.write(error.subject)
            rest.write(error.fix)
        }
        writer.write(UInt64(memory))
        writer.write(UInt64(rest.bytes.count))
        writer.write(UInt64(textBytes))
        return writer.bytes + rest.bytes
    }

    /// Reads what a process sent, which may have been taken over by the file it read: everything is checked.
    ///
    /// - Parameters:
    ///   - memory: From the head.
    ///   - bytes: What the head says follows.
    ///   - text: The extracted text.
    init?(memory: Int, _ bytes: [UInt8], text: [UInt8]) {
        var reader = MessageReader(bytes)
        switch reader.byte() {
        case 0:
            guard let result = reader.result(text: text), reader.isAtEnd else { return nil }
            self.result = .success(result)
        case 1:
            guard let code = reader.string(), let message = reader.string(), let subject = reader.optionalString(),
                let fix = reader.optionalString(), reader.isAtEnd, text.isEmpty
            else { return nil }
            result = .failure(KelterError(ErrorCode(code), message, subject: subject, fix: fix))
        default: return nil
        }
        self.memory = memory
    }

    init(result: Result<ParseResult, KelterError>, memory: Int) {
        self.result = result
        self.memory = memory
    }
}

/// Writes numbers in little-endian order and texts behind their lengths.
private struct MessageWriter {
    private(set) var bytes: [UInt8] = []

    mutating func write(_ number: some FixedWidthInteger) {
        withUnsafeBytes(of: number.littleEndian) { bytes.append(contentsOf: $0) }
    }

    mutating func write(_ text: String) {
        write(UInt32(text.utf8.count))
        bytes.append(contentsOf: text.utf8)
    }

    mutating func write(_ text: String?) {
        write(UInt8(text == nil ? 0 : 1))
        if let text { write(text) }
    }

    mutating func write(_ result: ParseResult) {
        let document = result.document
        write(result.mediaType)
        write(document.title)
        write(document.language)
        write(UInt32(document.repairs.count))
        for (repair, count) in document.repairs {
            write(repair.rawValue)
            write(UInt64(count))
        }
        write(UInt32(document.sections.count))
        for section in document.sections {
            write(UInt32(section.headings.count))
            for heading in section.headings { write(heading) }
        }
        write(UInt32(document.blocks.count))
        for block in document.blocks { write(block) }
    }

    private mutating func write(_ block: Block) {
        write(block.kind.rawValue)
        write(UInt32(block.level))
        write(UInt32(block.section))
        write(UInt32(block.range.lowerBound))
        write(UInt32(block.range.upperBound))
        write(UInt32(block.header?.lowerBound ?? 0))
        write(UInt32(block.header?.upperBound ?? 0))
        let kind: UInt8 =
            switch block.place {
            case nil: 0
            case .page: 1
            case .slide: 2
            case .row: 3
            }
        write(kind)
        write(UInt32(clamping: block.place?.number ?? 0))
    }
}

/// Reads what ``MessageWriter`` wrote; `nil` where it is something else.
struct MessageReader {
    private let bytes: [UInt8]
    private var position = 0

    init(_ bytes: [UInt8]) {
        self.bytes = bytes
    }

    var isAtEnd: Bool { position == bytes.count }

    mutating func byte() -> UInt8? {
        guard position < bytes.count else { return nil }
        position += 1
        return bytes[position - 1]
    }

    /// An unsigned number of this many bytes.
    mutating func number(_ width: Int) -> Int? {
        guard bytes.count - position >= width else { return nil }
        var value: UInt64 = 0
        for index in (0..<width).reversed() { value = value << 8 | UInt64(bytes[position + index]) }
        position += width
        return Int(exactly: value)
    }

    mutating func string() -> String? {
        guard let count = number(4), count <= bytes.count - position else { return nil }
        defer { position += count }
        return String(validating: bytes[position..<position + count], as: UTF8.self)
    }

    /// A text that may be missing: the outer value is `nil` when neither is there.
    mutating func optionalString() -> String?? {
        switch byte() {
        case 0: return .some(nil)
        case 1: return string().map { .some($0) }
        default: return nil
        }
    }

    fileprivate mutating func result(text: [UInt8]) -> ParseResult? {
        guard let mediaType = string(), let title = optionalString(), let language = optionalString(),
            let repairs = repairs(), let sections = sections(), let blocks = blocks(sections.count, text.count),
            text.withUnsafeBufferPointer({ firstInvalidUTF8($0) }) == nil, !text.contains(0)
        else { return nil }
        let document = ParsedDocument(
            text: text,
            blocks: blocks,
            sections: sections,
            title: title,
            language: language,
            repairs: repairs
        )
        return ParseResult(document: document, mediaType: mediaType)
    }

    private mutating func repairs() -> [Repair: Int]? {
        guard let count = number(4) else { return nil }
        var repairs: [Repair: Int] = [:]
        for _ in 0..<count {
            guard let repair = string().flatMap({ Repair(rawValue: $0) }), let times = number(8) else { return nil }
            repairs[repair] = times
        }
        return repairs
    }

    private mutating func sections() -> [SectionPath]? {
        guard let count = number(4), count > 0 else { return nil }
        var sections: [SectionPath] = []
        for _ in 0..<count {
            guard let headings = number(4) else { return nil }
            var path: [String] = []
            for _ in 0..<headings {
                guard let heading = string() else { return nil }
                path.append(heading)
            }
            sections.append(SectionPath(path))
        }
        return sections
    }

    private mutating func blocks(_ sections: Int, _ textBytes: Int) -> [Block]? {
        guard let count = number(4) else { return nil }
        var blocks: [Block] = []
        var end = 0
        for _ in 0..<count {
            guard let block = block(), block.section < sections, block.range.lowerBound >= end,
                block.range.upperBound <= textBytes,
                block.header.map({ block.range.lowerBound <= $0.lowerBound && $0.upperBound <= block.range.upperBound })
                    ?? true
            else { return nil }
            end = block.range.upperBound
            blocks.append(block)
        }
        return blocks
    }

    private mutating func block() -> Block? {
        guard let kind = byte().flatMap({ Block.Kind(rawValue: $0) }), let level = number(4), let section = number(4),
            let start = number(4), let end = number(4), start <= end, let headerStart = number(4),
            let headerEnd = number(4), headerStart <= headerEnd, let placeKind = byte(), let place = number(4)
        else { return nil }
        var block = Block(kind, range: start..<end, section: section, level: level)
        if headerStart < headerEnd { block.header = headerStart..<headerEnd }
        switch placeKind {
        case 0: break
        case 1: block.place = .page(place)
        case 2: block.place = .slide(place)
        case 3: block.place = .row(place)
        default: return nil
        }
        return block
    }
}
