import Glibc
import KelterModel

/// Which cell formats of a workbook show dates or times; ECMA-376 part 1, sections 18.8.10 and 18.8.30.
final class CellFormats: XMLHandler {
    private var dateFormats: Set<Int> = [14, 15, 16, 17, 18, 19, 20, 21, 22, 45, 46, 47]
    private var isDate: [Bool] = []
    private var inCellFormats = false

    override func start(_ name: XMLName, _ attributes: XMLAttributes) {
        switch name {
        case "numFmt":
            guard let id = attributes.number("numFmtId"), let code = attributes["formatCode"] else { return }
            if Self.showsDate(code) { dateFormats.insert(id) } else { dateFormats.remove(id) }
        case "cellXfs": inCellFormats = true
        case "xf" where inCellFormats: isDate.append(attributes.number("numFmtId").map(dateFormats.contains) ?? false)
        default: break
        }
    }

    override func end(_ name: XMLName) {
        if case "cellXfs" = name { inCellFormats = false }
    }

    /// Whether cells with the format of this number show a date or a time.
    func isDate(_ format: Int) -> Bool {
        isDate.indices.contains(format) && isDate[format]
    }

    /// Whether a format code has one of the letters of dates outside of quotes, brackets and escapes.
    static func showsDate(_ code: String) -> Bool {
        var (isQuoted, isEscaped) = (false, false)
        var bracket: [UInt8]?
        for byte in code.utf8 {
            let byte = lowercased(byte)
            if isEscaped {
                isEscaped = false
            } else if isQuoted {
                isQuoted = byte != UInt8(ascii: "\"")
            } else if let content = bracket {
                if byte == UInt8(ascii: "]") {
                    bracket = nil
                    // Elapsed hours, minutes or seconds; everything else is a colour, a condition or a country.
                    if !content.isEmpty, content.allSatisfy({ "hms".utf8.contains($0) }) { return true }
                } else {
                    bracket?.append(byte)
                }
            } else {
                switch byte {
                case UInt8(ascii: "\""): isQuoted = true
                case UInt8(ascii: "["): bracket = []
                case UInt8(ascii: "\\"), UInt8(ascii: "_"), UInt8(ascii: "*"): isEscaped = true
                case UInt8(ascii: ";"): return false
                case UInt8(ascii: "d"), UInt8(ascii: "m"), UInt8(ascii: "y"), UInt8(ascii: "h"), UInt8(ascii: "s"):
                    return true
                case UInt8(ascii: "g"): return false
                default: break
                }
            }
        }
        return false
    }
}

/// A date, a time or both, in ISO 8601, of days since 1899-12-31 (or 1904-01-01); `nil` outside of the years up to 9999.
///
/// Day 60 of the older system is 1900-02-29, which never was: days before it are one later than they seem; ECMA-376
/// part 1, section 18.17.4.1.
func dateText(serial: Double, is1904: Bool) -> String? {
    guard serial >= 0, serial < 2_958_466 else { return nil }
    var days = Int(serial)
    var seconds = Int(((serial - Double(days)) * 86_400).rounded())
    if seconds == 86_400 { (days, seconds) = (days + 1, 0) }
    let clock = String(format: seconds)
    if days == 0, !is1904 { return clock }
    // Days since 1970-01-01.
    let unix = is1904 ? days - 24_107 : days - 25_569 + (days < 60 ? 1 : 0)
    let (year, month, day) = civil(unix)
    func two(_ number: Int) -> String { number < 10 ? "0\(number)" : "\(number)" }
    let date = "\(year)-\(two(month))-\(two(day))"
    return seconds == 0 ? date : "\(date) \(clock)"
}

extension String {
    /// Seconds of a day as `hh:mm` or `hh:mm:ss`.
    fileprivate init(format seconds: Int) {
        func two(_ number: Int) -> String { number < 10 ? "0\(number)" : "\(number)" }
        self = two(seconds / 3600) + ":" + two(seconds / 60 % 60)
        if seconds % 60 != 0 { self += ":" + two(seconds % 60) }
    }
}

/// The date of a day since 1970-01-01 in the proleptic Gregorian calendar.
///
/// Eras of 400 years that begin on 1 March, as in Howard Hinnant's "chrono-Compatible Low-Level Date Algorithms".
private func civil(_ unix: Int) -> (year: Int, month: Int, day: Int) {
    let shifted = unix + 719_468
    let era = (shifted >= 0 ? shifted : shifted - 146_096) / 146_097
    let dayOfEra = shifted - era * 146_097
    let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
    let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
    let month = (5 * dayOfYear + 2) / 153
    let day = dayOfYear - (153 * month + 2) / 5 + 1
    return (yearOfEra + era * 400 + (month >= 10 ? 1 : 0), month < 10 ? month + 3 : month - 9, day)
}

/// A stored number as it is shown without a format: at most 15 significant digits, no exponent where it is short.
func numberText(_ number: Double, as stored: String) -> String {
    guard stored.utf8.count > 15 || stored.utf8.contains(where: { lowercased($0) == UInt8(ascii: "e") }) else {
        return stored
    }
    var buffer = [CChar](repeating: 0, count: 40)
    let count = buffer.count
    let length = withVaList([number]) { vsnprintf(&buffer, count, "%.15g", $0) }
    return String(decoding: buffer.prefix(Int(length)).map { UInt8(bitPattern: $0) }, as: UTF8.self)
}
