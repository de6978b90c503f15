import KelterModel
import KelterParsing
import Testing

@Suite("Large texts")
struct LargeTextTests {
    private static let paragraph = "Größe: 5 €, Ω, 😀 und noch ein Satz.\r\nZweite\rZeile mit \0 NUL.\r\n\r\n"
    /// A little over 128 KiB, so that every piece of 64 KiB ends somewhere else in a paragraph.
    private static let text = String(repeating: paragraph, count: 1_700)

    private func outcome(
        _ bytes: [UInt8],
        name: String = "a.txt",
        mediaType: String? = nil,
        charset: LargeTextWriter.Charset? = nil,
        piece: Int = 1 << 16
    ) throws -> LargeTextWriter.Outcome {
        var writer = LargeTextWriter(
            size: bytes.count,
            name: name,
            mediaType: mediaType,
            charset: charset,
            signs: true
        )
        var start = 0
        while start < bytes.count {
            let end = min(start + piece, bytes.count)
            try bytes[start..<end].withUnsafeBytes { try writer.add($0) }
            start = end
        }
        return try writer.finish()
    }

    private func text(
        _ bytes: [UInt8],
        mediaType: String? = nil,
        charset: LargeTextWriter.Charset? = nil,
        piece: Int = 1 << 16
    ) throws -> LargeText {
        let outcome = try outcome(
            bytes,
            mediaType: mediaType,
            charset: charset,
            piece: piece
        )
        guard case .text(let text) = outcome else {
            Issue.record("It is no text: \(outcome)")
            throw KelterError(.internalError, "It is no text.")
        }
        return text
    }

    @Test("Decoded piece by piece, a text is what it is when it is decoded at once", arguments: 0..<4)
    func utf8(shift: Int) throws {
        for mark in [[], [0xEF, 0xBB, 0xBF]] as [[UInt8]] {
            let bytes = mark + [UInt8](repeating: 0x61, count: shift) + Array(Self.text.utf8)
            let whole = try DocumentParser().parse(bytes, name: "a.txt").document.text
            for piece in [1_000, 65_537, 1 << 20] {
                let text = try text(bytes, piece: piece)
                #expect(try text.bytes(0..<text.count) == whole)
                #expect(text.signature == ShingleReader.signature(of: whole) && text.signature != nil)
                #expect(text.hasText)
            }
        }
    }

    @Test("UTF-16 of both byte orders", arguments: [true, false], 0..<3)
    func utf16(isBigEndian: Bool, shift: Int) throws {
        let text16 = "\u{FEFF}" + String(repeating: "a", count: shift) + Self.text
        let bytes = text16.utf16.flatMap { unit in
            let pair = [UInt8(unit >> 8), UInt8(unit & 0xFF)]
            return isBigEndian ? pair : pair.reversed()
        }
        let whole = try DocumentParser().parse(bytes, name: "a.txt").document.text
        let text = try text(bytes, piece: 4_093)
        #expect(try text.bytes(0..<text.count) == whole)

        let broken = #expect(throws: KelterError.self) { try self.text(bytes.dropLast(), piece: 4_093) }
        #expect(broken?.code == .invalidEncoding && broken?.message.hasSuffix(" \(bytes.count - 2).") == true)
    }

    @Test("A declared charset counts when the bytes are not UTF-8", arguments: ["windows-1252", "shift_jis"])
    func charset(_ charset: String) throws {
        // Far behind the beginning by which the format is told; two bytes are one character of the second.
        let line: [UInt8] =
            charset == "shift_jis" ? [0x83, 0x65, 0x83, 0x58, 0x83, 0x67, 0x0D, 0x0A] : [0xFC, 0x80, 0x0A]
        let bytes =
            Array(String(repeating: "plain text\n", count: 9_000).utf8) + [0x61] + (0..<30_000).flatMap { _ in line }
        let mediaType = "text/plain; charset=" + charset
        guard case .inCharset(let found) = try outcome(bytes, mediaType: mediaType), !found.isDetected else {
            Issue.record("The charset does not count")
            return
        }
        let whole = try DocumentParser().parse(bytes, name: "a.txt", mediaType: mediaType).document.text
        let text = try text(bytes, mediaType: mediaType, charset: found, piece: 1_001)
        #expect(try text.bytes(0..<text.count) == whole)
        #expect(text.repairs[.charsetDetected] == nil)
        #expect(String(decoding: whole.suffix(30), as: UTF8.self).contains(charset == "shift_jis" ? "テスト" : "ü€"))
    }

    @Test("A charset that nobody declares is detected, and must fit all of the text")
    func detected() throws {
        let german = Array(String(repeating: "plain text\n", count: 9_000).utf8) + (0..<4_000).flatMap { _ in latin1 }
        guard case .inCharset(let found) = try outcome(german) else {
            Issue.record("Nothing is detected")
            return
        }
        #expect(found.isDetected)
        let text = try text(german, charset: found, piece: 1_001)
        #expect(String(decoding: try text.bytes(0..<text.count).suffix(40), as: UTF8.self).contains("Größe und Höhe"))
        #expect(text.repairs[.charsetDetected] == 1 && text.repairs[.transcoded] == 1)

        // 0x81 is no character of Windows-1252.
        let other = #expect(throws: KelterError.self) { try self.text(german + [0x81], charset: found) }
        #expect(
            other?.code == .invalidEncoding && other?.message.hasSuffix(" 99002.") == true,
            "\(other?.message ?? "")"
        )
        // A text that was UTF-8 before is damaged.
        let damaged = #expect(throws: KelterError.self) { try self.text(Array(Self.text.utf8) + latin1) }
        #expect(damaged?.code == .invalidEncoding && damaged?.subject == "a.txt")
    }

    private let latin1: [UInt8] =
        Array("Gr".utf8) + [0xF6, 0xDF] + Array("e und H".utf8) + [0xF6] + Array("he der Anlage, gepr".utf8) + [0xFC]
        + Array("ft.\n".utf8)

    @Test("UTF-16 and UTF-32 without a byte order mark", arguments: [2, 4], [true, false])
    func unmarked(width: Int, isBigEndian: Bool) throws {
        let text = String(repeating: "Größe und Höhe der Anlage\n", count: 6_000)
        let bytes = text.unicodeScalars.flatMap { scalar in
            let big = (0..<width).map { UInt8(truncatingIfNeeded: scalar.value >> UInt32(8 * (width - 1 - $0))) }
            return isBigEndian ? big : big.reversed()
        }
        let large = try self.text(bytes, piece: 4_093)
        #expect(try large.bytes(0..<large.count) == Array(text.utf8))
        #expect(large.repairs[.transcoded] == 1)
    }

    @Test("A character that is cut off at the end is an error that names the byte")
    func cutCharacter() throws {
        let bytes = [UInt8](repeating: 0x61, count: 100_000) + [0xE2, 0x82]
        let error = #expect(throws: KelterError.self) { try text(bytes, piece: 50_001) }
        #expect(error?.code == .invalidEncoding && error?.message.hasSuffix(" 100000.") == true)
    }

    @Test("Other formats come back as bytes, by name, content or declaration; no format is refused")
    func others() throws {
        let page = Array(("<!DOCTYPE html><p>" + Self.text).utf8)
        for (bytes, name, mediaType) in [
            (page, "a.txt", nil), (Array(Self.text.utf8), "a.md", nil), (Array(Self.text.utf8), "a", "text/markdown"),
        ] {
            guard case .other(let other) = try outcome(bytes, name: name, mediaType: mediaType, piece: 999) else {
                Issue.record("\(name) is taken for plain text")
                continue
            }
            #expect(other == bytes)
        }
        guard case .other(let pdf) = try outcome(Array("%PDF-1.7\n".utf8) + page) else {
            Issue.record("a PDF is taken for plain text")
            return
        }
        #expect(pdf.count == page.count + 9)
        for beginning in ["{\\rtf1 ", "GIF89a", "PK\u{3}\u{4}"] {
            guard case .other = try outcome(Array(beginning.utf8) + page) else {
                Issue.record("\(beginning) is taken for plain text")
                return
            }
        }
        let picture = #expect(throws: KelterError.self) { try outcome(Array("%!PS-Adobe".utf8) + page) }
        #expect(picture?.code == .unsupportedMediaType && picture?.subject == "a.txt")
        let noise = #expect(throws: KelterError.self) { try outcome((0..<100_000).map { UInt8($0 % 32) }) }
        #expect(noise?.code == .binaryContent)
    }

    @Test("A text of white space has no text", arguments: ["", " ", String(repeating: " \u{3000}\n", count: 50_000)])
    func blank(_ blank: String) throws {
        let text = try text(Array(blank.utf8))
        #expect(!text.hasText && text.signature == nil && text.count == blank.utf8.count)
    }

    @Test(
        "Parts cover the text, end where people would choose, and depend on the text alone",
        arguments: [
            ("Ein Absatz.\n\n", "\n\n"), ("Eine Zeile.\n", "\n"), ("Ein Satz. ", " "), ("Größe", "ö"), ("😀", "😀"),
        ]
    )
    func parts(unit: String, end: String) throws {
        let bytes = Array(String(repeating: unit, count: 2_000_000 / unit.utf8.count).utf8)
        let text = try text(bytes)
        #expect(text.count == bytes.count)
        var (start, parts) = (0, 0)
        while start < text.count {
            let (document, next) = try text.part(from: start)
            #expect((start + 1...start + 1 << 19).contains(next))
            #expect(document.text == Array(bytes[start..<next]))
            if next < text.count {
                #expect(next - start >= 1 << 18)
                let last = String(decoding: document.text.suffix(8), as: UTF8.self)
                #expect(!last.hasPrefix("\u{FFFD}\u{FFFD}\u{FFFD}\u{FFFD}") && !last.hasSuffix("\u{FFFD}"))
                if end.utf8.count < 3, unit != "Größe" { #expect(last.hasSuffix(end)) }
            }
            (start, parts) = (next, parts + 1)
        }
        #expect((4...8).contains(parts))
    }

    @Test("Only plain text may be larger than what is parsed in memory")
    func sizes() throws {
        let parser = DocumentParser()
        let (text, page) = (Array("Guten Tag.".utf8), Array("<!DOCTYPE html><p>".utf8))
        #expect(throws: Never.self) { try parser.checkSize(2 << 30, beginning: text, name: "a.log") }
        #expect(throws: Never.self) { try parser.checkSize(100 << 20, beginning: page, name: "a.html") }
        for (size, beginning, name) in [
            (2 << 30 + 1, text, "a.log"), (100 << 20 + 1, text, "a.md"), (100 << 20 + 1, page, "a.txt"),
        ] {
            let error = #expect(throws: KelterError.self) {
                try parser.checkSize(size, beginning: beginning, name: name)
            }
            #expect(error?.code == .fileTooLarge && error?.subject == name)
        }
        #expect(throws: Never.self) { try parser.checkSize(2 << 30, beginning: Array("a,b\n".utf8), name: "a.csv") }
        let video = #expect(throws: KelterError.self) {
            try parser.checkSize(1 << 30, beginning: Array("%!PS-Adobe".utf8), name: "a.txt")
        }
        #expect(video?.code == .unsupportedMediaType)
    }
}
