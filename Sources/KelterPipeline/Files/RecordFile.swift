import Glibc
import KelterModel

/// A walk over the lines of a JSON Lines file, each of which is a document: `{"text": …, "metadata": {…}}`.
///
/// Only the places of the lines are found; each is read when it is its turn. Empty lines are passed over.
struct RecordScanner: Sendable {
    private static let suffixes = [".jsonl", ".ndjson"]
    private static let blockSize = 1 << 18

    let path: String
    let relativePath: String
    private var offset = 0
    private var line = 0
    private var isAtEnd = false

    init(path: String, relativePath: String) {
        self.path = path
        self.relativePath = relativePath
    }

    /// Whether a file that is named as an input is one of records.
    static func isRecordFile(_ path: String) -> Bool {
        let name = lowercasedASCII(path)
        return suffixes.contains { name.hasSuffix($0) }
    }

    /// The next lines; none at the end.
    mutating func next(_ count: Int) -> [FoundEntry] {
        guard !isAtEnd else { return [] }
        do throws(KelterError) {
            return try scan(count)
        } catch {
            isAtEnd = true
            return [.failed(relativePath: relativePath, error)]
        }
    }

    /// Leaves out the rest.
    mutating func end() { isAtEnd = true }

    private mutating func scan(_ count: Int) throws(KelterError) -> [FoundEntry] {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw unreadable(path, errno) }
        defer { close(descriptor) }
        var entries: [FoundEntry] = []
        var block = [UInt8](repeating: 0, count: Self.blockSize)
        var start = offset
        var position = offset
        var isBlank = true
        func take(upTo end: Int) {
            line += 1
            if !isBlank {
                let name = "\(relativePath)#\(line)"
                let record = RecordLine(offset: start, length: end - start)
                entries.append(
                    .file(FoundFile(location: .record(record, of: path), relativePath: name, sidecar: nil))
                )
            }
            isBlank = true
        }
        while entries.count < count {
            let number = try readAt(descriptor, path, into: &block, offset: position)
            guard number > 0 else {
                isAtEnd = true
                if position > start { take(upTo: position) }
                break
            }
            var index = 0
            while index < number, entries.count < count {
                let byte = block[index]
                index += 1
                if byte == UInt8(ascii: "\n") {
                    take(upTo: position + index - 1)
                    start = position + index
                } else if isBlank, byte != 0x20, byte != 0x09, byte != 0x0D {
                    isBlank = false
                }
            }
            position += index
        }
        offset = start
        return entries
    }
}

extension RecordLine {
    /// Reads a line: the text of its document, and the metadata as a sidecar has them.
    ///
    /// - Parameters:
    ///   - path: The file.
    ///   - maximum: Longer lines are refused.
    /// - Returns: The text in UTF-8 and a metadata object.
    /// - Throws: ``KelterError`` with ``ErrorCode/recordInvalid``, ``ErrorCode/fileTooLarge`` or
    ///   ``ErrorCode/fileUnreadable``.
    func read(from path: String, maximum: Int) throws(KelterError) -> (text: [UInt8], metadata: JSONValue) {
        guard length <= maximum else {
            throw KelterError(
                .fileTooLarge,
                "The record has \(length) bytes, more than the \(maximum) that are read.",
                fix: "Split the record."
            )
        }
        let value: JSONValue
        let bytes = try bytes(of: path)
        do throws(JSONReader.Failure) {
            value = try JSONReader.read(bytes)
        } catch {
            throw invalid("The record is not valid JSON: \(error).")
        }
        guard case .object(let members) = value, let text = value["text"]?.string else {
            throw invalid("The record is no object with a text.")
        }
        var metadata = value["metadata"] ?? .object([])
        guard case .object(var inner) = metadata else { throw invalid("The metadata of the record are no object.") }
        // Short for the member of the same name in the metadata.
        if inner.allSatisfy({ $0.name != "external_id" }), let name = members.first(where: { $0.name == "external_id" })
        {
            inner.append(name)
            metadata = .object(inner)
        }
        return (Array(text.utf8), metadata)
    }

    /// The bytes of the line.
    ///
    /// - Throws: ``KelterError`` with ``ErrorCode/fileUnreadable`` or ``ErrorCode/fileChanged``.
    func bytes(of path: String) throws(KelterError) -> [UInt8] {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw unreadable(path, errno) }
        defer { close(descriptor) }
        var bytes = [UInt8](repeating: 0, count: length)
        var filled = 0
        while filled < length {
            var rest = [UInt8](repeating: 0, count: length - filled)
            let number = try readAt(descriptor, path, into: &rest, offset: offset + filled)
            guard number > 0 else { throw changed(path) }
            bytes.replaceSubrange(filled..<filled + number, with: rest[..<number])
            filled += number
        }
        return bytes
    }

    private func invalid(_ message: String) -> KelterError {
        KelterError(
            .recordInvalid,
            message,
            fix: #"Write one object a line: {"text": "…", "external_id": "…", "metadata": {…}}."#
        )
    }
}

/// Reads from a place of a file; fewer bytes than there is room for only at the end.
private func readAt(
    _ descriptor: Int32,
    _ path: String,
    into bytes: inout [UInt8],
    offset: Int
) throws(KelterError) -> Int {
    while true {
        let number = bytes.withUnsafeMutableBytes { pread(descriptor, $0.baseAddress, $0.count, offset) }
        if number >= 0 { return number }
        guard errno == EINTR else { throw unreadable(path, errno) }
    }
}
