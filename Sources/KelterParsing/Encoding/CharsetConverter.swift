import Glibc
import KelterModel

/// Converts text of a legacy charset to UTF-8 with the C library's `iconv`.
struct CharsetConverter {
    private let name: String

    /// Takes a label as it stands in a declaration; nil when the charset is not known.
    ///
    /// Labels follow the Encoding Standard (https://encoding.spec.whatwg.org/#names-and-labels) where it differs from
    /// the charset's name: `iso-8859-1` and `ascii` mean Windows-1252. A label that claims UTF-8 or UTF-16 is of no use
    /// for bytes that are not UTF-8 and carry no byte order mark.
    init?(label: String) {
        let label = lowercasedASCII(trimmed(label))
        // Other characters, above all '/', would be options of iconv_open.
        guard isName(label, maximum: 40, marks: "._:-"), label.utf8.first != UInt8(ascii: "-") else { return nil }
        let name = Self.aliases[label] ?? label
        guard !["utf-8", "utf8"].contains(name), !name.utf8.starts(with: "utf-16".utf8), let test = Self.open(name)
        else {
            return nil
        }
        iconv_close(test)
        self.name = name
    }

    /// The converted text, and how many bytes became U+FFFD because the charset has no character for them.
    func convert(_ bytes: [UInt8]) -> (text: [UInt8], invalid: Int) {
        var text: [UInt8] = []
        text.reserveCapacity(bytes.count + bytes.count / 8)
        guard let conversion = conversion() else { return ([], 0) }
        conversion.convert(bytes, isLast: true, into: &text)
        return (text, conversion.invalid)
    }

    /// A conversion piece by piece.
    func conversion() -> CharsetConversion? {
        Self.open(name).map { CharsetConversion($0) }
    }

    private static func open(_ name: String) -> iconv_t? {
        let converter = iconv_open("UTF-8", name)
        return converter == iconv_t(bitPattern: -1) ? nil : converter
    }

    private static let aliases: [String: String] = [
        "iso-8859-1": "windows-1252", "iso8859-1": "windows-1252", "iso_8859-1": "windows-1252",
        "latin1": "windows-1252", "latin-1": "windows-1252", "l1": "windows-1252", "ascii": "windows-1252",
        "us-ascii": "windows-1252", "cp819": "windows-1252", "x-cp1252": "windows-1252",
        "iso-8859-9": "windows-1254", "latin5": "windows-1254", "iso-8859-11": "windows-874",
        "tis-620": "windows-874", "x-cp1250": "windows-1250", "x-cp1251": "windows-1251",
        "shift_jis": "cp932", "shift-jis": "cp932", "sjis": "cp932", "x-sjis": "cp932", "windows-31j": "cp932",
        "gb2312": "gb18030", "gbk": "gb18030", "x-gbk": "gb18030", "euc-kr": "cp949", "ks_c_5601-1987": "cp949",
        "big5": "big5-hkscs", "x-mac-roman": "macintosh",
    ]
}

/// The conversion of one text, piece by piece; never leaves the thread that is at it.
final class CharsetConversion {
    private let converter: iconv_t
    /// The beginning of a character whose end has not come yet.
    private var rest: [UInt8] = []
    /// Bytes that became U+FFFD.
    private(set) var invalid = 0

    init(_ converter: iconv_t) {
        self.converter = converter
    }

    deinit {
        iconv_close(converter)
    }

    /// Appends the UTF-8 form of the next bytes.
    func convert(_ bytes: [UInt8], isLast: Bool, into text: inout [UInt8]) {
        var input = rest.isEmpty ? bytes : rest + bytes
        rest.removeAll()
        let piece = 65_536
        input.withUnsafeMutableBytes { input in
            withUnsafeTemporaryAllocation(byteCount: piece, alignment: 1) { output in
                var source = input.bindMemory(to: CChar.self).baseAddress
                var sourceLeft = input.count
                while sourceLeft > 0 {
                    var target = output.bindMemory(to: CChar.self).baseAddress
                    var targetLeft = piece
                    let result = iconv(converter, &source, &sourceLeft, &target, &targetLeft)
                    let reason = errno
                    text.append(contentsOf: output.prefix(piece - targetLeft))
                    if result == -1, reason == EINVAL, !isLast {
                        rest = Array(input.suffix(sourceLeft))
                        return
                    }
                    // E2BIG only asks for more room. EILSEQ and EINVAL stop at a byte without a character.
                    if result == -1, reason != E2BIG {
                        text.append("\u{FFFD}")
                        invalid += 1
                        source = source?.advanced(by: 1)
                        sourceLeft -= 1
                        _ = iconv(converter, nil, nil, nil, nil)
                    }
                }
            }
        }
    }
}
