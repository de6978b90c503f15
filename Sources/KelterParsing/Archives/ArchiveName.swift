import KelterModel

/// The names of members: they must lead to a place below the archive and nowhere else.
enum ArchiveName {
    /// A name as it is used: its parts without `.`, separated by `/`.
    ///
    /// - Throws: ``KelterError`` with ``ErrorCode/archiveInvalid`` for a name that leads elsewhere.
    static func checked(_ name: String, in file: ArchiveFile) throws(KelterError) -> String {
        let parts = name.split(separator: "/", omittingEmptySubsequences: false)
        guard !name.isEmpty, parts.first?.isEmpty == false, !parts.contains(".."), !name.utf8.contains(0) else {
            throw file.invalid("The name leads out of the archive.")
        }
        let kept = parts.filter { !$0.isEmpty && $0 != "." }
        guard !kept.isEmpty else { throw file.invalid("The name is empty.") }
        return kept.joined(separator: "/")
    }

    /// Bytes that are not UTF-8 as text, with the bytes behind it, so that no two are the same.
    static func repaired(_ bytes: [UInt8]) -> String {
        let hexadecimal = bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
        return String(decoding: bytes, as: UTF8.self) + " [\(hexadecimal)]"
    }

    /// Text in code page 437, the encoding of old ZIP archives: APPNOTE.TXT, appendix D.
    static func codePage437(_ bytes: [UInt8]) -> String {
        let upper = Array(
            ("ÇüéâäàåçêëèïîìÄÅÉæÆôöòûùÿÖÜ¢£¥₧ƒáíóúñÑªº¿⌐¬½¼¡«»░▒▓│┤╡╢╖╕╣║╗╝╜╛┐└┴┬├─┼╞╟╚╔╩╦╠═╬╧╨╤╥╙╘╒╓╫╪┘┌"
                + "█▄▌▐▀αßΓπΣσµτΦΘΩδ∞φε∩≡±≥≤⌠⌡÷≈°∙·√ⁿ²■\u{A0}").unicodeScalars
        )
        var text = String.UnicodeScalarView()
        for byte in bytes { text.append(byte < 0x80 ? Unicode.Scalar(byte) : upper[Int(byte) - 0x80]) }
        return String(text)
    }

    static func notUTF8(_ file: ArchiveFile) -> KelterError {
        KelterError(
            .fileNameNotUTF8,
            "The file name is not valid UTF-8.",
            subject: file.path,
            fix: "Rename the file and make the archive anew."
        )
    }
}
