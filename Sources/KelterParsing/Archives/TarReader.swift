import KelterModel

/// The headers of a tar archive: POSIX.1-2017, pax, and the GNU extensions for long names and large numbers.
struct TarReader {
    private static let block = 512
    /// Extended headers above this size are refused: they are names and numbers.
    private static let largestExtension = 1 << 20

    private let file: ArchiveFile
    private let limits: ArchiveLimits
    private var position = 0
    private var global: [String: [UInt8]] = [:]
    /// What extended headers say about the next entry.
    private var next: [String: [UInt8]] = [:]
    private var entriesRead = 0

    init(file: ArchiveFile, limits: ArchiveLimits) {
        self.file = file
        self.limits = limits
    }

    mutating func entries() throws(KelterError) -> [ArchiveEntry] {
        var entries: [ArchiveEntry] = []
        do throws(KelterError) {
            while let entry = try entry() { if let entry = entry.found { entries.append(entry) } }
        } catch {
            // What came before is good.
            guard !entries.isEmpty, error.code == .archiveInvalid else { throw error }
            entries.append(.failed(name: "", error))
        }
        // Of members with one name the last one is unpacked.
        var last: [String: Int] = [:]
        for (index, entry) in entries.enumerated() { if case .member(let member) = entry { last[member.name] = index } }
        return entries.enumerated().map { index, entry in
            guard case .member(let member) = entry, last[member.name] != index else { return entry }
            return .superseded(name: member.name)
        }
    }

    private struct Step {
        /// Directories and extended headers are no entries.
        var found: ArchiveEntry?
    }

    private mutating func entry() throws(KelterError) -> Step? {
        // An archive ends with two blocks of zeros, or without.
        guard position < file.size else {
            guard entriesRead > 0 else { throw file.invalid("It is no tar archive, or it is cut off.") }
            return nil
        }
        let header = try file.bytes(at: position, count: Self.block)
        guard header.contains(where: { $0 != 0 }) else { return nil }
        try check(header)
        entriesRead += 1
        guard entriesRead <= limits.entries else {
            throw file.limit("The archive has more than \(limits.entries) entries.")
        }
        let type = header[156]
        let isExtension = [UInt8(ascii: "x"), UInt8(ascii: "g"), UInt8(ascii: "L"), UInt8(ascii: "K")].contains(type)
        let size = try isExtension ? number(header[124..<136]) : size(header)
        let start = position + Self.block
        // Links and directories have no content, whatever their size field says.
        let hasContent = !"12345 6".utf8.contains(type)
        let content = hasContent ? size : 0
        let name = try name(header)
        guard content <= file.size - start else {
            throw file.invalid("The archive is cut off in \"\(shortened(String(decoding: name, as: UTF8.self)))\".")
        }
        position = start + (content + Self.block - 1) / Self.block * Self.block
        if isExtension {
            guard size <= Self.largestExtension else { throw file.limit("A header is too large.") }
            try take(try file.bytes(at: start, count: size), type)
            return Step()
        }
        defer { next = [:] }
        return Step(found: entry(type, name, start, size))
    }

    private func entry(_ type: UInt8, _ bytes: [UInt8], _ start: Int, _ size: Int) -> ArchiveEntry? {
        guard let raw = String(validating: bytes, as: UTF8.self) else {
            return .failed(name: ArchiveName.repaired(bytes), ArchiveName.notUTF8(file))
        }
        // Old archives mark directories by the last slash alone.
        if type == UInt8(ascii: "5") || raw.utf8.last == UInt8(ascii: "/") { return nil }
        let name: String
        do throws(KelterError) {
            name = try ArchiveName.checked(raw, in: file)
        } catch {
            return .failed(name: ArchiveName.repaired(bytes), error)
        }
        if next.keys.contains(where: { $0.hasPrefix("GNU.sparse") }) {
            return .failed(name: name, file.invalid("It is stored with holes, which are not read."))
        }
        switch type {
        case 0, UInt8(ascii: "0"), UInt8(ascii: "7"):
            return .member(ArchiveMember(name: name, offset: start, size: size, packedSize: size))
        case UInt8(ascii: "1"), UInt8(ascii: "2"): return .link(name: name)
        case UInt8(ascii: "S"): return .failed(name: name, file.invalid("It is stored with holes, which are not read."))
        default: return .special(name: name)
        }
    }

    /// The sum of the header's bytes, the sum's own place taken as spaces.
    private func check(_ header: [UInt8]) throws(KelterError) {
        let sum = header.indices.reduce(0) { $0 + ((148..<156).contains($1) ? 0x20 : Int(header[$1])) }
        guard try number(header[148..<156]) == sum else {
            throw file.invalid("It is no tar archive, or it is damaged at byte \(position).")
        }
    }

    private func size(_ header: [UInt8]) throws(KelterError) -> Int {
        guard let text = next["size"] ?? global["size"] else { return try number(header[124..<136]) }
        guard let size = Int(String(decoding: text, as: UTF8.self)), size >= 0 else {
            throw file.invalid("A size is no number.")
        }
        return size
    }

    private func name(_ header: [UInt8]) throws(KelterError) -> [UInt8] {
        if let name = next["path"] ?? global["path"] { return name }
        let name = Array(header[..<100].prefix { $0 != 0 })
        // The version of POSIX has a prefix; that of GNU, with spaces, has other things there.
        guard Array(header[257..<263]) == Array("ustar\0".utf8) else { return name }
        let prefix = Array(header[345..<500].prefix { $0 != 0 })
        return prefix.isEmpty ? name : prefix + [UInt8(ascii: "/")] + name
    }

    /// A number in octal digits, or in binary when the first bit is set.
    private func number(_ field: ArraySlice<UInt8>) throws(KelterError) -> Int {
        guard let first = field.first else { return 0 }
        if first & 0x80 != 0 {
            var value: UInt64 = UInt64(first & 0x3F)
            for byte in field.dropFirst() {
                guard value < 1 << 54 else { throw file.invalid("A number is too large.") }
                value = value << 8 | UInt64(byte)
            }
            guard first & 0x40 == 0, let number = Int(exactly: value) else {
                throw file.invalid("A number is negative.")
            }
            return number
        }
        let digits = field.drop { $0 == 0x20 }.prefix { $0 != 0 && $0 != 0x20 }
        guard digits.allSatisfy({ (0x30...0x37).contains($0) }) else { throw file.invalid("A header is damaged.") }
        return digits.reduce(0) { $0 << 3 | Int($1 - 0x30) }
    }

    private mutating func take(_ bytes: [UInt8], _ type: UInt8) throws(KelterError) {
        switch type {
        case UInt8(ascii: "L"): next["path"] = Array(bytes.prefix { $0 != 0 })
        case UInt8(ascii: "K"): break
        case UInt8(ascii: "g"): global.merge(try records(bytes)) { $1 }
        default: next.merge(try records(bytes)) { $1 }
        }
    }

    /// The records of a pax header: `LENGTH KEY=VALUE\n`, the length counting the whole record.
    private func records(_ bytes: [UInt8]) throws(KelterError) -> [String: [UInt8]] {
        var records: [String: [UInt8]] = [:]
        var rest = bytes[...]
        while !rest.isEmpty {
            guard let space = rest.firstIndex(of: 0x20),
                let length = Int(String(decoding: rest[..<space], as: UTF8.self)), length > space - rest.startIndex + 2,
                length <= rest.count
            else { throw file.invalid("An extended header is damaged.") }
            let record = rest[(space + 1)..<(rest.startIndex + length - 1)]
            guard let equals = record.firstIndex(of: UInt8(ascii: "=")) else {
                throw file.invalid("An extended header is damaged.")
            }
            records[String(decoding: record[..<equals], as: UTF8.self)] = Array(record[(equals + 1)...])
            rest = rest.dropFirst(length)
        }
        return records
    }
}
