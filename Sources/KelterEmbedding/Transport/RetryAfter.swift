import CLibCurl

/// Reads `Retry-After`: a number of seconds or an HTTP date; RFC 9110 section 10.2.3.
///
/// - Parameters:
///   - text: The value of the header field.
///   - now: Seconds since 1970, which a date is compared with.
/// - Returns: The time to wait, not below zero, or `nil` when the text is neither.
package func retryAfter(_ text: String, now: Int) -> Duration? {
    // Fractions of a second are no part of the standard, but some gateways send them.
    if let first = text.utf8.first, (0x30...0x39).contains(first) {
        guard let seconds = Double(text), seconds < 1e9 else { return nil }
        return .seconds(seconds)
    }
    let date = curl_getdate(text, nil)
    guard date >= 0 else { return nil }
    return .seconds(max(0, date - now))
}
