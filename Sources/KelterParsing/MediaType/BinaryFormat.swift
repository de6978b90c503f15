/// File formats that are known by their first bytes; most of them no parser here reads.
struct BinaryFormat: Sendable {
    /// The media type named in the error.
    let mediaType: String
    /// Where the signature stands.
    private let offset: Int
    private let signature: [UInt8]
    /// Whether the signature could begin a text, so that a NUL near it must confirm the format.
    private let needsNUL: Bool

    private init(_ mediaType: String, _ signature: [UInt8], offset: Int = 0, needsNUL: Bool = false) {
        self.mediaType = mediaType
        self.signature = signature
        self.offset = offset
        self.needsNUL = needsNUL
    }

    private init(_ mediaType: String, _ signature: String, offset: Int = 0, needsNUL: Bool = false) {
        self.init(mediaType, Array(signature.utf8), offset: offset, needsNUL: needsNUL)
    }

    /// The format of a file, by signature; nil for text and for formats that are not in the table.
    static func recognise(_ bytes: [UInt8]) -> BinaryFormat? {
        bytes.withUnsafeBufferPointer { bytes in
            table.first { $0.matches(bytes) }
        }
    }

    private func matches(_ bytes: UnsafeBufferPointer<UInt8>) -> Bool {
        guard bytes.count >= offset + signature.count,
            UnsafeBufferPointer(rebasing: bytes[offset..<offset + signature.count]).elementsEqual(signature)
        else { return false }
        return !needsNUL || bytes.prefix(512).contains(0)
    }

    var isPDF: Bool { mediaType == "application/pdf" }

    /// Whether a parser reads it, or may find in it what one reads.
    var mayBeRead: Bool { isPDF || isRTF || isImage || isGZIP || isZIP }

    /// Whether it is an image that text can be recognised in.
    var isImage: Bool {
        ["image/png", "image/jpeg", "image/gif", "image/tiff", "image/webp", "image/bmp"].contains(mediaType)
    }

    var isRTF: Bool { mediaType == "application/rtf" }

    var isGZIP: Bool { mediaType == "application/gzip" }

    /// Whether it is a ZIP archive, which may be a document.
    var isZIP: Bool { mediaType == "application/zip" }

    /// Signatures as their specifications and the `file` command's documentation list them.
    private static let table: [BinaryFormat] = [
        Self("application/pdf", "%PDF-"),
        Self("application/zip", [0x50, 0x4B, 0x03, 0x04]),
        Self("application/zip", [0x50, 0x4B, 0x05, 0x06]),
        Self("application/gzip", [0x1F, 0x8B]),
        Self("application/x-bzip2", [0x31, 0x41, 0x59, 0x26, 0x53, 0x59], offset: 4),
        Self("application/x-xz", [0xFD, 0x37, 0x7A, 0x58, 0x5A, 0x00]),
        Self("application/zstd", [0x28, 0xB5, 0x2F, 0xFD]),
        Self("application/x-7z-compressed", [0x37, 0x7A, 0xBC, 0xAF, 0x27, 0x1C]),
        Self("application/vnd.rar", [0x52, 0x61, 0x72, 0x21, 0x1A, 0x07]),
        Self("application/x-tar", "ustar", offset: 257, needsNUL: true),
        Self("application/x-ole-storage", [0xD0, 0xCF, 0x11, 0xE0, 0xA1, 0xB1, 0x1A, 0xE1]),
        Self("application/rtf", "{\\rtf"),
        Self("application/postscript", "%!PS"),
        Self("application/vnd.sqlite3", "SQLite format 3\0"),
        Self("application/x-elf", [0x7F, 0x45, 0x4C, 0x46]),
        Self("application/x-mach-binary", [0xCF, 0xFA, 0xED, 0xFE]),
        Self("application/vnd.microsoft.portable-executable", "MZ", needsNUL: true),
        Self("application/java-vm", [0xCA, 0xFE, 0xBA, 0xBE]),
        Self("application/wasm", [0x00, 0x61, 0x73, 0x6D]),
        Self("application/vnd.apache.parquet", "PAR1", needsNUL: true),
        Self("image/png", [0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A]),
        Self("image/jpeg", [0xFF, 0xD8, 0xFF]),
        Self("image/gif", "GIF87a"),
        Self("image/gif", "GIF89a"),
        Self("image/tiff", [0x49, 0x49, 0x2A, 0x00]),
        Self("image/tiff", [0x4D, 0x4D, 0x00, 0x2A]),
        Self("image/webp", "WEBP", offset: 8, needsNUL: true),
        Self("image/bmp", "BM", needsNUL: true),
        Self("image/vnd.microsoft.icon", [0x00, 0x00, 0x01, 0x00]),
        Self("audio/wav", "WAVE", offset: 8, needsNUL: true),
        Self("audio/mpeg", "ID3", needsNUL: true),
        Self("audio/ogg", "OggS", needsNUL: true),
        Self("audio/flac", "fLaC", needsNUL: true),
        Self("video/x-msvideo", "AVI ", offset: 8, needsNUL: true),
        Self("video/mp4", "ftyp", offset: 4, needsNUL: true),
        Self("video/webm", [0x1A, 0x45, 0xDF, 0xA3]),
        Self("font/woff", "wOFF", needsNUL: true),
        Self("font/woff2", "wOF2", needsNUL: true),
        Self("font/otf", "OTTO", needsNUL: true),
        Self("font/ttf", [0x00, 0x01, 0x00, 0x00]),
    ]
}
