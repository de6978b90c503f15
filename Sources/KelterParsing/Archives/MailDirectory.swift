import KelterModel

/// What mail messages hold that is a document of its own: the attachments of a message, the messages of a mailbox.
///
/// A mailbox is divided at lines that begin with `From ` behind an empty line: RFC 4155, and every program that writes one.
struct MailDirectory {
    /// Messages in messages are looked into so deep.
    private static let deepest = 3
    /// The largest message that is looked into, in bytes.
    private static let largestMessage = 100 << 20

    let file: ArchiveFile
    let limits: ArchiveLimits

    /// The attachments of a message, and theirs.
    func attachments() throws(KelterError) -> [ArchiveEntry] {
        guard file.size <= Self.largestMessage else { throw tooLarge }
        var entries: [ArchiveEntry] = []
        try add(attachmentsIn: 0..<file.size, below: "", depth: 0, to: &entries)
        return entries
    }

    /// The messages of a mailbox, each followed by its attachments.
    func messages() throws(KelterError) -> [ArchiveEntry] {
        var entries: [ArchiveEntry] = []
        for (index, range) in try messageRanges().enumerated() {
            let name = "\(index + 1).eml"
            guard range.count <= Self.largestMessage else {
                entries.append(.failed(name: name, tooLarge))
                continue
            }
            entries.append(
                .member(ArchiveMember(name: name, offset: range.lowerBound, size: range.count, packedSize: range.count))
            )
            try add(attachmentsIn: range, below: name + "/", depth: 0, to: &entries)
        }
        return entries
    }

    private var tooLarge: KelterError {
        file.limit("The message has more than \(Self.largestMessage >> 20) MiB.")
    }

    private func messageRanges() throws(KelterError) -> [Range<Int>] {
        let mark = Array("From ".utf8)
        guard try file.bytes(at: 0, count: min(file.size, mark.count)) == mark else {
            throw file.invalid("It does not begin as a mailbox does, with 'From '.")
        }
        let separator = Array("\n\nFrom ".utf8)
        let windowsSeparator = Array("\n\r\nFrom ".utf8)
        var starts = [0]
        var offset = 0
        while offset < file.size {
            // The pieces overlap, so that a separator between two is seen.
            let bytes = try file.bytes(at: offset, count: min(ArchiveFile.blockSize, file.size - offset))
            bytes.withUnsafeBufferPointer { bytes in
                var position = 0
                while let end = firstIndex(of: 0x0A, in: bytes, from: position) {
                    for separator in [separator, windowsSeparator]
                    where bytes.count - end >= separator.count
                        && bytes[end..<end + separator.count].elementsEqual(separator)
                    {
                        let start = offset + end + separator.count - mark.count
                        if starts.last.map({ $0 < start }) == true { starts.append(start) }
                    }
                    position = end + 1
                }
            }
            guard offset + bytes.count < file.size else { break }
            offset += bytes.count - windowsSeparator.count
        }
        guard starts.count <= limits.entries else {
            throw file.limit("The mailbox holds more than \(limits.entries) messages.")
        }
        return starts.indices.map { starts[$0]..<($0 + 1 < starts.count ? starts[$0 + 1] : file.size) }
    }

    private func add(
        attachmentsIn range: Range<Int>,
        below folder: String,
        depth: Int,
        to entries: inout [ArchiveEntry]
    ) throws(KelterError) {
        let bytes = try file.bytes(at: range.lowerBound, count: range.count)
        let message = bytes.withUnsafeBufferPointer { MailPart($0, 0..<$0.count) }
        for (index, part) in message.attachments.enumerated() {
            guard entries.count < limits.entries else {
                throw file.limit("There are more than \(limits.entries) messages and attachments.")
            }
            let name = folder + name(of: part, number: index + 1)
            let size = bytes.withUnsafeBufferPointer { part.decoded($0).count }
            let member = ArchiveMember(
                name: name,
                offset: range.lowerBound + part.content.lowerBound,
                size: size,
                packedSize: part.content.count,
                packing: part.encoding.map { .encoded($0) } ?? .none
            )
            entries.append(.member(member))
            if part.type == "message/rfc822", part.encoding == nil, depth < Self.deepest {
                let inner = range.lowerBound + part.content.lowerBound
                try add(
                    attachmentsIn: inner..<inner + part.content.count,
                    below: name + "/",
                    depth: depth + 1,
                    to: &entries
                )
            }
        }
    }

    /// A name that is one part of a path, and by which the format can be told.
    private func name(of part: MailPart, number: Int) -> String {
        var name = part.name ?? (part.type == "message/rfc822" ? "message-\(number)" : "part-\(number)")
        name = String(
            String.UnicodeScalarView(
                name.unicodeScalars.map { $0 == "/" || $0 == "\\" || $0.value < 0x20 || $0.value == 0x7F ? "_" : $0 }
            )
        )
        // A dot in front would hide it.
        while name.utf8.first == UInt8(ascii: ".") { name.removeFirst() }
        if name.isEmpty { name = "part-\(number)" }
        if part.type == "message/rfc822", fileExtension(of: name) != "eml" { name += ".eml" }
        return name
    }
}
