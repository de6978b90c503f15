/// The charsets of an RTF file: its own, and those of its fonts.
struct RTFCharsets {
    /// That of text whose font has none.
    var standard = "windows-1252"
    private var fonts: [Int: String] = [:]
    private var converters: [String: CharsetConverter] = [:]

    /// Remembers the charset of a font by its number in `\fcharset`; others have the standard one.
    mutating func define(font: Int, charset: Int) {
        fonts[font] = Self.names[charset]
    }

    /// Remembers the code page of a font, from `\cpg`.
    mutating func define(font: Int, codePage: Int) {
        fonts[font] = Self.name(codePage: codePage)
    }

    /// The label of a code page; `nil` for UTF-8 and what is none.
    static func name(codePage: Int) -> String? {
        switch codePage {
        case 932, 936, 949, 950, 437, 850, 852, 866, 1361: "cp\(codePage)"
        case 874, 1250...1258: "windows-\(codePage)"
        case 10000: "macintosh"
        default: nil
        }
    }

    /// The text of bytes in a font, in UTF-8, and how many of them no character has.
    mutating func text(_ bytes: [UInt8], font: Int?) -> (text: [UInt8], invalid: Int) {
        guard bytes.contains(where: { $0 >= 0x80 }) else { return (bytes, 0) }
        let name = font.flatMap { fonts[$0] } ?? standard
        if converters[name] == nil { converters[name] = CharsetConverter(label: name) }
        return converters[name]?.convert(bytes) ?? (Array(String(decoding: bytes, as: UTF8.self).utf8), 0)
    }

    /// The charsets by their numbers in `\fcharset`: the specification, section "Font Table".
    private static let names: [Int: String] = [
        0: "windows-1252", 77: "macintosh", 128: "cp932", 129: "cp949", 130: "cp1361", 134: "cp936", 136: "cp950",
        161: "windows-1253", 162: "windows-1254", 163: "windows-1258", 177: "windows-1255", 178: "windows-1256",
        186: "windows-1257", 204: "windows-1251", 222: "windows-874", 238: "windows-1250", 254: "cp437", 255: "cp850",
    ]
}
