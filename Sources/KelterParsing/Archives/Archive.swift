import Glibc
package import KelterModel

/// The files that are taken apart, by their names; office documents are archives too, but none of these.
package enum ArchiveFormat: Sendable {
    case zip, tar, compressedTar
    /// A mail message, which is a document itself and may have attachments.
    case message
    /// A file of mail messages.
    case mailbox

    private static let suffixes: [(String, ArchiveFormat)] = [
        (".zip", .zip), (".tar", .tar), (".tar.gz", .compressedTar), (".tgz", .compressedTar),
        (".eml", .message), (".mbox", .mailbox),
    ]

    /// Whether what it holds has the metadata of the file, but for what names a single document.
    package var passesMetadata: Bool { self == .message || self == .mailbox }

    /// Whether such a file is a document beside those that it holds.
    package var isDocument: Bool { self == .message }

    /// The format of a file name; `nil` for all others.
    package init?(fileName: String) {
        let name = lowercasedASCII(fileName)
        guard let format = Self.suffixes.first(where: { name.hasSuffix($0.0) })?.1 else { return nil }
        self = format
    }
}

/// What an archive may hold; what goes beyond is a bomb or a mistake.
package struct ArchiveLimits: Sendable {
    /// Entries of one archive.
    ///
    /// Default 100,000.
    package var entries = 100_000
    /// Bytes of all members together when they are unpacked.
    ///
    /// Default 50 GB.
    package var bytes = 50_000_000_000
    /// How many times larger than its packed form something may be.
    ///
    /// Default 200; text is packed to a tenth, DEFLATE can do a thousandth.
    package var ratio = 200
    /// Below so many bytes the ratio does not matter.
    ///
    /// Default 10 MB.
    package var ratioFloor = 10_000_000

    package init() {}

    /// Whether something of this size may have been packed into so few bytes.
    func admits(_ size: Int, packedInto packed: Int) -> Bool {
        size <= ratioFloor || packed > 0 && size / packed < ratio
    }
}

/// A file inside an archive: all that is needed to read it again.
package struct ArchiveMember: Equatable, Sendable {
    /// Its path inside the archive: parts separated by `/`, none of them empty, `.` or `..`.
    package let name: String
    /// Where it begins: its local header in a ZIP archive, its first byte in a tar archive.
    package let offset: Int
    package let size: Int
    /// How many bytes it takes in the archive.
    package let packedSize: Int
    /// The checksum of a ZIP member.
    package let crc: UInt32?
    let packing: ArchivePacking

    /// The member as JSON: `[name, offset, size, packed size, CRC-32 or null, how it is packed]`.
    package var json: JSONValue {
        .array([
            .string(name), .int(offset), .int(size), .int(packedSize), crc.map { .int(Int($0)) } ?? .null,
            .string(packing.name),
        ])
    }

    /// Reads what ``json`` made; `nil` for anything else.
    package init?(_ json: JSONValue) {
        guard let name = json[0]?.string, let offset = json[1]?.int, let size = json[2]?.int,
            let packedSize = json[3]?.int, let packing = json[5]?.string.flatMap(ArchivePacking.init(name:)),
            offset >= 0, size >= 0, packedSize >= 0
        else { return nil }
        self.init(
            name: name,
            offset: offset,
            size: size,
            packedSize: packedSize,
            crc: json[4]?.int.flatMap { UInt32(exactly: $0) },
            packing: packing
        )
    }

    init(
        name: String,
        offset: Int,
        size: Int,
        packedSize: Int,
        crc: UInt32? = nil,
        packing: ArchivePacking = .none
    ) {
        self.name = name
        self.offset = offset
        self.size = size
        self.packedSize = packedSize
        self.crc = crc
        self.packing = packing
    }
}

/// How a member is written down in its archive.
enum ArchivePacking: Equatable, Sendable {
    /// As it is.
    case none
    case deflated
    /// As an attachment of a mail message.
    case encoded(TransferEncoding)

    var name: String {
        switch self {
        case .none: "none"
        case .deflated: "deflate"
        case .encoded(let encoding): encoding.rawValue
        }
    }

    init?(name: String) {
        switch name {
        case "none": self = .none
        case "deflate": self = .deflated
        default:
            guard let encoding = TransferEncoding(rawValue: name) else { return nil }
            self = .encoded(encoding)
        }
    }
}

/// What an archive is found to hold; directories are none.
package enum ArchiveEntry: Equatable, Sendable {
    case member(ArchiveMember)
    /// A link: its target is found where it is.
    case link(name: String)
    /// A device or pipe.
    case special(name: String)
    /// A later entry of a tar archive has the same name and takes its place.
    case superseded(name: String)
    case failed(name: String, KelterError)
}

/// An archive that has been opened.
///
/// Members are read in any order, by any number of threads.
package final class Archive: Sendable {
    private let file: ArchiveFile
    private let format: ArchiveFormat
    private let limits: ArchiveLimits

    /// Opens an archive; a compressed tar archive is unpacked into a file that has no name and goes with the value.
    ///
    /// - Parameters:
    ///   - path: The file.
    ///   - format: Its format.
    ///   - limits: What it may hold.
    /// - Throws: ``KelterError`` with ``ErrorCode/fileUnreadable``, ``ErrorCode/archiveInvalid`` or
    ///   ``ErrorCode/archiveLimit``.
    package init(
        path: String,
        format: ArchiveFormat,
        limits: ArchiveLimits = ArchiveLimits()
    ) throws(KelterError) {
        let file = try ArchiveFile(path: path)
        self.file = format == .compressedTar ? try file.unzipped(limits: limits) : file
        self.format = format
        self.limits = limits
    }

    /// A ZIP archive in memory, such as an office document.
    init(bytes: [UInt8], limits: ArchiveLimits) {
        file = ArchiveFile(bytes: bytes)
        format = .zip
        self.limits = limits
    }

    /// Everything it holds, in the order of its directory.
    ///
    /// - Throws: ``KelterError`` with ``ErrorCode/archiveInvalid`` when nothing can be found in it, or
    ///   ``ErrorCode/archiveLimit``.
    package func entries() throws(KelterError) -> [ArchiveEntry] {
        let entries: [ArchiveEntry]
        switch format {
        case .zip: entries = try ZIPDirectory(file: file, limits: limits).entries()
        case .tar, .compressedTar:
            var reader = TarReader(file: file, limits: limits)
            entries = try reader.entries()
        case .message: entries = try MailDirectory(file: file, limits: limits).attachments()
        case .mailbox: entries = try MailDirectory(file: file, limits: limits).messages()
        }
        var total = 0
        for case .member(let member) in entries {
            guard member.size <= limits.bytes - total else {
                throw file.limit("The archive holds more than \(limits.bytes) bytes.")
            }
            total += member.size
        }
        return entries.map { entry in
            guard case .member(let member) = entry else { return entry }
            guard ArchiveFormat(fileName: member.name)?.isDocument ?? true else {
                return .failed(name: member.name, file.limit("An archive inside an archive is not opened."))
            }
            guard limits.admits(member.size, packedInto: member.packedSize) else {
                let error = file.limit("It is packed to less than one part in \(limits.ratio), as bombs are.")
                return .failed(name: member.name, error)
            }
            return entry
        }
    }

    /// Reads a member from its beginning to its end.
    ///
    /// - Parameters:
    ///   - member: What ``entries()`` found.
    ///   - body: Gets the bytes in pieces.
    /// - Throws: ``KelterError`` with ``ErrorCode/archiveInvalid`` when the archive holds something else, and what `body`
    ///   throws. Never more bytes than the member's size are passed on.
    package func read(
        _ member: ArchiveMember,
        into body: (UnsafeRawBufferPointer) throws(KelterError) -> Void
    ) throws(KelterError) {
        let start = format == .zip ? try ZIPDirectory(file: file, limits: limits).start(of: member) : member.offset
        var checksum = Checksum()
        var count = 0
        func take(_ bytes: UnsafeRawBufferPointer) throws(KelterError) {
            count += bytes.count
            guard count <= member.size else { throw file.invalid("It is larger than the archive says.") }
            if member.crc != nil { checksum.update(bytes) }
            try body(bytes)
        }
        switch member.packing {
        case .deflated:
            let inflater = try Inflater(.raw)
            var offset = start
            let end = start + member.packedSize
            while offset < end, !inflater.isAtEnd {
                let bytes = try file.bytes(at: offset, count: min(ArchiveFile.blockSize, end - offset))
                offset += bytes.count
                try inflater.inflate(bytes, file: file, take)
            }
            guard inflater.isAtEnd else { throw file.invalid("It ends too early.") }
        case .encoded(let encoding):
            let encoded = try file.bytes(at: start, count: member.packedSize)
            let decoded = encoded.withUnsafeBufferPointer { encoding.decoded($0) }
            let result: Result<Void, KelterError> = decoded.withUnsafeBytes { buffer in
                do throws(KelterError) { return .success(try take(buffer)) } catch { return .failure(error) }
            }
            try result.get()
        case .none:
            var offset = start
            while offset < start + member.size {
                let bytes = try file.bytes(
                    at: offset,
                    count: min(ArchiveFile.blockSize, start + member.size - offset)
                )
                offset += bytes.count
                let result: Result<Void, KelterError> = bytes.withUnsafeBytes { buffer in
                    do throws(KelterError) { return .success(try take(buffer)) } catch { return .failure(error) }
                }
                try result.get()
            }
        }
        guard count == member.size else { throw file.invalid("It is smaller than the archive says.") }
        if let crc = member.crc, crc != checksum.value { throw file.invalid("Its checksum is another one.") }
    }
}
