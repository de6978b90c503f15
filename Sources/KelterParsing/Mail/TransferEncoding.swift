/// How a part of a mail message is written down: RFC 2045, section 6.
enum TransferEncoding: String {
    case base64
    case quotedPrintable = "quoted-printable"

    /// The bytes that were encoded; what is no part of the encoding is passed over.
    func decoded(_ bytes: UnsafeBufferPointer<UInt8>) -> [UInt8] {
        switch self {
        case .base64: Self.decodedBase64(bytes)
        case .quotedPrintable: Self.decodedQuotedPrintable(bytes)
        }
    }

    private static func decodedBase64(_ bytes: UnsafeBufferPointer<UInt8>) -> [UInt8] {
        var decoded: [UInt8] = []
        decoded.reserveCapacity(bytes.count / 4 * 3)
        var (bits, count): (UInt32, Int) = (0, 0)
        for byte in bytes {
            let value: UInt8
            switch byte {
            case UInt8(ascii: "A")...UInt8(ascii: "Z"): value = byte - UInt8(ascii: "A")
            case UInt8(ascii: "a")...UInt8(ascii: "z"): value = byte - UInt8(ascii: "a") + 26
            case UInt8(ascii: "0")...UInt8(ascii: "9"): value = byte - UInt8(ascii: "0") + 52
            case UInt8(ascii: "+"), UInt8(ascii: "-"): value = 62
            case UInt8(ascii: "/"), UInt8(ascii: "_"): value = 63
            case UInt8(ascii: "="):
                // Pieces that were encoded one by one may follow each other.
                (bits, count) = (0, 0)
                continue
            default: continue
            }
            bits = bits << 6 | UInt32(value)
            count += 6
            guard count >= 8 else { continue }
            count -= 8
            decoded.append(UInt8(truncatingIfNeeded: bits >> UInt32(count)))
        }
        return decoded
    }

    private static func decodedQuotedPrintable(_ bytes: UnsafeBufferPointer<UInt8>) -> [UInt8] {
        var decoded: [UInt8] = []
        decoded.reserveCapacity(bytes.count)
        var position = 0
        while position < bytes.count {
            let byte = bytes[position]
            guard byte == UInt8(ascii: "=") else {
                decoded.append(byte)
                position += 1
                continue
            }
            if position + 2 < bytes.count, let high = hexadecimal(bytes[position + 1]),
                let low = hexadecimal(bytes[position + 2])
            {
                decoded.append(high << 4 | low)
                position += 3
                continue
            }
            // A line end behind it, and white space before that, are not part of the text.
            var end = position + 1
            while end < bytes.count, [0x20, 0x09, 0x0D].contains(bytes[end]) { end += 1 }
            if end == bytes.count || bytes[end] == 0x0A {
                position = end + 1
            } else {
                decoded.append(byte)
                position += 1
            }
        }
        return decoded
    }
}

/// The value of a hexadecimal digit.
func hexadecimal(_ byte: UInt8) -> UInt8? {
    switch byte {
    case UInt8(ascii: "0")...UInt8(ascii: "9"): byte - UInt8(ascii: "0")
    case UInt8(ascii: "a")...UInt8(ascii: "f"): byte - UInt8(ascii: "a") + 10
    case UInt8(ascii: "A")...UInt8(ascii: "F"): byte - UInt8(ascii: "A") + 10
    default: nil
    }
}
