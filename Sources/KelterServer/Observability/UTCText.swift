package import Glibc

/// A point in time as `2026-11-24T20:30:01.123Z`: RFC 3339 in UTC, cut to milliseconds.
package func utcText(_ time: timespec) -> String {
    var seconds = time.tv_sec
    var parts = tm()
    gmtime_r(&seconds, &parts)
    func padded(_ number: Int, _ digits: Int) -> String {
        let text = String(number)
        return String(repeating: "0", count: max(0, digits - text.count)) + text
    }
    let date = [(Int(parts.tm_year) + 1900, 4), (Int(parts.tm_mon) + 1, 2), (Int(parts.tm_mday), 2)]
    let clock = [(Int(parts.tm_hour), 2), (Int(parts.tm_min), 2), (Int(parts.tm_sec), 2)]
    let text = date.map(padded).joined(separator: "-") + "T" + clock.map(padded).joined(separator: ":")
    return "\(text).\(padded(time.tv_nsec / 1_000_000, 3))Z"
}
