/// What a text is known by among texts that are nearly the same: MinHash (Broder, "On the resemblance and containment of
/// documents", 1997) over its shingles of three words.
///
/// The Jaccard similarity of two texts is the share of their shingles that both have. 128 positions estimate it with a
/// standard deviation of sqrt(s (1 - s) / 128) at a similarity of s: 0.015 at 0.97, 0.035 at 0.8. Each position is kept as
/// one byte (Li and König, "b-Bit Minwise Hashing", 2010).
///
/// Texts are looked for by eight bands, each a hash of eight positions: of two texts of similarity s some band is the same
/// with a probability of 1 - (1 - s^8)^8, which is more than 0.9999 at 0.97, 0.99 at 0.9, 0.77 at 0.8 and 0.03 at 0.5.
package struct NearDuplicateSignature: Equatable, Sendable {
    /// The number of positions.
    package static let positions = 128
    /// A part of every band, so that signatures of another making are never found.
    package static let version: UInt64 = 1
    private static let bandCount = 8
    private static let rowsPerBand = 8

    /// One byte for each position.
    package let bytes: [UInt8]
    /// The bands as PostgreSQL's `bigint`.
    package let bands: [Int]

    /// The signature of the least hash of each position.
    init(minima: [UInt32]) {
        bytes = minima.map { UInt8(truncatingIfNeeded: $0) }
        bands = (0..<Self.bandCount).map { band in
            var hash = mixed(Self.version << 8 | UInt64(band))
            for row in 0..<Self.rowsPerBand { hash = mixed(hash ^ UInt64(minima[band * Self.rowsPerBand + row])) }
            return Int(truncatingIfNeeded: hash)
        }
    }

    /// The estimated similarity with the text of these bytes, from 0 to 1.
    ///
    /// Bytes that agree by chance, one in 256, are taken off. Anything else than a signature resembles nothing.
    package func similarity(_ other: [UInt8]) -> Double {
        guard other.count == bytes.count else { return 0 }
        let equal = zip(bytes, other).reduce(0) { $0 + ($1.0 == $1.1 ? 1 : 0) }
        let share = Double(equal) / Double(bytes.count)
        return max(0, (share - 1 / 256) / (1 - 1 / 256))
    }
}

/// Steele, Lea, Flood, "Fast Splittable Pseudorandom Number Generators", 2014: the finaliser of SplitMix64.
@inline(__always)
func mixed(_ value: UInt64) -> UInt64 {
    var value = value &+ 0x9E37_79B9_7F4A_7C15
    value = (value ^ (value >> 30)) &* 0xBF58_476D_1CE4_E5B9
    value = (value ^ (value >> 27)) &* 0x94D0_49BB_1331_11EB
    return value ^ (value >> 31)
}
