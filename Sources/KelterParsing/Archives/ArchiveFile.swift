import CZlib
import Glibc
import KelterModel

/// The bytes of an archive, read at any place; every place and number in it is somebody else's word.
final class ArchiveFile: Sendable {
    static let blockSize = 1 << 16

    let path: String
    let size: Int
    private let source: Source

    private enum Source {
        /// A file, and whose descriptor it is when it is that of a file that was unpacked.
        case descriptor(Int32, ScratchFile?)
        case memory([UInt8])
    }

    convenience init(path: String) throws(KelterError) {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard descriptor >= 0 else { throw Self.unreadable(path) }
        try self.init(descriptor: descriptor, nil, path: path)
    }

    private init(descriptor: Int32, _ scratch: ScratchFile?, path: String) throws(KelterError) {
        source = .descriptor(descriptor, scratch)
        self.path = path
        var status = stat()
        let isRead = fstat(descriptor, &status) == 0
        size = Int(status.st_size)
        guard isRead else { throw Self.unreadable(path) }
    }

    /// An archive that is in memory, without a path.
    init(bytes: [UInt8]) {
        source = .memory(bytes)
        size = bytes.count
        path = ""
    }

    deinit {
        if case .descriptor(let descriptor, nil) = source { close(descriptor) }
    }

    /// Bytes that must be there.
    ///
    /// - Throws: ``KelterError`` with ``ErrorCode/archiveInvalid`` for a place beyond the end.
    func bytes(at offset: Int, count: Int) throws(KelterError) -> [UInt8] {
        guard offset >= 0, count >= 0, offset <= size, count <= size - offset else {
            throw invalid("The archive is cut off.")
        }
        switch source {
        case .memory(let bytes):
            return Array(bytes[offset..<offset + count])
        case .descriptor(let descriptor, _):
            guard let bytes = readBytes(descriptor, at: offset, count: count) else { throw Self.unreadable(path) }
            guard bytes.count == count else { throw invalid("The archive is cut off.") }
            return bytes
        }
    }

    /// The content of a gzip file (RFC 1952, several members in a row allowed) as a file without a name.
    ///
    /// - Throws: ``KelterError`` with ``ErrorCode/archiveInvalid`` or ``ErrorCode/archiveLimit``, or that there is no room.
    func unzipped(limits: ArchiveLimits) throws(KelterError) -> ArchiveFile {
        let scratch = try ScratchFile()
        try unzip(into: scratch, limits: limits)
        return try ArchiveFile(descriptor: scratch.descriptor, scratch, path: path)
    }

    private func unzip(into scratch: ScratchFile, limits: ArchiveLimits) throws(KelterError) {
        let inflater = try Inflater(.gzip)
        var written = 0
        var offset = 0
        while offset < size {
            let bytes = try bytes(at: offset, count: min(Self.blockSize, size - offset))
            offset += bytes.count
            try inflater.inflate(bytes, file: self) { (piece) throws(KelterError) in
                written += piece.count
                guard written <= limits.bytes, limits.admits(written, packedInto: offset) else {
                    throw self.limit("It unpacks to more than \(limits.ratio) times its size, as bombs do.")
                }
                try scratch.write(piece, at: written - piece.count)
            }
        }
        // What was unpacked of a cut file is good as far as it goes; the tar reader finds the cut.
    }

    func invalid(_ message: String) -> KelterError {
        KelterError(.archiveInvalid, message, subject: path.isEmpty ? nil : path, fix: "Make the archive anew.")
    }

    func limit(_ message: String) -> KelterError {
        KelterError(
            .archiveLimit,
            message,
            subject: path.isEmpty ? nil : path,
            fix: "Unpack it by hand and ingest what belongs to it."
        )
    }

    private static func unreadable(_ path: String) -> KelterError {
        KelterError(
            .fileUnreadable,
            "It cannot be read: \(message(errno)).",
            subject: path,
            fix: "Check that it exists and that this user may read it."
        )
    }

    private static func message(_ number: Int32) -> String {
        strerror(number).map { String(cString: $0) } ?? "error \(number)"
    }
}

/// The CRC-32 of ZIP archives.
struct Checksum {
    private(set) var value: UInt32 = 0

    mutating func update(_ bytes: UnsafeRawBufferPointer) {
        value = UInt32(
            truncatingIfNeeded: crc32_z(
                uLong(value),
                bytes.baseAddress?.assumingMemoryBound(to: UInt8.self),
                bytes.count
            )
        )
    }
}

/// DEFLATE (RFC 1951), by itself or in a gzip file.
final class Inflater {
    enum Wrapping: Int32 {
        /// Without header; the window is 32 KiB.
        case raw = -15
        case gzip = 31
    }

    private let stream: UnsafeMutablePointer<z_stream>
    private let wrapping: Wrapping
    private(set) var isAtEnd = false

    init(_ wrapping: Wrapping) throws(KelterError) {
        self.wrapping = wrapping
        stream = .allocate(capacity: 1)
        stream.initialize(to: z_stream())
        guard inflateInit2_(stream, wrapping.rawValue, ZLIB_VERSION, CInt(MemoryLayout<z_stream>.size)) == Z_OK else {
            throw KelterError(.internalError, "zlib could not be started.")
        }
    }

    deinit {
        inflateEnd(stream)
        stream.deallocate()
    }

    /// Unpacks a piece and passes on what comes of it.
    func inflate(
        _ bytes: [UInt8],
        file: ArchiveFile,
        _ body: (UnsafeRawBufferPointer) throws(KelterError) -> Void
    ) throws(KelterError) {
        var input = bytes
        var output = [UInt8](repeating: 0, count: ArchiveFile.blockSize)
        let result: Result<Void, KelterError> = input.withUnsafeMutableBufferPointer { input in
            stream.pointee.next_in = input.baseAddress
            stream.pointee.avail_in = uInt(input.count)
            return output.withUnsafeMutableBufferPointer { output in
                do throws(KelterError) { return .success(try run(output, file, body)) } catch { return .failure(error) }
            }
        }
        try result.get()
    }

    private func run(
        _ output: UnsafeMutableBufferPointer<UInt8>,
        _ file: ArchiveFile,
        _ body: (UnsafeRawBufferPointer) throws(KelterError) -> Void
    ) throws(KelterError) {
        repeat {
            if isAtEnd {
                // Another gzip member follows; behind raw data there is nothing that belongs to it.
                guard wrapping == .gzip, stream.pointee.avail_in > 0 else { return }
                guard inflateReset(stream) == Z_OK else { throw file.invalid("It cannot be unpacked.") }
                isAtEnd = false
            }
            stream.pointee.next_out = output.baseAddress
            stream.pointee.avail_out = uInt(output.count)
            let status = CZlib.inflate(stream, Z_NO_FLUSH)
            let count = output.count - Int(stream.pointee.avail_out)
            guard status == Z_OK || status == Z_STREAM_END || status == Z_BUF_ERROR && count == 0 else {
                throw file.invalid("It cannot be unpacked.")
            }
            if count > 0 { try body(UnsafeRawBufferPointer(UnsafeBufferPointer(rebasing: output[..<count]))) }
            isAtEnd = status == Z_STREAM_END
            if status == Z_BUF_ERROR { return }
        } while stream.pointee.avail_in > 0 || stream.pointee.avail_out == 0
    }
}
