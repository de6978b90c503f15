import KelterModel

/// The central directory of a ZIP archive: APPNOTE.TXT 6.3.10, sections 4.3 and 4.4.
struct ZIPDirectory {
    let file: ArchiveFile
    let limits: ArchiveLimits

    private static let largestDirectory = 64 << 20

    /// A little-endian record, each of whose fields is there or the archive is cut off.
    private struct Record {
        let bytes: [UInt8]
        let file: ArchiveFile

        func number(_ offset: Int, _ width: Int) throws(KelterError) -> Int {
            guard offset >= 0, offset <= bytes.count - width else { throw file.invalid("A header is cut off.") }
            var value: UInt64 = 0
            for index in (0..<width).reversed() { value = value << 8 | UInt64(bytes[offset + index]) }
            guard let number = Int(exactly: value) else { throw file.invalid("A number is too large.") }
            return number
        }

        func slice(_ offset: Int, _ count: Int) throws(KelterError) -> [UInt8] {
            guard offset >= 0, count >= 0, offset <= bytes.count, count <= bytes.count - offset else {
                throw file.invalid("A header is cut off.")
            }
            return Array(bytes[offset..<offset + count])
        }
    }

    /// One header of the directory.
    private struct Header {
        let name: [UInt8]
        let flags: Int
        let method: Int
        let crc: UInt32
        let size: Int
        let packedSize: Int
        let offset: Int
        let host: Int
        let mode: Int
    }

    func entries() throws(KelterError) -> [ArchiveEntry] {
        let place = try directory()
        guard place.count <= limits.entries else {
            throw file.limit("The archive has more than \(limits.entries) entries.")
        }
        guard place.size <= Self.largestDirectory else {
            throw file.limit("The directory of the archive has more than \(Self.largestDirectory) bytes.")
        }
        let record = Record(bytes: try file.bytes(at: place.offset, count: place.size), file: file)
        var headers: [Header] = []
        var position = 0
        while position < record.bytes.count, headers.count < place.count {
            let (header, next) = try header(record, position)
            headers.append(header)
            position = next
        }
        guard headers.count == place.count else { throw file.invalid("The directory of the archive is cut off.") }
        let overlapping = overlaps(headers, before: place.offset)
        var names: Set<String> = []
        return headers.indices.compactMap { entry(headers[$0], overlaps: overlapping.contains($0), &names) }
    }

    /// Where the bytes of a member begin, behind its local header.
    func start(of member: ArchiveMember) throws(KelterError) -> Int {
        let record = Record(bytes: try file.bytes(at: member.offset, count: 30), file: file)
        guard try record.number(0, 4) == 0x0403_4B50, try record.number(8, 2) == (member.packing == .deflated ? 8 : 0)
        else {
            throw file.invalid("The member is not where the directory says.")
        }
        return member.offset + 30 + (try record.number(26, 2)) + (try record.number(28, 2))
    }

    /// Finds the directory by the record at the end of the archive.
    private func directory() throws(KelterError) -> (offset: Int, size: Int, count: Int) {
        // The record has 22 bytes and a comment of at most 65,535.
        let length = min(file.size, 22 + 0xFFFF)
        let start = file.size - length
        let tail = Record(bytes: try file.bytes(at: start, count: length), file: file)
        var found: Int?
        for position in stride(from: length - 22, through: 0, by: -1) {
            // The signature may be part of the comment.
            let (signature, comment) = (try tail.number(position, 4), try tail.number(position + 20, 2))
            if signature == 0x0605_4B50, position + 22 + comment == length {
                found = position
                break
            }
        }
        guard let end = found else { throw file.invalid("It is no ZIP archive, or it is cut off.") }
        let disks = (try tail.number(end + 4, 2), try tail.number(end + 6, 2))
        var (count, size) = (try tail.number(end + 10, 2), try tail.number(end + 12, 4))
        var offset = try tail.number(end + 16, 4)
        var directoryEnd = start + end
        if count == 0xFFFF || size == 0xFFFF_FFFF || offset == 0xFFFF_FFFF, directoryEnd >= 20,
            case let locator = Record(bytes: try file.bytes(at: directoryEnd - 20, count: 20), file: file),
            try locator.number(0, 4) == 0x0706_4B50
        {
            let place = try locator.number(8, 8)
            let record = Record(bytes: try file.bytes(at: place, count: 56), file: file)
            guard try record.number(0, 4) == 0x0606_4B50 else { throw file.invalid("Its ZIP64 record is missing.") }
            (count, size) = (try record.number(32, 8), try record.number(40, 8))
            offset = try record.number(48, 8)
            directoryEnd = place
        }
        guard disks == (0, 0) else { throw file.invalid("It is one part of several.") }
        guard size <= directoryEnd, offset <= directoryEnd - size else {
            throw file.invalid("The directory of the archive is cut off.")
        }
        return (offset, size, count)
    }

    private func header(_ record: Record, _ start: Int) throws(KelterError) -> (Header, next: Int) {
        guard try record.number(start, 4) == 0x0201_4B50 else { throw file.invalid("A header is damaged.") }
        let nameLength = try record.number(start + 28, 2)
        let extraLength = try record.number(start + 30, 2)
        let commentLength = try record.number(start + 32, 2)
        var packedSize = try record.number(start + 20, 4)
        var size = try record.number(start + 24, 4)
        var offset = try record.number(start + 42, 4)
        let extra = Record(bytes: try record.slice(start + 46 + nameLength, extraLength), file: file)
        var position = 0
        while position + 4 <= extraLength {
            let length = try extra.number(position + 2, 2)
            if try extra.number(position, 2) == 1 {
                // In this order, each only when its short field says so.
                var field = position + 4
                let end = field + length
                func wide(_ value: inout Int) throws(KelterError) {
                    guard value == 0xFFFF_FFFF, field + 8 <= end else { return }
                    value = try extra.number(field, 8)
                    field += 8
                }
                try wide(&size)
                try wide(&packedSize)
                try wide(&offset)
            }
            position += 4 + length
        }
        let header = Header(
            name: try record.slice(start + 46, nameLength),
            flags: try record.number(start + 8, 2),
            method: try record.number(start + 10, 2),
            crc: UInt32(truncatingIfNeeded: try record.number(start + 16, 4)),
            size: size,
            packedSize: packedSize,
            offset: offset,
            host: try record.number(start + 4, 2) >> 8,
            mode: try record.number(start + 38, 4) >> 16
        )
        return (header, start + 46 + nameLength + extraLength + commentLength)
    }

    /// The members that share bytes with one before them or with the directory: a bomb needs few bytes for many files.
    private func overlaps(_ headers: [Header], before end: Int) -> Set<Int> {
        var overlapping: Set<Int> = []
        var free = 0
        for index in headers.indices.sorted(by: { headers[$0].offset < headers[$1].offset }) {
            let header = headers[index]
            guard header.offset >= free, header.offset <= end, header.packedSize <= end - header.offset else {
                overlapping.insert(index)
                continue
            }
            free = header.offset + header.packedSize + 30
        }
        return overlapping
    }

    private func entry(_ header: Header, overlaps: Bool, _ names: inout Set<String>) -> ArchiveEntry? {
        var raw = String(validating: header.name, as: UTF8.self) ?? ArchiveName.codePage437(header.name)
        // Archives of DOS and Windows may separate with backslashes.
        if [0, 10, 11].contains(header.host), !raw.utf8.contains(UInt8(ascii: "/")) {
            raw = raw.split(separator: "\\", omittingEmptySubsequences: false).joined(separator: "/")
        }
        if raw.utf8.last == UInt8(ascii: "/") { return nil }
        let name: String
        do throws(KelterError) {
            name = try ArchiveName.checked(raw, in: file)
        } catch {
            return .failed(name: ArchiveName.repaired(header.name), error)
        }
        guard names.insert(name).inserted else {
            return .failed(name: name, file.invalid("Two members have this name."))
        }
        // The upper bits of a Unix mode: a link, or something else that is no file.
        if header.host == 3, header.mode & 0xF000 == 0xA000 { return .link(name: name) }
        if header.host == 3, header.mode & 0xF000 != 0x8000, header.mode & 0xF000 != 0 { return .special(name: name) }
        guard header.flags & 0x2041 == 0 else {
            let error = KelterError(
                .archiveEncrypted,
                "It is encrypted.",
                subject: file.path,
                fix: "Unpack it with its password and ingest the files."
            )
            return .failed(name: name, error)
        }
        guard header.method == 0 || header.method == 8 else {
            return .failed(name: name, file.invalid("Its compression method \(header.method) is not known."))
        }
        guard !overlaps, header.method == 8 || header.size == header.packedSize else {
            return .failed(name: name, file.invalid("It shares its bytes with another member, or its size is wrong."))
        }
        return .member(
            ArchiveMember(
                name: name,
                offset: header.offset,
                size: header.size,
                packedSize: header.packedSize,
                crc: header.crc,
                packing: header.method == 8 ? .deflated : .none
            )
        )
    }
}
