import Glibc

/// Reads JSON numbers for vectors, faster than `strtod` and exact enough for float32.
enum DecimalNumber {
    /// The powers of ten that a double holds exactly.
    private static let powers: [Double] = [
        1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19,
        1e20, 1e21, 1e22,
    ]

    /// Reads one number.
    ///
    /// The mantissa keeps 18 to 19 significant digits and is scaled by one power of ten, so the relative error is below
    /// 2⁻⁵⁰ (for exponents beyond ±22 below 2⁻⁴⁸): numbers printed from a float32 give that float32 again.
    ///
    /// - Parameters:
    ///   - text: The document.
    ///   - position: The first byte of the number; afterwards the first byte behind it. Unchanged without a number.
    /// - Returns: The value, infinite if a double cannot hold it, or `nil` when there is no JSON number.
    static func scan(_ text: UnsafeBufferPointer<UInt8>, at position: inout Int) -> Double? {
        var index = position
        let isNegative = index < text.count && text[index] == UInt8(ascii: "-")
        if isNegative { index += 1 }

        var mantissa: UInt64 = 0
        var exponent = 0
        let integer = index
        while index < text.count, case let digit = text[index] &- 0x30, digit < 10 {
            // Below 10^18 another digit fits; digits after that only scale.
            if mantissa < 1_000_000_000_000_000_000 { mantissa = mantissa * 10 + UInt64(digit) } else { exponent += 1 }
            index += 1
        }
        guard index > integer else { return nil }

        if index < text.count, text[index] == UInt8(ascii: ".") {
            index += 1
            let fraction = index
            while mantissa < 10_000_000_000, index + 8 <= text.count, let digits = eightDigits(text, at: index) {
                mantissa = mantissa * 100_000_000 + digits
                exponent -= 8
                index += 8
            }
            while index < text.count, case let digit = text[index] &- 0x30, digit < 10 {
                if mantissa < 1_000_000_000_000_000_000 {
                    mantissa = mantissa * 10 + UInt64(digit)
                    exponent -= 1
                }
                index += 1
            }
            guard index > fraction else { return nil }
        }

        if index < text.count, text[index] | 0x20 == UInt8(ascii: "e") {
            guard let written = scanExponent(text, at: &index) else { return nil }
            exponent += written
        }
        position = index
        let value = scaled(mantissa, exponent)
        return isNegative ? -value : value
    }

    /// Eight ASCII digits as a number, or `nil` if one of the bytes is none.
    ///
    /// All eight are handled in one 64-bit word: checked by their high and low halves, then added up in pairs, fours
    /// and eights (the multiplications by 2561, 6553601 and 42949672960001 are 10·2⁸+1, 100·2¹⁶+1 and 10000·2³²+1).
    private static func eightDigits(_ text: UnsafeBufferPointer<UInt8>, at index: Int) -> UInt64? {
        var word = UInt64(
            littleEndian: UnsafeRawBufferPointer(text).loadUnaligned(fromByteOffset: index, as: UInt64.self)
        )
        let high: UInt64 = 0xF0F0_F0F0_F0F0_F0F0
        guard (word & high) | (((word &+ 0x0606_0606_0606_0606) & high) >> 4) == 0x3333_3333_3333_3333 else {
            return nil
        }
        word = ((word & 0x0F0F_0F0F_0F0F_0F0F) &* 2561) >> 8
        word = ((word & 0x00FF_00FF_00FF_00FF) &* 6_553_601) >> 16
        return ((word & 0x0000_FFFF_0000_FFFF) &* 42_949_672_960_001) >> 32
    }

    private static func scanExponent(_ text: UnsafeBufferPointer<UInt8>, at index: inout Int) -> Int? {
        index += 1
        var isNegative = false
        if index < text.count, text[index] == UInt8(ascii: "-") || text[index] == UInt8(ascii: "+") {
            isNegative = text[index] == UInt8(ascii: "-")
            index += 1
        }
        let start = index
        var value = 0
        while index < text.count, case let digit = text[index] &- 0x30, digit < 10 {
            if value < 10_000 { value = value * 10 + Int(digit) }
            index += 1
        }
        guard index > start else { return nil }
        return isNegative ? -value : value
    }

    @inline(__always)
    private static func scaled(_ mantissa: UInt64, _ exponent: Int) -> Double {
        let value = Double(mantissa)
        switch exponent {
        case 0: return value
        case -22..<0: return value / powers[-exponent]
        case 1...22: return value * powers[exponent]
        default: return mantissa == 0 ? 0 : scaledFar(value, exponent)
        }
    }

    /// Scales in two steps: 10^-330 is no double, though 10^19 · 10^-330 is one.
    private static func scaledFar(_ value: Double, _ exponent: Int) -> Double {
        let half = exponent / 2
        return value * pow(10, Double(half)) * pow(10, Double(exponent - half))
    }
}
