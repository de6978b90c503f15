import Glibc
import KelterModel

/// The tokenizer section of an `E5S1` weights file: pieces with their scores, and the character map.
///
/// The file is little-endian: the magic `E5S1`, a version, ten 32-bit numbers of the network's shape in all, then
/// - five 32-bit numbers: how many pieces there are and the indexes of `<s>`, `</s>`, `<pad>` and `<unk>`;
/// - a 64-bit number, the bytes of all pieces together;
/// - the byte offset of each piece and the end of the last (32 bits each), the score of each piece (float32), and the
///   pieces themselves;
/// - how many scalars the character map replaces and its size (32 bits each), then per scalar in ascending order:
///   the scalar (32 bits), a count (8 bits) and that many replacing scalars (32 bits each).
///
/// The network's weights follow and are not read.
struct XLMRobertaVocabulary {
    /// The index of the piece that stands for what no other piece covers.
    let unknown: Int
    /// Where each piece begins in ``pieces``, and the end of the last.
    let offsets: [UInt32]
    /// The logarithm of each piece's probability; 0 for `<s>` and the like.
    let scores: [Float]
    /// The UTF-8 of all pieces, one after the other.
    let pieces: [UInt8]
    /// What stands for some scalars before a text is cut into pieces.
    let characterMap: CharacterMap

    /// Bytes before the tokenizer's section: magic, version and ten numbers.
    private static let headerSize = 44
    /// More pieces than any vocabulary has: a larger count means a damaged file.
    private static let largestCount = 4_000_000
    /// A larger section means a damaged file.
    private static let largestSection = 256 << 20

    init(file path: String) throws(KelterError) {
        let file = try WeightsFile(path: path)
        let header = try file.read(at: 0, count: Self.headerSize + 28)
        guard header.prefix(4).elementsEqual("E5S1".utf8) else { throw file.damaged() }
        let count = Int(header.number(at: Self.headerSize))
        unknown = Int(header.number(at: Self.headerSize + 16))
        let pieceBytes = Int(header.number(at: Self.headerSize + 20)),
            highHalf = header.number(at: Self.headerSize + 24)
        guard (1...Self.largestCount).contains(count), unknown < count, highHalf == 0, pieceBytes <= Self.largestSection
        else { throw file.damaged() }

        let tables = try file.read(at: header.count, count: 8 * count + 4)
        offsets = (0...count).map { tables.number(at: 4 * $0) }
        scores = (0..<count).map { Float(bitPattern: tables.number(at: 4 * (count + 1 + $0))) }
        pieces = try file.read(at: header.count + tables.count, count: pieceBytes)
        guard offsets[0] == 0, Int(offsets[count]) == pieceBytes,
            zip(offsets, offsets.dropFirst()).allSatisfy({ $0 <= $1 })
        else { throw file.damaged() }

        let mapStart = header.count + tables.count + pieceBytes
        let mapHeader = try file.read(at: mapStart, count: 8)
        let mapCount = Int(mapHeader.number(at: 0)), mapSize = Int(mapHeader.number(at: 4))
        guard mapCount <= 0x11_0000, mapSize <= Self.largestSection else { throw file.damaged() }
        let map = CharacterMap(count: mapCount, bytes: try file.read(at: mapStart + 8, count: mapSize))
        guard let map else { throw file.damaged() }
        characterMap = map
    }
}

/// A file that is read in parts by offset.
private struct WeightsFile: ~Copyable {
    private let path: String
    private let descriptor: Int32

    init(path: String) throws(KelterError) {
        self.path = path
        descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else {
            throw KelterError(
                .partMissing,
                "The embedded model's weights file cannot be opened: \(String(cString: strerror(errno))).",
                subject: path,
                fix: "Install the embedded services (make deps), or use the tokenizer \"bytes\"."
            )
        }
    }

    deinit { close(descriptor) }

    func read(at offset: Int, count: Int) throws(KelterError) -> [UInt8] {
        var failed = false
        let bytes = [UInt8](unsafeUninitializedCapacity: count) { buffer, filled in
            while filled < count {
                let got = pread(
                    descriptor,
                    buffer.baseAddress.map { $0 + filled },
                    count - filled,
                    off_t(offset + filled)
                )
                if got < 0, errno == EINTR { continue }
                guard got > 0 else {
                    failed = true
                    return
                }
                filled += got
            }
        }
        guard !failed else { throw damaged() }
        return bytes
    }

    func damaged() -> KelterError {
        KelterError(
            .partMissing,
            "The embedded model's weights file is damaged or of an unknown version.",
            subject: path,
            fix: "Remove it and install it again (make deps)."
        )
    }
}

extension [UInt8] {
    /// The little-endian 32-bit number at an offset.
    fileprivate func number(at offset: Int) -> UInt32 {
        withUnsafeBytes { UInt32(littleEndian: $0.loadUnaligned(fromByteOffset: offset, as: UInt32.self)) }
    }
}
