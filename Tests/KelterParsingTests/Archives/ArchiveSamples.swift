import CZlib
import Foundation

/// Archives made byte by byte, so that each can be wrong in one place.
enum ArchiveSamples {
    /// A member of a ZIP archive; what is `nil` is made as it should be.
    struct Member {
        var name: [UInt8]
        var content: [UInt8]
        var deflates = false
        var flags = 0x800
        var method: Int?
        var crc: UInt32?
        var size: Int?
        var mode = 0
        var host = 3
        /// The place of another member's local header, which it then has none of.
        var offset: Int?

        init(_ name: String, _ content: String, deflates: Bool = false) {
            self.name = Array(name.utf8)
            self.content = Array(content.utf8)
            self.deflates = deflates
        }

        func with(_ change: (inout Self) -> Void) -> Self {
            var copy = self
            change(&copy)
            return copy
        }
    }

    static func little(_ value: Int, _ width: Int) -> [UInt8] {
        (0..<width).map { UInt8(truncatingIfNeeded: value >> (8 * $0)) }
    }

    static func zip(_ members: [Member], comment: String = "", isWide: Bool = false) -> [UInt8] {
        var bytes: [UInt8] = []
        var directory: [UInt8] = []
        for member in members {
            let packed = member.deflates ? deflated(member.content) : member.content
            let method = member.method ?? (member.deflates ? 8 : 0)
            let crc = member.crc ?? UInt32(truncatingIfNeeded: crc32_z(0, member.content, member.content.count))
            let size = member.size ?? member.content.count
            let offset = member.offset ?? bytes.count
            let common = little(member.flags, 2) + little(method, 2) + little(0, 4) + little(Int(crc), 4)
            if member.offset == nil {
                bytes += little(0x0403_4B50, 4) + little(20, 2) + common + little(packed.count, 4) + little(size, 4)
                bytes += little(member.name.count, 2) + little(0, 2) + member.name + packed
            }
            let extra =
                isWide
                ? little(1, 2) + little(24, 2) + little(size, 8) + little(packed.count, 8) + little(offset, 8) : []
            directory += little(0x0201_4B50, 4) + little(member.host << 8 | 20, 2) + little(20, 2) + common
            directory +=
                isWide ? little(0xFFFF_FFFF, 4) + little(0xFFFF_FFFF, 4) : little(packed.count, 4) + little(size, 4)
            directory += little(member.name.count, 2) + little(extra.count, 2) + little(0, 6)
            directory += little(member.mode << 16, 4) + little(isWide ? 0xFFFF_FFFF : offset, 4) + member.name + extra
        }
        let place = bytes.count
        bytes += directory
        if isWide {
            let record = bytes.count
            bytes += little(0x0606_4B50, 4) + little(44, 8) + little(45, 2) + little(45, 2) + little(0, 8)
            bytes += little(members.count, 8) + little(members.count, 8) + little(directory.count, 8) + little(place, 8)
            bytes += little(0x0706_4B50, 4) + little(0, 4) + little(record, 8) + little(1, 4)
        }
        let count = isWide ? 0xFFFF : members.count
        bytes += little(0x0605_4B50, 4) + little(0, 4) + little(count, 2) + little(count, 2)
        bytes += little(isWide ? 0xFFFF_FFFF : directory.count, 4) + little(isWide ? 0xFFFF_FFFF : place, 4)
        return bytes + little(comment.utf8.count, 2) + Array(comment.utf8)
    }

    /// A header of a tar archive and its content, filled up to whole blocks.
    static func tar(
        _ name: [UInt8],
        _ content: [UInt8],
        type: Character = "0",
        size: [UInt8]? = nil,
        prefix: String = ""
    ) -> [UInt8] {
        func field(_ bytes: [UInt8], _ width: Int) -> [UInt8] {
            bytes.prefix(width) + [UInt8](repeating: 0, count: max(0, width - bytes.count))
        }
        func octal(_ number: Int, _ width: Int) -> [UInt8] {
            let digits = String(number, radix: 8)
            return Array((String(repeating: "0", count: width - 1 - digits.count) + digits).utf8) + [0]
        }
        var header = field(name, 100) + octal(0o644, 8) + octal(0, 8) + octal(0, 8)
        header += size ?? octal(content.count, 12)
        header += octal(0, 12) + [UInt8](repeating: 0x20, count: 8) + Array(String(type).utf8) + field([], 100)
        header += field(Array("ustar".utf8), 6) + Array("00".utf8) + field([], 80) + field(Array(prefix.utf8), 155)
        header = field(header, 512)
        let sum = octal(header.reduce(0) { $0 + Int($1) }, 7) + [0x20]
        header.replaceSubrange(148..<156, with: sum)
        return header + content + [UInt8](repeating: 0, count: (512 - content.count % 512) % 512)
    }

    static func tar(_ name: String, _ content: String, type: Character = "0") -> [UInt8] {
        tar(Array(name.utf8), Array(content.utf8), type: type)
    }

    static let tarEnd = [UInt8](repeating: 0, count: 1024)

    static func pax(_ records: [(String, String)], type: Character = "x") -> [UInt8] {
        let lines = records.map { key, value -> String in
            let rest = " \(key)=\(value)\n"
            var length = rest.utf8.count + 1
            while "\(length)".utf8.count + rest.utf8.count != length { length += 1 }
            return "\(length)\(rest)"
        }
        return tar("pax", lines.joined(), type: type)
    }

    /// Raw DEFLATE, or a gzip file.
    static func deflated(_ content: [UInt8], asGzip: Bool = false) -> [UInt8] {
        var stream = z_stream()
        let size = CInt(MemoryLayout<z_stream>.size)
        deflateInit2_(&stream, 9, Z_DEFLATED, asGzip ? 31 : -15, 9, Z_DEFAULT_STRATEGY, ZLIB_VERSION, size)
        defer { deflateEnd(&stream) }
        var (input, output) = (content, [UInt8](repeating: 0, count: content.count + content.count / 8 + 128))
        let count = input.withUnsafeMutableBufferPointer { input in
            output.withUnsafeMutableBufferPointer { output in
                stream.next_in = input.baseAddress
                stream.avail_in = uInt(input.count)
                stream.next_out = output.baseAddress
                stream.avail_out = uInt(output.count)
                deflate(&stream, Z_FINISH)
                return output.count - Int(stream.avail_out)
            }
        }
        return Array(output[..<count])
    }

    /// Runs the body with the path of a file of these bytes.
    static func with<Value>(_ bytes: [UInt8], _ name: String, _ body: (String) throws -> Value) throws -> Value {
        let directory = FileManager.default.temporaryDirectory.appending(path: "kelter-archive-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: directory) }
        let url = directory.appending(path: name)
        try Data(bytes).write(to: url)
        return try body(url.path)
    }
}
