import KelterModel

/// The identifier by which a request's log lines, run and answer are found together.
struct Trace: Sendable, Equatable {
    let id: String

    /// Continues the caller's trace, or begins one.
    ///
    /// - Parameters:
    ///   - traceparent: W3C Trace Context's header, version 00: `00-{32 hex}-{16 hex}-{2 hex}`.
    ///   - traceID: `X-Trace-ID`: 1 to 128 letters, digits, `.`, `_` or `-`.
    ///   - random: Gives a new identifier.
    init(traceparent: String?, traceID: String?, random: () -> UInt64 = { .random(in: .min ... .max) }) {
        if let traceparent, let id = Self.traceID(of: traceparent) {
            self.id = id
        } else if let traceID = traceID.map(trimmed), isName(traceID, maximum: 128, marks: "._-") {
            id = traceID
        } else {
            // All zeros would be no valid trace.
            let words = [random() | 1, random()]
            id = words.map { word in
                let digits = String(word, radix: 16)
                return String(repeating: "0", count: 16 - digits.count) + digits
            }.joined()
        }
    }

    private static func traceID(of traceparent: String) -> String? {
        let parts = trimmed(traceparent).split(separator: "-", omittingEmptySubsequences: false)
        func isHex(_ text: Substring, _ count: Int) -> Bool {
            text.utf8.count == count
                && text.utf8.allSatisfy { (0x30...0x39).contains($0) || (0x61...0x66).contains($0) }
        }
        guard parts.count >= 4, isHex(parts[0], 2), parts[0] != "ff", parts[0] != "00" || parts.count == 4,
            isHex(parts[1], 32), isHex(parts[2], 16), isHex(parts[3], 2),
            parts[1].utf8.contains(where: { $0 != 0x30 }), parts[2].utf8.contains(where: { $0 != 0x30 })
        else { return nil }
        return String(parts[1])
    }
}
