/// A 128-bit identifier of a row: a UUID in RFC 9562's layout, printed in canonical lower case.
package struct RowID: Hashable, Sendable {
    /// The most significant 64 bits in network order.
    package let high: UInt64
    /// The least significant 64 bits in network order.
    package let low: UInt64

    package init(high: UInt64, low: UInt64) {
        self.high = high
        self.low = low
    }

    /// Reads the 36-character hyphenated form in either case; anything else is `nil`.
    package init?(_ text: some StringProtocol) {
        var words: (UInt64, UInt64) = (0, 0)
        var position = 0
        var digits = 0
        for byte in text.utf8 {
            if position == 8 || position == 13 || position == 18 || position == 23 {
                guard byte == UInt8(ascii: "-") else { return nil }
            } else {
                guard let value = hexValue(byte), digits < 32 else { return nil }
                if digits < 16 {
                    words.0 = words.0 << 4 | UInt64(value)
                } else {
                    words.1 = words.1 << 4 | UInt64(value)
                }
                digits += 1
            }
            position += 1
        }
        guard position == 36 else { return nil }
        self.init(high: words.0, low: words.1)
    }

    /// Reads 16 bytes in network order; another count is `nil`.
    package init?(bytes: some Collection<UInt8>) {
        guard bytes.count == 16 else { return nil }
        self.init(
            high: bytes.prefix(8).reduce(0) { $0 << 8 | UInt64($1) },
            low: bytes.dropFirst(8).reduce(0) { $0 << 8 | UInt64($1) }
        )
    }

    /// The 16 bytes in network order.
    package var bytes: [UInt8] {
        (0..<16).map { index in
            let word = index < 8 ? high : low
            return UInt8(truncatingIfNeeded: word >> UInt64(56 - 8 * (index % 8)))
        }
    }
}

extension RowID: CustomStringConvertible, LosslessStringConvertible {
    package var description: String {
        var text: [UInt8] = []
        text.reserveCapacity(36)
        for (index, byte) in bytes.enumerated() {
            if index == 4 || index == 6 || index == 8 || index == 10 { text.append(UInt8(ascii: "-")) }
            text.append(hexDigit(byte >> 4))
            text.append(hexDigit(byte & 0xF))
        }
        return String(decoding: text, as: UTF8.self)
    }
}

extension RowID: Comparable {
    package static func < (left: Self, right: Self) -> Bool {
        (left.high, left.low) < (right.high, right.low)
    }
}

extension RowID {
    /// RFC 9562's namespace for names that are URLs.
    package static let namespaceURL = RowID(high: 0x6ba7_b811_9dad_11d1, low: 0x80b4_00c0_4fd4_30c8)

    /// A time-ordered identifier (RFC 9562, version 7), so that new rows go to the right edge of their indexes.
    ///
    /// - Parameter milliseconds: Milliseconds since 1970-01-01 UTC.
    /// - Returns: An identifier that sorts after those of earlier milliseconds.
    package static func version7(milliseconds: UInt64) -> RowID {
        var generator = SystemRandomNumberGenerator()
        let random = generator.next() as UInt64
        return RowID(
            high: milliseconds << 16 | 0x7000 | (random & 0x0FFF),
            low: 0x8000_0000_0000_0000 | ((generator.next() as UInt64) >> 2)
        )
    }

    /// The identifier of a name in a namespace (RFC 9562, version 5: SHA-1).
    package static func version5(namespace: RowID, name: String) -> RowID {
        let digest = SHA1.digest(namespace.bytes + Array(name.utf8))
        let high = digest.prefix(8).reduce(0) { $0 << 8 | UInt64($1) }
        let low = digest[8..<16].reduce(0) { $0 << 8 | UInt64($1) }
        return RowID(
            high: high & 0xFFFF_FFFF_FFFF_0FFF | 0x5000,
            low: low & 0x3FFF_FFFF_FFFF_FFFF | 0x8000_0000_0000_0000
        )
    }
}
