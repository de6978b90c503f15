import Glibc
import KelterModel
import KelterParsing
import Testing

@Suite("Encoding")
struct EncodingTests {
    private func parse(_ bytes: [UInt8], name: String, mediaType: String? = nil) throws -> ParsedDocument {
        try DocumentParser().parse(bytes, name: name, mediaType: mediaType).document
    }

    private static let text = "Größe: 5 €, Ω, 😀"

    @Test("UTF-16 with a byte order mark is decoded, in both byte orders", arguments: [true, false])
    func utf16(isBigEndian: Bool) throws {
        let bytes = ("\u{FEFF}" + Self.text).utf16.flatMap { unit in
            let pair = [UInt8(unit >> 8), UInt8(unit & 0xFF)]
            return isBigEndian ? pair : pair.reversed()
        }
        let document = try parse(bytes, name: "a.txt")
        #expect(outline(document) == ["paragraph: " + Self.text])
        #expect(document.repairs == [.transcoded: 1])
    }

    @Test("A UTF-8 byte order mark is no text")
    func utf8Mark() throws {
        let document = try parse([0xEF, 0xBB, 0xBF] + Array(Self.text.utf8), name: "a.txt")
        #expect(outline(document) == ["paragraph: " + Self.text])
        #expect(document.repairs.isEmpty)
    }

    @Test(
        "What is not valid UTF-8 is an error that names the byte",
        arguments: [
            ([0x61, 0xFF], 1), ([0xC3], 0), ([0x61, 0x62, 0xC0, 0x80], 2), ([0xE0, 0x9F, 0xBF], 0),
            ([0xED, 0xA0, 0x80], 0), ([0xF4, 0x90, 0x80, 0x80], 0), ([0xF5, 0x80, 0x80, 0x80], 0), ([0x80], 0),
            ([0xEF, 0xBB, 0xBF, 0x61, 0xFC], 4), ([UInt8](repeating: 0x61, count: 100) + [0xE2, 0x82], 100),
        ] as [([UInt8], Int)]
    )
    func invalidUTF8(bytes: [UInt8], offset: Int) {
        for name in ["a.txt", "a.md", "a.html"] {
            let error = failure { _ = try parse(bytes, name: name) }
            #expect(error?.code == .invalidEncoding)
            #expect(error?.message.hasSuffix(" \(offset).") == true)
            #expect(error?.subject == name)
        }
    }

    @Test(
        "Broken UTF-16 is an error",
        arguments: [[0xFF, 0xFE, 0x61], [0xFE, 0xFF, 0xD8, 0, 0, 0x61]]
    )
    func invalidUTF16(_ bytes: [UInt8]) {
        #expect(failure { _ = try parse(bytes, name: "a.txt") }?.code == .invalidEncoding)
    }

    @Test(
        "A charset that HTML declares is honoured when the bytes are not UTF-8",
        arguments: [
            ("<meta charset=iso-8859-1>", [0xFC, 0x80], "ü€"),
            ("<meta http-equiv='Content-Type' content='text/html; charset=ISO-8859-15'>", [0xFC, 0xA4], "ü€"),
            ("<?xml version='1.0' encoding='windows-1251'?><html>", [0xC4, 0xE0], "Да"),
            ("<!-- <meta charset=utf-8> --><META CHARSET=\"Shift_JIS\">", [0x93, 0xFA], "日"),
        ] as [(String, [UInt8], String)]
    )
    func declaredCharset(head: String, bytes: [UInt8], text: String) throws {
        let document = try parse(Array(head.utf8) + Array("<p>".utf8) + bytes, name: "a.html")
        #expect(outline(document) == ["paragraph: " + text])
        #expect(document.repairs == [.transcoded: 1])
    }

    @Test("A wrong declaration does not spoil valid UTF-8")
    func wrongDeclaration() throws {
        let document = try parse(Array("<meta charset=latin1><p>ü".utf8), name: "a.html")
        #expect(outline(document) == ["paragraph: ü"])
        #expect(document.repairs.isEmpty)
    }

    @Test("The charset of a declared media type counts for every format")
    func mediaTypeCharset() throws {
        let document = try parse([0x61, 0xFC], name: "a.txt", mediaType: "text/plain; Charset=\"Latin1\"")
        #expect(outline(document) == ["paragraph: aü"])
    }

    @Test("Bytes that the charset has no character for are replaced and counted")
    func replaced() throws {
        let document = try parse(
            [0x61, 0x81, 0xFC, 0x8D],
            name: "a.txt",
            mediaType: "text/plain; charset=windows-1252"
        )
        #expect(outline(document) == ["paragraph: a\u{FFFD}ü\u{FFFD}"])
        #expect(document.repairs == [.transcoded: 1, .invalidReplaced: 2])
    }

    @Test(
        "A charset that is unknown or an option in disguise is not used",
        arguments: ["utf-8", "nonsense", "ascii//TRANSLIT", "-", ""]
    )
    func uselessCharset(_ charset: String) {
        let error = failure { _ = try parse([0xFC], name: "a.txt", mediaType: "text/plain; charset=\(charset)") }
        #expect(error?.code == .invalidEncoding)
    }

    @Test("Stray NULs are removed and counted")
    func strayNUL() throws {
        for name in ["a.txt", "a.md", "a.html"] {
            let document = try parse(Array("Ein\0 Wort und\0 noch eines".utf8), name: name)
            #expect(outline(document) == ["paragraph: Ein Wort und noch eines"])
            #expect(document.repairs == [.nulRemoved: 2])
        }
    }

    @Test("UTF-16 and UTF-32 are read with and without a mark, in both orders", arguments: [2, 4], [true, false])
    func wide(width: Int, isBigEndian: Bool) throws {
        func encoded(_ text: String) -> [UInt8] {
            let units = width == 2 ? text.utf16.map { UInt32($0) } : text.unicodeScalars.map(\.value)
            return units.flatMap { unit in
                let bytes = (0..<width).map { UInt8(truncatingIfNeeded: unit >> (8 * $0)) }
                return isBigEndian ? bytes.reversed() : bytes
            }
        }
        for mark in ["", "\u{FEFF}"] {
            let document = try parse(encoded(mark + "Text ohne Kennung. " + Self.text), name: "a.txt")
            #expect(outline(document) == ["paragraph: Text ohne Kennung. " + Self.text])
            #expect(document.repairs == [.transcoded: 1])
        }
    }

    @Test("Broken UTF-16 without a mark is an error that names the byte in the file")
    func brokenUnmarked() {
        let units = Array(String(repeating: "Text ohne Kennung. ", count: 10).utf16) + [0xDC00]
        let bytes = units.flatMap { [UInt8($0 & 0xFF), UInt8($0 >> 8)] }
        let error = failure { _ = try parse(bytes, name: "a.txt") }
        #expect(error?.message.hasSuffix(" 380.") == true, "\(error?.message ?? "")")
    }

    @Test("What is no character in UTF-32 is replaced and counted")
    func brokenUTF32() throws {
        let document = try parse([0xFF, 0xFE, 0, 0, 0x61, 0, 0, 0, 0, 0xD8, 0, 0], name: "a.txt")
        #expect(String(decoding: document.text, as: UTF8.self).hasPrefix("a\u{FFFD}"))
        #expect(document.repairs[.invalidReplaced] ?? 0 > 0)
    }

    @Test(
        "A charset that is not declared is detected, and that is counted",
        arguments: [
            ("WINDOWS-1252", "Die „Prüfung“ der größeren Anlage kostet 5 € – jährlich, sagt Frau Müller aus Köln."),
            (
                "ISO-8859-15",
                "Die Prüfung der größeren Anlage kostet jährlich 500 € und wird von Müller in Köln geführt."
            ),
            ("SHIFT_JIS", "機械の点検は毎年行われ、記録に残されます。担当者は田中さんです。"),
            ("GB18030", "机器的检查每年进行一次，并记录在案。负责人是王先生，地点在北京。"),
            ("KOI8-R", "Проверка машины проводится ежегодно и записывается в журнал. Ответственный: Иванов."),
        ]
    )
    func detected(charset: String, text: String) throws {
        let bytes = try #require(encode(text, charset))
        for name in ["a.txt", "a.html"] {
            let document = try parse(bytes, name: name)
            #expect(outline(document) == ["paragraph: " + text])
            #expect(document.repairs == [.transcoded: 1, .charsetDetected: 1])
        }
    }

    @Test("UTF-8 with a damaged place is not taken for something else")
    func damaged() {
        let bytes = Array("Größe und Höhe der Anlage, geprüft".utf8) + [0xFC] + Array(" am Morgen".utf8)
        #expect(failure { _ = try parse(bytes, name: "a.txt") }?.code == .invalidEncoding)
    }

    @Test("Controls that nobody sees are removed and counted; the marks of scripts from the right stay")
    func controls() throws {
        let text = "a\u{80}b\u{9F}c\u{202E}d\u{2066}e\u{2069}f\u{200F}g\u{A0}h – i"
        let document = try parse(Array(text.utf8), name: "a.txt")
        #expect(outline(document) == ["paragraph: abcdef\u{200F}g\u{A0}h – i"])
        #expect(document.repairs == [.controlsRemoved: 2, .bidiRemoved: 3])
    }

    private func encode(_ text: String, _ charset: String) -> [UInt8]? {
        let converter = iconv_open(charset, "UTF-8")
        guard converter != iconv_t(bitPattern: -1) else { return nil }
        defer { iconv_close(converter) }
        var input = Array(text.utf8).map { CChar(bitPattern: $0) }
        var output = [CChar](repeating: 0, count: input.count * 2)
        let count = input.withUnsafeMutableBufferPointer { input in
            output.withUnsafeMutableBufferPointer { output in
                var (source, sourceLeft) = (input.baseAddress, input.count)
                var (target, targetLeft) = (output.baseAddress, output.count)
                return iconv(converter, &source, &sourceLeft, &target, &targetLeft) == -1
                    ? nil : output.count - targetLeft
            }
        }
        return count.map { output[..<$0].map { UInt8(bitPattern: $0) } }
    }

    @Test("Data that is no text is refused")
    func binary() {
        let noise = (0..<4096).map { UInt8(truncatingIfNeeded: $0 &* 2_654_435_761 >> 7) }
        for bytes in [noise, [0], [0, 0, 0, 0]] {
            #expect(failure { _ = try parse(bytes, name: "a.txt") }?.code == .binaryContent)
        }
    }
}
