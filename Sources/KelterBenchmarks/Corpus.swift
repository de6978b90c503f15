import Glibc
import KelterModel

/// A reproducible tree of text files: German and English sentences of random words.
struct Corpus {
    /// The number of files.
    let files: Int
    /// Bytes of a file.
    let sizes: ClosedRange<Int>
    private var state: UInt64 = 0x9E37_79B9_7F4A_7C15

    private static let words = """
        der die das Vertrag Kunde Lieferung Maschine Wartung Rechnung prüfen Prüfung Sicherheit Urlaub Antrag Werkstatt \
        über für während zwischen jährlich spätestens innerhalb Frist Übergabe Schlüssel Größe Straße Änderung \
        the contract customer delivery machine maintenance invoice review safety leave request workshop about during \
        between yearly within deadline handover key size street change server database document report summary \
        incident response backup restore schedule meeting minutes decision owner budget travel expense policy
        """.split(separator: " ").map { Array($0.utf8) }

    init(files: Int, sizes: ClosedRange<Int>) {
        self.files = files
        self.sizes = sizes
    }

    /// Writes the files, 500 to a directory, and returns their bytes in total.
    mutating func write(to directory: String) throws(KelterError) -> Int {
        var total = 0
        for number in 0..<files {
            let folder = "\(directory)/part-\(number / 500)"
            if number % 500 == 0 { mkdir(folder, 0o755) }
            let size = sizes.lowerBound + Int(next() % UInt64(sizes.count))
            total += try write(size, to: "\(folder)/document-\(number).txt")
        }
        return total
    }

    /// Writes one file of about a size, a mebibyte at a time, and returns its bytes.
    mutating func write(_ size: Int, to path: String) throws(KelterError) -> Int {
        let descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0o644)
        defer { close(descriptor) }
        var total = 0
        while total < size {
            let bytes = text(of: min(size - total, 1 << 20))
            let written = bytes.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
            guard written == bytes.count else {
                throw KelterError(.objectStoreFailed, "The corpus cannot be written.", subject: path)
            }
            total += written
        }
        return total
    }

    private mutating func text(of size: Int) -> [UInt8] {
        var text: [UInt8] = []
        text.reserveCapacity(size + 32)
        var inSentence = 0
        while text.count < size {
            text += Self.words[Int(next() % UInt64(Self.words.count))]
            inSentence += 1
            guard inSentence > 6, next() % 6 == 0 else {
                text.append(UInt8(ascii: " "))
                continue
            }
            inSentence = 0
            text += next() % 5 == 0 ? Array(".\n\n".utf8) : Array(". ".utf8)
        }
        return text
    }

    /// SplitMix64 (Steele, Lea, Flood 2014).
    private mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var value = state
        value = (value ^ (value >> 30)) &* 0xBF58_476D_1CE4_E5B9
        value = (value ^ (value >> 27)) &* 0x94D0_49BB_1331_11EB
        return value ^ (value >> 31)
    }
}
